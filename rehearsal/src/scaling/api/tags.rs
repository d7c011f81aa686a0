//! Tags of groups.

use super::{Answer, page};
use crate::protocol::{Failure, Tree};
use crate::scaling::Scaling;

/// What AWS allows to a group.
const KEPT: usize = 50;

pub(super) fn create(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    for tag in parameters.members("Tags") {
        let group = scaling.group_mut(tag.required("ResourceId")?)?;
        if group.tags.len() >= KEPT && !group.tags.contains_key(tag.required("Key")?) {
            return Err(Failure::new("LimitExceeded", format!("the group has {KEPT} tags already")));
        }
        group.tag(tag)?;
    }
    Ok(Tree::new())
}

pub(super) fn delete(scaling: &mut Scaling, parameters: &Tree) -> Answer {
    for tag in parameters.members("Tags") {
        scaling.group_mut(tag.required("ResourceId")?)?.tags.remove(tag.required("Key")?);
    }
    Ok(Tree::new())
}

pub(super) fn describe(scaling: &Scaling, parameters: &Tree) -> Answer {
    let filters: Vec<_> = parameters
        .members("Filters")
        .map(|filter| {
            let field = match filter.required("Name")? {
                "auto-scaling-group" => "ResourceId",
                "key" => "Key",
                "value" => "Value",
                "propagate-at-launch" => "PropagateAtLaunch",
                other => return Err(Failure::validation(format!("Filter type {other} is not correct."))),
            };
            Ok((field, filter.texts("Values")))
        })
        .collect::<Result<_, _>>()?;
    let all = scaling.groups.values().flat_map(|group| group.tags.keys().map(|key| group.tag_tree(key)));
    let wanted = |tag: &Tree| {
        filters
            .iter()
            .all(|(field, values)| values.iter().any(|value| tag.get(field).is_some_and(|it| it.as_text() == value)))
    };
    page("Tags", all.filter(wanted).collect(), parameters)
}
