//! The service under load: how it is asked, and when an answer counts.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{CONNECTION, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Method, StatusCode, Url};

use crate::record::Origin;

/// The largest answer that is read, in bytes; a page of documents of a megabyte and what is around it.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// A service, and the one client that all users share.
#[derive(Debug, Clone)]
pub struct Target {
    url: Url,
    client: Client,
    token: Option<HeaderValue>,
}

/// What is asked.
#[derive(Debug)]
pub struct Ask {
    /// As a template, for the figures: `GET /data/{id}`.
    pub endpoint: &'static str,
    /// The method.
    pub method: Method,
    /// The path and the query.
    pub path: String,
    /// Fields of the head, beyond those that every request has.
    pub headers: Vec<(HeaderName, String)>,
    /// The body, JSON.
    pub body: Option<Bytes>,
    /// Whether the connection is to be closed after it.
    pub close: bool,
}

impl Ask {
    /// A request without a body.
    pub fn new(endpoint: &'static str, method: Method, path: impl Into<String>) -> Self {
        Self { endpoint, method, path: path.into(), headers: Vec::new(), body: None, close: false }
    }

    /// A GET.
    pub fn get(endpoint: &'static str, path: impl Into<String>) -> Self {
        Self::new(endpoint, Method::GET, path)
    }

    /// With a body, JSON.
    pub fn body(self, body: impl Into<Bytes>) -> Self {
        Self { body: Some(body.into()), ..self }
    }

    /// With a field of the head.
    pub fn header(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its head.
    pub headers: HeaderMap,
    /// Its whole body.
    pub body: Bytes,
}

impl Answer {
    /// A field of the head; empty where it is not there.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> Result<serde_json::Value, String> {
        serde_json::from_slice(&self.body).map_err(|error| format!("the body is not JSON: {error}"))
    }

    /// Who gave it, where it says so.
    pub fn origin(&self) -> Option<Origin> {
        let [instance, zone, version] =
            ["instance", "zone", "version"].map(|name| self.header(&format!("x-tideline-{name}")).to_owned());
        (!instance.is_empty()).then_some(Origin { instance, zone, version })
    }
}

impl Target {
    /// For a URL, a write token and a bound of time for each request.
    pub fn new(url: Url, token: Option<&str>, timeout: Duration) -> Result<Self, String> {
        if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
            return Err(format!("{url}: a URL of the service begins with http:// or https://"));
        }
        let bearer = |token: &str| {
            let mut value = HeaderValue::from_str(&format!("Bearer {token}"));
            if let Ok(value) = &mut value {
                value.set_sensitive(true);
            }
            value.map_err(|_| "the token has characters that no header can carry".to_owned())
        };
        let client = Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(timeout)
            .connect_timeout(timeout.min(Duration::from_secs(5)))
            // Load over many connections, as many clients make it; over HTTP/2 all of it would share one.
            .http1_only()
            // Ended by us before the service ends them, at 75 s.
            .pool_idle_timeout(Duration::from_secs(50))
            .user_agent(concat!("tideline-loadtest/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| chain(&error))?;
        Ok(Self { url, client, token: token.map(bearer).transpose()? })
    }

    /// The URL it was made for.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// Whether it is this machine.
    pub fn is_loopback(&self) -> bool {
        match self.url.host_str().map(|host| host.trim_matches(['[', ']'])) {
            Some("localhost") => true,
            Some(host) => host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback()),
            None => false,
        }
    }

    /// Asks, and reads the answer to its end. An error is one line of what went wrong.
    pub async fn send(&self, ask: &Ask) -> Result<Answer, String> {
        let url = self.url.join(&ask.path).map_err(|error| format!("{}: {error}", ask.path))?;
        let mut request = self.client.request(ask.method.clone(), url);
        for (name, value) in &ask.headers {
            request = request.header(name, value);
        }
        if let Some(token) = self.token.as_ref().filter(|_| !ask.method.is_safe()) {
            request = request.header(reqwest::header::AUTHORIZATION, token.clone());
        }
        if let Some(body) = &ask.body {
            request = request.header(reqwest::header::CONTENT_TYPE, "application/json").body(body.clone());
        }
        if ask.close {
            request = request.header(CONNECTION, "close");
        }
        let mut response = request.send().await.map_err(|error| chain(&error))?;
        let (status, headers) = (response.status(), std::mem::take(response.headers_mut()));
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| chain(&error))? {
            body.extend_from_slice(&chunk);
            if body.len() > MAX_ANSWER {
                return Err(format!("the answer has over {MAX_ANSWER} bytes"));
            }
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }
}

/// An error with its causes in one line, without the URL that it repeats.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    if let Some(start) = text.find(" for url (") {
        text.truncate(start);
    }
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(url: &str) -> Result<Target, String> {
        Target::new(url.parse().unwrap(), None, Duration::from_secs(1))
    }

    #[test]
    fn this_machine_is_known() {
        for (url, loopback) in [
            ("http://localhost:8080", true),
            ("http://127.0.0.9/", true),
            ("http://[::1]:80", true),
            ("http://10.0.0.1", false),
            ("https://example.com", false),
        ] {
            assert_eq!(target(url).unwrap().is_loopback(), loopback, "{url}");
        }
        assert!(target("ftp://a/").unwrap_err().contains("http://"));
    }

    #[tokio::test]
    async fn an_error_says_the_cause_and_not_the_url() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/", listener.local_addr().unwrap());
        drop(listener);
        let error = target(&url).unwrap().send(&Ask::get("GET /", "/")).await.unwrap_err();
        assert!(error.contains("onnection refused") && !error.contains("http://"), "{error}");
    }
}
