//! HTTP on loopback: decides which service a call is for, answers what is ours, forwards or refuses the rest.
//!
//! No signature is checked; the credential scope of one says which service is meant (`…/eu-west-1/autoscaling/aws4_request`).

pub(crate) mod client;
pub(crate) mod faults;
mod name;
mod ours;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited, combinators::BoxBody};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::protocol::query::Call;
use crate::protocol::{Failure, cbor, json, xml};
use crate::region::Shared;
use faults::Fault;

/// A call of AWS has kilobytes; an object put into S3 has more.
const BODY: usize = 64 << 20;
/// Connections at a time.
const CONNECTIONS: usize = 1_024;
/// How long a connection may be idle, or take to send the head of a call.
const IDLE: Duration = Duration::from_secs(75);
/// How long a body may take to arrive.
const ARRIVAL: Duration = Duration::from_secs(60);
/// After a failure to accept, as for want of descriptors.
const BACK_OFF: Duration = Duration::from_millis(50);

pub(crate) type Body = BoxBody<Bytes, hyper::Error>;

/// How the caller wants to be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Xml,
    Cbor,
    Json,
}

/// A call with what is known about it.
struct Asked {
    service: String,
    action: String,
    format: Format,
    /// Where it is of the Query protocol, or one of CloudWatch.
    call: Option<Call>,
}

/// Serves until it is dropped.
pub(crate) async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // Never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let shared = Arc::clone(&shared);
                connections.spawn(async move {
                    connection(stream, shared).await;
                    drop(place);
                });
            }
            Err(_) => tokio::time::sleep(BACK_OFF).await,
        }
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    // Without it a small answer waits for an acknowledgement.
    let _best_effort = stream.set_nodelay(true);
    let service = service_fn(|request| answer(request, Arc::clone(&shared)));
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new()).header_read_timeout(IDLE);
    // A client that goes away is its own business.
    let _gone = server.serve_connection(TokioIo::new(stream), service).await;
}

/// An error, for which hyper closes the connection without an answer.
#[derive(Debug, thiserror::Error)]
#[error("hung up, as asked")]
struct HungUp;

async fn answer(request: Request<Incoming>, shared: Arc<Shared>) -> Result<Response<Body>, HungUp> {
    let (head, body) = request.into_parts();
    let body = match tokio::time::timeout(ARRIVAL, Limited::new(body, BODY).collect()).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) => {
            let failure = Failure::new("RequestEntityTooLarge", format!("no body of up to {BODY} bytes: {error}"));
            return Ok(refusal(&failure.status(413), Format::Xml, ""));
        }
        Err(_) => return Ok(refusal(&Failure::new("RequestTimeout", "the body did not arrive"), Format::Xml, "")),
    };
    let asked = Asked::read(&head.headers, head.uri.path(), &body);
    let fault = shared.faults.meet(&asked.action);
    if asked.service == "dynamodb" && shared.dynamodb_down.load(Ordering::Relaxed) {
        return Err(HungUp);
    }
    let lost = fault == Some(Fault::Lost);
    match fault {
        None | Some(Fault::Lost) => {}
        Some(Fault::Slow(time)) => tokio::time::sleep(time).await,
        Some(Fault::Hangup) => return Err(HungUp),
        Some(fault) => return Ok(refusal(&fault.failure(), asked.format, &asked.service)),
    }
    let answer = match ours::answer(&shared, &asked, &body).await {
        Some(Ok(answer)) => answer,
        Some(Err(failure)) => refusal(&failure, asked.format, &asked.service),
        None => match &shared.upstream {
            Some(upstream) => {
                let forwarded = upstream.forward(Request::from_parts(head, Full::new(body))).await;
                ours::notice(&shared, &asked, forwarded.as_ref().is_ok_and(|answer| answer.status().is_success()));
                let answer = match forwarded {
                    Ok(answer) => name::reachable(&shared, &asked, answer).await,
                    Err(failure) => Err(failure),
                };
                answer.unwrap_or_else(|failure| refusal(&failure, asked.format, &asked.service))
            }
            None => {
                let (service, action) = (&asked.service, &asked.action);
                let message = format!("The pretend region has nobody behind it who answers {action} of {service}");
                refusal(&Failure::new("InvalidAction", message), asked.format, service)
            }
        },
    };
    if lost { Err(HungUp) } else { Ok(answer) }
}

impl Asked {
    fn read(headers: &HeaderMap, path: &str, body: &Bytes) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        // AWS4-HMAC-SHA256 Credential=ID/20260101/eu-west-1/autoscaling/aws4_request, …
        let scope = text(AUTHORIZATION.as_str()).split(['=', ',']).nth(1).unwrap_or_default();
        let service = scope.split('/').nth(3).unwrap_or("a service that is not named").to_owned();
        let kind = text(CONTENT_TYPE.as_str());
        // /service/GraniteServiceVersion20100801/operation/DescribeAlarms
        let operation = path.strip_prefix("/service/").and_then(|rest| rest.split_once("/operation/")).map(|it| it.1);
        if let Some(action) = operation {
            let call = cbor::read(body).ok().map(|parameters| Call { action: action.to_owned(), parameters });
            return Self { service, action: action.to_owned(), format: Format::Cbor, call };
        }
        if kind.starts_with("application/x-amz-json") {
            // DynamoDB_20120810.GetItem
            let action = text("x-amz-target").rsplit('.').next().unwrap_or_default().to_owned();
            // That of DynamoDB is dynoxide's to read.
            let parameters = (service == "monitoring").then(|| json::read(body).ok()).flatten();
            let call = parameters.map(|parameters| Call { action: action.clone(), parameters });
            return Self { service, action, format: Format::Json, call };
        }
        let call = kind.starts_with("application/x-www-form-urlencoded").then(|| Call::read(body).ok()).flatten();
        let action = call.as_ref().map(|call| call.action.clone()).unwrap_or_default();
        Self { service, action, format: Format::Xml, call }
    }
}

fn namespace(service: &str) -> &'static str {
    match service {
        "autoscaling" => crate::scaling::NAMESPACE,
        "elasticloadbalancing" => crate::targets::NAMESPACE,
        _ => crate::alarms::NAMESPACE,
    }
}

fn full(status: StatusCode, kind: &'static str, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).map_err(|never| match never {}).boxed());
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

fn request_id() -> String {
    uuid::Uuid::new_v4().to_string()
}

fn refusal(failure: &Failure, format: Format, service: &str) -> Response<Body> {
    let status = StatusCode::from_u16(failure.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let id = request_id();
    let mut response = match format {
        Format::Xml => full(status, "text/xml", xml::error(failure, namespace(service), &id)),
        Format::Cbor => {
            let mut response = full(status, "application/cbor", cbor::error(failure));
            response.headers_mut().insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
            // From an SDK that knows codes from the Query protocol.
            if let Ok(code) = HeaderValue::from_str(&format!("{};{}", failure.code, failure.party())) {
                response.headers_mut().insert("x-amzn-query-error", code);
            }
            response
        }
        Format::Json => {
            // A message of ours has no more than quotes to escape.
            let message = failure.message.replace('\\', "\\\\").replace('"', "\\\"");
            let body = format!("{{\"__type\":\"{}\",\"message\":\"{message}\"}}", failure.code);
            full(status, "application/x-amz-json-1.0", body)
        }
    };
    if let Ok(id) = HeaderValue::from_str(&id) {
        response.headers_mut().insert("x-amzn-requestid", id);
    }
    response
}

fn success(action: &str, service: &str, result: &crate::protocol::Tree) -> Response<Body> {
    let body = xml::answer(action, namespace(service), result, &request_id());
    full(StatusCode::OK, "text/xml", body)
}
