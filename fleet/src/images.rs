//! `images prune`: removes machine images, and their snapshots, that nothing can launch from any more.
//!
//! An image stays when a kept version of the group's launch template names it, when the latest or default version of any other
//! template does, when an instance was launched from it, or when it is newer than the newest kept version's: then it is on its
//! way there.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::ec2::{Image, Snapshot, TemplateVersion};
use crate::error::Error;
use crate::group::Group;
use crate::session::Session;
use crate::start::running;

/// Removes images, or says which it would remove. `keep` is how many launch template versions keep theirs.
pub async fn prune(session: &Session, keep: usize, dry_run: bool) -> Result<String, Error> {
    let ec2 = &session.aws.ec2;
    let group = session.group().await?;
    group.numeric_version()?;
    let refreshes = session.refreshes().await?;
    let goes_to = running(&refreshes).and_then(|running| running.to.clone());
    let template = group.template.clone().unwrap_or_default();
    let versions = session.until(ec2.template_versions(&template)).await??;
    let mut named = named(&versions, &wanted(&group, goes_to), keep);
    let newest = named.clone();
    let others = session.until(ec2.all_templates()).await??;
    named.extend(others.into_iter().filter_map(|version| version.launch_template_data.image_id));
    named.extend(session.until(ec2.images_in_use()).await??);
    let images = session.until(ec2.images(&session.group)).await??;
    let snapshots = session.until(ec2.snapshots(&session.group)).await??;
    let Some(limit) = limit(&images, &newest) else {
        return Ok(format!(
            "nothing removed: no image of a kept version of {template} is among the {} that were baked for {}",
            images.len(),
            session.group
        ));
    };
    let (all, orphans) = (images.len(), orphans(snapshots, &images, &limit));
    let removable = removable(images, &named, &limit);
    for image in &removable {
        let snapshots: Vec<&str> = image.snapshots().collect();
        let text =
            format!("{} of {} ({}), with {}", image.image_id, image.creation_date, image.name, snapshots.join(" and "));
        tell(session, dry_run, &text, json!({"image": image, "snapshots": snapshots}));
        if !dry_run {
            // The snapshots after the image: AWS deletes none that an image still needs.
            session.until(ec2.deregister(&image.image_id)).await??;
            for snapshot in snapshots {
                session.until(ec2.delete_snapshot(snapshot)).await??;
            }
        }
    }
    for Snapshot { snapshot_id, start_time } in &orphans {
        let text = format!("{snapshot_id} of {start_time}, which no image has");
        tell(session, dry_run, &text, json!({"snapshots": [snapshot_id]}));
        if !dry_run {
            session.until(ec2.delete_snapshot(snapshot_id)).await??;
        }
    }
    let verb = if dry_run { "would be removed" } else { "removed" };
    let (gone, left) = (removable.len(), orphans.len());
    let left = if left == 0 { String::new() } else { format!("; {left} snapshots without an image {verb}") };
    Ok(format!("{gone} of {all} images {verb}, {} stay{left}", all - gone))
}

fn tell(session: &Session, dry_run: bool, text: &str, mut more: Value) {
    more["dry_run"] = dry_run.into();
    let verb = if dry_run { "would remove" } else { "removing" };
    session.report.event("image", &format!("{verb} {text}"), more);
}

/// Versions that are needed whatever their age: of the group, its instances, the refresh in progress, the noted rollback.
fn wanted(group: &Group, goes_to: Option<String>) -> BTreeSet<String> {
    let instances = group.instances.iter().filter_map(|instance| instance.version.clone());
    let note = group.note.iter().flat_map(|note| [note.previous.clone(), note.target.clone()]);
    instances.chain(note).chain(group.version.clone()).chain(goes_to).collect()
}

/// Images that the wanted versions, and the newest `keep`, name. `versions` are the newest first.
fn named(versions: &[TemplateVersion], wanted: &BTreeSet<String>, keep: usize) -> BTreeSet<String> {
    let kept = versions
        .iter()
        .enumerate()
        .filter(|(age, version)| *age < keep || wanted.contains(&version.version_number.to_string()));
    kept.filter_map(|(_, version)| version.launch_template_data.image_id.clone()).collect()
}

/// When the newest of the images `newest` was made. What is younger may be on its way into a version.
fn limit(images: &[Image], newest: &BTreeSet<String>) -> Option<String> {
    let dates = images.iter().filter(|image| newest.contains(&image.image_id)).map(|image| image.creation_date.clone());
    dates.max()
}

/// Images that nobody names, the oldest first.
fn removable(images: Vec<Image>, named: &BTreeSet<String>, limit: &str) -> Vec<Image> {
    let old = |image: &Image| image.creation_date.as_str() < limit && !named.contains(&image.image_id);
    let mut removable: Vec<Image> = images.into_iter().filter(old).collect();
    removable.sort_by(|one, other| one.creation_date.cmp(&other.creation_date));
    removable
}

/// Snapshots of images that are gone, as a prune that was cut off leaves them.
fn orphans(snapshots: Vec<Snapshot>, images: &[Image], limit: &str) -> Vec<Snapshot> {
    let of_images: BTreeSet<&str> = images.iter().flat_map(Image::snapshots).collect();
    let orphan = |snapshot: &Snapshot| {
        snapshot.start_time.as_str() < limit && !of_images.contains(snapshot.snapshot_id.as_str())
    };
    snapshots.into_iter().filter(orphan).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ec2;
    use crate::group::Note;
    use crate::group::tests::group;

    fn images(count: usize) -> Vec<Image> {
        let image = |number| Image {
            image_id: format!("ami-{number}"),
            name: String::new(),
            creation_date: format!("2026-11-{number:02}T00:00:00.000Z"),
            block_device_mappings: Vec::new(),
        };
        (1..=count).map(image).collect()
    }

    /// Version N names image N.
    fn versions(count: u64) -> Vec<TemplateVersion> {
        let version = |number| {
            let text = format!(r#"{{"VersionNumber": {number}, "LaunchTemplateData": {{"ImageId": "ami-{number}"}}}}"#);
            serde_json::from_str(&text).unwrap()
        };
        (1..=count).rev().map(version).collect()
    }

    fn pruned(group: &Group, keep: usize) -> Vec<String> {
        let named = named(&versions(8), &wanted(group, None), keep);
        let limit = limit(&images(9), &named).unwrap();
        removable(images(9), &named, &limit).into_iter().map(|image| image.image_id).collect()
    }

    #[test]
    fn what_can_be_rolled_to_stays() {
        let mut group = group("7", &["7", "3"]);
        assert_eq!(
            pruned(&group, 2),
            ["ami-1", "ami-2", "ami-4", "ami-5", "ami-6"],
            "an instance runs 3, and 9 is to come"
        );
        group.note = Some(Note { previous: "5".to_owned(), target: "7".to_owned(), at: None });
        assert_eq!(pruned(&group, 2), ["ami-1", "ami-2", "ami-4", "ami-6"], "a rollback goes to 5");
        assert_eq!(pruned(&group, 8), [""; 0]);
        let wanted = wanted(&group, Some("2".to_owned()));
        assert!(wanted.contains("2"), "a refresh goes there");
    }

    #[test]
    fn nothing_is_old_where_nothing_is_known() {
        assert_eq!(limit(&images(3), &BTreeSet::from(["ami-other".to_owned()])), None);
        assert_eq!(limit(&images(3), &BTreeSet::from(["ami-2".to_owned()])).unwrap(), images(3)[1].creation_date);
    }

    #[test]
    fn snapshots_of_images_stay_and_so_do_young_ones() {
        let snapshot = |id: &str, day| Snapshot { snapshot_id: id.to_owned(), start_time: format!("2026-11-0{day}") };
        let mut images = images(1);
        let disk = ec2::Ebs { snapshot_id: Some("snap-1".to_owned()) };
        images[0].block_device_mappings = vec![ec2::BlockDevice { ebs: Some(disk) }];
        let all = vec![snapshot("snap-1", 1), snapshot("snap-2", 1), snapshot("snap-3", 5)];
        assert_eq!(orphans(all, &images, "2026-11-04"), [snapshot("snap-2", 1)]);
    }
}
