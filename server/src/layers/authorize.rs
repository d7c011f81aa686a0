//! Writes need a bearer token, where tokens are set. The service knows only their SHA-256.

use std::sync::Arc;
use std::task::{Context, Poll};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderMap, Method};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use tower::Service;

use crate::app::App;
use crate::error::Error;
use crate::http::{Request, Response};

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Authorize<S> {
    pub(super) inner: S,
    pub(super) app: Arc<App>,
}

impl<S> Service<Request> for Authorize<S>
where
    S: Service<Request, Response = Response, Error = Error, Future: Send + 'static>,
{
    type Response = Response;
    type Error = Error;
    type Future = BoxFuture<'static, Result<Response, Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let writes = [Method::POST, Method::PUT, Method::DELETE].contains(request.method());
        let hashes = &self.app.write_tokens;
        if !writes || hashes.is_empty() || carries_token(request.headers(), hashes) {
            return self.inner.call(request).boxed();
        }
        let sent = request.headers().contains_key(AUTHORIZATION);
        std::future::ready(Err(Error::Unauthorized { sent })).boxed()
    }
}

/// Whether the request's token is one of these. Every hash is compared, in a time that does not depend on how much of it
/// is right.
fn carries_token(headers: &HeaderMap, hashes: &[[u8; 32]]) -> bool {
    let header = headers.get(AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
    let Some((scheme, token)) = header.split_at_checked(b"Bearer ".len()) else { return false };
    let hash = Sha256::digest(token);
    let known = hashes.iter().fold(0, |known, expected| known | expected.ct_eq(hash.as_slice()).unwrap_u8());
    scheme.eq_ignore_ascii_case(b"Bearer ") && known == 1
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    #[test]
    fn a_token_is_known_by_its_hash() {
        let hashes = [[0; 32], Sha256::digest(b"open sesame").into()];
        for (header, known) in [
            ("Bearer open sesame", true),
            ("bearer open sesame", true),
            ("Bearer open sesame ", false),
            ("Bearer Open sesame", false),
            ("Bearer ", false),
            ("Basic open sesame", false),
            ("Bear", false),
            ("", false),
        ] {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(header))]);
            assert_eq!(carries_token(&headers, &hashes), known, "{header:?}");
        }
        assert!(!carries_token(&HeaderMap::new(), &hashes));
    }
}
