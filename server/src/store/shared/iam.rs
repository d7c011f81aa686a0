//! Signing in to ElastiCache with the instance's role: in place of a password, a request to connect that is signed in
//! advance (SigV4), good for a quarter of an hour and made anew for each connection.

use std::time::{Duration, SystemTime};

use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use tokio::sync::OnceCell;

/// The longest that ElastiCache takes.
const LIFETIME: Duration = Duration::from_secs(900);

/// Who signs for a cache.
#[derive(Debug)]
pub(super) struct Signer {
    /// The replication group's id: what the signature is for.
    cache: String,
    user: String,
    config: OnceCell<SdkConfig>,
}

impl Signer {
    pub(super) fn new(cache: &str, user: &str) -> Self {
        Self { cache: cache.to_owned(), user: user.to_owned(), config: OnceCell::new() }
    }

    /// What is given in place of a password. It may ask the metadata service; the caller bounds it.
    pub(super) async fn token(&self) -> Result<String, String> {
        let config = self.config.get_or_init(|| aws_config::load_defaults(BehaviorVersion::latest())).await;
        let provider = config.credentials_provider().ok_or("there are no AWS credentials")?;
        let region = config.region().ok_or("there is no AWS region")?.as_ref();
        let credentials = provider.provide_credentials().await.map_err(|error| error.to_string())?;
        token(&self.cache, &self.user, region, credentials, SystemTime::now())
    }
}

fn token(cache: &str, user: &str, region: &str, by: Credentials, at: SystemTime) -> Result<String, String> {
    let mut settings = SigningSettings::default();
    settings.expires_in = Some(LIFETIME);
    settings.signature_location = SignatureLocation::QueryParams;
    let identity = by.into();
    let signing = v4::SigningParams::builder().identity(&identity).region(region).name("elasticache");
    let signing = signing.time(at).settings(settings).build().map_err(|error| error.to_string())?.into();
    // Nobody is asked at this URL: it is only what is signed.
    let url = format!("http://{cache}/?Action=connect&User={user}");
    let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::Bytes(b""));
    let request = request.map_err(|error| error.to_string())?;
    let (instructions, _) = sign(request, &signing).map_err(|error| error.to_string())?.into_parts();
    let mut signed = http::Request::get(&url).body(()).map_err(|error| error.to_string())?;
    instructions.apply_to_request_http1x(&mut signed);
    Ok(signed.uri().to_string().trim_start_matches("http://").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What botocore's SigV4QueryAuth makes of the same.
    #[test]
    fn the_signature_is_that_of_aws_s_own_library() {
        let by = Credentials::new("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", None, None, "test");
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600); // 2026-01-01
        let token = token("tideline-cache", "tideline-cache", "eu-north-1", by, at).unwrap();
        let (place, query) = token.split_once('?').unwrap();
        let sorted = |query: &str| query.split('&').map(str::to_owned).collect::<std::collections::BTreeSet<_>>();
        assert_eq!(place, "tideline-cache/");
        assert_eq!(
            sorted(query),
            sorted(
                "Action=connect&User=tideline-cache&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20260101%2F\
                 eu-north-1%2Felasticache%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=900&X-Amz-SignedHeaders=host&\
                 X-Amz-Signature=ac6a16d51b19e2d545f7c69456aae1c25aee6652241f8d51098a8aa9e0a13df4"
            )
        );
    }
}
