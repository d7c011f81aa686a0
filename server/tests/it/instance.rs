//! Which instance this is, from a metadata service that speaks IMDSv2 (a double: there is none here).

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::process::Process;

/// Answers as the metadata service does: a token for PUT, the document for whoever brings the token.
async fn metadata_service() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let mut read = Vec::new();
                let mut buffer = [0; 4096];
                while let Ok(count @ 1..) = stream.read(&mut buffer).await {
                    read.extend_from_slice(&buffer[..count]);
                    if !read.ends_with(b"\r\n\r\n") {
                        continue;
                    }
                    let head = String::from_utf8(std::mem::take(&mut read)).unwrap().to_ascii_lowercase();
                    let answer = match head.lines().next().unwrap() {
                        "put /latest/api/token http/1.1" => {
                            assert!(head.contains("x-aws-ec2-metadata-token-ttl-seconds: "));
                            answer("200 OK", "secret", "x-aws-ec2-metadata-token-ttl-seconds: 21600\r\n")
                        }
                        "get /latest/dynamic/instance-identity/document http/1.1"
                            if head.contains("x-aws-ec2-metadata-token: secret") =>
                        {
                            let document = r#"{"instanceId":"i-0abc","availabilityZone":"eu-north-1b",
                                "instanceType":"t4g.small","region":"eu-north-1"}"#;
                            answer("200 OK", document, "")
                        }
                        _ => answer("401 Unauthorized", "", ""),
                    };
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
        }
    });
    address
}

fn answer(status: &str, body: &str, headers: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test]
async fn on_ec2_it_is_the_instance() {
    let service = format!("http://{}", metadata_service().await);
    let process = Process::start(&[], &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &service)]).await;
    let health = process.api.until("/health", |answer| answer.header("x-tideline-zone") == "eu-north-1b").await;
    assert_eq!(health.header("x-tideline-instance"), "i-0abc");
    let status = process.api.get("/status").await.json();
    assert_eq!(status["instance"], serde_json::json!({"id": "i-0abc", "zone": "eu-north-1b", "type": "t4g.small"}));
}

#[tokio::test]
async fn a_metadata_service_that_hangs_does_not_hold_up_the_start() {
    // It accepts and never answers.
    let hanging = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let service = format!("http://{}", hanging.local_addr().unwrap());
    let process = Process::start(&[], &[("AWS_EC2_METADATA_SERVICE_ENDPOINT", &service)]).await;
    let asked = Instant::now();
    let status = process.api.until("/health", |answer| answer.status == 200).await;
    assert_eq!(status.header("x-tideline-zone"), "local");
    // The question itself has a bound of 2 s; the start must not have waited for even a part of it.
    assert!(asked.elapsed() < Duration::from_secs(1), "ready only after {:?}", asked.elapsed());
}
