//! The Auto Scaling group as AWS describes it: its capacity, its launch template, its instances, and the note of the last
//! rollout in its tags.

use std::collections::{BTreeMap, HashMap};
use std::time::SystemTime;

use aws_sdk_autoscaling::types as aws;
use serde::Serialize;

use crate::aws::TargetHealth;
use crate::error::Error;
use crate::time;
use crate::version::TemplateVersion;

/// Tags of a rollout begin with this. Terraform is told to leave them alone.
pub const NOTE_PREFIX: &str = "tideline:rollout:";

/// An Auto Scaling group.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// How many instances it wants.
    pub desired: usize,
    /// The fewest it may want.
    pub min: usize,
    /// The most it may want.
    pub max: usize,
    /// How many per cent of the desired may run while instances are replaced, where its maintenance policy says it.
    pub max_healthy_percent: Option<i32>,
    /// The id of its launch template; without, it has a launch configuration.
    pub template: Option<String>,
    /// The launch template version that it launches from, in AWS's words: a number, `$Latest` or `$Default`.
    pub version: Option<String>,
    /// Its mixed-instances policy, which holds the template, where it has one.
    #[serde(skip)]
    pub mixed: Option<aws::MixedInstancesPolicy>,
    /// ARNs of its target groups.
    pub target_groups: Vec<String>,
    /// Its instances, by id.
    pub instances: Vec<Instance>,
    /// What the last rollout noted.
    pub note: Option<Note>,
}

/// An instance of the group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Instance {
    /// Its id.
    pub id: String,
    /// Its zone.
    pub zone: String,
    /// The launch template version that it was launched from.
    pub version: Option<String>,
    /// Its state in its life: `Pending`, `InService`, `Terminating` and so on.
    pub state: String,
    /// Its health as the group sees it: `Healthy` or `Unhealthy`.
    pub health: String,
    /// Its health as its target groups see it, the worst of them; `None` where none knows it.
    pub target: Option<String>,
    /// Why, where it is not healthy.
    pub target_reason: Option<String>,
}

/// What a rollout notes before it starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// The launch template version before: where a rollback goes.
    pub previous: String,
    /// The version that the rollout went to.
    pub target: String,
    /// When.
    #[serde(serialize_with = "time::optional")]
    pub at: Option<SystemTime>,
}

impl Note {
    /// The note that stands in `tags`.
    pub fn of(tags: &BTreeMap<String, String>) -> Option<Self> {
        let tag = |name: &str| tags.get(&format!("{NOTE_PREFIX}{name}")).filter(|value| !value.is_empty()).cloned();
        Some(Self {
            previous: tag("previous")?,
            target: tag("target").unwrap_or_default(),
            at: tag("at").and_then(|at| humantime::parse_rfc3339(&at).ok()),
        })
    }

    /// As tags: key, value.
    pub fn tags(&self) -> [(String, String); 3] {
        let at = self.at.map(time::rfc3339).unwrap_or_default();
        [("previous", self.previous.clone()), ("target", self.target.clone()), ("at", at)]
            .map(|(name, value)| (format!("{NOTE_PREFIX}{name}"), value))
    }
}

impl Group {
    /// What AWS described.
    pub fn of(group: &aws::AutoScalingGroup) -> Self {
        let mixed = group.mixed_instances_policy().cloned();
        let of_mixed = || mixed.as_ref()?.launch_template()?.launch_template_specification();
        let template = group.launch_template().or_else(of_mixed);
        let tags = group.tags().iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value()?.to_owned())));
        let mut instances: Vec<Instance> = group.instances().iter().map(Instance::of).collect();
        instances.sort_by(|one, other| one.id.cmp(&other.id));
        let count = |count: Option<i32>| usize::try_from(count.unwrap_or(0)).unwrap_or(0);
        let policy = group.instance_maintenance_policy().and_then(|policy| policy.max_healthy_percentage());
        Self {
            name: group.auto_scaling_group_name().unwrap_or_default().to_owned(),
            desired: count(group.desired_capacity()),
            min: count(group.min_size()),
            max: count(group.max_size()),
            // AWS says -1 where the policy was taken away.
            max_healthy_percent: policy.filter(|percent| *percent > 0),
            template: template.and_then(|template| template.launch_template_id()).map(str::to_owned),
            version: template.and_then(|template| template.version()).map(str::to_owned),
            target_groups: group.target_group_arns().to_vec(),
            note: Note::of(&tags.collect()),
            mixed,
            instances,
        }
    }

    /// The numeric version that it launches from, or why there is none.
    pub fn numeric_version(&self) -> Result<TemplateVersion, Error> {
        let Self { name, .. } = self;
        let Some(version) = self.template.as_ref().and(self.version.as_ref()) else {
            return Err(Error::refused(format!(
                "{name} has no launch template: Tideline's terraform/ makes groups that have one"
            )));
        };
        version.parse().map_err(|_| {
            Error::refused(format!(
                "{name} launches from version {version} of its template, and AWS rolls no refresh back to that; give it the \
                 number that it runs first: aws autoscaling update-auto-scaling-group --auto-scaling-group-name {name} \
                 --launch-template LaunchTemplateId={},Version=NUMBER",
                self.template.as_deref().unwrap_or("ID")
            ))
        })
    }

    /// Whether it launches from `version` and every instance that it has, leaving ones aside, was launched from it.
    pub fn runs_only(&self, version: TemplateVersion) -> bool {
        let version = Some(version.to_string());
        self.version == version && self.staying().all(|instance| instance.version == version)
    }

    /// Adds what a target group says about its targets. Of several target groups the worst word counts.
    pub fn add_target_health(&mut self, health: &HashMap<String, TargetHealth>) {
        for instance in &mut self.instances {
            if let Some((state, reason)) = health.get(&instance.id)
                && instance.target.as_deref().is_none_or(|known| known == "healthy")
            {
                (instance.target, instance.target_reason) = (Some(state.clone()), reason.clone());
            }
        }
    }

    /// Instances that are not on their way out.
    pub fn staying(&self) -> impl Iterator<Item = &Instance> {
        self.instances.iter().filter(|instance| !instance.is_leaving())
    }
}

impl Instance {
    fn of(instance: &aws::Instance) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Self {
            id: text(instance.instance_id()),
            zone: text(instance.availability_zone()),
            version: instance.launch_template().and_then(|template| template.version()).map(str::to_owned),
            state: instance.lifecycle_state().map(|state| state.as_str().to_owned()).unwrap_or_default(),
            health: text(instance.health_status()),
            target: None,
            target_reason: None,
        }
    }

    /// Whether it is on its way out.
    pub fn is_leaving(&self) -> bool {
        self.state.starts_with("Terminat") || self.state.starts_with("Detach")
    }

    /// Whether it is in service and healthy, by the group's and, where `targets`, by the balancer's word.
    pub fn is_well(&self, targets: bool) -> bool {
        let by_group = self.state == "InService" && self.health.eq_ignore_ascii_case("healthy");
        by_group && (!targets || self.target.as_deref() == Some("healthy"))
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn instance(id: &str, version: &str, state: &str) -> Instance {
        Instance {
            id: id.to_owned(),
            zone: "a".to_owned(),
            version: Some(version.to_owned()),
            state: state.to_owned(),
            health: "Healthy".to_owned(),
            target: Some("healthy".to_owned()),
            target_reason: None,
        }
    }

    /// A group `tideline` at `version`, with instances of these versions in service.
    pub(crate) fn group(version: &str, instances: &[&str]) -> Group {
        let numbered = instances.iter().enumerate();
        Group {
            name: "tideline".to_owned(),
            desired: instances.len(),
            min: 1,
            max: 5,
            max_healthy_percent: Some(150),
            template: Some("lt-1".to_owned()),
            version: Some(version.to_owned()),
            mixed: None,
            target_groups: vec!["arn:tg".to_owned()],
            instances: numbered.map(|(index, version)| instance(&format!("i-{index}"), version, "InService")).collect(),
            note: None,
        }
    }

    #[test]
    fn a_description_is_read() {
        let template = aws::LaunchTemplateSpecification::builder().launch_template_id("lt-1").version("7").build();
        let tag = |name: &str, value: &str| {
            aws::TagDescription::builder().key(format!("{NOTE_PREFIX}{name}")).value(value).build()
        };
        let described = aws::AutoScalingGroup::builder()
            .auto_scaling_group_name("tideline")
            .desired_capacity(2)
            .launch_template(template.clone())
            .instance_maintenance_policy(aws::InstanceMaintenancePolicy::builder().max_healthy_percentage(-1).build())
            .instances(
                aws::Instance::builder()
                    .instance_id("i-1")
                    .lifecycle_state(aws::LifecycleState::InService)
                    .health_status("Healthy")
                    .launch_template(template.clone())
                    .build(),
            )
            .tags(tag("previous", "6"))
            .tags(tag("target", "7"))
            .tags(tag("at", "2026-11-20T10:00:00Z"));
        let group = Group::of(&described.build());
        assert_eq!((group.desired, group.max_healthy_percent, group.template.as_deref()), (2, None, Some("lt-1")));
        assert!(group.runs_only("7".parse().unwrap()));
        let note = group.note.unwrap();
        assert_eq!((note.previous.as_str(), note.target.as_str()), ("6", "7"));
        let tags: BTreeMap<_, _> = note.tags().into();
        assert_eq!(Note::of(&tags), Some(note), "it is read as it is written");

        let mixed = aws::LaunchTemplate::builder().launch_template_specification(template).build();
        let mixed = aws::MixedInstancesPolicy::builder().launch_template(mixed).build();
        let group = Group::of(&aws::AutoScalingGroup::builder().mixed_instances_policy(mixed).build());
        assert_eq!((group.template.as_deref(), group.version.as_deref()), (Some("lt-1"), Some("7")));
    }

    #[test]
    fn the_worst_target_health_counts() {
        let mut group = Group { target_groups: vec![], ..group("7", &["7"]) };
        group.instances[0].target = None;
        for (state, expected) in [("healthy", "healthy"), ("unhealthy", "unhealthy"), ("healthy", "unhealthy")] {
            group.add_target_health(&HashMap::from([("i-0".to_owned(), (state.to_owned(), None))]));
            assert_eq!(group.instances[0].target.as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_group_runs_a_version_when_all_that_stays_does() {
        let seven = "7".parse().unwrap();
        let mut group = group("7", &["7", "6"]);
        assert!(!group.runs_only(seven));
        group.instances[1].state = "Terminating:Wait".to_owned();
        assert!(group.runs_only(seven), "what leaves does not count");
        group.version = Some("6".to_owned());
        assert!(!group.runs_only(seven), "the next instance would be of version 6");
    }

    #[test]
    fn a_version_that_is_no_number_is_refused() {
        let error = group("$Latest", &[]).numeric_version().unwrap_err();
        assert!(error.text.contains("LaunchTemplateId=lt-1,Version=NUMBER"), "{error}");
        let error = Group { template: None, ..group("7", &[]) }.numeric_version().unwrap_err();
        assert!(error.text.contains("no launch template"), "{error}");
    }
}
