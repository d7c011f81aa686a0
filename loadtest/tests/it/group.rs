//! An Auto Scaling group watched beside the load, as the pretend region has it.

use tideline_rehearsal::{Fault, Region, Settings};

use crate::program::{Tideline, arguments, command, finish};

const TARGETS: &str = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/tideline/0123456789abcdef";

/// The run with the group beside it: exit code, what was said, summary and timeline.
async fn watched(region: &Region, group: &str, phases: &str) -> (i32, String, tempfile::TempDir) {
    let tideline = Tideline::start(&[]).await;
    let out = tempfile::tempdir().unwrap();
    let profile = ["run", "--phases", phases, "--group", group];
    let mut command = command(&arguments(&profile, &tideline.url, out.path()));
    command.envs([("AWS_ENDPOINT_URL", region.endpoint()), ("AWS_REGION", "eu-west-1"), ("AWS_MAX_ATTEMPTS", "1")]);
    command.envs([("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")]);
    let (code, said) = finish(command.spawn().unwrap()).await;
    (code, said, out)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_group_does_and_why_is_in_the_report() {
    let region = Region::start(Settings { speed: 60.0, ..Settings::default() }).await.unwrap();
    region.group("tideline").size(1, 4).desired(2).target_group(TARGETS).create().unwrap();
    for per_cent in [40.0, 50.0, 63.0] {
        region.advance(std::time::Duration::from_secs(60));
        region.cpu("tideline", per_cent).unwrap();
    }
    let dead = region.instances("tideline")[0].id.clone();
    let dying = async {
        tokio::time::sleep(std::time::Duration::from_secs(6)).await;
        assert!(region.kill(&dead));
    };
    // The group is looked at when it begins and after 15 s.
    let ((code, said, out), ()) = tokio::join!(watched(&region, "tideline", "steady:20s@20"), dying);
    assert_eq!(code, 0, "{said}");
    let summary: serde_json::Value =
        serde_json::from_str(&std::fs::read_to_string(out.path().join("summary.json")).unwrap()).unwrap();
    let events = summary["events"].to_string();
    assert!(events.contains("an EC2 health check indicating it has been terminated or stopped"), "{events}");
    assert!(events.contains("in response to an unhealthy instance needing to be replaced"), "{events}");
    let timeline = std::fs::read_to_string(out.path().join("timeline.csv")).unwrap();
    let mut rows = timeline.lines().map(|row| row.split(',').collect::<Vec<_>>());
    let names = rows.next().unwrap();
    let at = |name: &str| names.iter().position(|found| *found == name).unwrap();
    let columns = [at("desired"), at("in_service"), at("healthy"), at("fleet_cpu")];
    let last = rows.next_back().unwrap();
    assert_eq!(columns.map(|column| last[column]), ["2", "2", "2", "63"], "{timeline}");
    assert!(!said.contains("detailed monitoring"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_fails_is_told_once_and_costs_nothing_else() {
    let region = Region::start(Settings { speed: 60.0, ..Settings::default() }).await.unwrap();
    region.group("tideline").size(1, 4).desired(3).create().unwrap();
    region.fault("GetMetricStatistics", &Fault::AccessDenied, 100);
    let (code, said, out) = watched(&region, "tideline", "steady:17s@20").await;
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("CloudWatch does not tell the group's CPU"), "{said}");
    let summary = std::fs::read_to_string(out.path().join("summary.json")).unwrap();
    assert_eq!(summary.matches("the Auto Scaling group did not say how it is").count(), 1, "{summary}");
    assert!(region.calls("GetMetricStatistics") >= 3, "before the load, and twice beside it");
}

#[tokio::test]
async fn a_group_that_is_not_there_is_refused_before_any_load() {
    let region = Region::start(Settings::default()).await.unwrap();
    let (code, said, _out) = watched(&region, "another", "steady:20s@20").await;
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("there is no Auto Scaling group \"another\""), "{said}");
}
