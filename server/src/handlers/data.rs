//! `/data` and `/data/{id}`: documents, stored, listed, read, replaced and removed.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ETAG, LAST_MODIFIED, LOCATION};
use http::{HeaderValue, StatusCode};

use crate::app::App;
use crate::error::Error;
use crate::http::{
    Freshness, Request, Response, empty, entity_tag, freshness, idempotency_key, json, last_modified, precondition,
    read_json, with_header,
};
use crate::model::{Document, DocumentId, Version};
use crate::routes::document_id;
use crate::store::{Created, Page, Record, StoreError};

/// Documents on a page, where the client does not say.
const DEFAULT_LIMIT: usize = 50;

/// Documents on a page, at the most.
const MAX_LIMIT: usize = 200;

/// `POST /data`: 201, and where it is now.
pub async fn create(app: Arc<App>, request: Request) -> Result<Response, Error> {
    let (head, body) = request.into_parts();
    let text = read_json(&head.headers, body, app.limits.body).await?;
    let document = Document::parse_new(&text)?;
    let made = match idempotency_key(&head.headers, &text)? {
        None => app.store.create(document.clone()).await.map(Created::New),
        Some(key) => app.store.create_once(document.clone(), &key).await,
    };
    app.cache.wrote(document.id(), made.as_ref().map(Created::version), &app.store).await;
    let (document, version) = match made? {
        // The body is the same as then, so the answer is too, once it has the id that it got then.
        Created::Replayed(id, version) if *document.id() != id => (document.with_id(id), version),
        Created::New(version) | Created::Replayed(_, version) => (document, version),
    };
    let location = HeaderValue::try_from(format!("/data/{}", document.id()));
    let location = location.map_err(|error| Error::Internal(error.to_string()))?;
    Ok(with_header(written(StatusCode::CREATED, document.to_json(), version), LOCATION, location))
}

/// `GET /data?limit=&before=`: a page, newest id first.
pub async fn list(app: Arc<App>, request: Request) -> Result<Response, Error> {
    let (limit, before) = page_asked(request.uri().query().unwrap_or_default())?;
    let page = app.store.list(before.as_ref().map(DocumentId::as_str), limit).await?;
    Ok(json(StatusCode::OK, page_text(&page, limit)))
}

/// `GET /data/{id}`: the document; 304 to a client that has it.
pub async fn read(app: Arc<App>, request: Request) -> Result<Response, Error> {
    let id = document_id(&request)?;
    let record = app.store.get(&id).await?.ok_or(Error::NoDocument)?;
    representation(&request, &record)
}

/// `PUT /data/{id}`: 201 if it is new, 200 if it replaced one.
pub async fn replace(app: Arc<App>, request: Request) -> Result<Response, Error> {
    let id = document_id(&request)?;
    let (head, body) = request.into_parts();
    let precondition = precondition(&head.headers)?;
    let text = read_json(&head.headers, body, app.limits.body).await?;
    let document = Document::parse_at(id.clone(), &text)?;
    let answer = document.to_json();
    let put = app.store.put(document, &precondition).await;
    app.cache.wrote(&id, put.as_ref().map(|put| put.version), &app.store).await;
    let put = put?;
    let status = if put.created { StatusCode::CREATED } else { StatusCode::OK };
    Ok(written(status, answer, put.version))
}

/// `DELETE /data/{id}`: 204, also when it is gone already.
pub async fn remove(app: Arc<App>, request: Request) -> Result<Response, Error> {
    let id = document_id(&request)?;
    let removed = app.store.delete(&id, &precondition(request.headers())?).await;
    app.cache.wrote(&id, removed.as_ref().copied(), &app.store).await;
    removed?;
    Ok(empty(StatusCode::NO_CONTENT))
}

/// A stored document as this request's conditions want it: whole, or 304, or 412.
pub(super) fn representation(request: &Request, record: &Record) -> Result<Response, Error> {
    let answer = match freshness(request.headers(), record.version)? {
        Freshness::Full => json(StatusCode::OK, record.json.clone()),
        Freshness::NotModified => empty(StatusCode::NOT_MODIFIED),
        Freshness::Failed => return Err(StoreError::PreconditionFailed.into()),
    };
    Ok(validators(answer, record.version))
}

fn written(status: StatusCode, body: Bytes, version: Version) -> Response {
    validators(json(status, body), version)
}

fn validators(response: Response, version: Version) -> Response {
    with_header(with_header(response, ETAG, entity_tag(version)), LAST_MODIFIED, last_modified(version))
}

fn page_asked(query: &str) -> Result<(usize, Option<DocumentId>), Error> {
    let (mut limit, mut before) = (None, None);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let slot = match name {
            "limit" => &mut limit,
            "before" => &mut before,
            _ => return Err(Error::BadQuery(format!("{name:?}: /data knows limit and before"))),
        };
        if slot.replace(value).is_some() {
            return Err(Error::BadQuery(format!("{name} is given twice")));
        }
    }
    let limit = match limit {
        None => DEFAULT_LIMIT,
        Some(text) => {
            let parsed = text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit));
            parsed.ok_or_else(|| Error::BadQuery(format!("limit: use a whole number from 1 to {MAX_LIMIT}")))?
        }
    };
    let before = before.map(|id| DocumentId::parse(id).map_err(|fault| Error::BadQuery(format!("before: {fault}"))));
    Ok((limit, before.transpose()?))
}

fn page_text(page: &Page, limit: usize) -> Bytes {
    let documents: usize = page.records.iter().map(|record| record.json.len() + 1).sum();
    let mut text = Vec::with_capacity(documents + 256);
    text.extend_from_slice(b"{\"items\":[");
    for (index, record) in page.records.iter().enumerate() {
        if index > 0 {
            text.push(b',');
        }
        text.extend_from_slice(&record.json);
    }
    let next = match page.records.last().filter(|_| page.more) {
        Some(last) => format!("],\"next\":\"/data?limit={limit}&before={}\"}}", last.id),
        None => "],\"next\":null}".to_owned(),
    };
    text.extend_from_slice(next.as_bytes());
    text.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_query_is_taken_literally_or_refused() {
        assert!(matches!(page_asked(""), Ok((DEFAULT_LIMIT, None))));
        assert!(matches!(page_asked("limit=200&before=a"), Ok((200, Some(id))) if id.as_str() == "a"));
        for bad in [
            "limit=0",
            "limit=-1",
            "limit=1000000000",
            "limit=",
            "limit",
            "before=",
            "before=a/b",
            "x=1",
            "limit=1&limit=2",
        ] {
            assert!(page_asked(bad).is_err(), "{bad}");
        }
    }
}
