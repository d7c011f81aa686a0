//! Twice what the service can do: half is done, the other half is told so at once.

use std::time::{Duration, Instant};

use crate::faults::{Fault, SLOWNESS, on_faulty_store};
use crate::support::long_or_short;

/// Requests in flight at once: with a store that takes [`SLOWNESS`] for each, saturation is 320 a second.
const SLOTS: u32 = 16;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn at_twice_saturation_it_goes_on_at_its_rate_and_refuses_the_rest_at_once() {
    let (process, store) = on_faulty_store(&["--max-in-flight", &SLOTS.to_string()]).await;
    store.set(Fault::Slow);
    let between = SLOWNESS / SLOTS / 2;
    let time = Duration::from_secs(long_or_short(30, 2) as u64);
    let mut ticks = tokio::time::interval(between);
    let (mut asked, started) = (Vec::new(), Instant::now());
    while started.elapsed() < time {
        ticks.tick().await;
        let api = process.api.clone();
        asked.push(tokio::spawn(async move {
            let asked = Instant::now();
            let answer = api.get("/data/a").await;
            (asked.elapsed(), answer)
        }));
    }
    let (mut done, mut refused) = (0_usize, Vec::new());
    let offered = asked.len();
    for answer in asked {
        let (took, answer) = answer.await.unwrap();
        match answer.status.as_u16() {
            200 => done += 1,
            _ => {
                assert_eq!((answer.problem().as_str(), answer.header("retry-after")), ("overloaded", "1"));
                refused.push(took);
            }
        }
    }
    refused.sort_unstable();
    let saturation = time.as_secs_f64() / SLOWNESS.as_secs_f64() * f64::from(SLOTS);
    let (done_share, median) = (done as f64 / saturation, refused[refused.len() / 2]);
    println!(
        "{offered} requests, {:.1} times what {SLOTS} slots can do: {:.0} % of saturation done, {} refused, in {median:?} \
         (median), {:?} (99 %)",
        offered as f64 / saturation,
        done_share * 100.0,
        refused.len(),
        refused[refused.len() * 99 / 100]
    );
    assert!(done_share > 0.7, "{done} done: it fell under its load");
    assert!(refused.len() > offered / 4, "{} of {offered} refused are no overload", refused.len());
    assert!(median < Duration::from_millis(5), "a refusal takes {median:?}");
    assert_eq!(process.api.get("/data/a").await.status, 200, "it goes on when the load is gone");
}
