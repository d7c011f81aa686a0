//! What the region answers itself.

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::HeaderValue;
use hyper::{Response, StatusCode};

use super::client::CLOUDWATCH;
use super::{Asked, Body, Format, full, success};
use crate::alarms::Wanted;
use crate::dynamodb::DynamoDb;
use crate::protocol::cbor::{self, Value};
use crate::protocol::query::Call;
use crate::protocol::{Failure, Tree, json};
use crate::region::Shared;
use crate::{alarms, metrics, targets};

/// The answer, if it is ours to give.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    asked: &Asked,
    body: &Bytes,
) -> Option<Result<Response<Body>, Failure>> {
    match (asked.service.as_str(), asked.action.as_str()) {
        ("autoscaling", _) => Some(scaling(shared, body).await),
        ("elasticloadbalancing", "DescribeTargetHealth") => target_health(shared, asked).await,
        ("dynamodb", action) => dynamodb(shared, action, body).await,
        ("monitoring", "DescribeAlarms") => describe_alarms(shared, asked).await,
        ("monitoring", "GetMetricStatistics") => statistics(shared, asked),
        _ => None,
    }
}

/// Takes notice of what somebody did to our instances behind our back: the group finds them dead.
pub(super) fn notice(shared: &Shared, asked: &Asked, done: bool) {
    let ends = asked.service == "ec2" && matches!(asked.action.as_str(), "TerminateInstances" | "StopInstances");
    if let (true, true, Some(call)) = (done, ends, &asked.call) {
        for id in call.parameters.texts("InstanceId") {
            shared.with(|state, now| state.kill(&id, now));
        }
    }
}

async fn scaling(shared: &Arc<Shared>, body: &Bytes) -> Result<Response<Body>, Failure> {
    let mut call = Call::read(body)?;
    if let Some(upstream) = &shared.upstream {
        upstream.resolve(&mut call).await?;
    }
    let result = shared.with(|state, now| state.call(&call, now))?;
    Ok(success(&call.action, "autoscaling", &result))
}

async fn target_health(shared: &Arc<Shared>, asked: &Asked) -> Option<Result<Response<Body>, Failure>> {
    let parameters = &asked.call.as_ref()?.parameters;
    let arn = parameters.text("TargetGroupArn").unwrap_or_default();
    if shared.upstream.is_some() && !shared.with(|state, _| state.knows_target_group(arn)) {
        return None;
    }
    let port = match &shared.upstream {
        Some(upstream) => match upstream.target_port(arn).await {
            Ok(port) => port,
            Err(failure) => return Some(Err(failure)),
        },
        None => targets::PORT,
    };
    let result = shared.with(|state, _| targets::describe(state, parameters, port));
    Some(result.map(|result| success("DescribeTargetHealth", &asked.service, &result)))
}

/// Items are ours, where machines boot that ask for them; what else a table has is the upstream's, and ours follow.
async fn dynamodb(shared: &Arc<Shared>, action: &str, body: &Bytes) -> Option<Result<Response<Body>, Failure>> {
    let items = shared.dynamodb.as_ref()?;
    if DynamoDb::is_on_tables(action) {
        // One that is refused here is refused there as well, and there it is told.
        let _answer = items.answer(action.to_owned(), body.clone()).await;
        return None;
    }
    if !DynamoDb::is_on_items(action) {
        return None;
    }
    let (status, answer) = items.answer(action.to_owned(), body.clone()).await;
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    Some(Ok(full(status, "application/x-amz-json-1.0", answer)))
}

/// Alarms are the upstream's, if there is one; those of target tracking are ours.
async fn describe_alarms(shared: &Shared, asked: &Asked) -> Option<Result<Response<Body>, Failure>> {
    let Some(Call { parameters, .. }) = &asked.call else {
        return Some(Err(Failure::new("InvalidParameterValue", "the call cannot be read")));
    };
    let wanted = Wanted::read(parameters);
    let ours = shared.with(|state, _| alarms::tracking(&state.scaling, &wanted));
    let (answer, others) = match &shared.upstream {
        None => {
            let set = shared.with(|state, _| alarms::set(&state.alarms, &wanted, &shared.place));
            (alarms::tree(Tree::new(), &set), set)
        }
        // moto does not speak CBOR, and the AWS SDK for Rust speaks nothing else to CloudWatch.
        Some(_) if ours.is_empty() && asked.format != Format::Cbor => return None,
        Some(upstream) => match upstream.ask(CLOUDWATCH, "DescribeAlarms", parameters.clone()).await {
            Ok(answer) => (answer.get("DescribeAlarmsResult").cloned().unwrap_or_default(), alarms::told(&answer)),
            Err(failure) => return Some(Err(failure)),
        },
    };
    Some(Ok(monitored(asked, || alarms::tree(answer, &ours), || alarms::value(others.iter().chain(&ours)))))
}

fn statistics(shared: &Shared, asked: &Asked) -> Option<Result<Response<Body>, Failure>> {
    let parameters = &asked.call.as_ref()?.parameters;
    let found = shared.with(|state, _| metrics::find(state, parameters))?;
    Some(found.map(|found| monitored(asked, || metrics::tree(&found), || metrics::value(&found))))
}

/// CloudWatch's answer, in the form that the caller wants.
fn monitored(asked: &Asked, tree: impl FnOnce() -> Tree, value: impl FnOnce() -> Value) -> Response<Body> {
    match asked.format {
        Format::Xml => success(&asked.action, &asked.service, &tree()),
        Format::Json => full(StatusCode::OK, "application/x-amz-json-1.0", json::write(&value())),
        Format::Cbor => {
            let mut response = full(StatusCode::OK, "application/cbor", cbor::write(&value()));
            response.headers_mut().insert("smithy-protocol", HeaderValue::from_static("rpc-v2-cbor"));
            response
        }
    }
}
