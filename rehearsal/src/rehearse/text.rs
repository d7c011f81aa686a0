//! stub
use super::Outcome;
/// stub
pub fn text(outcome: &Outcome) -> String { format!("{outcome:?}") }
