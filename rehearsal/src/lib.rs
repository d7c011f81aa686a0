//! Tideline's pretend region: the part of AWS that a fleet needs, on one machine.
//!
//! ```text
//! region.rs     Region: starts it all, stops it when dropped; what a test can ask of it
//!   region/     state.rs (what its parts share), view.rs (what can be seen of its groups)
//! gateway.rs    HTTP on loopback: decides which service a call is for, forwards what is not ours
//!   gateway/    client.rs: calls to whoever is behind; name.rs: the load balancer's; faults.rs: what a test makes go wrong
//! moto.rs       who is behind, where machines boot: moto's server, with the Python files of moto/
//! protocol.rs   how AWS talks: tree.rs (parameters and answers), query.rs (forms in), xml.rs (XML out and in), cbor.rs,
//!               json.rs
//! scaling.rs    EC2 Auto Scaling, a model with one step(now) and no clock of its own
//!   scaling/    api/ (its actions), group/ (what it is asked and has), capacity.rs (what it launches and terminates),
//!               refresh/ (the rules of instance refresh), tracking.rs (those of target tracking), schedule.rs,
//!               preferences.rs, configuration.rs, instance.rs, activity.rs
//! alarms.rs     the states of CloudWatch alarms, where nobody behind keeps them
//! metrics.rs    the CPU of a group, as CloudWatch tells of it
//! targets.rs    what DescribeTargetHealth says about our instances
//! instances.rs  what really exists, behind a trait: modelled.rs (a table), upstream.rs (EC2 and ELB of whoever is behind),
//!               booted.rs (machines that boot)
//! site.rs       what a run with machines that boot really has, and how it is removed, also after a crash
//!   network.rs  a network namespace; machines.rs: systemd-nspawn over an overlay; both by scripts/, see script.rs
//!   metadata.rs the metadata service on 169.254.169.254, as IMDSv2
//!   balancer.rs HAProxy, driven from what Terraform made
//! dynamodb.rs   items, in dynoxide
//! environment.rs what leads AWS's own tools here
//! clock.rs      time, as fast as one likes
//! rehearse.rs   what came of a whole rehearsal, and its report
//! simulate.rs   the same scaling and refresh on a simulated clock, for fleets that no machine can boot
//! args.rs       the command line of `tideline-rehearsal`
//! ```
//!
//! A call comes in at the gateway. Auto Scaling is answered here, always; target health and alarms, where the region has the
//! instances; everything else goes `upstream` unchanged, or is refused by name. The model moves on when it is stepped, which a
//! task of the region does many times a second of its time. Nothing in the model waits, sleeps or asks for the time.
//!
//! Reports are pages of the crate `tideline-report`.
//!
//! As a double in a test:
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use tideline_rehearsal::{Behaviour, Region, Settings};
//!
//! let region = Region::start(Settings { speed: 600.0, ..Settings::default() }).await?;
//! region.group("tideline").desired(2).create()?;
//! region.behave("2", Behaviour::NeverHealthy);
//! // AWS_ENDPOINT_URL = region.endpoint(), any credentials; StartInstanceRefresh to version 2 fails within seconds.
//! # Ok(())
//! # }
//! ```

mod alarms;
pub mod args;
pub mod balancer;
mod clock;
mod complain;
pub mod dynamodb;
mod environment;
mod gateway;
pub mod instances;
pub mod machines;
pub mod metadata;
mod metrics;
mod moto;
pub mod network;
pub mod protocol;
mod region;
pub mod rehearse;
pub mod scaling;
mod script;
pub mod simulate;
pub mod site;
mod targets;

pub use alarms::AlarmState;
pub use clock::Clock;
pub use environment::exports;
pub use gateway::faults::Fault;
pub use instances::modelled::Behaviour;
pub use moto::MotoError;
pub use region::{ActivityView, GroupBuilder, InstanceView, RefreshView, Region, Settings, StartError, View};
pub use script::ScriptError;
