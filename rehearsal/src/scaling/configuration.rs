//! What instances are launched from: a version of a launch template, alone or in a mixed instances policy.

use crate::protocol::{Failure, Tree};

/// A launch template specification, and the mixed instances policy that it stands in, if any.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Configuration {
    /// The launch template.
    pub template: Template,
    policy: Option<Tree>,
}

/// A version of a launch template.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Template {
    /// `lt-…`, where it is known.
    pub id: Option<String>,
    /// Its name, where it is known.
    pub name: Option<String>,
    /// A number, `$Latest` or `$Default`.
    pub version: String,
}

impl Template {
    fn read(tree: &Tree) -> Result<Self, Failure> {
        let (id, name) = (tree.text("LaunchTemplateId"), tree.text("LaunchTemplateName"));
        if id.is_none() && name.is_none() {
            return Err(Failure::validation(
                "Valid requests must contain either launchTemplateId or LaunchTemplateName",
            ));
        }
        let version = tree.text("Version").unwrap_or("$Default");
        let number = version.parse::<u32>().is_ok_and(|number| number > 0);
        if !number && !matches!(version, "$Latest" | "$Default") {
            return Err(Failure::validation(format!("Invalid launch template version: {version}")));
        }
        Ok(Self { id: id.map(str::to_owned), name: name.map(str::to_owned), version: version.to_owned() })
    }

    pub(crate) fn tree(&self) -> Tree {
        Tree::new()
            .maybe("LaunchTemplateId", self.id.as_ref())
            .maybe("LaunchTemplateName", self.name.as_ref())
            .set("Version", &self.version)
    }

    /// Whether both name the same template, as far as either says it, and the same version of it.
    fn matches(&self, other: &Self) -> bool {
        let same = match (&self.id, &other.id) {
            (Some(one), Some(two)) => one == two,
            _ => self.name.is_some() && self.name == other.name,
        };
        same && self.version == other.version
    }
}

impl Configuration {
    /// Reads `LaunchTemplate` or `MixedInstancesPolicy`, wherever a call has them. `None`: it has neither.
    pub(crate) fn read(parameters: &Tree) -> Result<Option<Self>, Failure> {
        let template = parameters.get("LaunchTemplate").filter(|tree| !tree.is_empty());
        let policy = parameters.get("MixedInstancesPolicy").filter(|tree| !tree.is_empty());
        match (template, policy) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => Err(Failure::validation(
                "Valid requests must contain either launchTemplate, LaunchConfigurationName, InstanceId or MixedInstancesPolicy parameter.",
            )),
            (Some(template), None) => Ok(Some(Self { template: Template::read(template)?, policy: None })),
            (None, Some(policy)) => {
                let specification = policy.get("LaunchTemplate.LaunchTemplateSpecification");
                let specification = specification.ok_or_else(|| {
                    Failure::validation("A mixed instances policy must have a launch template specification")
                })?;
                Ok(Some(Self { template: Template::read(specification)?, policy: Some(complete(policy)) }))
            }
        }
    }

    /// As the API gives it back: the name of the element and its content.
    pub(crate) fn tree(&self) -> (&'static str, Tree) {
        match &self.policy {
            None => ("LaunchTemplate", self.template.tree()),
            Some(policy) => {
                let inner = policy.get("LaunchTemplate").cloned().unwrap_or_default();
                let inner = inner.replace("LaunchTemplateSpecification", self.template.tree());
                ("MixedInstancesPolicy", policy.clone().replace("LaunchTemplate", inner))
            }
        }
    }

    /// The instance types of its overrides; none if the template says it.
    pub(crate) fn instance_types(&self) -> Vec<String> {
        let overrides = self.policy.iter().flat_map(|policy| policy.members("LaunchTemplate.Overrides"));
        overrides.filter_map(|each| each.text("InstanceType")).map(str::to_owned).collect()
    }

    /// Whether AWS can go back to it: what `$Latest` and `$Default` mean changes.
    pub(crate) fn is_reversible(&self) -> bool {
        self.template.version.parse::<u32>().is_ok()
    }

    /// Whether an instance of this template and type is what this configuration would launch.
    pub(crate) fn would_launch(&self, template: &Template, instance_type: &str) -> bool {
        let types = self.instance_types();
        self.template.matches(template) && (types.is_empty() || types.iter().any(|each| each == instance_type))
    }
}

/// The values that AWS gives to what a mixed instances policy leaves open.
fn complete(policy: &Tree) -> Tree {
    let mut distribution = policy.get("InstancesDistribution").cloned().unwrap_or_default();
    for (name, value) in [
        ("OnDemandAllocationStrategy", "prioritized"),
        ("OnDemandBaseCapacity", "0"),
        ("OnDemandPercentageAboveBaseCapacity", "100"),
        ("SpotAllocationStrategy", "lowest-price"),
    ] {
        if distribution.get(name).is_none() {
            distribution = distribution.set(name, value);
        }
    }
    policy.clone().replace("InstancesDistribution", distribution)
}
