//! Bad input: a problem document that says what was wrong and where, and nothing changed.

use crate::support::{JSON, TestServer, elsewhere};

/// One bad request and what it is told.
struct Refusal {
    what: &'static str,
    send: (&'static str, &'static str),
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
    status: u16,
    problem: &'static str,
    /// A part of `detail`, or the whole `pointer` where it begins with a slash.
    says: &'static str,
}

const fn post(
    what: &'static str,
    body: &'static str,
    status: u16,
    problem: &'static str,
    says: &'static str,
) -> Refusal {
    Refusal { what, send: ("POST", "/data"), headers: &[JSON], body, status, problem, says }
}

const fn request(
    what: &'static str,
    send: (&'static str, &'static str),
    headers: &'static [(&'static str, &'static str)],
    status: u16,
    problem: &'static str,
    says: &'static str,
) -> Refusal {
    Refusal { what, send, headers, body: "{}", status, problem, says }
}

const POST: (&str, &str) = ("POST", "/data");
const LATIN1: (&str, &str) = ("content-type", "application/json; charset=latin1");

#[rustfmt::skip]
const REFUSALS: &[Refusal] = &[
    post("empty body", "", 400, "not-json", "is empty"),
    post("white space", " \n ", 400, "not-json", "is empty"),
    post("malformed", "{\"a\":}", 400, "not-json", "line 1 column 6"),
    post("cut off", "{\"a\":[1,2", 400, "not-json", "EOF"),
    post("something after it", "{} {}", 400, "not-json", "trailing"),
    post("byte order mark", "\u{feff}{}", 400, "not-json", "byte order mark"),
    post("comment", "{/**/}", 400, "not-json", "line 1"),
    post("NaN", "{\"a\":NaN}", 400, "not-json", "line 1"),
    post("number with a leading zero", "{\"a\":01}", 400, "not-json", "line 1"),
    post("raw control character", "{\"a\":\"\u{1}\"}", 400, "not-json", "control character"),
    post("array", "[]", 422, "invalid-document", "JSON object"),
    post("string", "\"a\"", 422, "invalid-document", "JSON object"),
    post("null", "null", 422, "invalid-document", "JSON object"),
    post("lone surrogate", r#"{"a":"\ud800"}"#, 422, "invalid-document", "/a"),
    post("lone surrogate in a name", r#"{"b":{"\udc00":1}}"#, 422, "invalid-document", "/b"),
    post("duplicate name", r#"{"a":1,"a":1}"#, 422, "invalid-document", "/a"),
    post("duplicate name at depth", r#"{"a":[{"b":1},{"b":{"c":1,"c":2}}]}"#, 422, "invalid-document", "/a/1/b/c"),
    post("duplicate name, once escaped", r#"{"ab":1,"\u0061b":2}"#, 422, "invalid-document", "/ab"),
    post("empty name", r#"{"a":{"":1}}"#, 422, "invalid-document", "/a/"),
    post("39 digits", r#"{"n":123456789012345678901234567890123456789}"#, 422, "invalid-document", "/n"),
    post("39 digits after the point", r#"{"n":[0.123456789012345678901234567890123456789]}"#, 422, "invalid-document", "/n/0"),
    post("number too large", r#"{"n":1e126}"#, 422, "invalid-document", "/n"),
    post("number too small", r#"{"n":1e-131}"#, 422, "invalid-document", "/n"),
    post("exponent beyond any number", r#"{"n":1e999999999999999999999}"#, 422, "invalid-document", "/n"),
    post("id with a slash", r#"{"id":"a/b"}"#, 422, "invalid-document", "/id"),
    post("id with a space", r#"{"id":"a b"}"#, 422, "invalid-document", "/id"),
    post("id with other letters", r#"{"id":"é"}"#, 422, "invalid-document", "/id"),
    post("empty id", r#"{"id":""}"#, 422, "invalid-document", "/id"),
    post("id of dots", r#"{"id":".."}"#, 422, "invalid-document", "/id"),
    post("id that is no integer", r#"{"id":1.5}"#, 422, "invalid-document", "/id"),
    post("id of another type", r#"{"id":null}"#, 422, "invalid-document", "/id"),
    request("no content type", POST, &[], 415, "unsupported-media-type", "application/json"),
    request("another content type", POST, &[("content-type", "text/plain")], 415, "unsupported-media-type", "text/plain"),
    request("another charset", POST, &[LATIN1], 415, "unsupported-media-type", "latin1"),
    request("compressed", POST, &[JSON, ("content-encoding", "gzip")], 415, "unsupported-encoding", "gzip"),
    request("PUT without a type", ("PUT", "/data/a"), &[], 415, "unsupported-media-type", "application/json"),
    request("id in the path: slash", ("PUT", "/data/a%2fb"), &[JSON], 400, "bad-id", "letters, digits"),
    request("id in the path: NUL", ("GET", "/data/a%00"), &[], 400, "bad-id", "letters, digits"),
    request("id in the path: CR LF", ("GET", "/data/%0d%0a"), &[], 400, "bad-id", "letters, digits"),
    request("id in the path: backslash", ("GET", "/data/a%5cb"), &[], 400, "bad-id", "letters, digits"),
    request("id in the path: dots", ("GET", "/data/%2e%2e"), &[], 400, "bad-id", "resolve away"),
    request("id in the path: no UTF-8", ("GET", "/data/%ff"), &[], 400, "bad-id", "UTF-8"),
    request("id in the path: bad escape", ("DELETE", "/data/%zz"), &[], 400, "bad-id", "letters, digits"),
    request("product with a bad id", ("GET", "/product/a%20b"), &[], 400, "bad-id", "letters, digits"),
    request("limit of nothing", ("GET", "/data?limit=0"), &[], 400, "bad-query", "1 to 200"),
    request("limit below", ("GET", "/data?limit=-1"), &[], 400, "bad-query", "1 to 200"),
    request("limit above", ("GET", "/data?limit=1000000000"), &[], 400, "bad-query", "1 to 200"),
    request("foreign cursor", ("GET", "/data?before=a%20b"), &[], 400, "bad-query", "before"),
    request("unknown parameter", ("GET", "/data?after=a"), &[], 400, "bad-query", "after"),
    request("unknown path", ("GET", "/nothing"), &[], 404, "unknown-path", "openapi.json"),
    request("path below a document", ("GET", "/data/a/b"), &[], 404, "unknown-path", "openapi.json"),
    request("metrics, which are not public", ("GET", "/metrics"), &[], 404, "unknown-path", "openapi.json"),
    request("unknown path, any method", ("BREW", "/nothing"), &[], 404, "unknown-path", "openapi.json"),
    request("no such document", ("GET", "/data/none"), &[], 404, "no-document", "no document"),
    request("no such product", ("GET", "/product/none"), &[], 404, "no-document", "no document"),
    request("DELETE on the collection", ("DELETE", "/data"), &[], 405, "method-not-allowed", "GET, HEAD, POST, OPTIONS"),
    request("POST on a document", ("POST", "/data/a"), &[JSON], 405, "method-not-allowed", "GET, HEAD, PUT, DELETE, OPTIONS"),
    request("PUT on a product", ("PUT", "/product/a"), &[JSON], 405, "method-not-allowed", "GET, HEAD, OPTIONS"),
    request("TRACE", ("TRACE", "/data"), &[], 405, "method-not-allowed", "GET, HEAD, POST, OPTIONS"),
    request("unknown method", ("BREW", "/"), &[], 405, "method-not-allowed", "GET, HEAD, OPTIONS"),
];

#[tokio::test]
async fn bad_input_is_told_what_was_wrong_and_changes_nothing() {
    let server = TestServer::start().await;
    for refusal in REFUSALS {
        let (method, path) = refusal.send;
        let answer = server.api.send(method, path, refusal.headers, refusal.body).await;
        let what = refusal.what;
        assert_eq!(answer.status, refusal.status, "{what}: {}", answer.text());
        assert_eq!(answer.problem(), refusal.problem, "{what}");
        let problem = answer.json();
        let detail = problem["detail"].as_str().unwrap();
        match refusal.says.starts_with('/') {
            true => assert_eq!(problem["pointer"], refusal.says, "{what}: {detail}"),
            false => assert!(detail.contains(refusal.says), "{what}: {detail}"),
        }
        match refusal.status {
            405 => assert_eq!(answer.header("allow"), refusal.says, "{what}"),
            415 if refusal.problem == "unsupported-media-type" => {
                assert_eq!(answer.header("accept-post"), "application/json", "{what}");
            }
            _ => {}
        }
    }
    assert!(server.api.all("/data").await.is_empty(), "a refused request left something behind");
}

#[tokio::test]
async fn limits_of_size_hold_to_the_byte() {
    let server = TestServer::with(&["--max-body", "1000"]).await;
    let body = |bytes: usize| format!("{{\"id\":\"a\",\"t\":\"{}\"}}", "x".repeat(bytes - 17));
    let refused = server.api.post(body(1001)).await;
    assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (413, "body-too-large"));
    assert!(refused.text().contains("1000 bytes"));
    assert!(server.api.all("/data").await.is_empty());
    assert_eq!(server.api.post(body(1000)).await.status, 201);
}

#[tokio::test]
async fn a_document_over_400_kb_is_refused_and_one_just_below_is_kept() {
    let server = TestServer::start().await;
    let body = |bytes: usize| format!("{{\"id\":\"a\",\"t\":\"{}\"}}", "x".repeat(bytes));
    let refused = server.api.post(body(409_600)).await;
    assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (413, "document-too-large"));
    assert!(server.api.all("/data").await.is_empty());
    // moto stops at 405,000 bytes of its own count.
    let large = body(if elsewhere() { 404_000 } else { 408_900 });
    assert_eq!(server.api.post(large.clone()).await.status, 201);
    assert_eq!(server.api.get("/data/a").await.text(), large);
    let over = server.api.post(format!("{{\"t\":\"{}\"}}", "x".repeat(1_100_000))).await;
    assert_eq!((over.status.as_u16(), over.problem().as_str()), (413, "body-too-large"));
}

#[tokio::test]
async fn depth_is_refused_from_33_levels_on() {
    let server = TestServer::start().await;
    for levels in [33, 1000, 100_000] {
        // The document is a level, the number in the middle is one, and the arrays between.
        let body = format!("{{\"a\":{}1{}}}", "[".repeat(levels - 2), "]".repeat(levels - 2));
        let refused = server.api.post(body).await;
        assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (422, "invalid-document"), "{levels}");
        assert!(refused.text().contains("deeper than 32 levels"));
        assert_eq!(refused.json()["pointer"].as_str().unwrap(), format!("/a{}", "/0".repeat(30)));
    }
}

#[tokio::test]
async fn text_that_is_not_utf8_is_refused() {
    let server = TestServer::start().await;
    let refused = server.api.post(&b"{\"a\":\"\xff\"}"[..]).await;
    assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (400, "not-json"));
    assert!(refused.text().contains("see byte 6"), "{}", refused.text());
}
