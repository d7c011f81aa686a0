//! Tideline's load test: a planned load on a deployed service, and evidence of how it scaled and rolled out.
//!
//! ```text
//! plan.rs        phases and their rates        profile.rs    the ready-made plans
//! pacer.rs       when each request is due      scenarios/    what users do, one file each
//! call.rs        the one way to ask            target.rs     the service, and its answers
//! record.rs      what happened                 observe.rs    instances and versions that come and go
//! watch.rs       the fleet beside the load     generator.rs  the generator itself
//! session.rs     a run from start to verdict   preflight.rs  what must be right before it
//! verdict.rs     thresholds and expectations   report.rs     summary, timeline, page
//! ```
//!
//! goose runs the users and keeps its own reports. It is a closed model that times heads; the plan, the pacer and
//! [`call::Caller::call`] make an open one of it that times whole answers since they were due.

pub mod args;
pub mod calibrate;
pub mod call;
pub mod generator;
pub mod merge;
pub mod observe;
pub mod pacer;
pub mod panel;
pub mod plan;
pub mod preflight;
pub mod profile;
pub mod record;
pub mod report;
pub mod scenarios;
pub mod session;
pub mod summary;
pub mod target;
pub mod verdict;
pub mod watch;
pub mod written;
