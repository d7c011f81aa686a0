//! The program as a process.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn start(arguments: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tideline-rehearsal"));
    command.arg("region").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn endpoint(child: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
    line.trim().strip_prefix("http://").unwrap().to_owned()
}

/// Waits for its end, which had better come within five seconds.
async fn ended(mut child: Child) -> (Option<i32>, String) {
    let began = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if began.elapsed() > Duration::from_secs(5) {
            child.kill().unwrap();
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let output = child.wait_with_output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn ends_when_told_and_when_nobody_is_there_any_more() {
    let mut told = start(&[]);
    let address = endpoint(&mut told);
    std::net::TcpStream::connect(&address).unwrap();
    assert!(Command::new("kill").args(["-TERM", &told.id().to_string()]).status().unwrap().success());
    assert_eq!(ended(told).await.0, Some(0));
    std::net::TcpStream::connect(&address).unwrap_err();

    let mut left = start(&["--speed", "60"]);
    endpoint(&mut left);
    drop(left.stdin.take());
    assert_eq!(ended(left).await.0, Some(0));
}

#[tokio::test]
async fn says_why_it_does_not_start() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (arguments, why) in [
        (["--listen", &address], format!("tideline-rehearsal: cannot listen on {address}: ")),
        (["--listen", "0.0.0.0:0"], "0.0.0.0:0 is not on loopback".to_owned()),
        (["--upstream", "moto"], "upstream moto: it must be http://HOST:PORT".to_owned()),
    ] {
        let (code, said) = ended(start(&arguments)).await;
        assert!(code == Some(1) && said.contains(&why), "{arguments:?}: {code:?}: {said}");
    }
}
