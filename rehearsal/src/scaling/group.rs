//! A group: what was asked of it, and what it has.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::activity::{self, Activities};
use super::configuration::Configuration;
use super::instance::{Instance, Lifecycle};
use super::refresh::{Refresh, Status};
use super::tracking::Tracking;
use super::{Place, Rules, World};
use crate::instances::{Launch, State, Target, Ticket};
use crate::protocol::query::Call;
use crate::protocol::{Failure, Tree};

/// Settings that are kept as they were sent, read where they matter, and given back.
const KEPT: [&str; 18] = [
    "AvailabilityZoneDistribution",
    "AvailabilityZoneImpairmentPolicy",
    "CapacityRebalance",
    "CapacityReservationSpecification",
    "Context",
    "DefaultCooldown",
    "DefaultInstanceWarmup",
    "DeletionProtection",
    "DesiredCapacityType",
    "HealthCheckGracePeriod",
    "HealthCheckType",
    "InstanceMaintenancePolicy",
    "MaxInstanceLifetime",
    "NewInstancesProtectedFromScaleIn",
    "PlacementGroup",
    "ServiceLinkedRoleARN",
    "TerminationPolicies",
    "VPCZoneIdentifier",
];

/// A zone that the group launches in, and its subnet there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Zone {
    pub(crate) name: String,
    pub(crate) subnet: Option<String>,
}

/// An Auto Scaling group.
#[derive(Debug)]
pub struct Group {
    pub(crate) name: String,
    pub(crate) arn: String,
    created: SystemTime,
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) desired: u32,
    pub(crate) configuration: Configuration,
    pub(crate) zones: Vec<Zone>,
    pub(crate) target_groups: Vec<String>,
    settings: Tree,
    /// Value and whether instances inherit it.
    pub(crate) tags: BTreeMap<String, (String, bool)>,
    pub(crate) metrics: BTreeSet<String>,
    pub(crate) suspended: BTreeSet<String>,
    pub(crate) policies: BTreeMap<String, Tree>,
    pub(crate) schedules: BTreeMap<String, Tree>,
    pub(crate) warm_pool: Option<Tree>,
    pub(crate) instances: Vec<Instance>,
    pub(crate) activities: Activities,
    /// The newest last.
    pub(crate) refreshes: Vec<Refresh>,
    /// What last changed the desired capacity, until it is reached.
    pub(crate) reason: Option<String>,
    /// EC2 refused; not before then is it asked again, and how often it has.
    pub(crate) refusals: (Option<SystemTime>, u32),
    pub(crate) tracking: Tracking,
    /// Up to when scheduled actions were looked for.
    pub(crate) scheduled: Option<SystemTime>,
    pub(crate) deleting: bool,
}

impl Group {
    /// Reads the parameters of CreateAutoScalingGroup.
    pub(crate) fn create(parameters: &Tree, place: &Place, now: SystemTime) -> Result<Self, Failure> {
        let name = parameters.required("AutoScalingGroupName")?;
        for unknown in ["LaunchConfigurationName", "InstanceId", "LoadBalancerNames", "LifecycleHookSpecificationList"]
        {
            if parameters.get(unknown).is_some_and(|given| !given.is_empty()) {
                return Err(Failure::validation(format!("{unknown} is not modelled by the pretend region")));
            }
        }
        let configuration = Configuration::read(parameters)?.ok_or_else(|| {
            Failure::validation("Valid requests must contain either LaunchTemplate or MixedInstancesPolicy parameter.")
        })?;
        let number = |name: &str| {
            parameters.number::<u32>(name)?.ok_or_else(|| Failure::validation(format!("{name} must not be null")))
        };
        let (account, region) = (&place.account, &place.region);
        let mut group = Self {
            arn: format!(
                "arn:aws:autoscaling:{region}:{account}:autoScalingGroup:{}:autoScalingGroupName/{name}",
                uuid::Uuid::new_v4()
            ),
            name: name.to_owned(),
            created: now,
            min: number("MinSize")?,
            max: number("MaxSize")?,
            desired: 0,
            configuration,
            zones: Vec::new(),
            target_groups: parameters.texts("TargetGroupARNs"),
            settings: Tree::new(),
            tags: BTreeMap::new(),
            metrics: BTreeSet::new(),
            suspended: BTreeSet::new(),
            policies: BTreeMap::new(),
            schedules: BTreeMap::new(),
            warm_pool: None,
            instances: Vec::new(),
            activities: Activities::default(),
            refreshes: Vec::new(),
            reason: None,
            refusals: (None, 0),
            tracking: Tracking::default(),
            scheduled: None,
            deleting: false,
        };
        for source in parameters.members("TrafficSources") {
            group.target_groups.push(source.required("Identifier")?.to_owned());
        }
        for tag in parameters.members("Tags") {
            group.tag(tag)?;
        }
        group.keep(parameters, place)?;
        let desired = parameters.number("DesiredCapacity")?.unwrap_or(group.min);
        group.resize(group.min, group.max, desired, now)?;
        Ok(group)
    }

    /// Reads the parameters of UpdateAutoScalingGroup. Nothing is changed if one of them is refused.
    pub(crate) fn update(&mut self, parameters: &Tree, place: &Place, now: SystemTime) -> Result<(), Failure> {
        let configuration = Configuration::read(parameters)?;
        let min = parameters.number("MinSize")?.unwrap_or(self.min);
        let max = parameters.number("MaxSize")?.unwrap_or(self.max);
        // A desired capacity outside of the new bounds is moved into them, unless it was asked for.
        let desired = parameters.number("DesiredCapacity")?;
        self.resize(min, max, desired.unwrap_or_else(|| self.desired.clamp(min.min(max), max)), now)?;
        self.keep(parameters, place)?;
        if let Some(configuration) = configuration {
            self.configuration = configuration;
        }
        Ok(())
    }

    fn keep(&mut self, parameters: &Tree, place: &Place) -> Result<(), Failure> {
        for name in ["HealthCheckGracePeriod", "DefaultInstanceWarmup", "DefaultCooldown"] {
            parameters.number::<i64>(name)?;
        }
        for name in KEPT {
            let Some(value) = parameters.get(name) else { continue };
            self.settings = std::mem::take(&mut self.settings).replace(name, value.clone());
            // -1 is how these are taken back.
            if value.as_text() == "-1" || value.text("MinHealthyPercentage") == Some("-1") {
                self.settings = self.settings.without(name);
            }
        }
        let zones: Vec<Zone> = if parameters.get("Subnets").is_some() {
            let zone = |subnet: &Tree| {
                let name = subnet.required("AvailabilityZone")?.to_owned();
                Ok(Zone { name, subnet: Some(subnet.required("SubnetId")?.to_owned()) })
            };
            parameters.members("Subnets").map(zone).collect::<Result<_, Failure>>()?
        } else {
            let subnets: Vec<_> =
                parameters.text("VPCZoneIdentifier").map(|text| text.split(',').collect()).unwrap_or_default();
            let named = parameters.texts("AvailabilityZones");
            let letters = ('a'..='f').map(|letter| format!("{}{letter}", place.region));
            match (named.is_empty(), subnets.is_empty()) {
                (false, _) => named.into_iter().map(|name| Zone { name, subnet: None }).collect(),
                // Nobody says where these subnets are; one in each zone is likely.
                (true, false) => {
                    let subnet = |(name, subnet): (String, &&str)| Zone { name, subnet: Some((*subnet).to_owned()) };
                    letters.zip(subnets.iter()).map(subnet).collect()
                }
                (true, true) => Vec::new(),
            }
        };
        if !zones.is_empty() {
            self.zones = zones;
        }
        if self.zones.is_empty() {
            return Err(Failure::validation("At least one Availability Zone or VPC Subnet is required."));
        }
        Ok(())
    }

    /// Sets a tag as a call has it.
    pub(crate) fn tag(&mut self, tag: &Tree) -> Result<(), Failure> {
        let inherited = tag.flag("PropagateAtLaunch")?.unwrap_or(false);
        let value = tag.text("Value").unwrap_or_default().to_owned();
        self.tags.insert(tag.required("Key")?.to_owned(), (value, inherited));
        Ok(())
    }

    /// Sets its size, if it makes sense.
    pub(crate) fn resize(&mut self, min: u32, max: u32, desired: u32, now: SystemTime) -> Result<(), Failure> {
        if min > max {
            return Err(Failure::validation("Max bound must be greater than or equal to min bound"));
        }
        self.set_desired(min, max, desired)?;
        if desired != self.desired {
            let from = self.desired;
            self.reason = Some(format!(
                "At {} a user request update of AutoScalingGroup constraints to min: {min}, max: {max}, desired: {desired} \
                 changing the desired capacity from {from} to {desired}.",
                activity::moment(now)
            ));
        }
        (self.min, self.max, self.desired) = (min, max, desired);
        Ok(())
    }

    fn set_desired(&self, min: u32, max: u32, desired: u32) -> Result<(), Failure> {
        if desired < min {
            return Err(Failure::validation(format!(
                "Desired capacity:{desired} must be between the specified min size:{min} and max size:{max}"
            )));
        }
        if desired > max {
            return Err(Failure::validation(format!(
                "New SetDesiredCapacity value {desired} is above max value {max} for the AutoScalingGroup."
            )));
        }
        Ok(())
    }

    pub(crate) fn seconds(&self, name: &str) -> Option<Duration> {
        self.settings.number::<u64>(name).ok().flatten().map(Duration::from_secs)
    }

    /// How long after it is in service a health check counts.
    pub(crate) fn grace(&self) -> Duration {
        self.seconds("HealthCheckGracePeriod").unwrap_or_default()
    }

    /// The warm-up of a new instance unless a refresh says otherwise.
    pub(crate) fn warmup(&self) -> Duration {
        self.seconds("DefaultInstanceWarmup").unwrap_or_else(|| self.grace())
    }

    /// Whether the load balancer's health checks count.
    pub(crate) fn checks_elb(&self) -> bool {
        self.settings.text("HealthCheckType").is_some_and(|kinds| kinds.contains("ELB"))
    }

    /// Minimum and maximum healthy percentage of the instance maintenance policy.
    pub(crate) fn maintenance(&self) -> Option<(u32, u32)> {
        let policy = self.settings.get("InstanceMaintenancePolicy")?;
        let percent = |name| policy.number::<u32>(name).ok().flatten();
        percent("MinHealthyPercentage").zip(percent("MaxHealthyPercentage"))
    }

    pub(crate) fn is_suspended(&self, process: &str) -> bool {
        self.suspended.contains(process)
    }

    /// Deleted, and nothing is left of it.
    pub(crate) fn is_gone(&self) -> bool {
        self.deleting && self.instances.is_empty()
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The target groups its instances are registered with.
    pub fn target_groups(&self) -> &[String] {
        &self.target_groups
    }

    /// Its instances, the oldest first, those that terminate included.
    pub fn instances(&self) -> &[Instance] {
        &self.instances
    }

    /// How many instances it is to have.
    pub fn desired(&self) -> u32 {
        self.desired
    }

    /// The newest instance refresh: where it is, and what it says about that.
    pub fn refresh(&self) -> Option<(Status, Option<&str>)> {
        self.refreshes.last().map(|refresh| (refresh.status, refresh.reason()))
    }

    /// The alarms that a refresh watches now.
    pub fn watched_alarms(&self) -> &[String] {
        self.refreshes.last().filter(|refresh| refresh.is_active()).map_or(&[], |refresh| &refresh.preferences.alarms)
    }

    pub(crate) fn step(&mut self, world: &mut World<'_>, rules: Rules, next: &mut Ticket) {
        self.observe(world);
        self.check_health(world.now);
        self.run_schedules(world.now);
        self.track(world.now);
        self.step_refresh(world, rules, *next);
        self.replace_and_scale(world, rules, next);
    }

    /// Takes over what machines and targets are now.
    fn observe(&mut self, world: &mut World<'_>) {
        let now = world.now;
        let mut gone = Vec::new();
        for instance in &mut self.instances {
            let named = instance.id.is_some();
            instance.target = world.instances.target(instance.ticket, now);
            let Some(state) = world.instances.state(instance.ticket, now) else {
                gone.push(instance.ticket);
                self.activities.end(instance.activity, None, now);
                continue;
            };
            let before = instance.lifecycle;
            instance.observe(&state, now);
            if let (false, Some(id)) = (named, &instance.id)
                && before == Lifecycle::Pending
            {
                self.activities.describe(instance.activity, format!("Launching a new EC2 instance: {id}"));
                self.activities.at(instance.activity, "PreInService", 30);
                self.refusals = (None, 0);
            }
            match (before, &state) {
                (Lifecycle::Pending, State::Refused(why)) => {
                    self.activities.end(instance.activity, Some(format!("{why} Launching EC2 instance failed.")), now);
                    // How long AWS waits is not documented; that it waits longer each time is.
                    let waits = 15 * (1 << self.refusals.1.min(5));
                    self.refusals = (Some(now + Duration::from_secs(waits)), self.refusals.1 + 1);
                    gone.push(instance.ticket);
                }
                (Lifecycle::Pending, State::Running(_)) => self.activities.end(instance.activity, None, now),
                (Lifecycle::Terminating, State::Draining(_)) => {
                    self.activities.at(instance.activity, "WaitingForELBConnectionDraining", 50);
                }
                (Lifecycle::Terminating, State::ShuttingDown(_)) => {
                    self.activities.at(instance.activity, "InProgress", 60);
                }
                (Lifecycle::Terminating, State::Terminated(_) | State::Refused(_)) => {
                    self.activities.end(instance.activity, None, now);
                    gone.push(instance.ticket);
                }
                _ => {}
            }
        }
        self.instances.retain(|instance| !gone.contains(&instance.ticket));
    }

    /// Adds an instance, of which nothing is known yet, to what the group has.
    pub(crate) fn launch(&mut self, world: &mut World<'_>, next: &mut Ticket, cause: &str, running: bool) {
        let now = world.now;
        let configuration = self.launches().clone();
        let zone = self.emptiest_zone().clone();
        let cause = match &self.reason {
            Some(reason) => format!("{reason}  At {} {cause}", activity::moment(now)),
            None => format!("At {} {cause}", activity::moment(now)),
        };
        let details = match &zone.subnet {
            Some(subnet) => format!("{{\"Subnet ID\":\"{subnet}\",\"Availability Zone\":\"{}\"}}", zone.name),
            None => format!("{{\"Availability Zone\":\"{}\"}}", zone.name),
        };
        let activity = self.activities.begin("Launching a new EC2 instance".to_owned(), cause, details, now);
        self.activities.at(activity, "WaitingForInstanceId", 0);
        let types = configuration.instance_types();
        let ticket = *next;
        *next += 1;
        let launch = Launch {
            ticket,
            group: self.name.clone(),
            template: configuration.template.id.clone().or(configuration.template.name.clone()).unwrap_or_default(),
            version: configuration.template.version.clone(),
            instance_type: types.first().cloned(),
            zone: zone.name.clone(),
            subnet: zone.subnet,
            target_groups: self.target_groups.clone(),
            tags: self
                .tags
                .iter()
                .filter(|(_, (_, inherited))| *inherited)
                .map(|(key, (value, _))| (key.clone(), value.clone()))
                .chain([("aws:autoscaling:groupName".to_owned(), self.name.clone())])
                .collect(),
            running,
        };
        world.instances.launch(&launch, now);
        self.instances.push(Instance {
            ticket,
            id: None,
            instance_type: types.first().cloned().unwrap_or_default(),
            image: None,
            zone: zone.name,
            template: configuration.template,
            lifecycle: Lifecycle::Pending,
            in_service: None,
            protected: self.settings.text("NewInstancesProtectedFromScaleIn") == Some("true"),
            target: Target::Unused,
            illness: None,
            activity,
        });
    }

    /// Begins to terminate an instance; returns the number of the activity.
    pub(crate) fn terminate(&mut self, world: &mut World<'_>, ticket: Ticket, cause: String) -> u64 {
        let now = world.now;
        let Some(instance) = self.instances.iter_mut().find(|instance| instance.ticket == ticket) else { return 0 };
        if instance.lifecycle == Lifecycle::Terminating {
            return instance.activity;
        }
        let id = instance.id.clone().unwrap_or_default();
        let details = format!("{{\"Availability Zone\":\"{}\"}}", instance.zone);
        instance.lifecycle = Lifecycle::Terminating;
        instance.activity = self.activities.begin(format!("Terminating EC2 instance: {id}"), cause, details, now);
        world.instances.terminate(ticket, now);
        instance.target = world.instances.target(ticket, now);
        instance.activity
    }

    /// What is launched now: what a refresh brings, while one does.
    pub(crate) fn launches(&self) -> &Configuration {
        let brought = self.refreshes.last().and_then(Refresh::brings);
        brought.unwrap_or(&self.configuration)
    }

    /// Of the zones, the one with the fewest instances that stay; of those, the one with the fewest; the first of these.
    fn emptiest_zone(&self) -> &Zone {
        let held = |zone: &&Zone| {
            let here = self.instances.iter().filter(|it| it.counts() && it.zone == zone.name);
            let leaving = |it: &&Instance| {
                !it.is_healthy() || self.refreshes.last().is_some_and(|refresh| refresh.old.contains(&it.ticket))
            };
            (here.clone().filter(|it| !leaving(it)).count(), here.count())
        };
        // There is always one: a group without zones is refused.
        self.zones.iter().min_by_key(held).unwrap_or(&self.zones[0])
    }

    /// The instances that a test's group has from the beginning.
    pub(crate) fn found_running(&mut self, world: &mut World<'_>, next: &mut Ticket) {
        self.reason = None;
        for _ in 0..self.desired {
            self.launch(
                world,
                next,
                "an instance was started in response to a difference between desired and actual capacity.",
                true,
            );
        }
        self.observe(world);
        for instance in &mut self.instances {
            instance.in_service = Some(world.now - Duration::from_secs(24 * 3600));
        }
    }

    /// As DescribeAutoScalingGroups has it.
    pub(crate) fn tree(&self) -> Tree {
        let (name, configuration) = self.configuration.tree();
        let tags = self.tags.keys().map(|key| self.tag_tree(key));
        let suspended = self
            .suspended
            .iter()
            .map(|process| Tree::new().set("ProcessName", process).set("SuspensionReason", "User suspended"));
        let metrics = self.metrics.iter().map(|metric| Tree::new().set("Metric", metric).set("Granularity", "1Minute"));
        let sources = self.target_groups.iter().map(|arn| Tree::new().set("Identifier", arn).set("Type", "elbv2"));
        let defaults = [
            ("DefaultCooldown", "300"),
            ("HealthCheckGracePeriod", "0"),
            ("HealthCheckType", "EC2"),
            ("NewInstancesProtectedFromScaleIn", "false"),
        ];
        let mut tree = Tree::new()
            .set("AutoScalingGroupName", &self.name)
            .set("AutoScalingGroupARN", &self.arn)
            .set("CreatedTime", activity::time(self.created))
            .set("MinSize", self.min)
            .set("MaxSize", self.max)
            .set("DesiredCapacity", self.desired)
            .with(name, configuration)
            .with("AvailabilityZones", Tree::list(self.zone_names().into_iter().map(Tree::leaf)))
            .with("LoadBalancerNames", Tree::new())
            .with("TargetGroupARNs", Tree::list(self.target_groups.iter().map(Tree::leaf)))
            .with("TrafficSources", Tree::list(sources))
            .with("Instances", Tree::list(self.instances.iter().filter(|it| it.id.is_some()).map(|it| it.tree(None))))
            .with("SuspendedProcesses", Tree::list(suspended))
            .with("EnabledMetrics", Tree::list(metrics))
            .with("Tags", Tree::list(tags))
            .maybe("Status", self.deleting.then_some("Delete in progress"))
            .maybe_with("WarmPoolConfiguration", self.warm_pool.as_ref())
            .maybe("WarmPoolSize", self.warm_pool.as_ref().map(|_| 0));
        for (name, value) in self.settings.children() {
            tree.push(name, value.clone());
        }
        for (name, value) in defaults {
            if self.settings.get(name).is_none() {
                tree = tree.set(name, value);
            }
        }
        if self.settings.get("TerminationPolicies").is_none_or(Tree::is_empty) {
            tree = tree.replace("TerminationPolicies", Tree::list([Tree::leaf("Default")]));
        }
        if self.settings.get("ServiceLinkedRoleARN").is_none() {
            let account = self.arn.split(':').nth(4).unwrap_or_default();
            let role = "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling";
            tree = tree.set("ServiceLinkedRoleARN", format!("arn:aws:iam::{account}:{role}"));
        }
        tree
    }

    fn zone_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.zones.iter().map(|zone| zone.name.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// One of its tags, as the API has it.
    pub(crate) fn tag_tree(&self, key: &str) -> Tree {
        let (value, inherited) = self.tags.get(key).cloned().unwrap_or_default();
        Tree::new()
            .set("ResourceId", &self.name)
            .set("ResourceType", "auto-scaling-group")
            .set("Key", key)
            .set("Value", value)
            .set("PropagateAtLaunch", inherited)
    }
}

/// A group in the making.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(crate) name: String,
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) desired: u32,
    pub(crate) template_id: String,
    pub(crate) version: String,
    pub(crate) instance_types: Vec<String>,
    pub(crate) target_groups: Vec<String>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) grace: u32,
    pub(crate) warmup: u32,
    pub(crate) maintenance: Option<(u32, u32)>,
}

impl Draft {
    /// The launch template that it has unless told otherwise.
    pub(crate) const TEMPLATE: &str = "lt-0123456789abcdef0";

    pub(crate) fn new(name: &str, place: &Place) -> Self {
        let Place { region, account } = place;
        Self {
            name: name.to_owned(),
            min: 2,
            max: 5,
            desired: 2,
            template_id: Self::TEMPLATE.to_owned(),
            version: "1".to_owned(),
            instance_types: Vec::new(),
            target_groups: vec![format!(
                "arn:aws:elasticloadbalancing:{region}:{account}:targetgroup/{name}/0123456789abcdef"
            )],
            tags: Vec::new(),
            grace: 60,
            warmup: 60,
            maintenance: Some((100, 150)),
        }
    }

    /// The call that makes it.
    pub(crate) fn call(&self) -> Call {
        let template = Tree::new()
            .set("LaunchTemplateId", &self.template_id)
            .set("LaunchTemplateName", &self.name)
            .set("Version", &self.version);
        let (kind, configuration) = if self.instance_types.is_empty() {
            ("LaunchTemplate", template)
        } else {
            let overrides = self.instance_types.iter().map(|kind| Tree::new().set("InstanceType", kind));
            let inner =
                Tree::new().with("LaunchTemplateSpecification", template).with("Overrides", Tree::list(overrides));
            ("MixedInstancesPolicy", Tree::new().with("LaunchTemplate", inner))
        };
        let tags = self.tags.iter().map(|(key, value)| Tree::new().set("Key", key).set("Value", value));
        let maintenance = self
            .maintenance
            .map(|(min, max)| Tree::new().set("MinHealthyPercentage", min).set("MaxHealthyPercentage", max));
        let parameters = Tree::new()
            .set("AutoScalingGroupName", &self.name)
            .set("MinSize", self.min)
            .set("MaxSize", self.max)
            .set("DesiredCapacity", self.desired)
            .with(kind, configuration)
            .with("TargetGroupARNs", Tree::list(self.target_groups.iter().map(Tree::leaf)))
            .set("VPCZoneIdentifier", "subnet-0a,subnet-0b")
            .set("HealthCheckType", if self.target_groups.is_empty() { "EC2" } else { "ELB" })
            .set("HealthCheckGracePeriod", self.grace)
            .set("DefaultInstanceWarmup", self.warmup)
            .maybe_with("InstanceMaintenancePolicy", maintenance.as_ref())
            .with("Tags", Tree::list(tags));
        Call { action: "CreateAutoScalingGroup".to_owned(), parameters }
    }
}
