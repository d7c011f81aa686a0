//! Scaling activities: what the group did, and why, in AWS's words.

use std::collections::VecDeque;
use std::time::SystemTime;

use crate::protocol::Tree;
use crate::region::ActivityView;

/// AWS keeps six weeks; so many are a year of a calm fleet.
const KEPT: usize = 2_000;

/// Something the group did.
#[derive(Clone, Debug)]
pub(crate) struct Activity {
    number: u64,
    id: String,
    description: String,
    cause: String,
    start: SystemTime,
    end: Option<SystemTime>,
    status: &'static str,
    message: Option<String>,
    progress: u32,
    /// JSON, as AWS has it.
    details: String,
}

/// All of them, the newest last.
#[derive(Debug, Default)]
pub(crate) struct Activities {
    kept: VecDeque<Activity>,
    next: u64,
}

impl Activities {
    /// Begins one, and returns its number.
    pub(crate) fn begin(&mut self, description: String, cause: String, details: String, now: SystemTime) -> u64 {
        self.next += 1;
        if self.kept.len() == KEPT {
            self.kept.pop_front();
        }
        self.kept.push_back(Activity {
            number: self.next,
            id: uuid::Uuid::new_v4().to_string(),
            description,
            cause,
            start: now,
            end: None,
            status: "InProgress",
            message: None,
            progress: 0,
            details,
        });
        self.next
    }

    fn find(&mut self, number: u64) -> Option<&mut Activity> {
        // They are numbered one after the other.
        let first = self.kept.front()?.number;
        self.kept.get_mut(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    /// Says what it is about, once that is known.
    pub(crate) fn describe(&mut self, number: u64, description: String) {
        if let Some(activity) = self.find(number) {
            activity.description = description;
        }
    }

    /// It is at a point on its way.
    pub(crate) fn at(&mut self, number: u64, status: &'static str, progress: u32) {
        if let Some(activity) = self.find(number).filter(|activity| activity.end.is_none()) {
            (activity.status, activity.progress) = (status, progress);
        }
    }

    /// It is over; with a message it failed.
    pub(crate) fn end(&mut self, number: u64, failure: Option<String>, now: SystemTime) {
        if let Some(activity) = self.find(number).filter(|activity| activity.end.is_none()) {
            activity.status = if failure.is_some() { "Failed" } else { "Successful" };
            (activity.message, activity.progress, activity.end) = (failure, 100, Some(now));
        }
    }

    /// The newest first.
    pub(crate) fn trees(&self, group: &str, arn: &str) -> Vec<Tree> {
        self.kept.iter().rev().map(|activity| activity.tree(group, arn)).collect()
    }

    /// The newest first.
    pub(crate) fn views(&self) -> impl Iterator<Item = ActivityView> {
        self.kept.iter().rev().map(|activity| ActivityView {
            start: activity.start,
            end: activity.end,
            description: activity.description.clone(),
            cause: activity.cause.clone(),
            status: activity.status.to_owned(),
        })
    }

    pub(crate) fn tree(&self, number: u64, group: &str, arn: &str) -> Option<Tree> {
        self.kept.iter().find(|activity| activity.number == number).map(|activity| activity.tree(group, arn))
    }
}

impl Activity {
    fn tree(&self, group: &str, arn: &str) -> Tree {
        Tree::new()
            .set("ActivityId", &self.id)
            .set("AutoScalingGroupName", group)
            .set("AutoScalingGroupARN", arn)
            .set("Description", &self.description)
            .set("Cause", &self.cause)
            .set("StartTime", time(self.start))
            .maybe("EndTime", self.end.map(time))
            .set("StatusCode", self.status)
            .maybe("StatusMessage", self.message.as_ref())
            .set("Progress", self.progress)
            .set("Details", &self.details)
    }
}

/// A point in time as the API writes it.
pub(crate) fn time(at: SystemTime) -> impl std::fmt::Display {
    humantime::format_rfc3339_millis(at)
}

/// A point in time as causes write it.
pub(crate) fn moment(at: SystemTime) -> impl std::fmt::Display {
    humantime::format_rfc3339_seconds(at)
}
