//! What a test makes go wrong.

use std::time::{Duration, Instant};

use aws_sdk_autoscaling::error::ProvideErrorMetadata;
use tideline_rehearsal::{Fault, Region, Settings, StartError};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::{region, scaling};

#[tokio::test]
async fn faults_meet_as_many_calls_as_asked() {
    let region = region().await;
    region.group("tideline").create().unwrap();
    let scaling = scaling(&region).await;
    let describe = || scaling.0.describe_auto_scaling_groups().send();
    region.throttle("DescribeAutoScalingGroups", 2);
    region.fault("DescribeAutoScalingGroups", &Fault::InternalFailure, 1);
    region.fault("DescribeAutoScalingGroups", &Fault::Hangup, 1);
    region.fault("DescribeAutoScalingGroups", &Fault::Slow(Duration::from_millis(80)), 1);
    for expected in ["Throttling", "Throttling", "InternalFailure"] {
        assert_eq!(describe().await.unwrap_err().code(), Some(expected));
    }
    assert_eq!(describe().await.unwrap_err().code(), None);
    let began = Instant::now();
    assert_eq!(describe().await.unwrap().auto_scaling_groups().len(), 1);
    assert!(began.elapsed() >= Duration::from_millis(80));
    describe().await.unwrap();
    assert_eq!(region.calls("DescribeAutoScalingGroups"), 6);
}

#[tokio::test]
async fn what_is_not_modelled_is_named() {
    let region = region().await;
    let scaling = scaling(&region).await;
    let error = scaling.0.describe_account_limits().send().await.unwrap_err();
    assert_eq!(error.code(), Some("InvalidAction"));
    assert!(error.message().unwrap().contains("DescribeAccountLimits"));
    let elb = aws_sdk_elasticloadbalancingv2::Client::new(&crate::support::config(&region).await);
    let error = elb.describe_load_balancers().send().await.unwrap_err();
    let message = aws_sdk_elasticloadbalancingv2::error::ProvideErrorMetadata::message(&error).unwrap().to_owned();
    assert!(message.contains("DescribeLoadBalancers of elasticloadbalancing"), "{message}");
}

#[tokio::test]
async fn listens_on_loopback_alone_and_stops() {
    let settings = Settings { listen: "0.0.0.0:0".parse().unwrap(), ..Settings::default() };
    assert!(matches!(Region::start(settings).await, Err(StartError::NotLoopback(_))));
    let settings = Settings { upstream: Some("moto".to_owned()), ..Settings::default() };
    assert!(matches!(Region::start(settings).await, Err(StartError::Upstream(..))));

    let region = region().await;
    let address = region.endpoint().strip_prefix("http://").unwrap().to_owned();
    tokio::net::TcpStream::connect(&address).await.unwrap();
    let taken = Settings { listen: address.parse().unwrap(), ..Settings::default() };
    assert!(matches!(Region::start(taken).await, Err(StartError::Listen(..))));
    region.stop().await.unwrap();
    tokio::net::TcpStream::connect(&address).await.unwrap_err();
}

#[tokio::test]
async fn without_dynamodb_its_calls_are_hung_up_on_and_all_else_is_answered() {
    let region = region().await;
    region.group("tideline").create().unwrap();
    let scaling = scaling(&region).await;
    for (up, answer) in [(true, "HTTP/1.1 400 "), (false, ""), (true, "HTTP/1.1 400 ")] {
        region.dynamodb(up);
        for action in ["GetItem", "DescribeTable"] {
            // There are no machines here, so nobody who has items: while it is up, the call is refused by name.
            let said = dynamodb(&region, action).await;
            assert!(said.starts_with(answer) && said.is_empty() == answer.is_empty(), "{up} {action}: {said:?}");
        }
        assert_eq!(scaling.group().await.desired_capacity, Some(2));
    }
    assert_eq!(region.calls("GetItem"), 3);
}

/// As there is no SDK of DynamoDB here: the call by hand. All that is said until the connection is closed.
async fn dynamodb(region: &Region, action: &str) -> String {
    let mut stream = TcpStream::connect(region.endpoint().strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: 2\r\ncontent-type: application/x-amz-json-1.0\r\n\
         x-amz-target: DynamoDB_20120810.{action}\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/dynamodb/aws4_request, Signature=0\r\n\r\n{{}}"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = String::new();
    tokio::time::timeout(Duration::from_secs(5), stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    answer
}
