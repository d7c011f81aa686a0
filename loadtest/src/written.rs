//! What a run has written to the target, so that it is gone when the run is over.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use futures_util::TryStreamExt;
use reqwest::Method;

use crate::target::{Ask, Target};

/// What the id of every document of a load test begins with.
pub const PREFIX: &str = "load-";

/// Documents removed at the same time.
const AT_ONCE: usize = 16;

/// How often a removal is tried: the target may be at the end of its strength just then.
const TRIES: u32 = 5;

/// The ids of a run.
#[derive(Debug)]
pub struct Written {
    run: String,
    next: AtomicU64,
    there: Mutex<BTreeSet<u64>>,
}

impl Written {
    /// For a run of this name.
    pub fn new(run: &str) -> Self {
        Self { run: run.to_owned(), next: AtomicU64::new(0), there: Mutex::default() }
    }

    /// An id for a document that is about to be written. It counts as written from now on: whether a write whose answer
    /// was lost took place cannot be known.
    pub fn id(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.there().insert(number);
        format!("{PREFIX}{}-{number}", self.run)
    }

    /// The document is certainly gone.
    pub fn removed(&self, id: &str) {
        let number = id.rsplit('-').next().and_then(|number| number.parse().ok());
        if let Some(number) = number {
            self.there().remove(&number);
        }
    }

    /// Documents that may be there.
    pub fn count(&self) -> usize {
        self.there().len()
    }

    fn there(&self) -> std::sync::MutexGuard<'_, BTreeSet<u64>> {
        self.there.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Removes all of them, and says how many could not be.
    pub async fn clean(&self, target: &Target) -> usize {
        let ids: Vec<String> = self.there().iter().map(|number| format!("{PREFIX}{}-{number}", self.run)).collect();
        // Each is tried several times; but what cannot be reached for one cannot be reached for the next thousand.
        let cleaning =
            futures_util::stream::iter(ids.into_iter().map(Ok)).try_for_each_concurrent(AT_ONCE, async |id| {
                let gone = remove(target, &id).await;
                if gone {
                    self.removed(&id);
                }
                gone.then_some(()).ok_or(())
            });
        let _: Result<(), ()> = cleaning.await;
        self.count()
    }
}

/// Removes whatever runs that were cut off have left behind, and says how many documents that were, and how many could
/// not be removed.
pub async fn clean_all(target: &Target) -> Result<(usize, usize), String> {
    // Newest first means the highest id first: '.' is the character after '-'.
    let mut next = Some(format!("/data?limit=200&before={}.", PREFIX.trim_end_matches('-')));
    let (mut removed, mut left) = (0, 0);
    while let Some(path) = next {
        let answer = target.send(&Ask::get("GET /data", path)).await?;
        let page = answer.json()?;
        let items = page["items"].as_array().ok_or("the list of documents has no items")?;
        let ids: Vec<&str> = items.iter().filter_map(|item| item["id"].as_str()).collect();
        let ours: Vec<&str> = ids.iter().copied().filter(|id| id.starts_with(PREFIX)).collect();
        for id in &ours {
            *if remove(target, id).await { &mut removed } else { &mut left } += 1;
        }
        next = (ours.len() == items.len()).then(|| page["next"].as_str().map(str::to_owned)).flatten();
    }
    Ok((removed, left))
}

async fn remove(target: &Target, id: &str) -> bool {
    for attempt in 0..TRIES {
        let ask = Ask::new("DELETE /data/{id}", Method::DELETE, format!("/data/{id}"));
        match target.send(&ask).await {
            Ok(answer) if answer.status.as_u16() == 204 => return true,
            // Asking again changes nothing.
            Ok(answer) if answer.status.is_client_error() => return false,
            _ => tokio::time::sleep(std::time::Duration::from_millis(200) * 2_u32.pow(attempt)).await,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_removed_is_not_there() {
        let written = Written::new("abc");
        let (first, second) = (written.id(), written.id());
        assert_eq!((first.as_str(), second.as_str()), ("load-abc-0", "load-abc-1"));
        written.removed(&first);
        assert_eq!(written.count(), 1);
    }
}
