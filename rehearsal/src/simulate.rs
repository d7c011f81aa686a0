//! The region's scaling and refresh on a simulated clock: a day of a thousand instances in seconds.
//!
//! ```text
//! simulate/args.rs      the command line; settings.rs: what it comes to
//!          traffic.rs   how much is asked, at any moment
//!          fleet.rs     the group, its machines and its balancer, moved on step by step
//!          outcome.rs   what came of it, for report.json
//!          text.rs      the same for a terminal
//!          page.rs      the same as a page that stands alone
//! ```
//!
//! Nothing is random, and nobody asks the machine for the time: the same settings have the same outcome.
//!
//! What the model takes for given: the balancer spreads requests evenly; an instance does so many requests a second for each
//! vCPU and refuses, with a 503, what is beyond; its CPU is the share of that which it does. Left out: everything else that has a
//! limit, as the store and the balancer (docs/CAPACITY.md has their arithmetic), burst credits, noisy neighbours.

pub mod args;
mod fleet;
pub mod outcome;
mod page;
mod settings;
mod text;
pub mod traffic;

use std::path::Path;

pub use args::Simulate;
pub use fleet::STEP;
pub use outcome::Outcome;
pub use page::page;
pub use settings::{Rollout, Settings};
pub use text::text;

/// Runs a simulation to its end.
pub fn run(settings: &Settings) -> Result<Outcome, crate::protocol::Failure> {
    fleet::Fleet::new(settings)?.run()
}

/// Writes `report.json` and `report.html` into a folder, which is made if need be.
pub fn write(outcome: &Outcome, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let json = serde_json::to_string_pretty(outcome).map_err(std::io::Error::other)?;
    std::fs::write(folder.join("report.json"), json + "\n")?;
    std::fs::write(folder.join("report.html"), page(outcome))
}
