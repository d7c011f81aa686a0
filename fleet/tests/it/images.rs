//! Images, with an AWS CLI that knows its answers by heart.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tempfile::TempDir;

use crate::program::{Done, command, finish, region};

const VERSIONS: &str = r#"{"LaunchTemplateVersions": [
    {"VersionNumber": 1, "LaunchTemplateData": {"ImageId": "ami-1"}},
    {"VersionNumber": 2, "LaunchTemplateData": {"ImageId": "ami-2"}},
    {"VersionNumber": 3, "LaunchTemplateData": {"ImageId": "ami-3"}},
    {"VersionNumber": 4, "LaunchTemplateData": {"ImageId": "ami-4"}},
    {"VersionNumber": 5, "LaunchTemplateData": {"ImageId": "ami-5"}}]}"#;

const OTHERS: &str =
    r#"{"LaunchTemplateVersions": [{"VersionNumber": 9, "LaunchTemplateData": {"ImageId": "ami-4"}}]}"#;

const INSTANCES: &str = r#"{"Reservations": [{"Instances": [{"ImageId": "ami-3"}]}]}"#;

const SNAPSHOTS: &str = r#"{"Snapshots": [{"SnapshotId": "snap-0", "StartTime": "2026-11-01T00:00:00Z"},
    {"SnapshotId": "snap-2", "StartTime": "2026-11-02T00:00:00Z"}]}"#;

fn images() -> String {
    let image = |number| {
        format!(
            r#"{{"ImageId": "ami-{number}", "Name": "tideline-{number}", "CreationDate": "2026-11-0{number}T00:00:00.000Z",
            "BlockDeviceMappings": [{{"DeviceName": "/dev/xvda", "Ebs": {{"SnapshotId": "snap-{number}"}}}},
            {{"DeviceName": "/dev/sdb", "VirtualName": "ephemeral0"}}]}}"#
        )
    };
    format!(r#"{{"Images": [{}]}}"#, (1..=6).map(image).collect::<Vec<_>>().join(","))
}

/// An `aws` that answers `aws ec2 COMMAND …` where it begins like one of `answers`, writes down every other call, and has
/// nothing to say to it.
pub fn cli(answers: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let mut script = "#!/bin/sh\ncase \"$*\" in\n".to_owned();
    for (index, (arguments, answer)) in answers.iter().enumerate() {
        let file = folder.path().join(format!("{index}.json"));
        fs::write(&file, answer).unwrap();
        script += &format!(
            "  'ec2 {arguments}'*) while read -r line || [ -n \"$line\" ]; do echo \"$line\"; done <{};;\n",
            file.display()
        );
    }
    script += &format!("  *) echo \"$*\" >>{}/calls;;\nesac\n", folder.path().display());
    let program = folder.path().join("aws");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

fn calls(folder: &Path) -> Vec<String> {
    let text = fs::read_to_string(folder.join("calls")).unwrap_or_default();
    text.lines()
        .map(|line| line.trim_start_matches("ec2 ").trim_end_matches(" --region eu-west-1 --output json").to_owned())
        .collect()
}

async fn prune(arguments: &[&str]) -> (Done, Vec<String>) {
    let region = region().await;
    let images = images();
    let aws = cli(&[
        ("describe-launch-template-versions --launch-template-id lt-0123456789abcdef0", VERSIONS),
        ("describe-launch-template-versions --versions $Latest $Default", OTHERS),
        ("describe-instances", INSTANCES),
        // Those of another deployment are not its business.
        ("describe-images --owners self --filters Name=tag:Stack,Values=tideline Name=tag:Application,", &images),
        ("describe-snapshots --owner-ids self --filters Name=tag:Stack,Values=tideline", SNAPSHOTS),
    ]);
    let arguments = [&["images", "prune"], arguments].concat();
    let done = finish(command(&region, &arguments, aws.path()).spawn().unwrap()).await;
    (done, calls(aws.path()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_launches_from_is_removed_with_its_snapshots() {
    // The group is at version 1, somebody's instance at 3, the newest is 5, another template needs 4, and 6 is on its way.
    let (done, calls) = prune(&["--keep", "1"]).await;
    done.expect(0, &["removing ami-2", "1 of 6 images removed, 5 stay; 1 snapshots without an image removed"]);
    assert_eq!(
        calls,
        [
            "deregister-image --image-id ami-2",
            "delete-snapshot --snapshot-id snap-2",
            "delete-snapshot --snapshot-id snap-0",
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_removes_nothing() {
    let (done, calls) = prune(&["--keep", "1", "--dry-run"]).await;
    done.expect(0, &["would remove ami-2", "with snap-2", "1 of 6 images would be removed"]);
    assert_eq!(calls, [""; 0]);
    let (done, calls) = prune(&["--keep", "4"]).await;
    done.expect(0, &["0 of 6 images removed"]);
    assert_eq!(calls, ["delete-snapshot --snapshot-id snap-0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_aws_cli_it_says_so() {
    let region = region().await;
    let done = finish(command(&region, &["images", "prune"], "/nowhere".as_ref()).spawn().unwrap()).await;
    done.expect(2, &["the AWS CLI is not installed"]);
}
