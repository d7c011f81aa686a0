//! Somebody asks for nothing but an answer.

use crate::call::{Caller, Ended, status};
use crate::target::Ask;

pub(super) async fn ask(caller: &mut Caller<'_>) -> Result<(), Ended> {
    caller.call(Ask::get("GET /health", "/health"), |answer| status(answer, &[200])).await?;
    Ok(())
}
