//! Which build this is; `build.rs` finds out.

/// The crate's version and the commit it was built from: `0.1.0+1a2b3c4`, or `0.1.0` outside a checkout.
pub const VERSION: &str = env!("TIDELINE_VERSION");

/// The whole commit, 40 hex digits; empty outside a checkout.
pub const COMMIT: &str = env!("TIDELINE_COMMIT");
