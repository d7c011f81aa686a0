//! Many read the same few documents, through the cache: of `HOT`, the k-th is read 1/k as often as the first (Zipf).

use std::time::Duration;

use futures_util::TryStreamExt;
use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use reqwest::Method;
use serde_json::json;

use crate::call::{Caller, Ended, status};
use crate::target::{Ask, Target};
use crate::written::Written;

/// Documents that are read.
pub const HOT: usize = 200;

/// The documents that are read, and how often each.
#[derive(Debug)]
pub struct Hot {
    ids: Vec<String>,
    weights: WeightedIndex<f64>,
}

impl Hot {
    /// Writes them. An error is one line of what the target said.
    pub async fn write(target: &Target, written: &Written) -> Result<Self, String> {
        let weights = WeightedIndex::new((1..=HOT).map(|rank| 1.0 / rank as f64)).map_err(|error| error.to_string())?;
        let ids: Vec<String> = (0..HOT).map(|_| written.id()).collect();
        let all = futures_util::stream::iter(ids.iter().map(Ok));
        all.try_for_each_concurrent(8, async |id| write(target, id).await).await?;
        Ok(Self { ids, weights })
    }

    /// One document that is not there.
    #[cfg(test)]
    pub(super) fn none() -> Self {
        Self { ids: vec![String::new()], weights: WeightedIndex::new([1.0]).unwrap() }
    }

    fn pick(&self) -> &str {
        &self.ids[self.weights.sample(&mut rand::rng())]
    }
}

/// Writes one, and again if it does not come through: this is not yet the load.
async fn write(target: &Target, id: &str) -> Result<(), String> {
    let document = json!({"id": id, "name": "hot", "price": 4.27});
    let ask = Ask::new("PUT /data/{id}", Method::PUT, format!("/data/{id}")).body(document.to_string());
    let mut last = String::new();
    for attempt in 0..3 {
        tokio::time::sleep(Duration::from_millis(300) * attempt).await;
        match target.send(&ask).await {
            Ok(answer) => match status(&answer, &[200, 201]) {
                Ok(()) => return Ok(()),
                Err(fault) => last = format!("PUT {}: {} {fault}", ask.path, answer.status.as_u16()),
            },
            Err(error) => last = error,
        }
    }
    Err(last)
}

pub(super) async fn read_hot(caller: &mut Caller<'_>) -> Result<(), Ended> {
    let id = caller.run.hot.pick().to_owned();
    let judge = |answer: &crate::target::Answer| {
        status(answer, &[200])?;
        let found = answer.json()?;
        if found["id"] == *id { Ok(()) } else { Err(format!("wanted {id}, got {}", found["id"])) }
    };
    caller.call(Ask::get("GET /product/{id}", format!("/product/{id}")), judge).await?;
    Ok(())
}
