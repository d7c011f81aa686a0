//! A group: what was asked of it, and what it has.

mod describe;
mod machines;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::activity::{self, Activities};
use super::configuration::Configuration;
use super::instance::Instance;
use super::refresh::{Refresh, Status};
use super::tracking::Tracking;
use super::{Place, Rules, World};
use crate::instances::Ticket;
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
    pub(crate) created: SystemTime,
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
}
