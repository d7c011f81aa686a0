//! `/data` and `/data/{id}`.

use serde_json::json;

use crate::support::{JSON, TestServer};

#[tokio::test]
async fn a_new_document_gets_an_id_a_place_and_a_version() {
    let server = TestServer::start().await;
    let made = server.api.post(r#"{"name":"tide","height":1.5}"#).await;
    assert_eq!(made.status, 201);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(made.header("location"), format!("/data/{id}"));
    assert_eq!(made.json(), json!({"id": id, "name": "tide", "height": 1.5}));

    let read = server.api.get(&format!("/data/{id}")).await;
    assert_eq!((read.status.as_u16(), &read.body), (200, &made.body));
    for header in ["etag", "last-modified", "content-type"] {
        assert_eq!(read.header(header), made.header(header), "{header}");
    }
    assert_eq!(read.header("content-type"), "application/json");
}

#[tokio::test]
async fn an_id_of_ones_own_is_kept_as_it_is() {
    let server = TestServer::start().await;
    for (sent, path) in [(r#"{"id":"low~tide_1.0-a"}"#, "/data/low~tide_1.0-a"), (r#"{"id":42}"#, "/data/42")] {
        let made = server.api.post(sent).await;
        assert_eq!((made.status.as_u16(), made.text().as_str(), made.header("location")), (201, sent, path));
        assert_eq!(server.api.get(path).await.text(), sent);
    }
    // Escapes of what needs none are the same id.
    assert_eq!(server.api.get("/data/%34%32").await.text(), r#"{"id":42}"#);
}

#[tokio::test]
async fn a_second_document_of_an_id_is_refused_and_changes_nothing() {
    let server = TestServer::start().await;
    let made = server.api.post(r#"{"id":"a","v":1}"#).await;
    let again = server.api.post(r#"{"id":"a","v":2}"#).await;
    assert_eq!((again.status.as_u16(), again.problem().as_str()), (409, "already-exists"));
    let read = server.api.get("/data/a").await;
    assert_eq!((read.body.clone(), read.header("etag")), (made.body.clone(), made.header("etag")));
}

#[tokio::test]
async fn everything_json_has_comes_back_equal() {
    let server = TestServer::start().await;
    // The document, 30 arrays and the number: the 32 levels that DynamoDB takes.
    let levels = format!("{}1{}", "[".repeat(30), "]".repeat(30));
    for (index, value) in [
        "null",
        "true",
        "[]",
        "{}",
        "\"\"",
        "[null,[],{},\"\",false]",
        r#"{"a":{"b":[{"c":"d"}]}}"#,
        "\"\u{1f30a} \\\\ \\\" \\n \u{0}\"".replace('\0', "\\u0000").as_str(),
        r#""\ud83c\udf0a""#,
        "0",
        "-1",
        "0.1",
        "12345678901234567890123456789012345678",
        "0.12345678901234567890123456789012345678",
        "-9.9999999999999999999999999999999999999E+125",
        "1E-130",
        levels.as_str(),
    ]
    .into_iter()
    .enumerate()
    {
        let text = format!(r#"{{"id":"v{index}","value":{value}}}"#);
        let made = server.api.post(text.clone()).await;
        assert_eq!(made.status, 201, "{text}: {}", made.text());
        let read = server.api.get(&format!("/data/v{index}")).await;
        assert_eq!(read.body, made.body, "{text}");
        // Each way to write has its own way through the store.
        let put = server.api.put(&format!("v{index}"), &[], text.clone()).await;
        assert_eq!((put.status.as_u16(), &put.body), (200, &made.body), "{text}");
        let keyed = [JSON, ("idempotency-key", &*format!("k{index}"))];
        let keyed = server.api.send("POST", "/data", &keyed, format!(r#"{{"value":{value}}}"#)).await;
        assert_eq!(keyed.status, 201, "{text}: {}", keyed.text());
        assert_eq!(read.json(), serde_json::from_str::<serde_json::Value>(&text).unwrap());
        if value.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
            // serde_json's floats would call different numbers equal: compare the texts.
            assert_eq!(read.text(), text);
        }
    }
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let server = TestServer::start().await;
    server.api.post(r#"{"id":"a"}"#).await;
    let get = server.api.get("/data/a").await;
    let head = server.api.send("HEAD", "/data/a", &[], "").await;
    assert_eq!((head.status, head.body.len()), (get.status, 0));
    for header in ["etag", "last-modified", "content-length", "content-type"] {
        assert_eq!(head.header(header), get.header(header), "{header}");
    }
}

#[tokio::test]
async fn a_client_that_has_the_version_is_spared_the_body() {
    let server = TestServer::start().await;
    let made = server.api.post(r#"{"id":"a"}"#).await;
    let (tag, date) = (made.header("etag"), made.header("last-modified"));
    let weak = format!("W/{tag}");
    let list = format!("\"1\", {tag}");
    for (name, value, status) in [
        ("if-none-match", tag, 304),
        ("if-none-match", &weak, 304),
        ("if-none-match", &list, 304),
        ("if-none-match", "*", 304),
        ("if-none-match", "\"1\"", 200),
        ("if-modified-since", date, 304),
        ("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT", 200),
        ("if-match", tag, 200),
        ("if-match", "\"1\"", 412),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT", 412),
    ] {
        let read = server.api.send("GET", "/data/a", &[(name, value)], "").await;
        assert_eq!(read.status, status, "{name}: {value}");
        if status == 304 {
            assert_eq!((read.body.len(), read.header("etag")), (0, tag));
        }
    }
}

#[tokio::test]
async fn put_creates_and_replaces() {
    let server = TestServer::start().await;
    let first = server.api.put("a", &[], r#"{"v":1}"#).await;
    assert_eq!((first.status.as_u16(), first.text().as_str()), (201, r#"{"id":"a","v":1}"#));
    let second = server.api.put("a", &[], r#"{"v":2,"id":"a"}"#).await;
    assert_eq!((second.status.as_u16(), second.text().as_str()), (200, r#"{"id":"a","v":2}"#));
    assert_ne!(first.header("etag"), second.header("etag"));
    let read = server.api.get("/data/a").await;
    assert_eq!((&read.body, read.header("etag")), (&second.body, second.header("etag")));
    let other = server.api.put("a", &[], r#"{"id":"b"}"#).await;
    assert_eq!((other.status.as_u16(), other.json()["pointer"].as_str()), (422, Some("/id")));
}

#[tokio::test]
async fn put_honours_its_conditions() {
    let server = TestServer::start().await;
    let absent = server.api.put("a", &[("if-match", "*")], "{}").await;
    assert_eq!((absent.status.as_u16(), absent.problem().as_str()), (412, "precondition-failed"));
    assert_eq!(server.api.get("/data/a").await.status, 404);

    let made = server.api.put("a", &[("if-none-match", "*")], "{}").await;
    assert_eq!(made.status, 201);
    assert_eq!(server.api.put("a", &[("if-none-match", "*")], r#"{"v":0}"#).await.status, 412);
    let old = made.header("etag");
    for (matching, unmatching) in [(old, "*"), ("\"1\"", "\"2\""), ("*", old)] {
        let both = [("if-match", matching), ("if-none-match", unmatching)];
        assert_eq!(server.api.put("a", &both, "{}").await.status, 412, "{matching} and {unmatching}");
    }
    let both = [("if-match", old), ("if-none-match", "\"1\"")];
    let made = server.api.put("a", &both, "{}").await;
    assert_eq!(made.status, 200, "{}", made.text());
    let old = made.header("etag");
    let replaced = server.api.put("a", &[("if-match", old)], r#"{"v":1}"#).await;
    assert_eq!(replaced.status, 200);
    let new = replaced.header("etag");
    for (name, value, status) in [
        ("if-match", old, 412),
        ("if-match", "\"1\"", 412),
        ("if-match", "\"not-a-version\"", 412),
        ("if-none-match", new, 412),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT", 412),
        ("if-match", "1", 400),
        ("if-match", "*", 200),
        ("if-none-match", old, 200),
        ("if-unmodified-since", "Fri, 01 Jan 2100 00:00:00 GMT", 200),
    ] {
        let put = server.api.put("a", &[(name, value)], r#"{"v":2}"#).await;
        assert_eq!(put.status, status, "{name}: {value}: {}", put.text());
    }
}

#[tokio::test]
async fn of_many_writers_with_one_version_exactly_one_wins() {
    let server = TestServer::start().await;
    let made = server.api.put("a", &[], r#"{"writer":-1}"#).await;
    let tag = made.header("etag").to_owned();
    let writers = (0..50).map(|writer| {
        let (api, tag) = (server.api.clone(), tag.clone());
        tokio::spawn(async move { api.put("a", &[("if-match", &tag)], format!("{{\"writer\":{writer}}}")).await })
    });
    let mut won = Vec::new();
    for answer in futures_util::future::join_all(writers).await {
        let answer = answer.unwrap();
        match answer.status.as_u16() {
            200 => won.push(answer),
            status => assert_eq!(status, 412, "{}", answer.text()),
        }
    }
    assert_eq!(won.len(), 1);
    assert_eq!(server.api.get("/data/a").await.body, won[0].body);
}

#[tokio::test]
async fn writers_without_conditions_all_succeed_and_versions_grow() {
    let server = TestServer::start().await;
    let writers = (0..30).map(|writer| {
        let api = server.api.clone();
        tokio::spawn(async move { api.put("a", &[], format!("{{\"writer\":{writer}}}")).await })
    });
    let answers = futures_util::future::join_all(writers).await;
    let mut tags: Vec<String> = answers.iter().map(|put| put.as_ref().unwrap().header("etag").to_owned()).collect();
    assert!(answers.iter().all(|put| put.as_ref().unwrap().status.is_success()));
    assert_eq!(answers.iter().filter(|put| put.as_ref().unwrap().status == 201).count(), 1);
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 30, "two writes share a version");
    let last = server.api.get("/data/a").await;
    assert_eq!(last.header("etag"), tags.last().unwrap());
}

#[tokio::test]
async fn delete_is_204_however_often() {
    let server = TestServer::start().await;
    let made = server.api.post(r#"{"id":"a"}"#).await;
    let tag = made.header("etag").to_owned();
    let stale = server.api.delete("a", &[("if-match", "\"1\"")]).await;
    assert_eq!((stale.status.as_u16(), stale.problem().as_str()), (412, "precondition-failed"));
    assert_eq!(server.api.get("/data/a").await.status, 200);
    for headers in [&[("if-match", tag.as_str())][..], &[("if-match", tag.as_str())], &[]] {
        let deleted = server.api.delete("a", headers).await;
        assert_eq!((deleted.status.as_u16(), deleted.body.len()), (204, 0));
    }
    let gone = server.api.get("/data/a").await;
    assert_eq!((gone.status.as_u16(), gone.problem().as_str()), (404, "no-document"));
}

#[tokio::test]
async fn a_document_made_anew_does_not_get_an_old_version() {
    let server = TestServer::start().await;
    let first = server.api.post(r#"{"id":"a"}"#).await;
    server.api.delete("a", &[]).await;
    server.api.post(r#"{"id":"a"}"#).await;
    let stale = server.api.put("a", &[("if-match", first.header("etag"))], "{}").await;
    assert_eq!(stale.status, 412);
}

#[tokio::test]
async fn a_content_type_may_name_its_charset() {
    let server = TestServer::start().await;
    let sent = ("content-type", "application/json; charset=utf-8");
    assert_eq!(server.api.send("POST", "/data", &[sent], "{}").await.status, 201);
}
