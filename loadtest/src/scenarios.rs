//! What users do. One file each; a weight says how many of the users do it.

mod create;
mod delete;
mod health;
mod list;
mod page;
mod product;
mod update;

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use goose::GooseError;
use goose::goose::{GooseUser, Scenario, Transaction, TransactionFunction};
use reqwest::Method;
use reqwest::header::IF_MATCH;
use serde_json::{Value, json};

use crate::call::{Caller, Ended, Run, status};
use crate::session::Gate;
use crate::target::{Answer, Ask};

pub use product::{HOT, Hot};

type Step = for<'a, 'b> fn(&'a mut Caller<'b>) -> BoxFuture<'a, Result<(), Ended>>;

/// Name, weight, what a user does again and again.
const MIX: [(&str, usize, Step); 6] = [
    ("page", 1, |caller| page::browse(caller).boxed()),
    ("list", 2, |caller| list::page_on(caller).boxed()),
    ("product", 10, |caller| product::read_hot(caller).boxed()),
    ("create", 2, |caller| create::read_back(caller).boxed()),
    ("update", 1, |caller| update::replace(caller).boxed()),
    ("delete", 1, |caller| delete::remove_own(caller).boxed()),
];

/// Only by name: it says what the generator and the network cost, without the store.
const HEALTH: (&str, usize, Step) = ("health", 1, |caller| health::ask(caller).boxed());

/// With more documents than this of a run at the target, scenarios remove what they have made.
const KEEP: usize = 1_000;

/// When the run is over goose has to be told; until it says so itself its users wait.
const OVER: Duration = Duration::from_millis(50);

/// With fewer users than this some scenario of the mix has none.
pub const LEAST_USERS: i64 = MIX.len() as i64;

/// The names of all scenarios.
pub fn names() -> impl Iterator<Item = &'static str> {
    MIX.iter().chain([&HEALTH]).map(|(name, ..)| *name)
}

/// The scenarios of these names, or the usual mix where none is named, as goose takes them.
pub fn chosen(named: &[String], gate: &Arc<Gate>) -> Result<Vec<Scenario>, GooseError> {
    MIX.iter()
        .chain([&HEALTH])
        .filter(|(name, ..)| if named.is_empty() { *name != HEALTH.0 } else { named.iter().any(|one| one == name) })
        .map(|(name, weight, step)| {
            let (arriving, running, step) = (gate.clone(), gate.clone(), *step);
            let arrive: TransactionFunction = Arc::new(move |_| {
                arriving.arrive();
                Box::pin(std::future::ready(Ok(())))
            });
            let again: TransactionFunction = Arc::new(move |user| {
                let gate = running.clone();
                Box::pin(async move {
                    guarded(gate.run().await, user, step).await;
                    Ok(())
                })
            });
            Scenario::new(name)
                .register_transaction(Transaction::new(arrive).set_on_start())
                .register_transaction(Transaction::new(again).set_name(name))
                .set_weight(*weight)
        })
        .collect()
}

/// Runs one round; a panic in it is a failure of the request it was at, and the user goes on.
async fn guarded(run: Arc<Run>, user: &mut GooseUser, step: Step) {
    let mut caller = Caller::new(run, user);
    match AssertUnwindSafe(step(&mut caller)).catch_unwind().await {
        Ok(Ok(()) | Err(Ended::Failed)) => {}
        Ok(Err(Ended::Over)) => tokio::time::sleep(OVER).await,
        Err(panic) => caller.panicked(text(&*panic)).await,
    }
}

fn text(panic: &(dyn Any + Send)) -> &str {
    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("")
}

/// A document of ours, as it was last acknowledged.
struct Own {
    id: String,
    etag: String,
    document: Value,
}

impl Own {
    /// Makes a new one.
    async fn create(caller: &mut Caller<'_>) -> Result<Self, Ended> {
        let id = caller.run.written.id();
        let document = json!({"id": id, "station": "Brest", "level_m": 4.27, "round": 0});
        let ask = Ask::new("POST /data", Method::POST, "/data").body(document.to_string());
        let answer = caller.call(ask, |answer| status(answer, &[201]).and_then(|()| equals(answer, &document))).await?;
        Ok(Self { id, etag: answer.header("etag").to_owned(), document })
    }

    /// Reads it, and finds what was acknowledged.
    async fn read(&self, caller: &mut Caller<'_>) -> Result<(), Ended> {
        let ask = Ask::get("GET /data/{id}", format!("/data/{}", self.id));
        caller.call(ask, |answer| status(answer, &[200]).and_then(|()| equals(answer, &self.document))).await?;
        Ok(())
    }

    /// Replaces it, as long as nobody else did.
    async fn replace(&mut self, caller: &mut Caller<'_>) -> Result<(), Ended> {
        self.document["round"] = json!(1);
        let ask = Ask::new("PUT /data/{id}", Method::PUT, format!("/data/{}", self.id))
            .header(IF_MATCH, &self.etag)
            .body(self.document.to_string());
        let answer =
            caller.call(ask, |answer| status(answer, &[200]).and_then(|()| equals(answer, &self.document))).await?;
        self.etag = answer.header("etag").to_owned();
        Ok(())
    }

    /// Removes it.
    async fn remove(&self, caller: &mut Caller<'_>) -> Result<(), Ended> {
        let ask =
            Ask::new("DELETE /data/{id}", Method::DELETE, format!("/data/{}", self.id)).header(IF_MATCH, &self.etag);
        caller.call(ask, |answer| status(answer, &[204])).await?;
        caller.run.written.removed(&self.id);
        Ok(())
    }

    /// Removes it if there are enough of its kind.
    async fn remove_beyond_enough(&self, caller: &mut Caller<'_>) -> Result<(), Ended> {
        if caller.run.written.count() > KEEP { self.remove(caller).await } else { Ok(()) }
    }
}

fn equals(answer: &Answer, wanted: &Value) -> Result<(), String> {
    let got = answer.json()?;
    if &got == wanted { Ok(()) } else { Err(format!("wanted {wanted}, got {got}")) }
}

#[cfg(test)]
mod tests {
    use goose::config::GooseConfiguration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;
    use crate::pacer::Pacer;
    use crate::target::Target;
    use crate::written::Written;

    #[tokio::test]
    async fn a_panic_is_a_failure_and_its_user_goes_on() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url: reqwest::Url = format!("http://{}", listener.local_addr().unwrap()).parse().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").await.unwrap();
            }
        });
        let target = Target::new(url.clone(), None, Duration::from_secs(1)).unwrap();
        let pacer = Pacer::start("a:10s@100".parse().unwrap()).unwrap();
        let run = Run::new(target, pacer, 1, Arc::new(Written::new("x")), Hot::none());
        let configuration = GooseConfiguration::parse_args_default(&Vec::<&str>::new()).unwrap();
        let mut user = GooseUser::single(url, &configuration).unwrap();
        let step: Step = |caller| {
            let judge = |_: &Answer| panic!("a mistake in a scenario");
            async move { caller.call(Ask::get("GET /", "/"), judge).await.map(|_| ()) }.boxed()
        };
        for _ in 0..3 {
            guarded(run.clone(), &mut user, step).await;
        }
        let records = run.recorder.finish(1.0);
        assert_eq!(records.failures.len(), 3);
        assert_eq!(records.failures[0].error, "panic: a mistake in a scenario");
        assert_eq!((run.in_flight(), run.issued()), (0, 3));
    }
}
