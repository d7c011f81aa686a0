//! A group as the API describes it.

use super::Group;
use crate::protocol::Tree;
use crate::scaling::activity;

impl Group {
    /// As DescribeAutoScalingGroups has it.
    pub(crate) fn tree(&self) -> Tree {
        let (name, configuration) = self.configuration.tree();
        let tags = self.tags.keys().map(|key| self.tag_tree(key));
        let suspended = self
            .suspended
            .iter()
            .map(|process| Tree::new().set("ProcessName", process).set("SuspensionReason", "User suspended"));
        let metrics = self.metrics.iter().map(|metric| Tree::new().set("Metric", metric).set("Granularity", "1Minute"));
        let sources = self.target_groups.iter().map(|arn| Tree::new().set("Identifier", arn).set("Type", "elbv2"));
        let defaults = [
            ("DefaultCooldown", "300"),
            ("HealthCheckGracePeriod", "0"),
            ("HealthCheckType", "EC2"),
            ("NewInstancesProtectedFromScaleIn", "false"),
        ];
        let mut tree = Tree::new()
            .set("AutoScalingGroupName", &self.name)
            .set("AutoScalingGroupARN", &self.arn)
            .set("CreatedTime", activity::time(self.created))
            .set("MinSize", self.min)
            .set("MaxSize", self.max)
            .set("DesiredCapacity", self.desired)
            .with(name, configuration)
            .with("AvailabilityZones", Tree::list(self.zone_names().into_iter().map(Tree::leaf)))
            .with("LoadBalancerNames", Tree::new())
            .with("TargetGroupARNs", Tree::list(self.target_groups.iter().map(Tree::leaf)))
            .with("TrafficSources", Tree::list(sources))
            .with("Instances", Tree::list(self.instances.iter().filter(|it| it.id.is_some()).map(|it| it.tree(None))))
            .with("SuspendedProcesses", Tree::list(suspended))
            .with("EnabledMetrics", Tree::list(metrics))
            .with("Tags", Tree::list(tags))
            .maybe("Status", self.deleting.then_some("Delete in progress"))
            .maybe_with("WarmPoolConfiguration", self.warm_pool.as_ref())
            .maybe("WarmPoolSize", self.warm_pool.as_ref().map(|_| 0));
        for (name, value) in self.settings.children() {
            tree.push(name, value.clone());
        }
        for (name, value) in defaults {
            if self.settings.get(name).is_none() {
                tree = tree.set(name, value);
            }
        }
        if self.settings.get("TerminationPolicies").is_none_or(Tree::is_empty) {
            tree = tree.replace("TerminationPolicies", Tree::list([Tree::leaf("Default")]));
        }
        if self.settings.get("ServiceLinkedRoleARN").is_none() {
            let account = self.arn.split(':').nth(4).unwrap_or_default();
            let role = "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling";
            tree = tree.set("ServiceLinkedRoleARN", format!("arn:aws:iam::{account}:{role}"));
        }
        tree
    }

    fn zone_names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.zones.iter().map(|zone| zone.name.clone()).collect();
        names.sort();
        names.dedup();
        names
    }

    /// One of its tags, as the API has it.
    pub(crate) fn tag_tree(&self, key: &str) -> Tree {
        let (value, inherited) = self.tags.get(key).cloned().unwrap_or_default();
        Tree::new()
            .set("ResourceId", &self.name)
            .set("ResourceType", "auto-scaling-group")
            .set("Key", key)
            .set("Value", value)
            .set("PropagateAtLaunch", inherited)
    }
}
