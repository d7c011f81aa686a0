//! The page, in a real browser, driven through the WebDriver protocol.

use std::process::Stdio;
use std::time::Duration;

use fantoccini::key::Key;
use fantoccini::wd::WebDriverCompatibleCommand;
use fantoccini::{Client, ClientBuilder, Locator};
use serde_json::{Value, json};
use tempfile::TempDir;
use tideline_server::store::Heartbeat;
use tideline_server::version::VERSION;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::{TestServer, sha256};

/// What the browser may take to show something.
const PATIENCE: Duration = Duration::from_secs(15);

/// Chromium with one empty window. It ends when this is dropped.
struct Browser {
    client: Client,
    _driver: Child,
    _profile: TempDir,
}

impl Browser {
    async fn open(server: &TestServer) -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("chromedriver, from Debian's package chromium-driver");
        let mut said = BufReader::new(driver.stdout.take().unwrap()).lines();
        let port = loop {
            let line = said.next_line().await.unwrap().expect("chromedriver ended");
            if let Some(port) = line.strip_prefix("ChromeDriver was started successfully on port ") {
                break port.trim_end_matches('.').to_owned();
            }
        };
        let profile = tempfile::tempdir().unwrap();
        let folder = format!("--user-data-dir={}", profile.path().display());
        // Without a sandbox of its own, which root cannot have, and without calls home, which a closed network refuses.
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--disable-sync",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            &folder,
        ];
        let wanted = json!({
            "goog:chromeOptions": {"args": flags},
            "goog:loggingPrefs": {"browser": "ALL"},
        });
        let mut builder = ClientBuilder::new(hyper_util::client::legacy::connect::HttpConnector::new());
        builder.capabilities(wanted.as_object().unwrap().clone());
        let client = builder.connect(&format!("http://127.0.0.1:{port}")).await.unwrap();
        client.goto(&format!("http://{}/", server.api.address)).await.unwrap();
        Self { client, _driver: driver, _profile: profile }
    }

    /// Waits until a script's expression is true.
    async fn until(&self, expression: &str) {
        let script = format!("return Boolean({expression})");
        let waiting = async {
            while self.client.execute(&script, vec![]).await.unwrap() != Value::Bool(true) {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, waiting).await.is_err() {
            let text = self.text("body").await;
            panic!("never became true: {expression}\nThe page says:\n{text}\nThe console: {:?}", self.console().await);
        }
    }

    async fn rows(&self, count: usize) {
        self.until(&format!("document.querySelectorAll('#list > li').length === {count}")).await;
    }

    async fn click(&self, css: &str) {
        let visible = format!("document.querySelector({css:?})?.checkVisibility()");
        self.until(&visible).await;
        self.client.find(Locator::Css(css)).await.unwrap().click().await.unwrap();
    }

    async fn text(&self, css: &str) -> String {
        self.client.find(Locator::Css(css)).await.unwrap().text().await.unwrap()
    }

    async fn write(&self, css: &str, text: &str) {
        let field = self.client.find(Locator::Css(css)).await.unwrap();
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Presses keys where the focus is.
    async fn press(&self, keys: &str) {
        self.client.active_element().await.unwrap().send_keys(keys).await.unwrap();
    }

    /// The id of the element that has the focus.
    async fn focus(&self) -> Value {
        self.client.execute("return document.activeElement.id", vec![]).await.unwrap()
    }

    /// What the console said that is wrong: errors and violations of the content security policy.
    async fn console(&self) -> Vec<String> {
        let log = self.client.issue_cmd(ConsoleLog).await.unwrap();
        let severe =
            log.as_array().unwrap().iter().filter(|entry| entry["level"] != "INFO" && entry["level"] != "DEBUG");
        severe.map(|entry| entry["message"].as_str().unwrap_or_default().to_owned()).collect()
    }

    async fn close(self) {
        self.client.close().await.unwrap();
    }
}

/// Chromium's own addition to WebDriver.
#[derive(Debug)]
struct ConsoleLog;

impl WebDriverCompatibleCommand for ConsoleLog {
    fn endpoint(&self, base: &url::Url, session: Option<&str>) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/se/log", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (http::Method, Option<String>) {
        (http::Method::POST, Some(json!({"type": "browser"}).to_string()))
    }
}

#[tokio::test]
#[ignore = "needs a browser: apt-get install chromium chromium-driver"]
async fn documents_are_added_opened_changed_and_deleted() {
    let server = TestServer::start().await;
    let browser = Browser::open(&server).await;
    browser.until("document.getElementById('empty').checkVisibility()").await;

    browser.click("#add").await;
    browser.write("#add-text", r#"{"id":"gauge","level":12345678901234567890.5}"#).await;
    browser.click("#add-submit").await;
    browser.rows(1).await;
    assert_eq!(server.api.get("/data/gauge").await.text(), r#"{"id":"gauge","level":12345678901234567890.5}"#);

    browser.click("#list > li a").await;
    browser.until("document.getElementById('document-text').textContent.includes('12345678901234567890.5')").await;
    browser.click("#document-edit").await;
    browser.write("#document-editor", r#"{"level": 12345678901234567891.5}"#).await;
    browser.click("#document-save").await;
    browser.until("document.getElementById('document-text').textContent.includes('12345678901234567891.5')").await;
    assert_eq!(server.api.get("/data/gauge").await.text(), r#"{"id":"gauge","level":12345678901234567891.5}"#);

    browser.click("#document-delete").await;
    browser.click("#document-delete-confirm").await;
    browser.rows(0).await;
    assert_eq!(server.api.get("/data/gauge").await.status, 404);
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs a browser: apt-get install chromium chromium-driver"]
async fn the_newest_come_first_and_the_older_page_by_page() {
    let server = TestServer::start().await;
    for number in 0..45 {
        server.api.post(json!({"id": format!("d{number:02}")}).to_string()).await;
    }
    let browser = Browser::open(&server).await;
    browser.rows(20).await;
    browser.click("#older").await;
    browser.rows(40).await;
    browser.click("#older").await;
    browser.rows(45).await;
    let ids = "return [...document.querySelectorAll('#list > li')].map((row) => row.dataset.id)";
    let shown = browser.client.execute(ids, vec![]).await.unwrap();
    let expected: Vec<String> = (0..45).rev().map(|number| format!("d{number:02}")).collect();
    assert_eq!(shown, json!(expected));
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs a browser: apt-get install chromium chromium-driver"]
async fn a_refusal_and_a_conflict_are_told_where_one_acted() {
    let server = TestServer::start().await;
    server.api.post(r#"{"id":"a","v":1}"#).await;
    let browser = Browser::open(&server).await;
    browser.rows(1).await;
    browser.click("#add").await;
    browser.write("#add-text", r#"{"a":{"b":1,"b":2}}"#).await;
    browser.click("#add-submit").await;
    browser.until("document.getElementById('add-problem').checkVisibility()").await;
    let told = browser.text("#add-problem").await;
    assert!(told.contains("this name stands twice") && told.contains("/a/b"), "{told}");
    browser.press(&Key::Escape.to_string()).await;

    browser.click("#list > li a").await;
    browser.click("#document-edit").await;
    server.api.put("a", &[], r#"{"v":2}"#).await;
    browser.write("#document-editor", r#"{"v": 3}"#).await;
    browser.click("#document-save").await;
    browser.until("document.getElementById('document-problem').checkVisibility()").await;
    assert!(browser.text("#document-problem").await.contains("Somebody else changed this document"));
    assert_eq!(server.api.get("/data/a").await.json()["v"], 2, "the other's change was overwritten");
    // The two refusals are the only thing that the console may mention.
    let console = browser.console().await;
    assert_eq!(console.len(), 2, "{console:?}");
    assert!(console[0].contains("422") && console[1].contains("412"), "{console:?}");
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs a browser: apt-get install chromium chromium-driver"]
async fn a_token_is_asked_for_and_kept_in_the_tab_alone() {
    let server = TestServer::with(&["--write-token-sha256", &sha256("sesame")]).await;
    let browser = Browser::open(&server).await;
    browser.click("#add").await;
    browser.write("#add-text", r#"{"id":"a"}"#).await;
    browser.click("#add-submit").await;
    browser.until("document.getElementById('token-dialog').open").await;
    browser.write("#token-text", "wrong").await;
    browser.click("#token-submit").await;
    browser.until("document.getElementById('add-problem').checkVisibility()").await;
    assert!(browser.text("#add-problem").await.contains("the token is not known here"));
    browser.click("#add-submit").await;
    browser.until("document.getElementById('token-dialog').open").await;
    browser.write("#token-text", "sesame").await;
    browser.click("#token-submit").await;
    browser.rows(1).await;
    assert_eq!(server.api.get("/data/a").await.status, 200);
    let kept = "return [sessionStorage.getItem('token'), localStorage.length, document.cookie]";
    assert_eq!(browser.client.execute(kept, vec![]).await.unwrap(), json!(["sesame", 0, ""]));
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs a browser: apt-get install chromium chromium-driver"]
async fn it_says_who_answered_and_how_the_service_is() {
    let server = TestServer::start().await;
    let browser = Browser::open(&server).await;
    browser.until("document.getElementById('status').textContent === 'healthy'").await;
    let answered = browser.text("#answered-by").await;
    let instance = server.api.get("/health").await.header("x-tideline-instance").to_owned();
    assert!(answered.contains(&instance) && answered.contains(VERSION), "{answered}");
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs a browser: apt-get install chromium chromium-driver"]
async fn it_lists_a_fleet() {
    let server = TestServer::start().await;
    let app = server.app_beside().await;
    for (id, state, cpu) in [("i-0aaa", "ready", 42.4), ("i-0bbb", "draining", 3.0)] {
        let says = json!({
            "id": id, "zone": "eu-north-1b", "type": "t4g.small", "version": "0.1.0", "state": state,
            "uptime_seconds": 7300, "requests_per_second": 512.5, "cpu_percent": cpu, "in_flight": 3,
        });
        let expires_at = 4_102_444_800; // 2100
        let word = Heartbeat { instance: id.to_owned(), at: 0, expires_at, says: says.to_string() };
        app.store.beat(&word).await.unwrap();
    }
    let browser = Browser::open(&server).await;
    browser.until("document.querySelectorAll('#fleet-rows > tr').length === 2").await;
    let fleet = browser.text("#fleet").await;
    for part in ["i-0aaa", "i-0bbb", "eu-north-1b", "ready", "draining", "2 h", "512.5", "42 %"] {
        assert!(fleet.contains(part), "{part}: {fleet}");
    }
    assert_eq!(browser.console().await, Vec::<String>::new());
    if let Some(file) = std::env::var_os("TIDELINE_SCREENSHOT") {
        std::fs::write(file, browser.client.screenshot().await.unwrap()).unwrap();
    }
    browser.close().await;
}

#[tokio::test]
#[ignore = "needs a browser: apt-get install chromium chromium-driver"]
async fn the_keyboard_is_enough_and_a_phone_is_wide_enough() {
    let server = TestServer::start().await;
    let browser = Browser::open(&server).await;
    browser.client.set_window_size(360, 800).await.unwrap();
    browser.until("document.getElementById('empty').checkVisibility()").await;
    // From the top of the page to the button by Tab alone.
    for _ in 0..10 {
        if browser.focus().await == "add" {
            break;
        }
        browser.press(&Key::Tab.to_string()).await;
    }
    assert_eq!(browser.focus().await, "add");
    browser.press(&Key::Enter.to_string()).await;
    browser.until("document.activeElement.id === 'add-text'").await;
    browser.press(&(Key::Control + "a")).await;
    let long = "x".repeat(300);
    browser.press(&format!(r#"{{"id":"typed","text":"{long}"}}"#)).await;
    browser.press(&(Key::Control + "\u{e007}")).await;
    browser.rows(1).await;
    browser.until("document.activeElement.closest('li')?.dataset.id === 'typed'").await;
    browser.press(&Key::Enter.to_string()).await;
    browser.until("document.getElementById('document-dialog').open").await;
    let overflow = "document.documentElement.scrollWidth > window.innerWidth";
    assert_eq!(browser.client.execute(&format!("return {overflow}"), vec![]).await.unwrap(), false);
    browser.press(&Key::Escape.to_string()).await;
    browser.until("!document.getElementById('document-dialog').open").await;
    assert_eq!(browser.client.execute(&format!("return {overflow}"), vec![]).await.unwrap(), false);
    assert_eq!(browser.console().await, Vec::<String>::new());
    browser.close().await;
}
