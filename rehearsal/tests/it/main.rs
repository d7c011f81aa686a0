//! The region as AWS's own SDKs see it.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod alarms;
mod faults;
mod group;
mod process;
mod refresh;
mod simulate;
mod support;
mod upstream;
mod view;
