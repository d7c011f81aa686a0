//! Writes need a token where tokens are set.

use crate::support::{JSON, TestServer, sha256};

const TOKENS: &str = "--write-token-sha256";

#[tokio::test]
async fn a_write_needs_a_token_and_a_read_does_not() {
    let hashes = format!("{}, {}", sha256("old"), sha256("new").to_uppercase());
    let server = TestServer::with(&[TOKENS, &hashes]).await;
    let requests = [("POST", "/data", r#"{"id":"b"}"#), ("PUT", "/data/a", "{}"), ("DELETE", "/data/a", "")];
    for (method, path, body) in requests {
        for (credentials, challenge) in [
            (None, r#"Bearer realm="tideline""#),
            (Some("Bearer wrong"), r#"Bearer realm="tideline", error="invalid_token""#),
            (Some("Bearer "), r#"Bearer realm="tideline", error="invalid_token""#),
            (Some("Basic b2xk"), r#"Bearer realm="tideline", error="invalid_token""#),
            (Some("old"), r#"Bearer realm="tideline", error="invalid_token""#),
        ] {
            let mut headers = vec![JSON];
            headers.extend(credentials.map(|credentials| ("authorization", credentials)));
            let refused = server.api.send(method, path, &headers, body).await;
            assert_eq!((refused.status.as_u16(), refused.problem().as_str()), (401, "unauthorized"), "{credentials:?}");
            assert_eq!(refused.header("www-authenticate"), challenge, "{credentials:?}");
            assert!(!refused.header("x-tideline-instance").is_empty());
        }
    }
    assert!(server.api.all("/data").await.is_empty(), "a refused write happened");
    // Two tokens at once, so that one can be replaced by the other without an outage.
    for (method, path, body) in requests {
        let token = if method == "PUT" { "Bearer old" } else { "Bearer new" };
        let done = server.api.send(method, path, &[JSON, ("authorization", token)], body).await;
        assert!(done.status.is_success(), "{method}: {}", done.text());
    }
    assert_eq!(server.api.all("/data").await.len(), 1);
    for path in ["/data/b", "/product/b", "/status", "/"] {
        assert_eq!(server.api.get(path).await.status, 200, "{path}");
    }
}
