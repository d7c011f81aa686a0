//! An instance whose wall clock is an hour off, beside one whose clock is right.

use std::process::Command;

use serde_json::json;

use crate::process::Process;
use crate::support::JSON;

/// The library that shifts a process's wall clock, as `faketime` preloads it.
fn library() -> String {
    let output = Command::new("faketime").args(["-f", "+0", "sh", "-c", "echo $LD_PRELOAD"]).output();
    String::from_utf8(output.expect("faketime; apt-get install faketime").stdout).unwrap().trim().to_owned()
}

#[tokio::test]
#[ignore = "needs faketime: apt-get install faketime"]
async fn an_hour_off_nothing_is_lost_nothing_old_returns_and_caches_stay_fresh() {
    let library = library();
    for shift in ["-1h", "+1h"] {
        let right = Process::start(&["--cache-max-age", "200ms"], &[]).await;
        let off = [("LD_PRELOAD", library.as_str()), ("FAKETIME", shift), ("FAKETIME_DONT_FAKE_MONOTONIC", "1")];
        let wrong = Process::on(right.folder.clone(), &["--cache-max-age", "200ms"], &off).await;
        let dates = [&right, &wrong].map(async |process| process.api.get("/health").await.header("date").to_owned());
        let dates = futures_util::future::join_all(dates).await;
        assert_ne!(dates[0][..22], dates[1][..22], "its clock is not off");

        // Each replaces what the other wrote; versions grow whatever the clocks say.
        let made = right.api.post(r#"{"id":"a","v":0}"#).await;
        let mut version = made.header("etag").to_owned();
        for number in 1..6 {
            let writer = if number % 2 == 0 { &right } else { &wrong };
            let body = json!({"id": "a", "v": number}).to_string();
            let answer = writer.api.put("a", &[("if-match", &version)], body.clone()).await;
            assert_eq!(answer.status, 200, "{shift} {number}: {}", answer.text());
            let newer = answer.header("etag").trim_matches('"').to_owned();
            let number_of = |tag: &str| tag.trim_matches('"').parse::<u64>().unwrap();
            assert!(number_of(&newer) > number_of(&version), "{shift}: {version} then {newer}");
            version = format!("\"{newer}\"");
            for reader in [&right, &wrong] {
                assert_eq!(reader.api.get("/data/a").await.text(), body);
                reader.api.until("/product/a", |answer| answer.text() == body).await;
                let answer = reader.api.get("/product/a").await;
                assert!(answer.header("age").parse::<u64>().unwrap_or(0) <= 1, "{shift}: age {}", answer.header("age"));
            }
        }
        // A key that one has seen is known to the other; and a listing has everything, once.
        let keyed = [JSON, ("idempotency-key", "k")];
        let first = wrong.api.send("POST", "/data", &keyed, "{}").await;
        let again = right.api.send("POST", "/data", &keyed, "{}").await;
        assert_eq!((first.status.as_u16(), first.text()), (201, again.text()), "{shift}");
        for number in 0..20 {
            let writer = if number % 2 == 0 { &right } else { &wrong };
            writer.api.post("{}").await;
        }
        for reader in [&right, &wrong] {
            let mut ids: Vec<String> =
                reader.api.all("/data?limit=5").await.iter().map(|item| item["id"].to_string()).collect();
            ids.sort_unstable();
            ids.dedup();
            assert_eq!(ids.len(), 22, "{shift}");
        }
        assert_eq!(wrong.api.delete("a", &[("if-match", &version)]).await.status, 204);
        assert_eq!(right.api.get("/data/a").await.status, 404);
    }
}
