//! EC2 through the AWS CLI: launch template versions, images, snapshots. Its SDK is larger than everything else here together,
//! for a handful of calls.

use std::process::Stdio;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::process::Command;

use crate::error::{Error, Kind};

/// One command of the CLI, with its own tries.
const BOUND: Duration = Duration::from_secs(90);

/// A version of a launch template.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TemplateVersion {
    /// Its number.
    pub version_number: u64,
    /// What it is described as; Terraform writes the build's version.
    pub version_description: Option<String>,
    /// What it launches.
    #[serde(default)]
    pub launch_template_data: TemplateData,
}

/// What a launch template version launches.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TemplateData {
    /// The image.
    pub image_id: Option<String>,
    /// Tags of what is launched.
    #[serde(default)]
    pub tag_specifications: Vec<TagSpecification>,
}

/// Tags of one kind of resource.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct TagSpecification {
    /// The tags.
    #[serde(default)]
    pub tags: Vec<Tag>,
}

/// A tag.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Tag {
    /// Its key.
    pub key: String,
    /// Its value.
    #[serde(default)]
    pub value: String,
}

/// A machine image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all(deserialize = "PascalCase"))]
pub struct Image {
    /// Its id.
    pub image_id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// When it was made: RFC 3339, so that the order of text is the order of time.
    #[serde(default)]
    pub creation_date: String,
    /// Its disks.
    #[serde(default, skip_serializing)]
    pub block_device_mappings: Vec<BlockDevice>,
}

/// A disk of an image.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct BlockDevice {
    /// Where it comes from, unless it is the instance's own.
    pub ebs: Option<Ebs>,
}

/// What a disk is made from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Ebs {
    /// The snapshot.
    pub snapshot_id: Option<String>,
}

/// The tags that the bake gives: another deployment in the account and region has images of its own.
fn baked_for(deployment: &str) -> [String; 2] {
    [format!("Name=tag:Stack,Values={deployment}"), "Name=tag:Application,Values=tideline".to_owned()]
}

impl TemplateVersion {
    /// The build that it brings: the tag `Build` of its instances or, without one, its description.
    pub fn build(&self) -> Option<&str> {
        let tags = self.launch_template_data.tag_specifications.iter().flat_map(|specification| &specification.tags);
        let build = tags.into_iter().find(|tag| tag.key == "Build").map(|tag| tag.value.as_str());
        build.or(self.version_description.as_deref()).filter(|build| !build.is_empty())
    }
}

impl Image {
    /// Its snapshots.
    pub fn snapshots(&self) -> impl Iterator<Item = &str> {
        self.block_device_mappings.iter().filter_map(|device| device.ebs.as_ref()?.snapshot_id.as_deref())
    }
}

/// A snapshot of a disk.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Snapshot {
    /// Its id.
    pub snapshot_id: String,
    /// When it was begun, RFC 3339.
    #[serde(default)]
    pub start_time: String,
}

/// EC2, as the CLI reaches it.
#[derive(Debug, Clone)]
pub struct Ec2 {
    /// The region; version 1 of the CLI does not read AWS_REGION.
    pub region: String,
}

impl Ec2 {
    /// All versions of a launch template, the newest first.
    pub async fn template_versions(&self, template: &str) -> Result<Vec<TemplateVersion>, Error> {
        let arguments = ["describe-launch-template-versions", "--launch-template-id", template];
        let mut versions: Vec<TemplateVersion> = self.list(&arguments, "LaunchTemplateVersions").await?;
        versions.sort_by_key(|version| std::cmp::Reverse(version.version_number));
        Ok(versions)
    }

    /// The latest and the default version of every launch template in the account and region.
    pub async fn all_templates(&self) -> Result<Vec<TemplateVersion>, Error> {
        self.list(&["describe-launch-template-versions", "--versions", "$Latest", "$Default"], "LaunchTemplateVersions")
            .await
    }

    /// The images that were baked for a deployment.
    pub async fn images(&self, deployment: &str) -> Result<Vec<Image>, Error> {
        let [of, made] = baked_for(deployment);
        self.list(&["describe-images", "--owners", "self", "--filters", &of, &made], "Images").await
    }

    /// Their snapshots, also of images that are gone.
    pub async fn snapshots(&self, deployment: &str) -> Result<Vec<Snapshot>, Error> {
        let [of, made] = baked_for(deployment);
        self.list(&["describe-snapshots", "--owner-ids", "self", "--filters", &of, &made], "Snapshots").await
    }

    /// Images that instances were launched from which are not terminated.
    pub async fn images_in_use(&self) -> Result<Vec<String>, Error> {
        const STATES: &str = "Name=instance-state-name,Values=pending,running,stopping,stopped,shutting-down";
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Reservation {
            #[serde(default)]
            instances: Vec<Instance>,
        }
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Instance {
            image_id: Option<String>,
        }
        let reservations: Vec<Reservation> =
            self.list(&["describe-instances", "--filters", STATES], "Reservations").await?;
        let instances = reservations.into_iter().flat_map(|reservation| reservation.instances);
        Ok(instances.filter_map(|instance| instance.image_id).collect())
    }

    /// Deregisters an image; one that is gone already is as good.
    pub async fn deregister(&self, image: &str) -> Result<(), Error> {
        gone(self.aws(&["deregister-image", "--image-id", image]).await, "InvalidAMIID")
    }

    /// Deletes a snapshot; one that is gone already is as good.
    pub async fn delete_snapshot(&self, snapshot: &str) -> Result<(), Error> {
        gone(self.aws(&["delete-snapshot", "--snapshot-id", snapshot]).await, "InvalidSnapshot.NotFound")
    }

    async fn list<T: DeserializeOwned>(&self, arguments: &[&str], key: &str) -> Result<Vec<T>, Error> {
        let answer = self.aws(arguments).await?;
        let mut answer: serde_json::Value =
            serde_json::from_str(&answer).map_err(|error| strange(arguments, &error))?;
        let list = answer.get_mut(key).map(serde_json::Value::take).unwrap_or_default();
        if list.is_null() {
            return Ok(Vec::new());
        }
        serde_json::from_value(list).map_err(|error| strange(arguments, &error))
    }

    /// Runs `aws ec2 …` and gives what it wrote.
    async fn aws(&self, arguments: &[&str]) -> Result<String, Error> {
        let said = format!("aws ec2 {}", arguments.join(" "));
        let mut command = Command::new("aws");
        command.arg("ec2").args(arguments).args(["--region", &self.region, "--output", "json"]);
        command.env("AWS_PAGER", "").env("AWS_RETRY_MODE", "standard").env("AWS_MAX_ATTEMPTS", "8");
        let running = command.stdin(Stdio::null()).kill_on_drop(true).output();
        let output = match tokio::time::timeout(BOUND, running).await {
            Ok(Ok(output)) => output,
            Ok(Err(error)) if error.kind() == std::io::ErrorKind::NotFound => {
                let advice = "the AWS CLI is not installed: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html";
                return Err(Error::refused(advice));
            }
            Ok(Err(error)) => return Err(Error::refused(format!("{said}: {error}"))),
            Err(_) => {
                return Err(Error::new(Kind::Unavailable, format!("{said}: no answer within {} s", BOUND.as_secs())));
            }
        };
        if output.status.success() {
            return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
        }
        let why = String::from_utf8_lossy(&output.stderr).trim().replace('\n', " ");
        let access =
            ["UnauthorizedOperation", "AuthFailure", "AccessDenied", "ExpiredToken", "RequestExpired", "credentials"];
        let kind = if access.iter().any(|code| why.contains(code)) { Kind::Access } else { Kind::Refused };
        Err(Error::new(kind, format!("{said}: {why}")))
    }
}

fn gone(done: Result<String, Error>, code: &str) -> Result<(), Error> {
    match done {
        Err(error) if !error.text.contains(code) => Err(error),
        _ => Ok(()),
    }
}

fn strange(arguments: &[&str], error: &serde_json::Error) -> Error {
    Error::new(Kind::Failed, format!("aws ec2 {} answered something else than expected: {error}", arguments.join(" ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_build_is_the_tag_or_the_description() {
        let version = |text| serde_json::from_str::<TemplateVersion>(text).unwrap();
        let tagged = r#"{"VersionNumber": 7, "VersionDescription": "seven", "LaunchTemplateData": {"ImageId": "ami-7",
            "TagSpecifications": [{"ResourceType": "instance", "Tags": [{"Key": "Build", "Value": "0.1.0+abc"}]}]}}"#;
        assert_eq!(version(tagged).build(), Some("0.1.0+abc"));
        assert_eq!(version(r#"{"VersionNumber": 7, "VersionDescription": "seven"}"#).build(), Some("seven"));
        assert_eq!(version(r#"{"VersionNumber": 7}"#).build(), None);
    }
}
