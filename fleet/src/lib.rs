//! Tideline's rollouts: what AWS does not do by itself when a fleet goes from one version to the next, and back.
//!
//! ```text
//! args.rs      the command line            error.rs     kinds of ends, and exit codes
//! command.rs   which command does what     report.rs    panel, lines or JSON
//! rollout.rs   plan, note, start, follow   start.rs     what a refresh is started with
//! rollback.rs  take back, or go back       follow.rs    until a refresh is over; watch
//! cancel.rs    stop where it stands        wait.rs      until every target is healthy
//! status.rs    what runs where             images.rs    prune
//! session.rs   deadline, signals, retries  snapshot.rs  one look, and what changed since
//! group.rs     the group and its note      refresh.rs   an instance refresh and its ends
//! aws.rs       the calls                   fault.rs     why one failed
//! ec2.rs       EC2, by the AWS CLI         version.rs   a template version is a number
//! ```
//!
//! Terraform makes launch template versions and starts no rollout: its own `instance_refresh` block changes the group before it
//! starts the refresh, so what fails is "rolled back" to the version that failed. Here the group keeps its version until the
//! refresh to a *desired configuration* has succeeded, and AWS has somewhere to go back to.
//!
//! What to do is decided by functions of what was described (`plan`), apart from the calls. A call has a bound, is tried by the
//! SDK several times, and again by [`session::Session::ask`] for as long as `--patience` allows; while a refresh is followed, a
//! look that fails is followed by the next one. Nothing here stops a refresh but `cancel` and `rollback`: it is AWS's, and goes
//! on when this program ends.
//!
//! The note of a rollout is three tags of the group: `tideline:rollout:previous`, `tideline:rollout:target` and
//! `tideline:rollout:at`. It is written before the refresh starts, and a rollback leaves it, so that a second rollback finds
//! nothing to do where it would otherwise bring the bad version again.
//!
//! # Permissions
//!
//! | command | actions |
//! | --- | --- |
//! | all | `autoscaling:DescribeAutoScalingGroups`, `DescribeInstanceRefreshes`; `elasticloadbalancing:DescribeTargetHealth` |
//! | `rollout` | `autoscaling:StartInstanceRefresh`, `CreateOrUpdateTags`; `cloudwatch:DescribeAlarms` with `--alarm`; and what the group launches with: `ec2:RunInstances`, `ec2:CreateTags`, `iam:PassRole` |
//! | `rollback` | `autoscaling:StartInstanceRefresh`, `RollbackInstanceRefresh`, and the same of EC2 and IAM |
//! | `cancel` | `autoscaling:CancelInstanceRefresh` |
//! | `status` | `autoscaling:DescribeScalingActivities` for the times, `ec2:DescribeLaunchTemplateVersions` for the builds |
//! | `images prune` | `ec2:DescribeImages`, `DescribeSnapshots`, `DescribeInstances`, `DescribeLaunchTemplateVersions`, `DeregisterImage`, `DeleteSnapshot` |

pub mod args;
pub mod aws;
pub mod cancel;
pub mod command;
pub mod ec2;
pub mod error;
pub mod fault;
pub mod follow;
pub mod group;
pub mod images;
pub mod refresh;
pub mod report;
pub mod rollback;
pub mod rollout;
pub mod session;
pub mod snapshot;
pub mod start;
pub mod status;
pub mod time;
pub mod version;
pub mod wait;
