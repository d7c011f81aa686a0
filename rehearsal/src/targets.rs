//! What DescribeTargetHealth says about our instances.

use crate::instances::Target;
use crate::protocol::{Failure, Tree};
use crate::region::State;

/// Where the API's own words are from.
pub(crate) const NAMESPACE: &str = "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/";

/// The port of a target, where nobody knows another.
pub(crate) const PORT: u16 = 8080;

/// The answer, for the target group that the call names.
pub(crate) fn describe(state: &State, parameters: &Tree, port: u16) -> Result<Tree, Failure> {
    let arn = parameters.required("TargetGroupArn")?;
    if !state.knows_target_group(arn) {
        return Err(Failure::new("TargetGroupNotFound", format!("One or more target groups not found: {arn}")));
    }
    let asked: Vec<_> = parameters.members("Targets").filter_map(|target| target.text("Id")).collect();
    let groups = state.scaling.groups().filter(|group| group.target_groups().iter().any(|each| each == arn));
    let registered: Vec<_> = groups
        .flat_map(|group| group.instances())
        .filter(|it| it.target != Target::Unused)
        .filter_map(|it| Some((it.id.as_deref()?, it.zone.as_str(), &it.target)))
        .filter(|(id, _, _)| asked.is_empty() || asked.contains(id))
        .collect();
    let missing = asked.iter().filter(|id| !registered.iter().any(|(registered, _, _)| registered == *id));
    let all = registered
        .iter()
        .map(|(id, zone, target)| health(id, Some(zone), target, port))
        .chain(missing.map(|id| health(id, None, &Target::Unused, port)));
    Ok(Tree::new().with("TargetHealthDescriptions", Tree::list(all)))
}

fn health(id: &str, zone: Option<&str>, target: &Target, port: u16) -> Tree {
    let (state, reason, description) = match target {
        Target::Initial => ("initial", Some("Elb.RegistrationInProgress"), Some("Target registration is in progress")),
        Target::Healthy => ("healthy", None, None),
        Target::Unhealthy { reason, description } => ("unhealthy", Some(*reason), Some(description.as_str())),
        Target::Draining => {
            ("draining", Some("Target.DeregistrationInProgress"), Some("Target deregistration is in progress"))
        }
        Target::Unused => {
            ("unused", Some("Target.NotRegistered"), Some("Target is not registered to the target group"))
        }
    };
    let said = Tree::new().set("State", state).maybe("Reason", reason).maybe("Description", description);
    Tree::new()
        .with("Target", Tree::new().set("Id", id).set("Port", port).maybe("AvailabilityZone", zone))
        .set("HealthCheckPort", port)
        .with("TargetHealth", said)
}
