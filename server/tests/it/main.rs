//! The service as a whole, over real connections.
//!
//! Each test has a server of its own, in this process, on a port that the system chose and a store of its own: the
//! embedded one, or a fresh table at `AWS_ENDPOINT_URL` where `TIDELINE_TEST_TABLES` is set (`make test MOTO=1`).

#![expect(unreachable_pub, reason = "in a test binary nothing can be reached from outside")]
#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test says what it expects by failing")]

mod authorization;
mod browser;
mod clock;
mod data;
mod faults;
mod fleet;
mod guard;
mod heartbeat;
mod hostile;
mod idempotency;
mod instance;
mod limits;
mod listing;
mod mutations;
mod openapi;
mod outage;
mod overload;
mod packages;
mod process;
mod product;
mod prometheus;
mod proxy;
mod redis;
mod refusals;
mod service;
mod shared_cache;
mod shared_cache_faults;
mod soak;
mod support;
