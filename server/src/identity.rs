//! Who answers: the instance's id, zone and type, from the EC2 metadata service (IMDSv2), or from the host.

use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use aws_config::imds::Client;
use http::HeaderValue;
use serde::Deserialize;

use crate::version::VERSION;

/// The whole conversation with the metadata service; it is on the same host and answers within milliseconds.
const BOUND: Duration = Duration::from_secs(2);

/// One instance of the service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// EC2's instance id, or the host's name.
    pub id: String,
    /// Availability zone, or `local`.
    pub zone: String,
    /// Instance type, or `local`.
    pub kind: String,
    headers: [HeaderValue; 3],
}

/// The identity: the host's at first, EC2's as soon as it is known.
#[derive(Debug)]
pub struct Whoami {
    host: Identity,
    instance: OnceLock<Identity>,
}

/// What `/latest/dynamic/instance-identity/document` says, as far as it matters here.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct InstanceDocument {
    instance_id: String,
    availability_zone: String,
    instance_type: String,
}

impl Identity {
    fn new(id: &str, zone: &str, kind: &str) -> Self {
        let headers = [id, zone, VERSION]
            .map(|text| HeaderValue::from_str(text).unwrap_or_else(|_| HeaderValue::from_static("unprintable")));
        Self { id: id.to_owned(), zone: zone.to_owned(), kind: kind.to_owned(), headers }
    }

    /// The values of `x-tideline-instance`, `x-tideline-zone` and `x-tideline-version`.
    pub fn headers(&self) -> &[HeaderValue; 3] {
        &self.headers
    }
}

impl Whoami {
    /// The host, by its name.
    pub fn host() -> Self {
        let name = gethostname::gethostname();
        Self { host: Identity::new(&name.to_string_lossy(), "local", "local"), instance: OnceLock::new() }
    }

    /// Who it is, as far as is known now.
    pub fn get(&self) -> &Identity {
        self.instance.get().unwrap_or(&self.host)
    }

    /// Asks the metadata service, where there should be one. To be run beside the start, never before it.
    pub async fn ask_ec2(&self) {
        if !on_ec2() {
            return;
        }
        match tokio::time::timeout(BOUND, read_document()).await {
            Ok(Ok(document)) => {
                let identity =
                    Identity::new(&document.instance_id, &document.availability_zone, &document.instance_type);
                tracing::info!(instance = identity.id, zone = identity.zone, "the metadata service says who this is");
                // Asked once: nobody else sets it.
                let _ = self.instance.set(identity);
            }
            Ok(Err(error)) => tracing::warn!(error, "the metadata service does not say who this is"),
            Err(_) => tracing::warn!("the metadata service does not answer"),
        }
    }
}

/// Whether to expect a metadata service: where its address is set, or the machine's maker is Amazon. Elsewhere the
/// question would go out to a network that has no answer.
fn on_ec2() -> bool {
    let disabled = std::env::var("AWS_EC2_METADATA_DISABLED").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    let vendor = Path::new("/sys/class/dmi/id/sys_vendor");
    let amazon = || std::fs::read_to_string(vendor).is_ok_and(|vendor| vendor.starts_with("Amazon"));
    !disabled && (std::env::var_os("AWS_EC2_METADATA_SERVICE_ENDPOINT").is_some() || amazon())
}

async fn read_document() -> Result<InstanceDocument, String> {
    let imds = Client::builder()
        .connect_timeout(Duration::from_millis(300))
        .read_timeout(Duration::from_millis(500))
        .max_attempts(2)
        .build();
    let document = imds.get("/latest/dynamic/instance-identity/document").await.map_err(|error| error.to_string())?;
    serde_json::from_str(document.as_ref()).map_err(|error| error.to_string())
}
