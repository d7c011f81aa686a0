//! A group that a test makes without a call.

use super::Place;
use crate::protocol::Tree;
use crate::protocol::query::Call;

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
