//! The load balancer's DNS name. That of whoever is behind is one that no DNS knows; here it is the address that it listens on.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::Response;
use hyper::header::CONTENT_LENGTH;

use super::{ARRIVAL, Asked, BODY, Body};
use crate::protocol::Failure;
use crate::region::Shared;

const OPEN: &str = "<DNSName>";
const CLOSE: &str = "</DNSName>";

/// The answer, with a name that leads to the load balancer if it tells of one and there is one.
pub(super) async fn reachable(
    shared: &Shared,
    asked: &Asked,
    answer: Response<Body>,
) -> Result<Response<Body>, Failure> {
    let told = asked.service == "elasticloadbalancing"
        && matches!(asked.action.as_str(), "CreateLoadBalancer" | "DescribeLoadBalancers");
    let Some(balancer) = shared.balancer.as_ref().filter(|_| told) else { return Ok(answer) };
    let broken = |error: &dyn std::fmt::Display| {
        Failure::new("ServiceUnavailable", format!("the answer did not arrive: {error}")).status(503)
    };
    let (mut head, body) = answer.into_parts();
    let body = tokio::time::timeout(ARRIVAL, Limited::new(body, BODY).collect()).await.map_err(|late| broken(&late))?;
    let body = body.map_err(|error| broken(&error))?.to_bytes();
    let body = named(&String::from_utf8_lossy(&body), balancer);
    // It has another one now.
    head.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(head, Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed()))
}

/// The document with another name of every load balancer.
fn named(xml: &str, name: &str) -> String {
    let mut parts = xml.split(OPEN);
    let mut document = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.find(CLOSE).and_then(|at| part.get(at..)).unwrap_or(part);
        document.extend([OPEN, name, rest]);
    }
    document
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leads_to_where_the_balancer_listens() {
        let two = "<A><DNSName>a.elb</DNSName><B>b</B></A><A><DNSName></DNSName></A>";
        let there = "<A><DNSName>127.53.0.1</DNSName><B>b</B></A><A><DNSName>127.53.0.1</DNSName></A>";
        assert_eq!(named(two, "127.53.0.1"), there);
        assert_eq!(named("<A/>", "127.53.0.1"), "<A/>");
    }
}
