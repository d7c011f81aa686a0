//! The report in a real browser.

use std::process::Command;

use crate::program::{Tideline, run};

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs chromium: apt-get install chromium"]
async fn the_report_is_drawn_offline_without_an_error() {
    let tideline = Tideline::start(&[]).await;
    let done = run(&["run", "--phases", "rise:3s@10..80,hold:3s@80"], &tideline.url).await;
    assert_eq!(done.code, 0, "{}", done.said);
    let page = done.out.path().join("report.html");
    let profile = tempfile::tempdir().unwrap();
    let output = Command::new("chromium")
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--dump-dom"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--enable-logging=stderr", &format!("--user-data-dir={}", profile.path().display())])
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("chromium; apt-get install chromium");
    let (dom, log) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr).into_owned());
    assert!(output.status.success() && !log.contains("CONSOLE"), "{log}");
    // The script has run: it fills in what the pointer is at.
    assert!(dom.matches("<svg").count() >= 4 && dom.contains("hold"), "{} charts", dom.matches("<svg").count());
    let html = done.file("report.html");
    let targets = ["src=\"", "href=\"http", "url(", "@import", "fetch("];
    let outside: Vec<&str> = targets.into_iter().filter(|target| html.contains(target)).collect();
    assert!(outside.is_empty(), "it asks for something else: {outside:?}");
}
