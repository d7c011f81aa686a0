//! What Terraform made of a load balancer, as the API behind tells it.

use std::time::Duration;

use crate::gateway::client::{ELB, Upstream};
use crate::protocol::{Failure, Tree};

/// A load balancer with all that belongs to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Settings {
    /// Its name.
    pub(super) name: String,
    /// How long a connection may be idle, and a target may take to answer.
    pub(super) idle_timeout: Duration,
    /// Whether header fields with invalid names are dropped.
    pub(super) drop_invalid_headers: bool,
    /// By port.
    pub(super) listeners: Vec<Listener>,
    /// Those that listeners forward to.
    pub(super) target_groups: Vec<TargetGroup>,
}

/// A port, and what happens to requests that come in there.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Listener {
    /// The port.
    pub(super) port: u16,
    /// In the order of their priority.
    pub(super) rules: Vec<Rule>,
    /// For requests that no rule is for.
    pub(super) default: Action,
}

/// What happens to requests of some paths.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rule {
    /// Patterns: `*` is anything, `?` a character.
    pub(super) paths: Vec<String>,
    /// What happens.
    pub(super) action: Action,
}

/// What happens to a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// It is sent to a target group, of this ARN.
    Forward(String),
    /// It is answered by the balancer.
    Respond {
        /// The status.
        status: u16,
        /// The body's media type.
        content_type: String,
        /// The body.
        body: String,
    },
}

/// Where requests are sent to.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TargetGroup {
    /// Its ARN.
    pub(super) arn: String,
    /// The port of targets.
    pub(super) port: u16,
    /// How their health is known.
    pub(super) check: HealthCheck,
    /// How long a target that is deregistered may finish what it has.
    pub(super) deregistration_delay: Duration,
    /// Whether the target with the fewest requests gets the next one, rather than the next target.
    pub(super) least_outstanding: bool,
}

/// A health check, by HTTP.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct HealthCheck {
    /// What is asked for.
    pub(super) path: String,
    /// Statuses of a healthy target, as `200` or `200-299,301`.
    pub(super) matcher: String,
    /// From one check to the next.
    pub(super) interval: Duration,
    /// How long a target may take to answer.
    pub(super) timeout: Duration,
    /// How many in a row make an unhealthy target a healthy one.
    pub(super) healthy: u32,
    /// How many that failed in a row make a target unhealthy.
    pub(super) unhealthy: u32,
}

impl Settings {
    /// Those of the first application load balancer there is; none if there is none, or nothing listens yet.
    pub(crate) async fn read(upstream: &Upstream) -> Result<Option<Self>, Failure> {
        let found = ask(upstream, "DescribeLoadBalancers", Tree::new()).await?;
        let Some(balancer) = members(&found, "LoadBalancers").find(|it| it.text("Type") == Some("application")) else {
            return Ok(None);
        };
        let arn = balancer.required("LoadBalancerArn")?;
        let by_balancer = Tree::new().set("LoadBalancerArn", arn);
        let attributes = ask(upstream, "DescribeLoadBalancerAttributes", by_balancer.clone()).await?;
        let mut listeners = Vec::new();
        for listener in members(&ask(upstream, "DescribeListeners", by_balancer.clone()).await?, "Listeners") {
            let by_listener = Tree::new().set("ListenerArn", listener.required("ListenerArn")?);
            let rules = ask(upstream, "DescribeRules", by_listener).await?;
            listeners.push(Listener::of(listener, &rules)?);
        }
        if listeners.is_empty() {
            return Ok(None);
        }
        let mut target_groups = Vec::new();
        for group in members(&ask(upstream, "DescribeTargetGroups", by_balancer).await?, "TargetGroups") {
            let by_group = Tree::new().set("TargetGroupArn", group.required("TargetGroupArn")?);
            let attributes = ask(upstream, "DescribeTargetGroupAttributes", by_group).await?;
            target_groups.push(TargetGroup::of(group, &attributes)?);
        }
        Ok(Some(Self {
            name: balancer.required("LoadBalancerName")?.to_owned(),
            idle_timeout: seconds(attribute(&attributes, "idle_timeout.timeout_seconds"), 60),
            drop_invalid_headers: attribute(&attributes, "routing.http.drop_invalid_header_fields.enabled")
                == Some("true"),
            listeners,
            target_groups,
        }))
    }
}

impl Listener {
    fn of(listener: &Tree, rules: &Tree) -> Result<Self, Failure> {
        let action =
            |from: &Tree, list: &str| from.members(list).next().map_or_else(|| unknown("no action"), Action::of);
        let mut others: Vec<_> =
            members(rules, "Rules").filter(|rule| rule.text("IsDefault") != Some("true")).collect();
        others.sort_by_key(|rule| rule.text("Priority").and_then(|text| text.parse::<u32>().ok()).unwrap_or(u32::MAX));
        let rules = others.into_iter().map(|rule| {
            let mut paths = Vec::new();
            for condition in rule.members("Conditions") {
                match condition.text("Field") {
                    Some("path-pattern") => paths
                        .extend(condition.members("PathPatternConfig.Values").map(|value| value.as_text().to_owned())),
                    field => return unknown(&format!("a condition on {}", field.unwrap_or("nothing"))),
                }
            }
            Ok(Rule { paths, action: action(rule, "Actions")? })
        });
        Ok(Self {
            port: listener.number("Port")?.unwrap_or(80),
            rules: rules.collect::<Result<_, _>>()?,
            default: action(listener, "DefaultActions")?,
        })
    }
}

impl Action {
    fn of(action: &Tree) -> Result<Self, Failure> {
        match action.text("Type") {
            Some("forward") => {
                let one = action.text("TargetGroupArn");
                let first = action.members("ForwardConfig.TargetGroups").next();
                let arn = one.or_else(|| first?.text("TargetGroupArn"));
                arn.map_or_else(|| unknown("forwarding to nowhere"), |arn| Ok(Self::Forward(arn.to_owned())))
            }
            Some("fixed-response") => {
                let response = action.get("FixedResponseConfig").cloned().unwrap_or_default();
                Ok(Self::Respond {
                    status: response.number("StatusCode")?.unwrap_or(200),
                    content_type: response.text("ContentType").unwrap_or("text/plain").to_owned(),
                    body: response.text("MessageBody").unwrap_or_default().to_owned(),
                })
            }
            other => unknown(&format!("an action of type {}", other.unwrap_or("nothing"))),
        }
    }
}

impl TargetGroup {
    fn of(group: &Tree, attributes: &Tree) -> Result<Self, Failure> {
        let algorithm = attribute(attributes, "load_balancing.algorithm.type");
        Ok(Self {
            arn: group.required("TargetGroupArn")?.to_owned(),
            port: group.number("Port")?.unwrap_or(80),
            check: HealthCheck {
                path: group.text("HealthCheckPath").unwrap_or("/").to_owned(),
                matcher: group.text("Matcher.HttpCode").unwrap_or("200").to_owned(),
                interval: seconds(group.text("HealthCheckIntervalSeconds"), 30),
                timeout: seconds(group.text("HealthCheckTimeoutSeconds"), 5),
                healthy: group.number("HealthyThresholdCount")?.unwrap_or(5),
                unhealthy: group.number("UnhealthyThresholdCount")?.unwrap_or(2),
            },
            deregistration_delay: seconds(attribute(attributes, "deregistration_delay.timeout_seconds"), 300),
            least_outstanding: algorithm == Some("least_outstanding_requests"),
        })
    }
}

async fn ask(upstream: &Upstream, action: &str, parameters: Tree) -> Result<Tree, Failure> {
    let answer = upstream.ask(ELB, action, parameters).await?;
    Ok(answer.get(&format!("{action}Result")).cloned().unwrap_or_default())
}

fn members<'a>(result: &'a Tree, list: &'a str) -> impl Iterator<Item = &'a Tree> {
    result.members(list)
}

fn attribute<'a>(result: &'a Tree, key: &str) -> Option<&'a str> {
    result.members("Attributes").find(|it| it.text("Key") == Some(key))?.text("Value")
}

fn seconds(text: Option<&str>, default: u64) -> Duration {
    Duration::from_secs(text.and_then(|text| text.parse().ok()).unwrap_or(default))
}

fn unknown<T>(what: &str) -> Result<T, Failure> {
    Err(Failure::validation(format!("The pretend region's load balancer does not know {what}")))
}

#[cfg(test)]
pub(super) fn example() -> Settings {
    Settings {
        name: "tideline".to_owned(),
        idle_timeout: Duration::from_secs(60),
        drop_invalid_headers: true,
        listeners: vec![Listener {
            port: 80,
            rules: vec![Rule {
                paths: vec!["/metrics".to_owned(), "/metrics/*".to_owned()],
                action: Action::Respond {
                    status: 404,
                    content_type: "text/plain".to_owned(),
                    body: "Not found".to_owned(),
                },
            }],
            default: Action::Forward("arn:tg".to_owned()),
        }],
        target_groups: vec![TargetGroup {
            arn: "arn:tg".to_owned(),
            port: 8080,
            check: HealthCheck {
                path: "/health".to_owned(),
                matcher: "200".to_owned(),
                interval: Duration::from_secs(10),
                timeout: Duration::from_secs(5),
                healthy: 2,
                unhealthy: 3,
            },
            deregistration_delay: Duration::from_secs(30),
            least_outstanding: true,
        }],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_rules_by_priority_and_refuses_what_it_does_not_know() {
        let fixed = Tree::new().set("StatusCode", "404").set("ContentType", "text/plain").set("MessageBody", "No");
        let fixed = Tree::new().set("Type", "fixed-response").with("FixedResponseConfig", fixed);
        let rule = |priority: &str, path: &str, field: &str| {
            let values = Tree::new().with("Values", Tree::list([Tree::leaf(path)]));
            let condition = Tree::new().set("Field", field).with("PathPatternConfig", values);
            Tree::new()
                .set("Priority", priority)
                .with("Conditions", Tree::list([condition]))
                .with("Actions", Tree::list([fixed.clone()]))
        };
        let forward = Tree::new().set("Type", "forward").set("TargetGroupArn", "arn:tg");
        let listener = Tree::new().set("Port", "80").with("DefaultActions", Tree::list([forward]));
        let rules = |rules: Vec<Tree>| Tree::new().with("Rules", Tree::list(rules));
        let read = Listener::of(
            &listener,
            &rules(vec![
                rule("10", "/b", "path-pattern"),
                rule("9", "/a", "path-pattern"),
                rule("default", "", "").set("IsDefault", "true"),
            ]),
        );
        let read = read.unwrap();
        assert_eq!(read.default, Action::Forward("arn:tg".to_owned()));
        assert_eq!(read.rules.iter().map(|rule| rule.paths[0].as_str()).collect::<Vec<_>>(), ["/a", "/b"]);
        let refused = Listener::of(&listener, &rules(vec![rule("1", "x", "host-header")])).unwrap_err();
        assert!(refused.message.contains("host-header"), "{refused}");
    }
}
