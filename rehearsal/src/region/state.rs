//! What the parts of a region share.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;

use super::Settings;
use super::watch::{Of, Watch};
use crate::alarms::{self, Alarms};
use crate::clock::Clock;
use crate::dynamodb::DynamoDb;
use crate::gateway::client::{CLOUDWATCH, Upstream};
use crate::gateway::faults::Faults;
use crate::instances::booted::Booted;
use crate::instances::modelled::Modelled;
use crate::instances::upstream::Launched;
use crate::instances::{self, Instances, Target, Ticket};
use crate::protocol::query::Call;
use crate::protocol::{Failure, Tree};
use crate::scaling::{Draft, Metric, Place, Scaling, World, minute, since};
use crate::site::Site;

/// The region, as its tasks share it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) clock: Clock,
    pub(crate) faults: Faults,
    pub(crate) upstream: Option<Arc<Upstream>>,
    /// Where items are, if they are not the upstream's.
    pub(crate) dynamodb: Option<DynamoDb>,
    /// Nobody reaches DynamoDB.
    pub(crate) dynamodb_down: AtomicBool,
    state: Mutex<State>,
    pub(crate) place: Place,
    /// The host name of the load balancer, where there is a real one.
    pub(crate) balancer: Option<String>,
}

/// The longest step, in the region's time: what comes first must be seen first, however late the machine's timer is.
const STEP: Duration = Duration::from_secs(1);
/// So many steps are made up for at most; then they are longer.
const MADE_UP: u32 = 3_600;

/// Where nobody checks a machine's health, or not yet, it is taken to be up after so long.
const UNCHECKED: Duration = Duration::from_secs(30);

/// What changes.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) scaling: Scaling,
    pub(crate) machines: Machines,
    pub(crate) alarms: Alarms,
    /// How fast time is while nothing but waiting happens.
    pub(super) speed: f64,
    watches: Vec<Watch>,
    /// The time of the last step.
    stepped: SystemTime,
    /// The minute that the CPU was last read in.
    read: u64,
}

/// What really exists.
#[derive(Debug)]
pub(crate) enum Machines {
    Modelled(Modelled),
    Launched(Launched),
    Booted(Booted),
}

impl Machines {
    /// The model of their times and health, which those of the upstream have as well, and those that boot have not.
    pub(crate) fn modelled_mut(&mut self) -> Option<&mut Modelled> {
        match self {
            Self::Modelled(modelled) => Some(modelled),
            Self::Launched(launched) => Some(launched.modelled_mut()),
            Self::Booted(_) => None,
        }
    }

    /// The tasks of machines that boot, for the region to end.
    pub(crate) fn take_tasks(&mut self) -> JoinSet<()> {
        match self {
            Self::Booted(booted) => booted.take_tasks(),
            Self::Modelled(_) | Self::Launched(_) => JoinSet::new(),
        }
    }

    fn kill(&mut self, ticket: Ticket, now: SystemTime) {
        match self {
            Self::Booted(booted) => booted.kill(ticket),
            Self::Modelled(modelled) => modelled.kill(ticket, now),
            Self::Launched(launched) => launched.modelled_mut().kill(ticket, now),
        }
    }

    fn instances(&mut self) -> &mut dyn Instances {
        match self {
            Self::Modelled(modelled) => modelled,
            Self::Launched(launched) => launched,
            Self::Booted(booted) => booted,
        }
    }
}

impl Shared {
    pub(crate) fn new(settings: Settings, upstream: Option<Arc<Upstream>>, booted: Option<(Site, DynamoDb)>) -> Self {
        let (site, dynamodb) = booted.unzip();
        let place = Place { region: settings.name, account: settings.account };
        let machines = match (&upstream, site) {
            (Some(upstream), Some(site)) => Machines::Booted(Booted::new(site, Arc::clone(upstream), place.clone())),
            (Some(upstream), None) => Machines::Launched(Launched::new(Arc::clone(upstream), settings.times)),
            (None, _) => Machines::Modelled(Modelled::new(settings.times)),
        };
        let clock = Clock::new(settings.speed);
        let state = State {
            stepped: clock.now(),
            read: minute(clock.now()),
            scaling: Scaling::new(place.clone(), settings.refresh_limit),
            machines,
            alarms: Alarms::default(),
            speed: settings.speed,
            watches: vec![
                Watch::new(&settings.errors_alarm, Of::Errors),
                Watch::new(&settings.unhealthy_alarm, Of::Unhealthy),
            ],
        };
        Self {
            clock,
            faults: Faults::default(),
            upstream,
            dynamodb,
            dynamodb_down: AtomicBool::new(false),
            state: Mutex::new(state),
            place,
            balancer: settings.site.map(|site| site.balancer_host()),
        }
    }

    /// Brings the state to the time that it is, and does something with it.
    pub(crate) fn with<T>(&self, something: impl FnOnce(&mut State, SystemTime) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.clock.now();
        let step = STEP.max(since(state.stepped, now) / MADE_UP);
        while since(state.stepped, now) > step {
            let next = state.stepped + step;
            state.step(next);
        }
        state.step(now);
        let done = something(&mut state, now);
        self.clock.set_speed(state.pace(now));
        done
    }

    pub(crate) fn draft(&self, name: &str) -> Draft {
        Draft::new(name, &self.place)
    }
}

impl State {
    /// How fast time may be now. Waiting can be cut short, but not the work of a machine that boots: while one comes up, its grace
    /// period and warm-up are as long as they are.
    fn pace(&self, now: SystemTime) -> f64 {
        match &self.machines {
            Machines::Booted(booted) if comes_up(&self.scaling, booted, now) => self.speed.min(1.0),
            _ => self.speed,
        }
    }

    fn world(&mut self, now: SystemTime) -> (&mut Scaling, World<'_>) {
        (&mut self.scaling, World { now, instances: self.machines.instances(), alarms: &self.alarms })
    }

    fn step(&mut self, now: SystemTime) {
        self.stepped = now;
        let (scaling, mut world) = self.world(now);
        scaling.step(&mut world);
        self.watch(now);
        self.read_cpu(now);
    }

    /// At the end of each minute, the CPU of the machines is a datapoint of their group.
    fn read_cpu(&mut self, now: SystemTime) {
        let over = std::mem::replace(&mut self.read, minute(now));
        if over == self.read {
            return;
        }
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(over * 60);
        let mut published = Vec::new();
        for group in self.scaling.groups() {
            let counts: BTreeSet<Ticket> = group.measured(now).map(|it| it.ticket).collect();
            // All are read, so that those that begin to count do so with this minute alone.
            let read = group.instances().iter().map(|it| (it.ticket, self.machines.instances().cpu(it.ticket)));
            let read: Vec<f64> = read.filter_map(|(ticket, cpu)| cpu.filter(|_| counts.contains(&ticket))).collect();
            if !read.is_empty() {
                published.push((group.name().to_owned(), read.iter().sum::<f64>() / read.len() as f64));
            }
        }
        for (group, cpu) in published {
            // It was there a moment ago.
            let _there = self.scaling.publish(&group, Metric::AverageCpu, cpu, at);
        }
    }

    /// Does what a call asks, and what follows from it at once.
    pub(crate) fn call(&mut self, call: &Call, now: SystemTime) -> Result<Tree, Failure> {
        let (scaling, mut world) = self.world(now);
        let answer = scaling.call(call, &mut world)?;
        scaling.step(&mut world);
        Ok(answer)
    }

    pub(crate) fn create(&mut self, draft: &Draft, now: SystemTime) -> Result<(), Failure> {
        let (scaling, mut world) = self.world(now);
        scaling.create(draft, &mut world)
    }

    /// Lets the alarms follow what becomes of the instances.
    fn watch(&mut self, now: SystemTime) {
        let tickets: Vec<_> = self.tickets().collect();
        let (mut fails, mut unhealthy) = (false, false);
        // Of modelled machines it is said how long it takes them to fail a rollout.
        let real = matches!(self.machines, Machines::Booted(_));
        for ticket in tickets {
            let instances = self.machines.instances();
            fails |= instances.errs(ticket, now);
            unhealthy |= real && matches!(instances.target(ticket, now), Target::Unhealthy { .. });
        }
        for watch in &mut self.watches {
            let so = if watch.of == Of::Errors { fails } else { unhealthy };
            if let Some(state) = watch.see(so, now) {
                self.alarms.set(&watch.alarm, state, now);
            }
        }
    }

    fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.scaling.groups().flat_map(|group| group.instances().iter().map(|it| it.ticket))
    }

    pub(crate) fn kill(&mut self, id: &str, now: SystemTime) -> bool {
        let all = self.scaling.groups().flat_map(|group| group.instances());
        let ticket = all.filter(|it| it.id.as_deref() == Some(id)).map(|it| it.ticket).next();
        if let Some(ticket) = ticket {
            self.machines.kill(ticket, now);
        }
        ticket.is_some()
    }

    pub(crate) fn knows_target_group(&self, arn: &str) -> bool {
        self.scaling.groups().any(|group| group.target_groups().iter().any(|each| each == arn))
    }
}

/// Whether a machine of any group is on its way to its first requests: not running yet, or not through its first health checks.
fn comes_up(scaling: &Scaling, machines: &dyn Instances, now: SystemTime) -> bool {
    let mut all = scaling.groups().flat_map(|group| group.instances());
    all.any(|it| match machines.state(it.ticket, now) {
        Some(instances::State::Requested | instances::State::Pending(_)) => true,
        Some(instances::State::Running(_)) => match machines.target(it.ticket, now) {
            Target::Initial => true,
            Target::Unused => it.in_service.is_none_or(|at| since(at, now) < UNCHECKED),
            _ => false,
        },
        _ => false,
    })
}

/// Tells the upstream when an alarm that is watched here changes, and asks it for the states of the alarms that refreshes watch,
/// for as long as it runs.
pub(super) async fn keep_alarms(shared: Arc<Shared>, upstream: Arc<Upstream>) {
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let news: Vec<_> = shared.with(|state, _| state.watches.iter_mut().filter_map(Watch::news).collect());
        for (name, news) in news {
            let parameters = Tree::new()
                .set("AlarmName", name)
                .set("StateValue", news.as_str())
                .set("StateReason", "Instances of the pretend region fail requests or health checks, or no longer do");
            // An alarm that was deleted meanwhile is nobody's loss.
            let _told = upstream.ask(CLOUDWATCH, "SetAlarmState", parameters).await;
        }
        let watched: Vec<_> = shared.with(|state, _| {
            state.scaling.groups().flat_map(|group| group.watched_alarms().iter().map(Tree::leaf)).collect()
        });
        if watched.is_empty() {
            continue;
        }
        let parameters = Tree::new().with("AlarmNames", Tree::list(watched));
        // An upstream that does not answer now is asked again.
        let Ok(answer) = upstream.ask(CLOUDWATCH, "DescribeAlarms", parameters).await else { continue };
        shared.with(|state, now| {
            for alarm in alarms::told(&answer) {
                state.alarms.set(&alarm.name, alarm.state, now);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::instances::Times;
    use crate::instances::modelled::Behaviour;

    #[test]
    fn machines_come_up_until_their_first_health_checks_are_through() {
        let place = Place { region: "eu-west-1".to_owned(), account: "123456789012".to_owned() };
        let (mut scaling, alarms) = (Scaling::new(place.clone(), Duration::from_secs(3600)), Alarms::default());
        let mut machines = Modelled::new(Times::default());
        machines.behave("2", Behaviour::NeverHealthy);
        let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let draft = Draft { min: 1, desired: 1, max: 3, ..Draft::new("fleet", &place) };
        let mut world = World { now: begin, instances: &mut machines, alarms: &alarms };
        scaling.create(&draft, &mut world).unwrap();
        assert!(!comes_up(&scaling, &machines, begin));

        // The first one is as every other; the second never passes a check, which is known after a while as well.
        for (version, seconds, healthy) in [("1", 0, true), ("2", 1000, false)] {
            let template = Tree::new().set("LaunchTemplateId", "lt-0123456789abcdef0").set("Version", version);
            let update = Tree::new().set("AutoScalingGroupName", "fleet").with("LaunchTemplate", template);
            let parameters = update.set("DesiredCapacity", if healthy { 2 } else { 3 });
            let call = Call { action: "UpdateAutoScalingGroup".to_owned(), parameters };
            let at = |second| begin + Duration::from_secs(seconds + second);
            let mut world = World { now: at(1), instances: &mut machines, alarms: &alarms };
            scaling.call(&call, &mut world).unwrap();
            scaling.step(&mut world);
            let (verdict, times) = (if healthy { 25 } else { 30 }, Times::default().boot.as_secs());
            for (second, expected) in [
                (1, true),
                (times - 1, true),
                (times + 3, true),
                (times + verdict - 1, true),
                (times + verdict + 2, false),
            ] {
                scaling.step(&mut World { now: at(second), instances: &mut machines, alarms: &alarms });
                assert_eq!(comes_up(&scaling, &machines, at(second)), expected, "{version} after {second} s");
            }
        }
    }

    #[test]
    fn a_machine_that_nobody_checks_comes_up_for_half_a_minute() {
        let place = Place { region: "eu-west-1".to_owned(), account: "123456789012".to_owned() };
        let (mut scaling, alarms) = (Scaling::new(place.clone(), Duration::from_secs(3600)), Alarms::default());
        let mut machines = Modelled::new(Times::default());
        let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let draft = Draft { target_groups: Vec::new(), ..Draft::new("fleet", &place) };
        let mut world = World { now: begin, instances: &mut machines, alarms: &alarms };
        scaling.call(&draft.call(), &mut world).unwrap();
        for (second, expected) in [(0, true), (15, true), (44, true), (45, false)] {
            let now = begin + Duration::from_secs(second);
            scaling.step(&mut World { now, instances: &mut machines, alarms: &alarms });
            assert_eq!(comes_up(&scaling, &machines, now), expected, "after {second} s");
        }
    }

    #[test]
    fn modelled_machines_let_time_be_as_fast_as_was_asked_for() {
        let shared = Shared::new(Settings { speed: 900.0, ..Settings::default() }, None, None);
        let draft = shared.draft("fleet");
        shared.with(|state, now| state.create(&draft, now)).unwrap();
        let set = Tree::new().set("AutoScalingGroupName", "fleet").set("DesiredCapacity", 4);
        let call = Call { action: "SetDesiredCapacity".to_owned(), parameters: set };
        shared.with(|state, now| state.call(&call, now)).unwrap();
        assert_eq!(shared.clock.speed(), 900.0);
        shared.with(|state, _| state.speed = 60.0);
        assert_eq!(shared.clock.speed(), 60.0);
    }
}
