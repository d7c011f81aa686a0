//! Real input: what `cargo metadata` says of every package that this workspace is built from, hundreds of documents
//! with lists and objects in each other.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::support::TestServer;

/// Every package's object, its `id` made one that a URL needs no escapes for.
fn packages() -> Vec<Value> {
    let cargo = Command::new(env!("CARGO")).args(["metadata", "--format-version", "1", "--locked"]).output().unwrap();
    assert!(cargo.status.success(), "{}", String::from_utf8_lossy(&cargo.stderr));
    let metadata: Value = serde_json::from_slice(&cargo.stdout).unwrap();
    let safe = |package: &Value| {
        let mut package = package.clone();
        let id = package["id"].as_str().unwrap().replace(|c: char| !c.is_ascii_alphanumeric() && c != '.', "-");
        package["id"] = Value::from(id[id.len().saturating_sub(128)..].to_owned());
        package
    };
    metadata["packages"].as_array().unwrap().iter().map(safe).collect()
}

#[tokio::test]
async fn every_package_is_stored_listed_and_read_back_equal() {
    let server = TestServer::start().await;
    let packages: BTreeMap<String, Value> =
        packages().into_iter().map(|package| (package["id"].as_str().unwrap().to_owned(), package)).collect();
    assert!(packages.len() > 200, "{} packages", packages.len());
    for (id, package) in &packages {
        let made = server.api.post(package.to_string()).await;
        assert_eq!(made.status, 201, "{id}: {}", made.text());
    }
    let listed = server.api.all("/data?limit=100").await;
    let newest_first: Vec<&Value> = packages.values().rev().collect();
    assert_eq!(listed.iter().collect::<Vec<_>>(), newest_first);
    for (id, package) in &packages {
        assert_eq!(&server.api.get(&format!("/data/{id}")).await.json(), package, "{id}");
        assert_eq!(&server.api.get(&format!("/product/{id}")).await.json(), package, "{id}");
    }
}
