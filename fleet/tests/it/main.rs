//! The program as a process, against the pretend region.

#![expect(unreachable_pub, reason = "in a test binary nothing can be reached from outside")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects by failing")]

mod images;
mod program;
mod rollback;
mod rollout;
mod status;
mod trouble;
mod waiting;
