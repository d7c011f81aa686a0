//! Somebody removes a document, and it is gone.

use super::Own;
use crate::call::{Caller, Ended, status};
use crate::target::Ask;

pub(super) async fn remove_own(caller: &mut Caller<'_>) -> Result<(), Ended> {
    let own = Own::create(caller).await?;
    own.remove(caller).await?;
    let ask = Ask::get("GET /data/{id}", format!("/data/{}", own.id));
    caller.call(ask, |answer| status(answer, &[404])).await?;
    Ok(())
}
