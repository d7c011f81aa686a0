//! Where the shared cache is: the URL, and for TLS whom to trust.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio_rustls::TlsConnector;

use super::iam::Signer;

/// A setting of the shared cache that cannot be used. It does not repeat the URL, which may have a password.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ConfigError {
    /// The URL.
    #[error("--cache-url (TIDELINE_CACHE_URL): {0}")]
    Url(String),
    /// The replication group to sign in to.
    #[error("--cache-iam (TIDELINE_CACHE_IAM): {0}")]
    Iam(&'static str),
    /// The file of authorities.
    #[error("--cache-ca (TIDELINE_CACHE_CA): {}: {fault}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
}

/// A Redis or Valkey, and how to speak to it.
pub(super) struct Target {
    pub(super) host: String,
    pub(super) port: u16,
    /// Credentials and database.
    pub(super) session: RedisConnectionInfo,
    pub(super) tls: Option<(TlsConnector, ServerName<'static>)>,
    /// Signs in, where that is not by a password.
    pub(super) signer: Option<Signer>,
}

/// The words of a URL that is all right.
const FORM: &str = "use redis://[user:password@]host[:port][/database], or rediss:// for TLS";

impl Target {
    /// Reads a URL. The authorities are a PEM file's, in place of the platform's. `iam` is the ElastiCache replication group
    /// to sign in to.
    pub(super) fn parse(url: &str, authorities: Option<&Path>, iam: Option<&str>) -> Result<Self, ConfigError> {
        let fault = |fault: &str| ConfigError::Url(format!("{fault}; {FORM}"));
        let (tls, rest) = match url.split_once("://") {
            Some(("redis", rest)) => (false, rest),
            Some(("rediss", rest)) => (true, rest),
            _ => return Err(fault("it begins with neither redis:// nor rediss://")),
        };
        // `?protocol=` and `#insecure` are the library's own; everything else there would be passed over in silence.
        if rest.contains(['?', '#']) {
            return Err(fault("it has a query or a fragment (in a password write ? as %3F and # as %23)"));
        }
        // The library reads it all but the TLS, which is ours: its own takes whatever cryptography the process has
        // installed, panics where there is none, and reads the platform's certificates at each connection.
        let info: ConnectionInfo = format!("redis://{rest}").into_connection_info().map_err(|error| {
            let detail = error.to_string();
            // Its words about the parts, which do not repeat them; its words about the whole are less than ours.
            fault(if detail.contains("database") { "the database is no number" } else { "it is no such URL" })
        })?;
        let ConnectionAddr::Tcp(host, port) = info.addr().clone() else {
            return Err(fault("it names no host"));
        };
        if host.is_empty() {
            return Err(fault("it names no host"));
        }
        let session = info.redis_settings().clone();
        if session.db() < 0 {
            return Err(fault("the database is no number"));
        }
        // Its name and version tell nobody anything here and would cost a round trip of the time to connect.
        let session = session.set_skip_set_lib_name();
        let tls = match (tls, authorities) {
            (true, _) => {
                let name = ServerName::try_from(host.clone()).map_err(|_| fault("its host cannot be verified"))?;
                Some((connector(authorities)?, name))
            }
            (false, None) => None,
            (false, Some(path)) => {
                let fault = "it needs a rediss:// in TIDELINE_CACHE_URL".to_owned();
                return Err(ConfigError::Authorities { path: path.to_owned(), fault });
            }
        };
        let signer = iam.map(|cache| signer(cache, &session, tls.is_some())).transpose()?;
        Ok(Self { host, port, session, tls, signer })
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { host, port, session: _, tls, signer: _ } = self;
        f.debug_struct("Target").field("host", host).field("port", port).field("tls", &tls.is_some()).finish()
    }
}

fn signer(cache: &str, session: &RedisConnectionInfo, tls: bool) -> Result<Signer, ConfigError> {
    let named = |c: char| c.is_ascii_alphanumeric() || c == '-';
    match session.username() {
        _ if cache.is_empty() || !cache.chars().all(named) => Err(ConfigError::Iam("name a replication group")),
        _ if !tls => Err(ConfigError::Iam("it needs a rediss:// in TIDELINE_CACHE_URL")),
        _ if session.password().is_some() => {
            Err(ConfigError::Iam("TIDELINE_CACHE_URL has a password, and only one is used"))
        }
        Some(user) if !user.is_empty() && user.chars().all(named) => Ok(Signer::new(cache, user)),
        _ => Err(ConfigError::Iam("it needs the user's name in TIDELINE_CACHE_URL: rediss://USER@HOST")),
    }
}

/// TLS with the same cryptography as the AWS SDK's, named outright: nothing here depends on what else the process does.
fn connector(authorities: Option<&Path>) -> Result<TlsConnector, ConfigError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(path) => {
            let fault = |fault: String| ConfigError::Authorities { path: path.to_owned(), fault };
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| fault(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| fault(error.to_string()))?;
                roots.add(certificate).map_err(|error| fault(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(fault("it has no certificate".to_owned()));
            }
        }
        // Read once, here. This honours SSL_CERT_FILE and SSL_CERT_DIR, as the AWS SDK does.
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                let fault = "this machine trusts no authority that could vouch for a rediss:// server: install \
                             ca-certificates, or name a PEM file in TIDELINE_CACHE_CA";
                return Err(ConfigError::Url(fault.to_owned()));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| ConfigError::Url(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Target, ConfigError> {
        Target::parse(url, None, None)
    }

    #[test]
    fn urls_are_read() {
        let target = parse("redis://cache.example").unwrap();
        assert_eq!((target.host.as_str(), target.port, target.session.db()), ("cache.example", 6379, 0));
        let target = parse("redis://me:p%40ss%2F%23@[::1]:7000/3").unwrap();
        assert_eq!((target.host.as_str(), target.port, target.session.db()), ("::1", 7000, 3));
        assert_eq!((target.session.username(), target.session.password()), (Some("me"), Some("p@ss/#")));
        let target = parse("redis://:secret@10.0.0.1").unwrap();
        assert_eq!((target.session.username(), target.session.password()), (None, Some("secret")));
        assert!(target.tls.is_none() && !format!("{target:?}").contains("secret"));
    }

    #[test]
    fn a_fault_names_the_variable_and_not_the_password() {
        for (url, part) in [
            ("", "neither redis:// nor rediss://"),
            ("localhost:6379", "neither"),
            ("http://me:secret@host", "neither"),
            ("unix:///run/redis.sock", "neither"),
            ("redis://", "it is no such URL"),
            ("redis:///0", "it is no such URL"),
            ("redis://me:secret@", "it is no such URL"),
            ("redis://me:secret@host:port", "it is no such URL"),
            ("redis://me:secret@host/first", "the database is no number"),
            ("redis://me:secret@host/-1", "the database is no number"),
            ("redis://me:secret@host/0?protocol=resp3", "a query or a fragment"),
            ("redis://me:secr#et@host", "a query or a fragment"),
            ("rediss://me:secret@host#insecure", "a query or a fragment"),
        ] {
            let message = parse(url).expect_err(url).to_string();
            assert!(message.starts_with("--cache-url (TIDELINE_CACHE_URL): "), "{message}");
            assert!(message.contains(part) && !message.contains("secr"), "{url}: {message}");
        }
    }

    #[test]
    fn a_user_signs_in_with_tls_alone() {
        let fault = |url, iam| Target::parse(url, None, Some(iam)).expect_err(url).to_string();
        assert!(Target::parse("rediss://me@host", None, Some("cache")).unwrap().signer.is_some());
        for (url, iam, part) in [
            ("redis://me@host", "cache", "it needs a rediss://"),
            ("rediss://host", "cache", "it needs the user's name"),
            ("rediss://me:secret@host", "cache", "has a password"),
            ("rediss://me@host", "", "name a replication group"),
            ("rediss://me@host", "a/b", "name a replication group"),
        ] {
            let message = fault(url, iam);
            assert!(message.starts_with("--cache-iam (TIDELINE_CACHE_IAM): ") && message.contains(part), "{message}");
        }
    }

    #[test]
    fn authorities_are_checked_at_the_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ca.pem");
        let fault = |url| Target::parse(url, Some(&path), None).expect_err(url).to_string();
        assert!(fault("rediss://host").starts_with("--cache-ca (TIDELINE_CACHE_CA): "), "a file that is missing");
        std::fs::write(&path, "no PEM").unwrap();
        assert!(fault("rediss://host").contains("it has no certificate"));
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(fault("rediss://host").contains("ca.pem: "));
        assert!(fault("redis://host").contains("it needs a rediss://"));
    }
}
