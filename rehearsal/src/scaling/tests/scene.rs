//! A group called `fleet`, modelled machines, and a clock.

use std::time::{Duration, SystemTime};

use crate::alarms::{AlarmState, Alarms};
use crate::instances::Times;
use crate::instances::modelled::{Behaviour, Modelled};
use crate::protocol::query::Call;
use crate::protocol::{Failure, Tree};
use crate::scaling::{Draft, Group, Lifecycle, Place, Scaling, World};

pub(super) struct Scene {
    scaling: Scaling,
    machines: Modelled,
    alarms: Alarms,
    pub(super) now: SystemTime,
}

/// A group of `desired` instances of version 1 that may have as many as one likes, with the settings of [`Draft::new`].
pub(super) fn fleet(desired: u32) -> Scene {
    fleet_with(desired, |_| {})
}

pub(super) fn fleet_with(desired: u32, change: impl FnOnce(&mut Draft)) -> Scene {
    let place = Place { region: "eu-west-1".to_owned(), account: "123456789012".to_owned() };
    let mut draft = Draft::new("fleet", &place);
    (draft.min, draft.max, draft.desired) = (0, 10_000, desired);
    change(&mut draft);
    let mut scene = Scene {
        scaling: Scaling::new(place, Duration::from_secs(3600)),
        machines: Modelled::new(Times::default()),
        alarms: Alarms::default(),
        now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000),
    };
    let mut world = World { now: scene.now, instances: &mut scene.machines, alarms: &scene.alarms };
    scene.scaling.create(&draft, &mut world).unwrap();
    scene
}

impl Scene {
    pub(super) fn call(&mut self, action: &str, parameters: Tree) -> Result<Tree, Failure> {
        let parameters = parameters.set("AutoScalingGroupName", "fleet");
        let mut world = World { now: self.now, instances: &mut self.machines, alarms: &self.alarms };
        let answer = self.scaling.call(&Call { action: action.to_owned(), parameters }, &mut world)?;
        self.scaling.step(&mut world);
        Ok(answer)
    }

    /// Lets so many seconds pass, one by one.
    pub(super) fn pass(&mut self, seconds: u64) {
        for _ in 0..seconds {
            self.now += Duration::from_secs(1);
            let mut world = World { now: self.now, instances: &mut self.machines, alarms: &self.alarms };
            self.scaling.step(&mut world);
        }
    }

    pub(super) fn behave(&mut self, version: &str, behaviour: Behaviour) {
        self.machines.behave(version, behaviour);
    }

    pub(super) fn alarm(&mut self, name: &str, state: AlarmState) {
        self.alarms.set(name, state, self.now);
    }

    pub(super) fn stall(&mut self, stalled: bool) {
        self.scaling.stall(stalled);
    }

    pub(super) fn group(&self) -> &Group {
        self.scaling.groups().next().unwrap()
    }

    pub(super) fn set_desired(&mut self, desired: u32) {
        self.call("SetDesiredCapacity", Tree::new().set("DesiredCapacity", desired)).unwrap();
    }

    /// The id of the instance of this number, the oldest being 0.
    pub(super) fn id(&self, number: usize) -> String {
        self.group().instances()[number].id.clone().unwrap()
    }

    /// How many instances of a version are launched or serve.
    pub(super) fn count(&self, version: &str) -> usize {
        self.group().instances().iter().filter(|it| it.counts() && it.template.version == version).count()
    }

    pub(super) fn counting(&self) -> usize {
        self.group().instances().iter().filter(|it| it.counts()).count()
    }

    /// How many take requests: in service, and healthy by the load balancer's account.
    pub(super) fn serving(&self) -> usize {
        let serves = |it: &&crate::scaling::Instance| it.lifecycle == Lifecycle::InService && it.passes(true);
        self.group().instances().iter().filter(serves).count()
    }

    pub(super) fn launch_version(&self) -> String {
        let described = self.group().tree();
        described.text("LaunchTemplate.Version").unwrap().to_owned()
    }

    /// StartInstanceRefresh to a version.
    pub(super) fn refresh(&mut self, version: &str, preferences: Tree) -> Result<String, Failure> {
        let template = Tree::new().set("LaunchTemplateId", "lt-0123456789abcdef0").set("Version", version);
        let parameters = Tree::new()
            .with("DesiredConfiguration", Tree::new().with("LaunchTemplate", template))
            .with("Preferences", preferences);
        self.call("StartInstanceRefresh", parameters).map(|it| it.text("InstanceRefreshId").unwrap().to_owned())
    }

    /// The newest refresh, as it is described.
    pub(super) fn described(&mut self) -> Tree {
        let answer = self.call("DescribeInstanceRefreshes", Tree::new()).unwrap();
        answer.members("InstanceRefreshes").next().unwrap().clone()
    }

    pub(super) fn status(&mut self) -> String {
        self.described().text("Status").unwrap().to_owned()
    }

    /// Lets time pass until the newest refresh is in a state; for so many seconds at most. Returns how many it took.
    pub(super) fn until(&mut self, status: &str, seconds: u64) -> u64 {
        for passed in 0..=seconds {
            if self.status() == status {
                return passed;
            }
            self.pass(1);
        }
        let (described, instances) = (self.described(), self.group().instances());
        panic!(
            "not {status} but {:?}, for {:?}: {instances:#?}",
            described.text("Status"),
            described.text("StatusReason")
        );
    }

    pub(super) fn causes(&mut self) -> Vec<String> {
        let answer = self.call("DescribeScalingActivities", Tree::new().set("MaxRecords", 100)).unwrap();
        let mut causes: Vec<_> = answer.members("Activities").map(|it| it.text("Cause").unwrap().to_owned()).collect();
        causes.reverse();
        causes
    }
}
