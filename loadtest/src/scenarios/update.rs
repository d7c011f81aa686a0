//! Somebody replaces a document, on the condition that nobody else did, and reads it back.

use super::Own;
use crate::call::{Caller, Ended};

pub(super) async fn replace(caller: &mut Caller<'_>) -> Result<(), Ended> {
    let mut own = Own::create(caller).await?;
    own.replace(caller).await?;
    own.read(caller).await?;
    own.remove_beyond_enough(caller).await
}
