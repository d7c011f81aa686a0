//! The program as a process, against a real Tideline and against a double that does what no Tideline does.

#![expect(unreachable_pub, reason = "in a test binary nothing can be reached from outside")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects by failing")]

mod double;
mod faults;
mod fleet;
#[cfg(feature = "aws")]
mod group;
mod input;
mod page;
mod profiles;
mod program;
