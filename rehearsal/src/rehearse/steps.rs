//! The steps in their order, and what they share.

mod ends;
mod faults;
mod rollout;
mod scale;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::checkout::{Checkout, Make};
use super::load::{Load, Loaded};
use super::story::{Findings, Stopped, Story, say};
use super::timeline::{Timeline, monotonic};
use super::{GROUP, Settings};
use crate::balancer::Balancer;
use crate::instances::Target;
use crate::machines::Machines;
use crate::{InstanceView, Region, View};

/// How often something that is waited for is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// How long a request of the rehearsal's own may take.
const ANSWER: Duration = Duration::from_secs(10);
/// Requests a second, beside what is rehearsed.
const RATE: u32 = 40;

/// All steps. Stops at one that cannot be gone through.
pub(super) async fn all(world: &World, story: &mut Story) -> Result<(), Stopped> {
    let first = world.checkout.version().to_owned();
    story.step("build-app", async |it| ends::build_app(world, it).await).await?;
    story.step("smoke", async |it| ends::smoke(world, it).await).await?;
    story.step("the page", async |it| ends::page(world, it).await).await?;
    story.step("a spike scales out", async |it| scale::out(world, it).await).await?;
    let mut second = rollout::Deployed::default();
    story.step("a second version", async |it| rollout::second(world, it, &mut second).await).await?;
    story.step("quiet scales in", async |it| scale::back_in(world, it).await).await?;
    story.step("a version that is never ready", async |it| rollout::never_ready(world, it, &second).await).await?;
    story.step("kill -9", async |it| faults::kill(world, it).await).await?;
    story.step("a power cut", async |it| faults::power_cut(world, it).await).await?;
    story.step("a full log disk", async |it| faults::full_log_disk(world, it).await).await?;
    // The cores have little to do meanwhile, and the next version is baked.
    let (outage, baked) = tokio::join!(
        story.step("a minute without DynamoDB", async |it| faults::no_dynamodb(world, it).await),
        rollout::bake_failing(world),
    );
    outage?;
    story.step("a version that answers 500", async |it| rollout::failing(world, it, baked).await).await?;
    story.step("rollback", async |it| rollout::back(world, it, &first).await).await?;
    story.step("destroy", async |it| ends::destroy(world, it).await).await
}

/// What the steps work with.
#[derive(Debug)]
pub(super) struct World {
    region: Arc<Region>,
    checkout: Checkout,
    timeline: Timeline,
    /// While nothing but waiting happens.
    speed: f64,
    /// CPUs of an instance.
    cpus: f64,
    listener: SocketAddr,
}

impl World {
    pub(super) fn new(region: Arc<Region>, checkout: Checkout, timeline: Timeline, settings: &Settings) -> Self {
        region.set_speed(1.0);
        Self {
            region,
            checkout,
            timeline,
            speed: settings.region.speed,
            cpus: settings.site.allowance.cpus,
            listener: SocketAddr::new(settings.site.balancer, 80),
        }
    }

    /// Nothing but waiting happens, until [`World::works`].
    fn waits(&self) {
        self.region.set_speed(self.speed);
    }

    /// Something is at work.
    fn works(&self) {
        self.region.set_speed(1.0);
    }

    fn machines(&self) -> Result<&Machines, String> {
        self.region.site().map(|site| &site.machines).ok_or_else(|| "the region has no machines".to_owned())
    }

    fn balancer(&self) -> Result<&Balancer, String> {
        self.region.site().map(|site| &site.balancer).ok_or_else(|| "the region has no load balancer".to_owned())
    }

    fn view(&self) -> Result<View, String> {
        self.region.observe(GROUP).ok_or_else(|| format!("there is no group {GROUP}"))
    }

    /// Waits for something to be so.
    async fn until(&self, what: &str, seconds: u64, so: impl Fn(&View) -> bool) -> Result<View, String> {
        let end = Instant::now() + Duration::from_secs(seconds);
        loop {
            let view = self.view()?;
            if so(&view) {
                return Ok(view);
            }
            if Instant::now() > end {
                return Err(format!("not within {seconds} s: {what}; there is {}", told(&view)));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Waits until the group has what it is to have, all of it healthy, and nothing leaves any more.
    async fn settled(&self, seconds: u64) -> Result<View, String> {
        self.until("all instances are healthy, and none leaves", seconds, |view| {
            view.instances.len() == view.desired as usize && view.instances.iter().all(is_healthy)
        })
        .await
    }

    /// Lets so much of the region's time pass.
    async fn passes(&self, time: Duration) -> Result<(), String> {
        let end = self.view()?.now + time;
        self.waits();
        self.until("time passes", 2 * time.as_secs(), |view| view.now >= end).await?;
        self.works();
        Ok(())
    }

    /// Makes a target, with its stages for progress, until it is over.
    async fn makes(&self, name: &str, target: &str, variables: &[(&str, &str)]) -> Result<String, String> {
        let mut make = self.checkout.make(name, target, variables)?;
        self.follow(&mut make, None).await;
        make.succeeds().await
    }

    /// Tells the stages of a target, up to one that begins so.
    async fn follow(&self, make: &mut Make, until: Option<&str>) {
        while let Some(stage) = make.stage().await {
            say(self.timeline.now(), &format!("    {stage}"));
            if until.is_some_and(|until| stage.starts_with(until)) {
                return;
            }
        }
    }

    /// Begins a load that lasts as long as it is wanted.
    fn load(&self, name: &str, rate: u32) -> Result<Load, String> {
        Load::begin(&self.checkout, name, &format!("steady:15m@{rate}"))
    }

    /// Ends a load, and puts down what it counted.
    async fn unload(&self, load: Load) -> Result<Loaded, String> {
        let loaded = load.end().await?;
        self.timeline.add(&loaded);
        Ok(loaded)
    }

    /// The version that answers.
    async fn serves(&self) -> Result<String, String> {
        let answer = self.ask("/status").await?;
        let version = answer.headers().get("x-tideline-version").and_then(|value| value.to_str().ok());
        Ok(version.unwrap_or_default().to_owned())
    }

    /// Since when the service on an instance is ready, in seconds of the clock that instances share with this machine.
    async fn ready_since(&self, id: &str) -> Result<f64, String> {
        let ask = ["systemctl", "show", "--property=ActiveEnterTimestampMonotonic", "--value", "tideline.service"];
        let told = self.machines()?.exec(id, &ask).await.map_err(|error| error.to_string())?;
        let microseconds: f64 =
            told.trim().parse().map_err(|_| format!("{id} does not say since when it is ready: {told}"))?;
        let ready = microseconds / 1e6;
        if ready > 0.0 && ready <= monotonic() { Ok(ready) } else { Err(format!("the service on {id} is not ready")) }
    }

    /// Asks for a path, through the load balancer.
    async fn ask(&self, path: &str) -> Result<Response<Bytes>, String> {
        let asked = async {
            let stream = TcpStream::connect(self.listener).await.map_err(|error| error.to_string())?;
            let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
            let (mut sender, connection) = handshake.map_err(|error| error.to_string())?;
            tokio::spawn(connection);
            let request = Request::get(path).header("host", self.listener.ip().to_string()).body(Empty::<Bytes>::new());
            let answer = sender.send_request(request.map_err(|error| error.to_string())?).await;
            let (head, body) = answer.map_err(|error| error.to_string())?.into_parts();
            let body = body.collect().await.map_err(|error| error.to_string())?.to_bytes();
            Ok(Response::from_parts(head, body))
        };
        let answer = tokio::time::timeout(ANSWER, asked).await;
        answer.unwrap_or_else(|_| Err("no answer in time".to_owned())).map_err(|error| format!("GET {path}: {error}"))
    }
}

fn is_healthy(instance: &InstanceView) -> bool {
    instance.state == "InService" && instance.target == Target::Healthy
}

/// The instances of a look, in a line.
fn told(view: &View) -> String {
    let each = |it: &InstanceView| format!("{} version {} {} {:?}", it.id, it.version, it.state, it.target);
    format!("{} wanted: {}", view.desired, view.instances.iter().map(each).collect::<Vec<_>>().join(", "))
}

/// That no request of a load failed.
fn none_failed(it: &mut Findings, loaded: &Loaded) {
    let (requests, failed) = loaded.requests();
    it.check("no request failed", format!("{failed} of {requests}"), failed == 0 && requests > 0);
}

/// That all instances run a version of the launch template.
fn all_run(it: &mut Findings, view: &View, template: &str) {
    let passed = !view.instances.is_empty() && view.instances.iter().all(|it| it.version == template && is_healthy(it));
    it.check(&format!("all instances run version {template} of the launch template, healthy"), told(view), passed);
}
