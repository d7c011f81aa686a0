//! `wait`: until capacity is there and every target is healthy.

use tokio::time::sleep;

use crate::error::{Error, Kind};
use crate::fault::Trouble;
use crate::session::Session;
use crate::snapshot::{Snapshot, condition};

/// Looks until the fleet is well.
pub async fn wait(session: &Session) -> Result<String, Error> {
    let name = session.group().await?.name;
    let mut last = None;
    loop {
        match session.until(session.look(None)).await.map_err(|error| unwell(error, last.as_ref()))? {
            Ok(look) => {
                session.report.seen(&look);
                if look.is_well() {
                    let versions = look.line();
                    return Ok(format!("{name} is well: {versions}"));
                }
                last = Some(look);
            }
            Err(fault) if fault.trouble == Trouble::Passing => session.report.trouble(&fault.text),
            Err(fault) => return Err(fault.into()),
        }
        session.until(sleep(session.poll)).await.map_err(|error| unwell(error, last.as_ref()))?;
    }
}

/// What is not as it should be, when the waiting has ended.
fn unwell(error: Error, last: Option<&Snapshot>) -> Error {
    let Some(look) = last.filter(|_| error.kind == Kind::Deadline) else { return error };
    let targets = !look.group.target_groups.is_empty();
    let mut text = look.line();
    for instance in look.group.staying().filter(|instance| !instance.is_well(targets)) {
        let reason = instance.target_reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        text += &format!("; {}: {}{reason}", instance.id, condition(instance));
    }
    let name = &look.group.name;
    let advice = "aws autoscaling describe-scaling-activities --auto-scaling-group-name";
    error.and(&format!("{text}; {advice} {name} says what was tried"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::tests::group;

    #[test]
    fn who_is_not_well_is_named() {
        let mut group = group("7", &["7", "7"]);
        (group.instances[1].target, group.instances[1].target_reason) =
            (Some("unhealthy".to_owned()), Some("Health checks failed with these codes: [503]".to_owned()));
        let look = Snapshot { group, refresh: None, alarms: Vec::new() };
        let error = unwell(Error::new(Kind::Deadline, "the deadline has passed"), Some(&look));
        assert!(
            error.text.contains("1 of 2 desired are healthy; i-1: InService, unhealthy (Health checks failed"),
            "{error}"
        );
        let error = Error::new(Kind::Interrupted, "ended by SIGINT");
        assert_eq!(unwell(error.clone(), Some(&look)), error);
    }
}
