//! stub
use super::Outcome;
/// stub
pub fn page(outcome: &Outcome) -> String { format!("{outcome:?}") }
