//! `run`: the whole life of a deployment on one machine, by the project's own make targets in a copy of this checkout.
//!
//! ```text
//! rehearse/preflight.rs  what it needs, and the environment of its make targets
//!          checkout.rs   the copy: commits, make targets
//!          load.rs       a load beside what happens: the load test, and what it counted
//!          steps.rs      the steps in their order; steps/: each of them
//!          story.rs      the steps as they are gone through: progress, checks, figures
//!          timeline.rs   what is seen of the region, second by second
//!          outcome.rs    what report.json holds
//!          text.rs       the same for a terminal
//!          page.rs       the same as a page that stands alone; page/: its parts
//!          words.rs      the verdict, times and numbers, as both have them
//! ```

mod checkout;
#[cfg(test)]
mod example;
mod load;
pub mod outcome;
mod page;
mod preflight;
mod steps;
mod story;
mod text;
mod timeline;
mod words;

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::{fs, io};

use self::checkout::Checkout;
use self::outcome::Inputs;
pub use self::outcome::Outcome;
pub use self::page::page;
use self::steps::World;
use self::story::Story;
pub use self::text::text;
use self::timeline::Timeline;
use crate::{Region, Settings as RegionSettings, site};

/// The Auto Scaling group, as Terraform names it by default.
const GROUP: &str = "tideline";

/// What is rehearsed, and where.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A git checkout of the project; it is copied.
    pub project: PathBuf,
    /// Where `tideline-fleet` and `tideline-loadtest` are, unless `TIDELINE_FLEET` and `TIDELINE_LOAD_TEST` name others.
    pub programs: PathBuf,
    /// The region. Its speed counts while nothing but waiting happens.
    pub region: RegionSettings,
    /// Its machines.
    pub site: site::Settings,
}

/// Rehearses, with progress on standard error, until it is through or `ended`, and then there is no outcome. Nothing is left of
/// a region that was up but the files in the folder; where there is none yet, [`Site::down`](site::Site::down) removes what was
/// begun.
///
/// # Errors
///
/// Where it cannot even begin; what goes wrong later is in the outcome.
pub async fn run(settings: &Settings, ended: impl Future<Output = ()>) -> Result<Option<Outcome>, String> {
    preflight::check(settings)?;
    let mut ended = pin!(ended);
    let region = RegionSettings { site: Some(settings.site.clone()), ..settings.region.clone() };
    let region = tokio::select! {
        started = Region::start(region) => Arc::new(started.map_err(|error| error.to_string())?),
        () = &mut ended => return Ok(None),
    };
    let (timeline, looking) = Timeline::begin(Arc::clone(&region));
    let mut story = Story::new(timeline.clone());
    let through = tokio::select! {
        () = rehearse(settings, &region, &timeline, &mut story) => true,
        () = &mut ended => false,
    };
    looking.abort();
    let _aborted = looking.await;
    let outcome = story.outcome(inputs(settings));
    drop(timeline);
    // What it does by itself ends first: it would put machines in the place of those that are removed.
    let region = Arc::into_inner(region).ok_or("the region is in use still")?;
    region.stop().await.map_err(|error| error.to_string())?;
    Ok(through.then_some(outcome))
}

async fn rehearse(settings: &Settings, region: &Arc<Region>, timeline: &Timeline, story: &mut Story) {
    match checkout(settings, region).await {
        Ok(checkout) => {
            let world = World::new(Arc::clone(region), checkout, timeline.clone(), settings);
            // Where it stopped is in the story.
            let _stopped = steps::all(&world, story).await;
        }
        Err(why) => story.stopped("preparation", why),
    }
}

/// The copy whose targets lead to the region.
async fn checkout(settings: &Settings, region: &Region) -> Result<Checkout, String> {
    let mut environment = preflight::environment(settings).await?;
    environment.extend(region.environment());
    Checkout::copy(&settings.project, &settings.site.folder, environment).await
}

/// Writes `report.html` and `report.json`.
///
/// # Errors
///
/// As files and folders fail.
pub fn write(outcome: &Outcome, folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    fs::write(folder.join("report.json"), serde_json::to_string_pretty(outcome)? + "\n")?;
    fs::write(folder.join("report.html"), page(outcome))
}

fn inputs(settings: &Settings) -> Inputs {
    let memory = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let total = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let kib: u64 = total.trim().trim_end_matches(" kB").parse().unwrap_or_default();
    Inputs {
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory: kib / 1024,
        speed: settings.region.speed,
        instance_cpus: settings.site.allowance.cpus,
        instance_memory: settings.site.allowance.memory,
    }
}
