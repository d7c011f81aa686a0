//! `/openapi.json` is true to the service: every operation in it is called, and every answer held against it.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tideline_server::routes;
use tideline_server::version::VERSION;

use crate::support::{Answer, JSON, TestServer};

/// The description, and what of it was met.
struct Description {
    document: Value,
    met: BTreeSet<String>,
}

impl Description {
    /// Follows a `$ref`, if this is one.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.document.pointer(reference.strip_prefix('#').unwrap()).expect(reference),
            None => value,
        }
    }

    /// Whether `value` fits a schema of the description.
    fn fits(&self, schema: &Value, value: &Value) -> Result<(), String> {
        let mut whole = schema.clone();
        whole["components"] = self.document["components"].clone();
        let validator = jsonschema::draft202012::new(&whole).unwrap();
        validator.validate(value).map_err(|error| format!("{error} at {}", error.instance_path()))
    }

    /// Holds an answer against what is said of `method` on `path`.
    fn check(&mut self, method: &str, path: &str, answer: &Answer) {
        let what = format!("{method} {path} {}", answer.status.as_u16());
        let operation = &self.document["paths"][path][method.to_lowercase()];
        assert!(operation.is_object(), "{what}: not described");
        let response = self.resolve(&operation["responses"][answer.status.as_str()]);
        assert!(response.is_object(), "{what}: this status is not described: {}", answer.text());
        for (name, header) in response["headers"].as_object().expect("headers") {
            let header = self.resolve(header);
            match answer.headers.get(name.as_str()) {
                Some(value) => {
                    let text = value.to_str().unwrap();
                    let number = text.parse::<u64>().map(Value::from);
                    let fits = self.fits(&header["schema"], &json!(text));
                    let fits = fits.or_else(|fault| self.fits(&header["schema"], &number.map_err(|_| fault)?));
                    fits.unwrap_or_else(|fault| panic!("{what}: {name}: {fault}"));
                }
                None => assert_ne!(header["required"], true, "{what}: {name} is missing"),
            }
        }
        let content = response["content"].as_object();
        match content {
            None => assert!(answer.body.is_empty(), "{what}: a body is not described"),
            Some(_) if method == "HEAD" => {}
            Some(content) => {
                let media_type = answer.header("content-type").split(';').next().unwrap();
                let media = content.iter().find(|(name, _)| name.split(';').next() == Some(media_type));
                let (_, media) = media.unwrap_or_else(|| panic!("{what}: {media_type} is not described"));
                if media_type.ends_with("json") && media["schema"].is_object() {
                    let fits = self.fits(&media["schema"], &answer.json());
                    fits.unwrap_or_else(|fault| panic!("{what}: {fault}\n{}", answer.text()));
                }
            }
        }
        self.met.insert(what);
    }

    /// Every status of every operation, apart from those that only a broken store or a defect can show.
    fn expected(&self) -> BTreeSet<String> {
        let mut expected = BTreeSet::new();
        for (path, operations) in self.document["paths"].as_object().unwrap() {
            for (method, operation) in operations.as_object().unwrap() {
                let Some(responses) = operation["responses"].as_object() else { continue };
                let shown = responses.keys().filter(|status| !status.starts_with('5'));
                expected.extend(shown.map(|status| format!("{} {path} {status}", method.to_uppercase())));
            }
        }
        expected
    }
}

#[tokio::test]
async fn it_names_every_route_and_no_other() {
    let server = TestServer::start().await;
    let document = server.api.get("/openapi.json").await.json();
    assert_eq!((&document["openapi"], &document["info"]["version"]), (&json!("3.1.0"), &json!(VERSION)));
    let routes: BTreeSet<String> = routes::public().map(|(method, path)| format!("{method} {path}")).collect();
    let mut described = BTreeSet::new();
    let mut names = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap().iter().filter(|(name, _)| *name != "parameters") {
            assert!(names.insert(operation["operationId"].as_str().unwrap().to_owned()), "{operation}: not a new name");
            // HEAD is answered wherever GET is, and need not be named.
            if method != "head" {
                described.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    assert_eq!(described, routes);
}

#[tokio::test]
async fn every_operation_answers_as_it_says() {
    let server = TestServer::with(&["--max-body", "2000", "--heartbeat", "5s"]).await;
    let document = server.api.get("/openapi.json").await.json();
    let mut description = Description { document, met: BTreeSet::new() };
    let made = server.api.post(r#"{"id":"a","v":1}"#).await;
    server.api.until("/fleet", |fleet| fleet.json()["instances"].as_array().is_some_and(|all| all.len() == 1)).await;
    let (tag, stale) = (made.header("etag"), "\"1\"");
    let (long, bad) = (format!("{{\"t\":\"{}\"}}", "x".repeat(2000)), r#"{"a":1,"a":2}"#);
    let key = ("idempotency-key", "one");
    type Call<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)], &'a str);
    #[rustfmt::skip]
    let calls: &[Call<'_>] = &[
        ("GET", "/", "/", &[], ""),
        ("GET", "/page.css", "/page.css", &[], ""),
        ("GET", "/page.js", "/page.js", &[], ""),
        ("GET", "/icon.svg", "/icon.svg", &[], ""),
        ("GET", "/status", "/status", &[], ""),
        ("GET", "/health", "/health", &[], ""),
        ("GET", "/fleet", "/fleet", &[], ""),
        ("GET", "/openapi.json", "/openapi.json", &[], ""),
        ("POST", "/data", "/data", &[JSON], r#"{"n":1}"#),
        ("POST", "/data", "/data", &[JSON, key], r#"{"n":2}"#),
        ("POST", "/data", "/data", &[JSON, key], r#"{"n":2}"#),
        ("POST", "/data", "/data", &[JSON, key], r#"{"n":3}"#),
        ("POST", "/data", "/data", &[JSON], "{"),
        ("POST", "/data", "/data", &[JSON, ("idempotency-key", "a b")], "{}"),
        ("POST", "/data", "/data", &[JSON], r#"{"id":"a"}"#),
        ("POST", "/data", "/data", &[JSON], &long),
        ("POST", "/data", "/data", &[], "{}"),
        ("POST", "/data", "/data", &[JSON, ("content-encoding", "br")], "{}"),
        ("POST", "/data", "/data", &[JSON], bad),
        ("GET", "/data", "/data", &[], ""),
        ("GET", "/data", "/data?limit=1", &[], ""),
        ("GET", "/data", "/data?limit=0", &[], ""),
        ("GET", "/data/{id}", "/data/a", &[], ""),
        ("GET", "/data/{id}", "/data/a", &[("if-none-match", tag)], ""),
        ("GET", "/data/{id}", "/data/a%2f", &[], ""),
        ("GET", "/data/{id}", "/data/none", &[], ""),
        ("GET", "/data/{id}", "/data/a", &[("if-match", stale)], ""),
        ("HEAD", "/data/{id}", "/data/a", &[], ""),
        ("HEAD", "/data/{id}", "/data/a", &[("if-none-match", tag)], ""),
        ("HEAD", "/data/{id}", "/data/a%2f", &[], ""),
        ("HEAD", "/data/{id}", "/data/none", &[], ""),
        ("HEAD", "/data/{id}", "/data/a", &[("if-match", stale)], ""),
        ("GET", "/product/{id}", "/product/a", &[], ""),
        ("GET", "/product/{id}", "/product/a", &[], ""),
        ("GET", "/product/{id}", "/product/a", &[("if-none-match", tag)], ""),
        ("GET", "/product/{id}", "/product/a%2f", &[], ""),
        ("GET", "/product/{id}", "/product/none", &[], ""),
        ("GET", "/product/{id}", "/product/a", &[("if-match", stale)], ""),
        ("PUT", "/data/{id}", "/data/b", &[JSON], "{}"),
        ("PUT", "/data/{id}", "/data/b", &[JSON], "{}"),
        ("PUT", "/data/{id}", "/data/b", &[JSON, ("if-match", "b")], "{}"),
        ("PUT", "/data/{id}", "/data/b", &[JSON, ("if-match", stale)], "{}"),
        ("PUT", "/data/{id}", "/data/b", &[JSON], &long),
        ("PUT", "/data/{id}", "/data/b", &[], "{}"),
        ("PUT", "/data/{id}", "/data/b", &[JSON], bad),
        ("DELETE", "/data/{id}", "/data/a", &[("if-match", stale)], ""),
        ("DELETE", "/data/{id}", "/data/a", &[("if-match", "a")], ""),
        ("DELETE", "/data/{id}", "/data/a", &[], ""),
    ];
    for (method, path, target, headers, body) in calls {
        let answer = server.api.send(method, target, headers, (*body).to_owned()).await;
        description.check(method, path, &answer);
    }
    // The same to a service that wants a token.
    let hash = "0".repeat(64);
    let guarded = TestServer::with(&["--write-token-sha256", &hash]).await;
    for (method, path, target) in
        [("POST", "/data", "/data"), ("PUT", "/data/{id}", "/data/a"), ("DELETE", "/data/{id}", "/data/a")]
    {
        let answer = guarded.api.send(method, target, &[JSON], "{}").await;
        assert_eq!(answer.status, 401);
        description.check(method, path, &answer);
    }
    // The page's files, to a browser that has them.
    for path in ["/", "/page.css", "/page.js", "/icon.svg"] {
        let have = server.api.get(path).await;
        let answer = server.api.send("GET", path, &[("if-none-match", have.header("etag"))], "").await;
        assert_eq!(answer.status, 304, "{path}");
        description.check("GET", path, &answer);
    }
    let missing: Vec<String> = description.expected().difference(&description.met).cloned().collect();
    // Only many writers at once can show these; that they can be shown at all is DynamoDB's own business.
    let contended = ["POST /data 409", "PUT /data/{id} 409", "DELETE /data/{id} 409"];
    let missing: Vec<&String> = missing.iter().filter(|what| !contended.contains(&what.as_str())).collect();
    assert!(missing.is_empty(), "described, and never met: {missing:?}");
}

#[tokio::test]
async fn its_examples_are_accepted() {
    let server = TestServer::start().await;
    let document = server.api.get("/openapi.json").await.json();
    let mut sent = 0;
    for (method, path) in [("post", "/data"), ("put", "/data/{id}")] {
        let body = &document["paths"][path][method]["requestBody"]["content"]["application/json"];
        for (name, example) in body["examples"].as_object().expect("examples") {
            let text = example["value"].to_string();
            let id = example["value"]["id"].as_str().unwrap_or("example");
            let answer = server.api.send(&method.to_uppercase(), &path.replace("{id}", id), &[JSON], text).await;
            assert!(answer.status.is_success(), "{method} {name}: {}", answer.text());
            sent += 1;
        }
    }
    assert!(sent >= 2, "{sent} examples");
}
