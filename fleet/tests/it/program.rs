//! Running the program, and a region to run it against.

use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tideline_rehearsal::{AlarmState, InstanceView, Region, Settings};
use tokio::process::{Child, Command};

/// No run of a test takes longer.
const BOUND: Duration = Duration::from_secs(90);

pub const ALARM: &str = "tideline-5xx";

/// What a run left.
#[derive(Debug)]
pub struct Done {
    pub code: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

impl Done {
    /// The objects of `--json`.
    pub fn events(&self) -> Vec<Value> {
        self.out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Fails unless it ended with `code` and said all of `parts`, wherever.
    #[track_caller]
    pub fn expect(&self, code: i32, parts: &[&str]) {
        assert_eq!(self.code, code, "{self:#?}");
        for part in parts {
            assert!(self.out.contains(part) || self.err.contains(part), "{part:?} is missing: {self:#?}");
        }
    }
}

/// A region ten minutes of which pass in a second, with a group `tideline` of two instances at version 1, and a quiet alarm.
pub async fn region() -> Region {
    let region = empty(PATIENT).await;
    region.group("tideline").desired(2).create().unwrap();
    region
}

/// For how long a refresh may stand still before the region gives it up: longer than a test does.
pub const PATIENT: Duration = Duration::from_secs(24 * 3600);

/// The same without a group, where a refresh that stands still for `refresh_limit` fails.
pub async fn empty(refresh_limit: Duration) -> Region {
    let settings = Settings { speed: 600.0, refresh_limit, ..Settings::default() };
    let region = Region::start(settings).await.unwrap();
    region.alarm(ALARM, AlarmState::Ok);
    region
}

/// One where that is half an hour, as three seconds of ours.
pub async fn impatient() -> Region {
    let region = empty(Duration::from_secs(1800)).await;
    region.group("tideline").desired(2).create().unwrap();
    region
}

/// The program, asking the region. There is no AWS CLI unless `path` has one.
pub fn command(region: &Region, arguments: &[&str], path: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tideline-fleet"));
    command.args(arguments).env_clear();
    command.envs([
        ("AWS_ENDPOINT_URL", region.endpoint()),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "nobody"),
        ("AWS_SECRET_ACCESS_KEY", "nothing"),
        ("TIDELINE_GROUP", "tideline"),
        ("TIDELINE_POLL", "50ms"),
    ]);
    command.env("PATH", path).kill_on_drop(true);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn spawn(region: &Region, arguments: &[&str]) -> Child {
    command(region, arguments, Path::new("/nowhere")).spawn().unwrap()
}

pub async fn finish(child: Child) -> Done {
    let ended = tokio::time::timeout(BOUND, child.wait_with_output()).await.expect("it did not end");
    let Output { status, stdout, stderr } = ended.unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Done { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
}

pub async fn run(region: &Region, arguments: &[&str]) -> Done {
    finish(spawn(region, arguments)).await
}

/// Waits until `so`; fails when that does not come.
pub async fn until(what: &str, so: impl Fn() -> bool) {
    let waiting = async {
        while !so() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(BOUND, waiting).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// A rollout of version 2 that is in progress, and stands still until the region resumes.
pub async fn stalled(region: &Region, arguments: &[&str]) -> Child {
    region.stall();
    let child = spawn(region, &[&["rollout", "--to", "2"], arguments].concat());
    until("the refresh is started and looked at", || {
        region.calls("StartInstanceRefresh") == 1 && region.calls("DescribeInstanceRefreshes") > 2
    })
    .await;
    child
}

/// The instances that are not on their way out.
pub fn staying(region: &Region) -> impl Iterator<Item = InstanceView> {
    region.instances("tideline").into_iter().filter(|instance| !instance.state.starts_with("Terminat"))
}

/// Their versions, sorted.
pub fn versions(region: &Region) -> Vec<String> {
    let mut versions: Vec<String> = staying(region).map(|instance| instance.version).collect();
    versions.sort();
    versions
}
