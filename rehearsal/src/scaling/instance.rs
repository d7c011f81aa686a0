//! An instance of a group: what the group knows and thinks of a machine.

use std::time::{Duration, SystemTime};

use super::configuration::{Configuration, Template};
use super::since;
use crate::instances::{State, Target, Ticket};
use crate::protocol::Tree;

/// Where an instance is in its life with the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lifecycle {
    /// Launched, and not running yet.
    Pending,
    /// Running; it counts.
    InService,
    /// Taken aside by hand; it counts no more, and is neither checked nor replaced.
    Standby,
    /// On its way out.
    Terminating,
}

impl Lifecycle {
    /// The API's name of it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InService => "InService",
            Self::Standby => "Standby",
            Self::Terminating => "Terminating",
        }
    }
}

/// Why an instance is not healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Illness {
    /// Its machine is gone.
    Ec2,
    /// It fails the target group's health checks.
    Elb,
    /// SetInstanceHealth said so.
    Custom,
}

impl Illness {
    /// What it was taken out of service in response to, in AWS's words.
    pub(crate) fn cause(self) -> &'static str {
        match self {
            Self::Ec2 => "an EC2 health check indicating it has been terminated or stopped",
            Self::Elb => "an ELB system health check failure",
            Self::Custom => "a user health-check",
        }
    }
}

/// An instance of a group.
#[derive(Clone, Debug)]
pub struct Instance {
    /// By which the machine is asked about.
    pub ticket: Ticket,
    /// `i-…`, once EC2 has given it.
    pub id: Option<String>,
    /// Once EC2 has said it.
    pub instance_type: String,
    /// The image, where it is known.
    pub image: Option<String>,
    /// The Availability Zone.
    pub zone: String,
    /// What it was launched from.
    pub template: Template,
    /// Where it is in its life.
    pub lifecycle: Lifecycle,
    /// Since when it is in service.
    pub in_service: Option<SystemTime>,
    /// Not to be chosen when the group shrinks.
    pub protected: bool,
    /// What the load balancer says of it.
    pub target: Target,
    pub(crate) illness: Option<Illness>,
    /// The number of the activity that launches or terminates it.
    pub(crate) activity: u64,
}

impl Instance {
    /// Whether it counts toward the desired capacity.
    pub fn counts(&self) -> bool {
        matches!(self.lifecycle, Lifecycle::Pending | Lifecycle::InService)
    }

    /// Whether the group takes it for healthy.
    pub fn is_healthy(&self) -> bool {
        self.illness.is_none()
    }

    /// In service, healthy, by the load balancer's account too where that is asked, and warm.
    pub(crate) fn is_ready(&self, now: SystemTime, checks_elb: bool, warmup: Duration) -> bool {
        let warm = self.in_service.is_some_and(|at| since(at, now) >= warmup);
        self.lifecycle == Lifecycle::InService && self.is_healthy() && warm && self.passes(checks_elb)
    }

    pub(crate) fn passes(&self, checks_elb: bool) -> bool {
        !checks_elb || matches!(self.target, Target::Healthy | Target::Unused)
    }

    /// Whether `configuration` would launch what it is.
    pub(crate) fn matches(&self, configuration: &Configuration) -> bool {
        configuration.would_launch(&self.template, &self.instance_type)
    }

    /// Takes over what the machine is now. Returns whether that is its end.
    pub(crate) fn observe(&mut self, state: &State, now: SystemTime) {
        if let Some(identity) = state.identity() {
            self.id.get_or_insert_with(|| identity.id.clone());
            self.instance_type.clone_from(&identity.instance_type);
            self.image.clone_from(&identity.image);
        }
        match (self.lifecycle, state) {
            (Lifecycle::Pending, State::Running(_)) => {
                self.lifecycle = Lifecycle::InService;
                self.in_service = Some(now);
            }
            (Lifecycle::Pending | Lifecycle::InService | Lifecycle::Standby, State::Terminated(_)) => {
                self.illness = Some(Illness::Ec2);
            }
            _ => {}
        }
    }

    /// As the API has it.
    pub(crate) fn tree(&self, group: Option<&str>) -> Tree {
        Tree::new()
            .maybe("InstanceId", self.id.as_ref())
            .maybe("AutoScalingGroupName", group)
            .set("AvailabilityZone", &self.zone)
            .set("LifecycleState", self.lifecycle.as_str())
            // DescribeAutoScalingInstances writes it in capitals.
            .set(
                "HealthStatus",
                match (group.is_some(), self.is_healthy()) {
                    (false, true) => "Healthy",
                    (false, false) => "Unhealthy",
                    (true, true) => "HEALTHY",
                    (true, false) => "UNHEALTHY",
                },
            )
            .set("ProtectedFromScaleIn", self.protected)
            .set("InstanceType", &self.instance_type)
            .maybe("ImageId", self.image.as_ref())
            .with("LaunchTemplate", self.template.tree())
    }
}
