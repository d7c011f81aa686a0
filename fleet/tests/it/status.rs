//! What runs where.

use serde_json::Value;

use crate::images::cli;
use crate::program::{command, finish, region, run, stalled};

const VERSIONS: &str = r#"{"LaunchTemplateVersions": [
    {"VersionNumber": 1, "VersionDescription": "0.1.0+one", "LaunchTemplateData": {}},
    {"VersionNumber": 2, "VersionDescription": "0.1.0+two", "LaunchTemplateData": {}}]}"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_table_shows_what_runs_where() {
    let region = region().await;
    run(&region, &["rollout", "--to", "2"]).await.expect(0, &[]);
    let aws = cli(&[("describe-launch-template-versions --launch-template-id lt-0123456789abcdef0", VERSIONS)]);
    let done = finish(command(&region, &["status"], aws.path()).spawn().unwrap()).await;
    done.expect(
        0,
        &["version 2 (build 0.1.0+two)", "Successful 100 %", "tideline-fleet rollback --group tideline goes to 1"],
    );
    let rows: Vec<&str> =
        done.out.lines().filter(|line| line.starts_with("i-") && !line.contains("Terminat")).collect();
    assert_eq!(rows.len(), 2, "{}", done.out);
    for row in rows {
        let cells: Vec<&str> = row.split_whitespace().collect();
        assert_eq!(cells[2..7], ["2", "0.1.0+two", "InService", "Healthy", "healthy"], "{row}");
        assert_ne!(cells[7], "-", "since when: {row}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_aws_cli_builds_alone_are_missing() {
    let region = region().await;
    let rollout = stalled(&region, &[]).await;
    run(&region, &["status"]).await.expect(0, &["builds are not known: the AWS CLI is not installed", "in progress: "]);
    let done = run(&region, &["status", "--json"]).await;
    let status = &done.events()[0];
    assert_eq!((&status["group"]["version"], &status["in_progress"]["to"]), (&Value::from("1"), &Value::from("2")));
    assert_eq!(status["group"]["instances"].as_array().unwrap().len(), 2);
    region.resume();
    finish(rollout).await.expect(0, &[]);
}
