//! Somebody writes a document and reads it at once: through whatever instance, it must be there.

use super::Own;
use crate::call::{Caller, Ended};

pub(super) async fn read_back(caller: &mut Caller<'_>) -> Result<(), Ended> {
    let own = Own::create(caller).await?;
    own.read(caller).await?;
    own.remove_beyond_enough(caller).await
}
