//! DynamoDB: items are dynoxide's, an embedded DynamoDB in memory. What a table is, beside its items, is moto's to say, because
//! Terraform asks for much that only moto knows (backups, protection, policies); so tables are made and deleted in both.

use bytes::Bytes;
use dynoxide::{Database, DynoxideError};

/// An empty DynamoDB.
#[derive(Clone)]
pub struct DynamoDb(Database);

impl std::fmt::Debug for DynamoDb {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("DynamoDb")
    }
}

/// Status and body, JSON.
pub(crate) type Answer = (u16, String);

impl DynamoDb {
    /// One in memory. Fails as SQLite does.
    pub fn new() -> Result<Self, String> {
        Database::memory().map(Self).map_err(|error| error.to_string())
    }

    /// Whether an action is answered here, and nowhere else.
    pub(crate) fn is_on_items(action: &str) -> bool {
        const ITEMS: [&str; 10] = [
            "BatchGetItem",
            "BatchWriteItem",
            "DeleteItem",
            "GetItem",
            "PutItem",
            "Query",
            "Scan",
            "TransactGetItems",
            "TransactWriteItems",
            "UpdateItem",
        ];
        ITEMS.contains(&action)
    }

    /// Whether an action must be done here as well, once another has done it.
    pub(crate) fn is_on_tables(action: &str) -> bool {
        matches!(action, "CreateTable" | "DeleteTable")
    }

    /// Does it, on a thread of its own. Items are in memory: it takes microseconds.
    pub(crate) async fn answer(&self, action: String, body: Bytes) -> Answer {
        let database = self.0.clone();
        let done = tokio::task::spawn_blocking(move || run(&database, &action, &body)).await;
        done.unwrap_or_else(|error| written(&Err::<(), _>(DynoxideError::InternalServerError(error.to_string()))))
    }
}

fn run(database: &Database, action: &str, body: &[u8]) -> Answer {
    macro_rules! act {
        ($action:ident) => {
            written(&read(body).and_then(|request| database.$action(request)))
        };
    }
    match action {
        "BatchGetItem" => act!(batch_get_item),
        "BatchWriteItem" => act!(batch_write_item),
        "CreateTable" => act!(create_table),
        "DeleteItem" => act!(delete_item),
        "DeleteTable" => act!(delete_table),
        "DescribeTable" => act!(describe_table),
        "GetItem" => act!(get_item),
        "PutItem" => act!(put_item),
        "Query" => act!(query),
        "Scan" => act!(scan),
        "TransactGetItems" => act!(transact_get_items),
        "TransactWriteItems" => act!(transact_write_items),
        "UpdateItem" => act!(update_item),
        "UpdateTimeToLive" => act!(update_time_to_live),
        other => written(&Err::<(), _>(DynoxideError::ValidationException(format!("{other} is not known here")))),
    }
}

fn read<'a, T: serde::Deserialize<'a>>(body: &'a [u8]) -> Result<T, DynoxideError> {
    serde_json::from_slice(body).map_err(|error| DynoxideError::ValidationException(error.to_string()))
}

fn written<T: serde::Serialize>(result: &Result<T, DynoxideError>) -> Answer {
    match result {
        Ok(output) => serde_json::to_string(output).map_or_else(
            |error| written(&Err::<(), _>(DynoxideError::InternalServerError(error.to_string()))),
            |text| (200, text),
        ),
        Err(error) => (error.status_code(), error.to_json()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn keeps_items_exactly() {
        let dynamodb = DynamoDb::new().unwrap();
        let ask = async |action: &str, body: &'static str| {
            dynamodb.answer(action.to_owned(), Bytes::from_static(body.as_bytes())).await
        };
        let made = ask(
            "CreateTable",
            r#"{"TableName":"table","KeySchema":[{"AttributeName":"id","KeyType":"HASH"}],"BillingMode":"PAY_PER_REQUEST",
                "AttributeDefinitions":[{"AttributeName":"id","AttributeType":"S"}]}"#,
        );
        assert_eq!(made.await.0, 200);
        assert_eq!(ask("PutItem", r#"{"TableName":"table","Item":{"id":{"S":"a"},"n":{"N":"1.5"}}}"#).await.0, 200);
        let (status, body) = ask("GetItem", r#"{"TableName":"table","Key":{"id":{"S":"a"}}}"#).await;
        assert!(status == 200 && body.contains(r#""n":{"N":"1.5"}"#), "{body}");
        let (status, body) = ask("GetItem", r#"{"TableName":"other","Key":{"id":{"S":"a"}}}"#).await;
        assert!(status == 400 && body.contains("ResourceNotFoundException"), "{body}");
        assert_eq!(ask("MakeCoffee", "{}").await.0, 400);
    }
}
