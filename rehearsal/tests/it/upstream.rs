//! A region with somebody behind it: here a plain server that notes what it is asked, and answers as EC2 and ELB do.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tideline_rehearsal::protocol::query::Call;
use tideline_rehearsal::{Region, Settings};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::{config, scaling, track};

#[derive(Clone, Default)]
struct Behind {
    asked: Arc<Mutex<Vec<Call>>>,
}

const TEMPLATE: &str = "<launchTemplateVersionSet><item><launchTemplateId>lt-0123456789abcdef0</launchTemplateId>\
    <launchTemplateName>tideline</launchTemplateName><launchTemplateData><imageId>ami-1</imageId><tagSpecificationSet><item>\
    <resourceType>instance</resourceType><tagSet><item><key>Build</key><value>1</value></item></tagSet></item>\
    </tagSpecificationSet></launchTemplateData></item></launchTemplateVersionSet>";

impl Behind {
    /// Starts it; its URL.
    async fn start(&self) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let behind = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(behind.clone().answer(stream));
            }
        });
        url
    }

    async fn answer(self, mut stream: TcpStream) -> Option<()> {
        let (mut read, mut buffer) = (Vec::new(), [0; 4096]);
        let (head, length) = loop {
            let text = String::from_utf8_lossy(&read).to_ascii_lowercase();
            if let Some(end) = text.find("\r\n\r\n") {
                let length = text
                    .split("content-length: ")
                    .nth(1)
                    .map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
                break (end + 4, length);
            }
            let count = stream.read(&mut buffer).await.ok()?;
            read.extend_from_slice(&buffer[..count]);
        };
        while read.len() < head + length {
            let count = stream.read(&mut buffer).await.ok()?;
            read.extend_from_slice(&buffer[..count]);
        }
        let call = Call::read(&read[head..]).ok()?;
        let number = self.asked.lock().unwrap().len();
        let body = match call.action.as_str() {
            "DescribeLaunchTemplateVersions" if call.parameters.texts("LaunchTemplateVersion") == ["9"] => {
                String::new()
            }
            "DescribeLaunchTemplateVersions" => format!("<R>{TEMPLATE}</R>"),
            "RunInstances" => {
                format!("<R><instancesSet><item><instanceId>i-{number}</instanceId></item></instancesSet></R>")
            }
            "DescribeAlarms" => {
                let alarm = "<AlarmName>tideline-5xx</AlarmName><StateValue>OK</StateValue><Threshold>5</Threshold>";
                let found = format!("<MetricAlarms>\n<member>{alarm}</member></MetricAlarms>");
                format!("<R><DescribeAlarmsResult>{found}</DescribeAlarmsResult></R>")
            }
            action => format!("<{action}Response><{action}Result/></{action}Response>"),
        };
        self.asked.lock().unwrap().push(call);
        let (status, body) = match body.as_str() {
            "" => (
                "400 Bad Request",
                "<Response><Errors><Error><Code>InvalidLaunchTemplateId.VersionNotFound</Code>\
                <Message>Could not find the specified version 9</Message></Error></Errors></Response>",
            ),
            body => ("200 OK", body),
        };
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.ok()
    }

    /// How often each action was asked.
    fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for call in self.asked.lock().unwrap().iter() {
            *counts.entry(call.action.clone()).or_default() += 1;
        }
        counts
    }

    /// Waits until an action was asked so often, for five seconds at most.
    async fn until(&self, action: &str, times: usize) {
        for _ in 0..500 {
            if self.counts().get(action) == Some(&times) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(self.counts().get(action), Some(&times), "{:?}", self.counts());
    }
}

#[tokio::test]
async fn instances_are_launched_registered_deregistered_and_terminated_there() {
    let behind = Behind::default();
    let settings = Settings { upstream: Some(behind.start().await), speed: 600.0, ..Settings::default() };
    let region = Region::start(settings).await.unwrap();
    region.group("tideline").create().unwrap();
    behind.until("RegisterTargets", 2).await;
    let run = behind.asked.lock().unwrap().iter().find(|call| call.action == "RunInstances").cloned().unwrap();
    assert_eq!(run.parameters.text("LaunchTemplate.Version"), Some("1"));
    assert_eq!(run.parameters.text("ImageId"), Some("ami-1"));
    let tags: Vec<_> = run
        .parameters
        .get("TagSpecification.member.Tag")
        .unwrap()
        .children()
        .map(|(_, tag)| tag.text("Key").unwrap())
        .collect();
    assert_eq!(tags, ["Build", "aws:autoscaling:groupName"]);

    // Somebody terminates one behind the group's back: it is replaced.
    let dead = region.instances("tideline")[0].id.clone();
    terminate(&region, &dead).await;
    behind.until("RunInstances", 3).await;
    behind.until("RegisterTargets", 3).await;
    assert!(region.instances("tideline").iter().all(|it| it.id != dead || it.state == "Terminating"));

    let scaling = scaling(&region).await;
    scaling.0.delete_auto_scaling_group().auto_scaling_group_name("tideline").force_delete(true).send().await.unwrap();
    behind.until("DeregisterTargets", 3).await;
    behind.until("TerminateInstances", 4).await;
    behind.until("RunInstances", 3).await;
}

async fn terminate(region: &Region, id: &str) {
    let answer = query(region, "ec2", &format!("Action=TerminateInstances&Version=2016-11-15&InstanceId.1={id}")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// A call of the Query protocol by hand, where there is no SDK that makes it.
async fn query(region: &Region, service: &str, body: &str) -> String {
    by_hand(region, service, "content-type: application/x-www-form-urlencoded", body).await
}

/// A call in JSON by hand.
async fn json(region: &Region, service: &str, target: &str, body: &str) -> String {
    let headers = format!("content-type: application/x-amz-json-1.0\r\nx-amz-target: {target}");
    by_hand(region, service, &headers, body).await
}

async fn by_hand(region: &Region, service: &str, headers: &str, body: &str) -> String {
    let mut stream = TcpStream::connect(region.endpoint().strip_prefix("http://").unwrap()).await.unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: a\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n\
         authorization: AWS4-HMAC-SHA256 Credential=test/20260101/eu-west-1/{service}/aws4_request, Signature=0\r\n\r\n",
        body.len()
    );
    stream.write_all((head + body).as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    answer
}

#[tokio::test]
async fn what_is_not_ours_is_forwarded_and_templates_are_looked_up() {
    let behind = Behind::default();
    let settings = Settings { upstream: Some(behind.start().await), ..Settings::default() };
    let region = Region::start(settings).await.unwrap();
    let elb = aws_sdk_elasticloadbalancingv2::Client::new(&config(&region).await);
    elb.describe_load_balancers().names("tideline").send().await.unwrap();
    let asked = behind.asked.lock().unwrap()[0].clone();
    assert_eq!(
        (asked.action.as_str(), asked.parameters.texts("Names")),
        ("DescribeLoadBalancers", vec!["tideline".to_owned()])
    );

    region.group("tideline").create().unwrap();
    let scaling = scaling(&region).await;
    let request = scaling.0.start_instance_refresh().auto_scaling_group_name("tideline");
    let error = request.desired_configuration(crate::support::to("9")).send().await.unwrap_err();
    let message = aws_sdk_autoscaling::error::ProvideErrorMetadata::message(&error).unwrap().to_owned();
    assert!(message.ends_with("Could not find the specified version 9"), "{message}");
}

#[tokio::test]
async fn nobody_behind_is_an_answer_not_a_hang() {
    let gone = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = Settings { upstream: Some(format!("http://{}", gone.local_addr().unwrap())), ..Settings::default() };
    drop(gone);
    let region = Region::start(settings).await.unwrap();
    let elb = aws_sdk_elasticloadbalancingv2::Client::new(&config(&region).await);
    let error = elb.describe_load_balancers().send().await.unwrap_err();
    let code = aws_sdk_elasticloadbalancingv2::error::ProvideErrorMetadata::code(&error).map(str::to_owned);
    assert_eq!(code.as_deref(), Some("ServiceUnavailable"), "{error:?}");
}

#[tokio::test]
async fn alarms_of_target_tracking_stand_beside_those_that_are_there() {
    let behind = Behind::default();
    let settings = Settings { upstream: Some(behind.start().await), speed: 600.0, ..Settings::default() };
    let region = Region::start(settings).await.unwrap();
    region.group("tideline").create().unwrap();
    // Without one of ours, the answer comes as it is.
    let alone = query(&region, "monitoring", "Action=DescribeAlarms&Version=2010-08-01").await;
    assert!(alone.ends_with("</DescribeAlarmsResult></R>"), "{alone}");

    let named = track(&scaling(&region).await).await;
    let alarms = aws_sdk_cloudwatch::Client::new(&config(&region).await);
    let all = alarms.describe_alarms().send().await.unwrap();
    let names: Vec<_> = all.metric_alarms().iter().map(|alarm| alarm.alarm_name().unwrap()).collect();
    assert_eq!(names, ["tideline-5xx", &named[0], &named[1]]);

    let all = query(&region, "monitoring", "Action=DescribeAlarms&Version=2010-08-01").await;
    let theirs =
        "<member><AlarmName>tideline-5xx</AlarmName><StateValue>OK</StateValue><Threshold>5</Threshold></member>";
    assert!(all.contains(&format!("<MetricAlarms>{theirs}<member><AlarmName>{}</AlarmName>", named[0])), "{all}");
    assert!(all.contains(&format!("<AlarmName>{}</AlarmName>", named[1])), "{all}");
    let low = format!("Action=DescribeAlarms&Version=2010-08-01&AlarmNames.member.1={}", named[1]);
    let low = query(&region, "monitoring", &low).await;
    assert!(low.contains(&named[1]) && !low.contains(&named[0]), "{low}");
    let body = r#"{"AlarmNamePrefix": "TargetTracking-tideline-"}"#;
    let said = json(&region, "monitoring", "GraniteServiceVersion20100801.DescribeAlarms", body).await;
    let (head, said) = said.split_once("\r\n\r\n").unwrap();
    assert!(head.contains("application/x-amz-json-1.0"), "{head}");
    assert!(said.starts_with("{\"MetricAlarms\":[{") && named.iter().all(|name| said.contains(name)), "{said}");
}
