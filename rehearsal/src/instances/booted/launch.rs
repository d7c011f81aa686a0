//! How a machine comes to be: EC2 of whoever is behind gives it an id and an address, its launch template says what it is told.

use std::net::Ipv4Addr;
use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::Behind;
use crate::complain::complain;
use crate::gateway::client::EC2;
use crate::instances::upstream::run;
use crate::instances::{Identity, Launch, State};
use crate::machines::Boot;
use crate::metadata::{Facts, Options};
use crate::network::METADATA;
use crate::protocol::{Failure, Tree};

impl Behind {
    /// Launches a machine, and has it serve.
    pub(super) async fn launch(self, launch: Launch, now: SystemTime) {
        let identity = match run(&self.upstream, &launch).await {
            Ok(identity) => identity,
            Err(failure) => return self.to(launch.ticket, State::Refused(failure.to_string())),
        };
        self.to(launch.ticket, State::Pending(identity.clone()));
        match self.boot(&launch, &identity, now).await {
            Ok(address) => self.serve(&launch, identity, address).await,
            Err(why) => {
                complain(format!("{} was not launched: {why}", identity.id));
                let parameters = Tree::new().with("InstanceId", Tree::list([Tree::leaf(&identity.id)]));
                // It never ran: nobody misses it.
                let _unknown = self.upstream.ask(EC2, "TerminateInstances", parameters).await;
                let _nothing = self.site.machines.remove(&identity.id).await;
                self.to(launch.ticket, State::Refused(why));
            }
        }
    }

    async fn boot(&self, launch: &Launch, identity: &Identity, now: SystemTime) -> Result<Ipv4Addr, String> {
        let facts = self.facts(launch, identity, now).await.map_err(|failure| failure.to_string())?;
        let none = || format!("there is no image {} in {}", facts.image, self.site.images().display());
        let root = self.site.image(&facts.image).ok_or_else(none)?;
        let address = facts.address;
        if let Some(entry) = self.entries().get_mut(&launch.ticket) {
            entry.address = Some(address);
        }
        self.site.metadata.add(facts);
        let (api, metadata) = (self.site.api(), format!("http://{METADATA}"));
        let boot = Boot {
            name: &identity.id,
            root: &root,
            address,
            allowance: self.site.allowance(),
            // Instead of names that only the Internet's DNS knows, and of a BIOS that says Amazon.
            environment: &[("AWS_ENDPOINT_URL", &api), ("AWS_EC2_METADATA_SERVICE_ENDPOINT", &metadata)],
        };
        self.site.machines.boot(&boot).await.map_err(|error| error.to_string())?;
        Ok(address)
    }

    async fn facts(&self, launch: &Launch, identity: &Identity, now: SystemTime) -> Result<Facts, Failure> {
        let by_id = Tree::new().with("InstanceId", Tree::list([Tree::leaf(&identity.id)]));
        let described = self.upstream.ask(EC2, "DescribeInstances", by_id).await?;
        let instance = described.get("reservationSet.item.instancesSet.item").cloned().unwrap_or_default();
        let kind = if launch.template.starts_with("lt-") { "LaunchTemplateId" } else { "LaunchTemplateName" };
        let by_version = Tree::new()
            .set(kind, &launch.template)
            .with("LaunchTemplateVersion", Tree::list([Tree::leaf(&launch.version)]));
        let versions = self.upstream.ask(EC2, "DescribeLaunchTemplateVersions", by_version).await?;
        let data = versions.get("launchTemplateVersionSet.item.launchTemplateData").cloned().unwrap_or_default();
        let address = instance.required("privateIpAddress")?;
        Ok(Facts {
            id: identity.id.clone(),
            instance_type: identity.instance_type.clone(),
            image: identity.image.clone().unwrap_or_default(),
            region: self.place.region.clone(),
            zone: launch.zone.clone(),
            account: self.place.account.clone(),
            address: address.parse().map_err(|_| Failure::validation(format!("{address} is no IPv4 address")))?,
            user_data: decoded(data.text("userData").unwrap_or_default())?,
            tags: tags(&instance),
            role: data.text("iamInstanceProfile.arn").and_then(|arn| arn.rsplit('/').next()).map(str::to_owned),
            launched: now,
            options: options(&data)?,
        })
    }
}

fn tags(instance: &Tree) -> Vec<(String, String)> {
    let tags = instance.members("tagSet");
    tags.filter_map(|tag| Some((tag.text("key")?.to_owned(), tag.text("value").unwrap_or_default().to_owned())))
        .collect()
}

fn options(data: &Tree) -> Result<Options, Failure> {
    Ok(Options {
        tokens_required: data.text("metadataOptions.httpTokens") == Some("required"),
        hop_limit: data.number("metadataOptions.httpPutResponseHopLimit")?.unwrap_or(1),
        tags: data.text("metadataOptions.instanceMetadataTags") == Some("enabled"),
    })
}

/// User data comes in base64.
fn decoded(text: &str) -> Result<Vec<u8>, Failure> {
    STANDARD.decode(text).map_err(|error| Failure::validation(format!("the user data is not base64: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_template_says_about_metadata() {
        let given = Tree::new()
            .set("httpTokens", "required")
            .set("httpPutResponseHopLimit", 2)
            .set("instanceMetadataTags", "enabled");
        let read = options(&Tree::new().with("metadataOptions", given)).unwrap();
        assert_eq!(read, Options { tokens_required: true, hop_limit: 2, tags: true });
        // As EC2 without any: the old way is open.
        assert_eq!(options(&Tree::new()).unwrap(), Options { tokens_required: false, hop_limit: 1, tags: false });
        assert_eq!(decoded("I2Nsb3VkLWNvbmZpZwo=").unwrap(), b"#cloud-config\n");
        assert!(decoded("#").is_err());
    }
}
