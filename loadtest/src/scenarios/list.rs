//! Somebody looks at the newest documents and pages on.

use crate::call::{Caller, Ended, status};
use crate::target::{Answer, Ask};

const LIMIT: usize = 20;

pub(super) async fn page_on(caller: &mut Caller<'_>) -> Result<(), Ended> {
    let mut next = Some(format!("/data?limit={LIMIT}"));
    for _ in 0..2 {
        let Some(path) = next else { return Ok(()) };
        let answer = caller.call(Ask::get("GET /data", path), page).await?;
        next = answer.json().ok().and_then(|page| page["next"].as_str().map(str::to_owned));
    }
    Ok(())
}

/// A page has its documents newest first, and no more than were asked for.
fn page(answer: &Answer) -> Result<(), String> {
    status(answer, &[200])?;
    let page = answer.json()?;
    let items = page["items"].as_array().ok_or("there are no items")?;
    // An id may be a number too; in the order of ids all are texts.
    let ids: Vec<String> =
        items.iter().map(|item| item["id"].as_str().map_or_else(|| item["id"].to_string(), str::to_owned)).collect();
    if ids.len() > LIMIT || !ids.is_sorted_by(|newer, older| newer > older) {
        return Err(format!("a page of {} documents, or out of order", ids.len()));
    }
    Ok(())
}
