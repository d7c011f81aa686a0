//! `/` and its style, script and icon: the page, embedded in the binary.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG, IF_NONE_MATCH, REFERRER_POLICY};
use http::{HeaderValue, StatusCode};
use http_body_util::Full;

use crate::app::App;
use crate::error::Error;
use crate::http::{Request, Response, empty, with_header};

/// The page's own files and its own service: nothing from elsewhere, nothing inline, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// `GET /`.
pub async fn index(_: Arc<App>, request: Request) -> Result<Response, Error> {
    let page = file(&request, "text/html; charset=utf-8", include_str!("../page/index.html"));
    let page = with_header(page, CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    Ok(with_header(page, REFERRER_POLICY, HeaderValue::from_static("no-referrer")))
}

/// `GET /page.css`.
pub async fn style(_: Arc<App>, request: Request) -> Result<Response, Error> {
    Ok(file(&request, "text/css; charset=utf-8", include_str!("../page/page.css")))
}

/// `GET /page.js`.
pub async fn script(_: Arc<App>, request: Request) -> Result<Response, Error> {
    Ok(file(&request, "text/javascript; charset=utf-8", include_str!("../page/page.js")))
}

/// `GET /icon.svg`.
pub async fn icon(_: Arc<App>, request: Request) -> Result<Response, Error> {
    Ok(file(&request, "image/svg+xml", include_str!("../page/icon.svg")))
}

/// A file, or 304 to a browser that has this very one: a new version of the service shows its page at once.
fn file(request: &Request, content_type: &'static str, text: &'static str) -> Response {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    let tag = HeaderValue::try_from(format!("\"{:016x}\"", hasher.finish()));
    let tag = tag.unwrap_or(HeaderValue::from_static("\"page\""));
    let answer = match request.headers().get(IF_NONE_MATCH) == Some(&tag) {
        true => empty(StatusCode::NOT_MODIFIED),
        false => {
            let whole = Response::new(Full::new(Bytes::from_static(text.as_bytes())));
            with_header(whole, CONTENT_TYPE, HeaderValue::from_static(content_type))
        }
    };
    with_header(with_header(answer, ETAG, tag), CACHE_CONTROL, HeaderValue::from_static("no-cache"))
}
