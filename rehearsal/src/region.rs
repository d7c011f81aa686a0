//! The region: what is started, what stops it, and what a test can ask of it.

mod state;
mod view;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub(crate) use self::state::{Shared, State};
pub use self::view::{ActivityView, InstanceView, RefreshView, View};
use crate::alarms::AlarmState;
use crate::dynamodb::DynamoDb;
use crate::environment;
use crate::gateway;
use crate::gateway::client::Upstream;
use crate::gateway::faults::Fault;
use crate::instances::Times;
use crate::instances::modelled::Behaviour;
use crate::moto::{Moto, MotoError};
use crate::protocol::Failure;
use crate::scaling::{Draft, Metric};
use crate::site::{self, Site, SiteError};

/// What a region is like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it listens; port 0 takes a free one. Loopback only.
    pub listen: SocketAddr,
    /// Who answers what is not answered here, as `http://127.0.0.1:5000`: moto's server. Instances are then launched there.
    pub upstream: Option<String>,
    /// How many of the region's seconds pass in one, as [`Region::set_speed`] has it. 0: time stands still until
    /// [`Region::advance`].
    pub speed: f64,
    /// The region's name, in ARNs and zones.
    pub name: String,
    /// The account's number, in ARNs.
    pub account: String,
    /// How long modelled machines take for what.
    pub times: Times,
    /// The alarm that goes off when instances fail requests.
    pub errors_alarm: String,
    /// The alarm that goes off when an instance is unhealthy for minutes. Of machines that boot only.
    pub unhealthy_alarm: String,
    /// A refresh that replaces nothing for so long fails. An hour on AWS.
    pub refresh_limit: Duration,
    /// Machines that boot, and what they need; without an upstream, moto's server is started. Otherwise they are modelled.
    pub site: Option<site::Settings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            upstream: None,
            speed: 1.0,
            name: "eu-west-1".to_owned(),
            account: "123456789012".to_owned(),
            times: Times::default(),
            errors_alarm: "tideline-5xx".to_owned(),
            unhealthy_alarm: "tideline-unhealthy".to_owned(),
            refresh_limit: Duration::from_secs(3600),
            site: None,
        }
    }
}

/// Why a region did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, or not this machine's.
    #[error("cannot listen on {0}: {1}")]
    Listen(SocketAddr, std::io::Error),
    /// It must not be reached from outside: it believes every signature.
    #[error("{0} is not on loopback, and the region lets everybody in: listen on 127.0.0.1")]
    NotLoopback(SocketAddr),
    /// The embedded DynamoDB does not open.
    #[error("the embedded DynamoDB does not start: {0}")]
    DynamoDb(String),
    /// The network and what is in it cannot be.
    #[error(transparent)]
    Site(#[from] SiteError),
    /// Nobody is behind it.
    #[error(transparent)]
    Moto(#[from] MotoError),
    /// The upstream is no URL of the form `http://HOST:PORT`.
    #[error("upstream {0}: {1}")]
    Upstream(String, String),
}

/// How much of the region's time passes until it is brought up to date, if the machine's timer is fine enough.
const STEP: Duration = Duration::from_millis(500);

/// What a datapoint is of.
const MINUTE: Duration = Duration::from_secs(60);

/// A running region. It stops when it is dropped.
#[derive(Debug)]
pub struct Region {
    endpoint: String,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
    site: Option<Site>,
    moto: Option<Moto>,
}

impl Region {
    /// Starts a region, on the runtime that this is awaited on. Fails when it cannot listen.
    pub async fn start(settings: Settings) -> Result<Self, StartError> {
        let listen = settings.listen;
        if !listen.ip().is_loopback() {
            return Err(StartError::NotLoopback(listen));
        }
        let upstream = settings
            .upstream
            .as_deref()
            .map(|url| Upstream::new(url, &settings.name).map_err(|error| StartError::Upstream(url.to_owned(), error)));
        let mut upstream = upstream.transpose()?.map(Arc::new);
        let listener = TcpListener::bind(listen).await.map_err(|error| StartError::Listen(listen, error))?;
        let address = listener.local_addr().map_err(|error| StartError::Listen(listen, error))?;
        let mut tasks = Vec::new();
        let (mut site, mut api, mut booted, mut moto) = (None, None, None, None);
        if let Some(wanted) = &settings.site {
            let dynamodb = DynamoDb::new().map_err(StartError::DynamoDb)?;
            let (made, listener, metadata) = Site::start(wanted).await?;
            let behind = match upstream.take() {
                Some(given) => given,
                None => {
                    let (process, started) = behind(&made, &settings.name).await?;
                    moto = Some(process);
                    started
                }
            };
            upstream = Some(Arc::clone(&behind));
            tasks.extend([metadata, tokio::spawn(made.balancer.clone().run(behind))]);
            booted = Some((made.clone(), dynamodb));
            (site, api) = (Some(made), Some(listener));
        }
        let shared = Arc::new(Shared::new(settings, upstream, booted));
        // Machines reach it at an address of theirs.
        tasks.extend(api.map(|api| tokio::spawn(gateway::serve(api, Arc::clone(&shared)))));
        tasks.extend([
            tokio::spawn(gateway::serve(listener, Arc::clone(&shared))),
            tokio::spawn(keep_stepping(Arc::clone(&shared))),
        ]);
        if let Some(upstream) = shared.upstream.clone() {
            tasks.push(tokio::spawn(state::keep_alarms(Arc::clone(&shared), upstream)));
        }
        Ok(Self { endpoint: format!("http://{address}"), shared, tasks, site, moto })
    }

    /// `http://127.0.0.1:PORT`, for `AWS_ENDPOINT_URL`.
    pub fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// What leads AWS's own tools here, and nowhere else: names of variables, and their values. With machines that boot, also
    /// what Packer is to do otherwise.
    pub fn environment(&self) -> Vec<(String, String)> {
        environment::variables(&self.endpoint, &self.shared.place.region, self.moto.is_some())
    }

    /// The region's time now, which is that of all its answers. It begins as the machine's and then runs `speed` times as fast.
    pub fn now(&self) -> SystemTime {
        self.shared.clock.now()
    }

    /// How many of the region's seconds pass in one from now on, up to 100,000; 0 stands still. With machines that boot it is so
    /// while nothing but waiting happens; while one of them comes up, time is no faster than this machine's.
    pub fn set_speed(&self, speed: f64) {
        self.shared.with(|state, _| state.speed = speed);
    }

    /// How many of the region's seconds pass in one at this moment.
    pub fn speed(&self) -> f64 {
        self.shared.clock.speed()
    }

    /// Moves the region's time on by `duration`, second by second, with all that follows.
    pub fn advance(&self, duration: Duration) {
        let mut left = duration;
        while !left.is_zero() {
            let step = left.min(Duration::from_secs(1));
            self.shared.clock.advance(step);
            self.shared.with(|_, _| ());
            left -= step;
        }
    }

    /// Begins to make a group without a call; see [`GroupBuilder`] for what it is like unless told otherwise.
    pub fn group(&self, name: &str) -> GroupBuilder<'_> {
        GroupBuilder { region: self, draft: self.shared.draft(name) }
    }

    /// Says how the machines of a version of the launch template behave from now on. Those that boot behave as they do.
    pub fn behave(&self, template_version: &str, behaviour: Behaviour) {
        self.shared.with(|state, _| {
            if let Some(modelled) = state.machines.modelled_mut() {
                modelled.behave(template_version, behaviour);
            }
        });
    }

    /// Sets the state of an alarm. Alarms that nobody has set do not exist, as far as DescribeAlarms is concerned.
    pub fn alarm(&self, name: &str, to: AlarmState) {
        self.shared.with(|state, now| state.alarms.set(name, to, now));
    }

    /// The next `times` calls of `action` (`DescribeInstanceRefreshes`) meet a fault; those after them are answered.
    pub fn fault(&self, action: &str, fault: &Fault, times: usize) {
        self.shared.faults.add(action, fault, times);
    }

    /// The next `times` calls of `action` are throttled.
    pub fn throttle(&self, action: &str, times: usize) {
        self.fault(action, &Fault::Throttle, times);
    }

    /// No fault waits any more.
    pub fn clear_faults(&self) {
        self.shared.faults.clear();
    }

    /// Whether DynamoDB is up, as it is at first. While it is down, every call of it ends with a closed connection and no answer,
    /// whoever makes it; all else is answered.
    pub fn dynamodb(&self, up: bool) {
        self.shared.dynamodb_down.store(!up, Ordering::Relaxed);
    }

    /// How many calls of `action` there have been, faults included.
    pub fn calls(&self, action: &str) -> usize {
        self.shared.faults.calls(action)
    }

    /// Instance refreshes stand still: nothing is launched or terminated for them, as when EC2 has no capacity. After
    /// [`Settings::refresh_limit`] they fail.
    pub fn stall(&self) {
        self.shared.with(|state, _| state.scaling.stall(true));
    }

    /// Instance refreshes go on.
    pub fn resume(&self) {
        self.shared.with(|state, _| state.scaling.stall(false));
    }

    /// The mean CPU of a group's instances in the minute that is over, in per cent. Machines that boot say so themselves. Fails when
    /// there is no such group.
    pub fn cpu(&self, group: &str, per_cent: f64) -> Result<(), Failure> {
        self.shared.with(|state, now| state.scaling.publish(group, Metric::AverageCpu, per_cent, now - MINUTE))
    }

    /// A machine is gone from one moment to the next. Returns whether there was one of that id.
    pub fn kill(&self, instance_id: &str) -> bool {
        self.shared.with(|state, now| state.kill(instance_id, now))
    }

    /// The machines that boot, and what they need.
    pub fn site(&self) -> Option<&Site> {
        self.site.as_ref()
    }

    /// Stops, and returns when nothing listens any more, and nothing is left of its machines. Fails if something is.
    pub async fn stop(mut self) -> Result<(), SiteError> {
        for task in std::mem::take(&mut self.tasks) {
            task.abort();
            // It was aborted, and says so.
            let _aborted = task.await;
        }
        let mut tasks = self.shared.with(|state, _| state.machines.take_tasks());
        tasks.shutdown().await;
        let stopped = match &self.site {
            Some(site) => site.stop().await,
            None => Ok(()),
        };
        if let Some(moto) = self.moto.take() {
            moto.stop().await;
        }
        stopped
    }
}

/// Starts moto's server beside a site's machines. Nothing of the site is left if it does not start.
async fn behind(site: &Site, region: &str) -> Result<(Moto, Arc<Upstream>), StartError> {
    let started = async {
        let moto = Moto::start(site).await?;
        let upstream = Upstream::new(moto.url(), region);
        let upstream = upstream.map_err(|error| StartError::Upstream(moto.url().to_owned(), error))?;
        Ok((moto, Arc::new(upstream)))
    }
    .await;
    if started.is_err() {
        // What went wrong first is what is told.
        let _second = site.stop().await;
    }
    started
}

impl Drop for Region {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn keep_stepping(shared: Arc<Shared>) {
    loop {
        shared.with(|_, _| ());
        tokio::time::sleep(shared.clock.wait(STEP)).await;
    }
}

/// A group in the making. Unless told otherwise: 2 to 5 instances, 2 wanted; version 1 of the launch template
/// `lt-0123456789abcdef0`, named as the group; one target group; health check type ELB with 60 s of grace; default instance
/// warm-up 60 s; instance maintenance policy 100 % to 150 %; the region's zones a and b. Its instances have been in service
/// for a day.
#[derive(Debug)]
#[must_use = "nothing is made before create()"]
pub struct GroupBuilder<'a> {
    region: &'a Region,
    draft: Draft,
}

impl GroupBuilder<'_> {
    /// Minimum and maximum size.
    pub fn size(mut self, min: u32, max: u32) -> Self {
        (self.draft.min, self.draft.max) = (min, max);
        self
    }

    /// How many instances it has.
    pub fn desired(mut self, desired: u32) -> Self {
        self.draft.desired = desired;
        self
    }

    /// The id of the launch template and its version: a number, `$Latest` or `$Default`.
    pub fn template(mut self, id: &str, version: &str) -> Self {
        (self.draft.template_id, self.draft.version) = (id.to_owned(), version.to_owned());
        self
    }

    /// Its launch template stands in a mixed instances policy with these instance types.
    pub fn mixed(mut self, instance_types: &[&str]) -> Self {
        self.draft.instance_types = instance_types.iter().map(|&kind| kind.to_owned()).collect();
        self
    }

    /// The one target group it is registered with.
    pub fn target_group(mut self, arn: &str) -> Self {
        self.draft.target_groups = vec![arn.to_owned()];
        self
    }

    /// A tag of the group.
    pub fn tag(mut self, key: &str, value: &str) -> Self {
        self.draft.tags.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Seconds of grace before a health check counts, and seconds of warm-up.
    pub fn grace_and_warmup(mut self, grace: u32, warmup: u32) -> Self {
        (self.draft.grace, self.draft.warmup) = (grace, warmup);
        self
    }

    /// The instance maintenance policy's minimum and maximum healthy percentage; none at all for `None`.
    pub fn maintenance(mut self, percent: Option<(u32, u32)>) -> Self {
        self.draft.maintenance = percent;
        self
    }

    /// Makes it. Fails as CreateAutoScalingGroup does.
    pub fn create(self) -> Result<(), Failure> {
        self.region.shared.with(|state, now| state.create(&self.draft, now))
    }
}
