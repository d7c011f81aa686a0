//! Bad input: one clear line, exit code 2, before any load.

use crate::double::{Double, Fault};
use crate::program::{Tideline, output};

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_wrong_is_said_before_any_load() {
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let closed = format!("http://{closed}");
    let tideline = Tideline::start(&[]).await;
    let url = tideline.url.as_str();
    let file = tempfile::NamedTempFile::new().unwrap();
    let unwritable = file.path().join("out");
    let tls = url.replace("http://", "https://");
    for (arguments, part) in [
        (vec!["smoke", "--url", &closed], "cannot be reached: "),
        (vec!["smoke", "--url", &tls], "cannot be reached: "),
        (vec!["smoke", "--url", "http://nowhere.invalid"], "cannot be reached: "),
        (vec!["smoke", "--url", &tideline.admin], "is no Tideline: GET /status was answered with 404"),
        (vec!["smoke", "--url", "ftp://a"], "begins with http:// or https://"),
        (vec!["smoke", "--url", "localhost"], "relative URL without a base"),
        (vec!["smoke"], "--url"),
        (vec!["smoke", "--url", url, "--out", unwritable.to_str().unwrap()], "--out "),
        (vec!["smoke", "--url", url, "--users", "19990"], "ulimit -n"),
        (vec!["smoke", "--url", "http://192.0.2.1", "--rate", "1001"], "--yes"),
        (vec!["run", "--url", url, "--phases", "a:5s"], "warm:60s@50"),
        (vec!["rollout", "--url", url], "--expect-version"),
        (vec!["merge", "--out", "x", "/nowhere", "/none"], "/nowhere"),
        (vec!["clean", "--url", &closed], "refused"),
    ] {
        let (code, said) = output(&arguments).await;
        assert_eq!(code, 2, "{arguments:?}: {said}");
        assert!(said.contains(part), "{arguments:?}: {said}");
        assert!(!said.contains("panicked"), "{arguments:?}: {said}");
    }
    assert_eq!(tideline.documents().await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_is_missing_or_wrong_is_named() {
    let tideline = Tideline::start(&["--write-token-sha256", &"0".repeat(64)]).await;
    let (code, said) = output(&["smoke", "--url", &tideline.url]).await;
    assert!(code == 2 && said.contains("401") && said.contains("--token"), "{code}: {said}");
    let (code, said) = output(&["smoke", "--url", &tideline.url, "--token", "wrong"]).await;
    assert!(code == 2 && said.contains("401"), "{code}: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn calibrating_needs_a_fleet_that_tells_its_cpu() {
    let double = Double::start(Fault::None).await;
    let arguments = ["smoke", "--url", &double.url, "--calibrate", "--calibrate-step", "100ms"];
    let (code, said) = output(&arguments).await;
    assert!(code == 2 && said.contains("never came to 70 %"), "{code}: {said}");
}
