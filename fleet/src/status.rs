//! `status`: what runs where, since when, which build, and what the last rollout did.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::SystemTime;

use serde::Serialize;

use crate::ec2::{Ec2, TemplateVersion};
use crate::error::Error;
use crate::fault::{Fault, Trouble};
use crate::group::Group;
use crate::refresh::Refresh;
use crate::session::Session;
use crate::time;

/// How a launch is described among the scaling activities; the instance's id follows.
const LAUNCH: &str = "Launching a new EC2 instance: ";

/// All that is known about the fleet.
#[derive(Debug, Serialize)]
pub struct Status {
    group: Group,
    /// When an instance was launched, by its id.
    since: BTreeMap<String, String>,
    /// The build of a launch template version.
    builds: BTreeMap<String, String>,
    /// Why builds are not known.
    no_builds: Option<String>,
    /// The refresh in progress.
    in_progress: Option<Refresh>,
    /// The last refresh that is over.
    last: Option<Refresh>,
    #[serde(skip)]
    now: SystemTime,
}

/// Asks for everything.
pub async fn status(session: &Session) -> Result<Status, Error> {
    let group = session.ask(|| async { Ok(session.look(None).await?.group) }).await??;
    let (over, running): (Vec<Refresh>, Vec<Refresh>) =
        session.refreshes().await?.into_iter().partition(|refresh| refresh.status.is_over());
    let activities = session.ask(|| session.aws.activities(&group.name)).await?;
    let (builds, no_builds) = match session.until(builds(&session.aws.ec2, &group)).await? {
        Ok(builds) => (builds, None),
        Err(error) => (BTreeMap::new(), Some(error.text)),
    };
    Ok(Status {
        since: since(&activities_or_none(activities)?),
        group,
        builds,
        no_builds,
        in_progress: running.into_iter().next(),
        last: over.into_iter().next(),
        now: SystemTime::now(),
    })
}

/// Who may not see activities may still see the rest.
fn activities_or_none(answer: Result<Vec<(SystemTime, String)>, Fault>) -> Result<Vec<(SystemTime, String)>, Error> {
    match answer {
        Err(fault) if fault.trouble == Trouble::Passing => Err(fault.into()),
        answer => Ok(answer.unwrap_or_default()),
    }
}

async fn builds(ec2: &Ec2, group: &Group) -> Result<BTreeMap<String, String>, Error> {
    let Some(template) = &group.template else { return Ok(BTreeMap::new()) };
    let versions = ec2.template_versions(template).await?;
    let build = |version: &TemplateVersion| Some((version.version_number.to_string(), version.build()?.to_owned()));
    Ok(versions.iter().filter_map(build).collect())
}

fn since(activities: &[(SystemTime, String)]) -> BTreeMap<String, String> {
    let launch = |(at, text): &(SystemTime, String)| {
        let id = text.strip_prefix(LAUNCH)?.split_whitespace().next()?;
        Some((id.to_owned(), time::rfc3339(*at)))
    };
    activities.iter().filter_map(launch).collect()
}

impl Status {
    /// As text for people.
    pub fn text(&self) -> String {
        let Group { name, desired, min, max, template, version, .. } = &self.group;
        let template = template.as_deref().unwrap_or("no template");
        let version = version.as_deref().unwrap_or("?");
        let build = self.builds.get(version).map(|build| format!(" (build {build})")).unwrap_or_default();
        let mut text =
            format!("{name}: {desired} instances wanted, {min} to {max}; {template} version {version}{build}\n\n");
        text += &table(&self.rows());
        text.push('\n');
        if let Some(refresh) = &self.in_progress {
            let _ = writeln!(text, "in progress: {}; tideline-fleet watch --group {name}", self.refresh_line(refresh));
        }
        if let Some(refresh) = &self.last {
            let _ = writeln!(text, "last refresh: {}", self.refresh_line(refresh));
        }
        if let Some(note) = &self.group.note {
            let at = note.at.map(|at| format!(", begun {} ago", time::ago(at, self.now))).unwrap_or_default();
            let _ = writeln!(
                text,
                "last rollout: version {} to {}{at}; tideline-fleet rollback --group {name} goes to {}",
                note.previous, note.target, note.previous
            );
        }
        if let Some(why) = &self.no_builds {
            let _ = writeln!(text, "builds are not known: {why}");
        }
        text.trim_end().to_owned()
    }

    fn refresh_line(&self, refresh: &Refresh) -> String {
        let to = refresh.to.as_deref().map(|to| format!(" to version {to}")).unwrap_or_default();
        let when = match (refresh.ended, refresh.started) {
            (Some(ended), _) => format!(", ended {} ago", time::ago(ended, self.now)),
            (None, Some(started)) => format!(", begun {} ago", time::ago(started, self.now)),
            (None, None) => String::new(),
        };
        let reason = refresh.reason.as_deref().map(|reason| format!(": {reason}")).unwrap_or_default();
        format!("{}{to}, {:?} {} %{when}{reason}", refresh.id, refresh.status, refresh.percent)
    }

    fn rows(&self) -> Vec<[String; 8]> {
        let mut rows =
            vec![["INSTANCE", "ZONE", "VERSION", "BUILD", "STATE", "HEALTH", "TARGET", "SINCE"].map(str::to_owned)];
        for instance in &self.group.instances {
            let version = instance.version.clone().unwrap_or_default();
            let since = self.since.get(&instance.id).and_then(|since| humantime::parse_rfc3339(since).ok());
            let mut row = [
                instance.id.clone(),
                instance.zone.clone(),
                version.clone(),
                self.builds.get(&version).cloned().unwrap_or_default(),
                instance.state.clone(),
                instance.health.clone(),
                instance.target.clone().unwrap_or_default(),
                since.map(|since| time::ago(since, self.now)).unwrap_or_default(),
            ];
            for cell in row.iter_mut().filter(|cell| cell.is_empty()) {
                "-".clone_into(cell);
            }
            rows.push(row);
        }
        rows
    }
}

/// Columns as wide as they need to be.
fn table(rows: &[[String; 8]]) -> String {
    let mut widths = [0; 8];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        let _ = writeln!(text, "{}", cells.join("  ").trim_end());
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::group::Note;
    use crate::group::tests::group;
    use crate::refresh::Status as Standing;
    use crate::refresh::tests::refresh;

    #[test]
    fn everything_is_in_its_column() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let activities =
            [(now - Duration::from_secs(190), format!("{LAUNCH}i-0")), (now, "Terminating EC2".to_owned())];
        let mut group = group("6", &["6", "7"]);
        group.instances[1].target = None;
        group.note = Some(Note { previous: "6".to_owned(), target: "7".to_owned(), at: Some(now) });
        let status = Status {
            group,
            since: since(&activities),
            builds: BTreeMap::from([("6".to_owned(), "0.1.0+abc".to_owned())]),
            no_builds: None,
            in_progress: Some(refresh(Standing::InProgress, "7")),
            last: None,
            now,
        };
        let text = status.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "tideline: 2 instances wanted, 1 to 5; lt-1 version 6 (build 0.1.0+abc)");
        assert_eq!(lines[2], "INSTANCE  ZONE  VERSION  BUILD      STATE      HEALTH   TARGET   SINCE");
        assert_eq!(lines[3], "i-0       a     6        0.1.0+abc  InService  Healthy  healthy  3m 10s");
        assert_eq!(lines[4], "i-1       a     7        -          InService  Healthy  -        -");
        assert_eq!(lines[6], "in progress: r-1 to version 7, InProgress 50 %; tideline-fleet watch --group tideline");
        assert!(lines[7].ends_with("tideline-fleet rollback --group tideline goes to 6"), "{}", lines[7]);
    }
}
