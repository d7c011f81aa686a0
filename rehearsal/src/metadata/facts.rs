//! What an instance is told about itself: a tree of names, as EC2 has it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::{Duration, SystemTime};

use serde_json::json;

/// The versions of the service by which it can be asked, beside `latest`.
const VERSIONS: [&str; 4] = ["2009-04-04", "2016-09-02", "2018-09-24", "2021-03-23"];
/// How long a role's credentials are good.
const CREDENTIALS: Duration = Duration::from_secs(6 * 3600);

/// What an instance is.
#[derive(Clone, Debug)]
pub struct Facts {
    /// `i-…`
    pub id: String,
    /// `t3.small`
    pub instance_type: String,
    /// `ami-…`
    pub image: String,
    /// `eu-west-1`
    pub region: String,
    /// `eu-west-1a`
    pub zone: String,
    /// Twelve digits.
    pub account: String,
    /// Its address in the network.
    pub address: Ipv4Addr,
    /// Its user data, decoded.
    pub user_data: Vec<u8>,
    /// Names and values.
    pub tags: Vec<(String, String)>,
    /// The role of its instance profile.
    pub role: Option<String>,
    /// When it was launched.
    pub launched: SystemTime,
    /// How the metadata service answers it.
    pub options: Options,
}

/// The metadata options of a launch template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// Nothing is told without a token.
    pub tokens_required: bool,
    /// How far a token gets.
    pub hop_limit: u32,
    /// Whether it is told its tags.
    pub tags: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { tokens_required: true, hop_limit: 1, tags: false }
    }
}

impl Facts {
    /// What stands at a path: a value, or the names below it. Nothing: 404.
    pub(super) fn at(&self, path: &str, now: SystemTime) -> Option<Vec<u8>> {
        let path = path.trim_matches('/');
        if path.is_empty() {
            return Some(VERSIONS.iter().copied().chain(["latest"]).collect::<Vec<_>>().join("\n").into_bytes());
        }
        let (version, rest) = path.split_once('/').unwrap_or((path, ""));
        if version != "latest" && !VERSIONS.contains(&version) {
            return None;
        }
        let values = self.values(now);
        if let Some(value) = values.get(rest) {
            return Some(value.clone());
        }
        // Below a name there is more, which a slash at its end tells.
        let prefix = if rest.is_empty() { String::new() } else { format!("{rest}/") };
        let below = values.keys().filter_map(|name| name.strip_prefix(&prefix));
        let names: BTreeSet<_> = below
            .map(|name| name.split_once('/').map_or_else(|| name.to_owned(), |(first, _)| format!("{first}/")))
            .collect();
        (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join("\n").into_bytes())
    }

    fn values(&self, now: SystemTime) -> BTreeMap<String, Vec<u8>> {
        let name = format!("ip-{}.{}.compute.internal", self.address.to_string().replace('.', "-"), self.region);
        let address = self.address.to_string();
        let (mac, o) = ("mac", self.address.octets());
        let hardware = format!("02:00:{:02x}:{:02x}:{:02x}:{:02x}", o[0], o[1], o[2], o[3]);
        let interface = format!("network/interfaces/macs/{hardware}");
        let mut values: BTreeMap<_, _> = [
            ("ami-id", self.image.as_str()),
            ("ami-launch-index", "0"),
            ("hostname", &name),
            ("instance-action", "none"),
            ("instance-id", &self.id),
            ("instance-life-cycle", "on-demand"),
            ("instance-type", &self.instance_type),
            ("local-hostname", &name),
            ("local-ipv4", &address),
            (mac, &hardware),
            ("placement/availability-zone", &self.zone),
            ("placement/region", &self.region),
            ("services/domain", "amazonaws.com"),
            ("services/partition", "aws"),
            (&format!("{interface}/mac"), &hardware),
            (&format!("{interface}/device-number"), "0"),
            (&format!("{interface}/local-ipv4s"), &address),
        ]
        .into_iter()
        .map(|(name, value)| (format!("meta-data/{name}"), value.as_bytes().to_vec()))
        .collect();
        if self.options.tags {
            // A name with a slash in it would be a path; EC2 launches nothing with one.
            for (name, value) in self.tags.iter().filter(|(name, _)| !name.contains('/')) {
                values.insert(format!("meta-data/tags/instance/{name}"), value.clone().into_bytes());
            }
        }
        if let Some(role) = &self.role {
            let profile = format!("arn:aws:iam::{}:instance-profile/{role}", self.account);
            let info = json!({
                "Code": "Success", "LastUpdated": time(now), "InstanceProfileArn": profile, "InstanceProfileId": "AIPAREHEARSAL",
            });
            values.insert("meta-data/iam/info".to_owned(), info.to_string().into_bytes());
            // Whoever asks next believes every signature.
            let credentials = json!({
                "Code": "Success", "LastUpdated": time(now), "Type": "AWS-HMAC", "AccessKeyId": "ASIAREHEARSAL",
                "SecretAccessKey": "rehearsal", "Token": self.id, "Expiration": time(now + CREDENTIALS),
            });
            values.insert(format!("meta-data/iam/security-credentials/{role}"), credentials.to_string().into_bytes());
        }
        let document = json!({
            "accountId": self.account, "architecture": std::env::consts::ARCH, "availabilityZone": self.zone,
            "imageId": self.image, "instanceId": self.id, "instanceType": self.instance_type,
            "pendingTime": time(self.launched), "privateIp": address, "region": self.region, "version": "2017-09-30",
        });
        values.insert("dynamic/instance-identity/document".to_owned(), document.to_string().into_bytes());
        if !self.user_data.is_empty() {
            values.insert("user-data".to_owned(), self.user_data.clone());
        }
        values
    }

    /// For tests.
    #[cfg(test)]
    pub(super) fn example() -> Self {
        Self {
            id: "i-1".to_owned(),
            instance_type: "t3.small".to_owned(),
            image: "ami-1".to_owned(),
            region: "eu-west-1".to_owned(),
            zone: "eu-west-1b".to_owned(),
            account: "123456789012".to_owned(),
            address: Ipv4Addr::new(10, 0, 0, 5),
            user_data: b"#cloud-config\n".to_vec(),
            tags: vec![("Name".to_owned(), "tideline".to_owned()), ("a/b".to_owned(), String::new())],
            role: Some("tideline-instance".to_owned()),
            launched: SystemTime::UNIX_EPOCH,
            options: Options { tags: true, ..Options::default() },
        }
    }
}

fn time(at: SystemTime) -> String {
    humantime::format_rfc3339_seconds(at).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(facts: &Facts, path: &str) -> Option<String> {
        Some(String::from_utf8(facts.at(path, SystemTime::UNIX_EPOCH)?).unwrap())
    }

    fn json(facts: &Facts, path: &str) -> serde_json::Value {
        serde_json::from_str(&at(facts, path).unwrap()).unwrap()
    }

    #[test]
    fn lists_what_is_below_a_name() {
        let facts = Facts::example();
        assert_eq!(at(&facts, "/latest/").unwrap(), "dynamic/\nmeta-data/\nuser-data");
        let names = at(&facts, "/2021-03-23/meta-data").unwrap();
        assert!(names.lines().any(|name| name == "instance-id") && names.lines().any(|name| name == "placement/"));
        assert_eq!(at(&facts, "/latest/meta-data/placement/").unwrap(), "availability-zone\nregion");
        assert!(at(&facts, "/").unwrap().contains("2009-04-04"));
        for nothing in ["/1.0/meta-data", "/latest/meta-data/place", "/latest/meta-data/instance-id/more"] {
            assert_eq!(at(&facts, nothing), None, "{nothing}");
        }
    }

    #[test]
    fn says_what_the_instance_is() {
        let facts = Facts::example();
        assert_eq!(at(&facts, "/latest/meta-data/placement/availability-zone").unwrap(), "eu-west-1b");
        assert_eq!(at(&facts, "/latest/meta-data/tags/instance").unwrap(), "Name");
        assert_eq!(at(&facts, "/latest/meta-data/tags/instance/Name").unwrap(), "tideline");
        assert_eq!(at(&facts, "/latest/user-data").unwrap(), "#cloud-config\n");
        let document = json(&facts, "/latest/dynamic/instance-identity/document");
        assert_eq!((&document["instanceId"], &document["privateIp"]), (&"i-1".into(), &"10.0.0.5".into()));
        assert_eq!(at(&facts, "/latest/meta-data/iam/security-credentials/").unwrap(), "tideline-instance");
        let credentials = json(&facts, "/latest/meta-data/iam/security-credentials/tideline-instance");
        assert_eq!(credentials["Expiration"], "1970-01-01T06:00:00Z");
    }

    #[test]
    fn tells_no_tags_unless_they_are_enabled() {
        let facts = Facts { options: Options::default(), user_data: Vec::new(), ..Facts::example() };
        assert_eq!(at(&facts, "/latest/meta-data/tags/instance"), None);
        assert_eq!(at(&facts, "/latest/user-data"), None);
    }
}
