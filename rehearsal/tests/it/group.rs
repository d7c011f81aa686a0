//! Groups over the wire.

use aws_sdk_autoscaling::error::ProvideErrorMetadata;
use aws_sdk_autoscaling::types::{Filter, Tag};
use aws_sdk_elasticloadbalancingv2::types::TargetHealthStateEnum as Health;
use std::time::Duration;
use tideline_rehearsal::{Behaviour, Region, Settings};

use crate::support::{config, region, scaling, versions};

/// Time stands still, so that a test can move it.
async fn stopped() -> Region {
    Region::start(Settings { speed: 0.0, ..Settings::default() }).await.unwrap()
}

#[tokio::test]
async fn gives_back_what_it_was_given() {
    let region = region().await;
    region.group("tideline").size(1, 9).desired(4).tag("Stack", "tideline").create().unwrap();
    let scaling = scaling(&region).await;
    let group = scaling.group().await;
    assert_eq!((group.min_size, group.max_size, group.desired_capacity), (Some(1), Some(9), Some(4)));
    assert_eq!((group.health_check_type.as_deref(), group.health_check_grace_period), (Some("ELB"), Some(60)));
    let policy = group.instance_maintenance_policy.unwrap();
    assert_eq!((policy.min_healthy_percentage, policy.max_healthy_percentage), (Some(100), Some(150)));
    assert_eq!(group.default_instance_warmup, Some(60));
    let mut zones: Vec<_> = group.instances.unwrap().into_iter().map(|it| it.availability_zone.unwrap()).collect();
    zones.sort();
    assert_eq!(zones, ["eu-west-1a", "eu-west-1a", "eu-west-1b", "eu-west-1b"]);

    let tag = Tag::builder().resource_id("tideline").resource_type("auto-scaling-group").key("from").value("1");
    scaling.0.create_or_update_tags().tags(tag.propagate_at_launch(false).build()).send().await.unwrap();
    let filter = Filter::builder().name("tag:from").values("1").build();
    let found = scaling.0.describe_auto_scaling_groups().filters(filter).send().await.unwrap();
    let keys: Vec<_> = found.auto_scaling_groups()[0].tags().iter().map(|tag| tag.key().unwrap()).collect();
    assert_eq!(keys, ["Stack", "from"]);
    let other = Filter::builder().name("tag:from").values("2").build();
    let found = scaling.0.describe_auto_scaling_groups().filters(other).send().await.unwrap();
    assert!(found.auto_scaling_groups().is_empty());
}

#[tokio::test]
async fn grows_and_shrinks() {
    let region = stopped().await;
    region.group("tideline").create().unwrap();
    let scaling = scaling(&region).await;
    let set =
        |desired| scaling.0.set_desired_capacity().auto_scaling_group_name("tideline").desired_capacity(desired).send();
    set(4).await.unwrap();
    let states: Vec<_> = region.instances("tideline").into_iter().map(|it| it.state).collect();
    assert_eq!(states, ["InService", "InService", "Pending", "Pending"]);
    region.advance(Duration::from_secs(16));
    assert_eq!(versions(&region).len(), 4);
    set(2).await.unwrap();
    region.advance(Duration::from_secs(60));
    assert_eq!(region.instances("tideline").len(), 2);
    let causes = scaling.causes().await;
    assert!(causes[2].contains("explicitly set group desired capacity changing the desired capacity from 2 to 4."));
    assert!(causes[2].ends_with("increasing the capacity from 2 to 4."), "{}", causes[2]);
    assert!(causes[4].contains("shrinking the capacity from 4 to 2."), "{}", causes[4]);
    assert_eq!(set(6).await.unwrap_err().code(), Some("ValidationError"));
    assert_eq!(set(1).await.unwrap_err().code(), Some("ValidationError"));
}

#[tokio::test]
async fn target_health_follows_an_instance_through_its_life() {
    let region = stopped().await;
    region.group("tideline").size(1, 3).desired(1).target_group("arn:tg").create().unwrap();
    let scaling = scaling(&region).await;
    let elb = aws_sdk_elasticloadbalancingv2::Client::new(&config(&region).await);
    let health = || async {
        let answer = elb.describe_target_health().target_group_arn("arn:tg").send().await.unwrap();
        let states =
            answer.target_health_descriptions().iter().map(|it| it.target_health().unwrap().state().unwrap().clone());
        states.collect::<Vec<_>>()
    };
    assert_eq!(health().await, [Health::Healthy]);
    scaling.0.set_desired_capacity().auto_scaling_group_name("tideline").desired_capacity(2).send().await.unwrap();
    region.advance(Duration::from_secs(20));
    assert_eq!(health().await, [Health::Healthy, Health::Initial]);
    region.advance(Duration::from_secs(30));
    assert_eq!(health().await, [Health::Healthy, Health::Healthy]);
    scaling.0.set_desired_capacity().auto_scaling_group_name("tideline").desired_capacity(1).send().await.unwrap();
    assert_eq!(health().await, [Health::Draining, Health::Healthy]);
    region.advance(Duration::from_secs(60));
    assert_eq!(health().await, [Health::Healthy]);
    let error = elb.describe_target_health().target_group_arn("arn:other").send().await.unwrap_err();
    assert!(error.into_service_error().is_target_group_not_found_exception());
}

#[tokio::test]
async fn replaces_what_died_and_what_fell_ill() {
    let region = stopped().await;
    region.group("tideline").create().unwrap();
    let scaling = scaling(&region).await;
    let dead = region.instances("tideline")[0].id.clone();
    assert!(region.kill(&dead) && !region.kill("i-0"));
    region.advance(Duration::from_secs(120));
    assert!(region.instances("tideline").iter().all(|it| it.id != dead && it.healthy));
    assert_eq!(region.instances("tideline").len(), 2);
    let causes = scaling.causes().await;
    assert!(causes[2].ends_with("an EC2 health check indicating it has been terminated or stopped."), "{causes:#?}");
    assert!(
        causes[3].ends_with("an instance was launched in response to an unhealthy instance needing to be replaced.")
    );

    region.behave("1", Behaviour::NeverHealthy);
    region.advance(Duration::from_secs(2));
    assert!(region.instances("tideline").iter().any(|it| !it.healthy));
}

#[tokio::test]
async fn is_deleted_when_nothing_is_left_or_by_force() {
    let region = stopped().await;
    region.group("tideline").create().unwrap();
    let scaling = scaling(&region).await;
    let delete =
        |force| scaling.0.delete_auto_scaling_group().auto_scaling_group_name("tideline").force_delete(force).send();
    assert!(delete(false).await.unwrap_err().into_service_error().is_resource_in_use_fault());
    delete(true).await.unwrap();
    assert_eq!(scaling.group().await.status.as_deref(), Some("Delete in progress"));
    region.advance(Duration::from_secs(60));
    let left = scaling.0.describe_auto_scaling_groups().send().await.unwrap();
    assert!(left.auto_scaling_groups().is_empty());
}
