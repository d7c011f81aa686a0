//! Machines that the upstream's EC2 launches and terminates, so that what EC2 and the load balancer say agrees with the group.
//! How long they take, and how healthy they are, is modelled.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use super::modelled::Modelled;
use super::{Identity, Instances, Launch, State, Target, Ticket, Times};
use crate::gateway::client::{EC2, ELB, Upstream};
use crate::protocol::{Failure, Tree};

/// How often a call that fails is made, at most.
const TRIES: u32 = 5;

/// Those launched at the upstream.
#[derive(Debug)]
pub struct Launched {
    upstream: Arc<Upstream>,
    modelled: Modelled,
    asked: HashMap<Ticket, Asked>,
    answers: Answers,
}

/// What EC2 said since the last step.
type Answers = Arc<Mutex<Vec<(Ticket, Result<Identity, Failure>)>>>;

#[derive(Debug)]
struct Asked {
    launch: Launch,
    /// What EC2 said to it.
    answer: Option<Result<String, String>>,
    leaving: bool,
    terminated: bool,
}

impl Launched {
    pub(crate) fn new(upstream: Arc<Upstream>, times: Times) -> Self {
        Self { upstream, modelled: Modelled::new(times), asked: HashMap::new(), answers: Arc::default() }
    }

    pub(crate) fn modelled_mut(&mut self) -> &mut Modelled {
        &mut self.modelled
    }

    /// Makes calls one after the other, each until it succeeds or was tried often enough.
    fn call(&self, calls: Vec<(crate::gateway::client::Service, &'static str, Tree)>) {
        let upstream = Arc::clone(&self.upstream);
        tokio::spawn(async move {
            for (service, action, parameters) in calls {
                for _ in 0..TRIES {
                    if upstream.ask(service, action, parameters.clone()).await.is_ok() {
                        break;
                    }
                    tokio::time::sleep(std::time::Duration::from_millis(200)).await;
                }
            }
        });
    }
}

fn targets(arn: &str, id: &str) -> Tree {
    Tree::new().set("TargetGroupArn", arn).with("Targets", Tree::list([Tree::new().set("Id", id)]))
}

impl Instances for Launched {
    fn launch(&mut self, launch: &Launch, _: SystemTime) {
        let asked = Asked { launch: launch.clone(), answer: None, leaving: false, terminated: false };
        self.asked.insert(launch.ticket, asked);
        let (upstream, answers, launch) = (Arc::clone(&self.upstream), Arc::clone(&self.answers), launch.clone());
        tokio::spawn(async move {
            let answer = run(&upstream, &launch).await;
            answers.lock().unwrap_or_else(PoisonError::into_inner).push((launch.ticket, answer));
        });
    }

    fn terminate(&mut self, ticket: Ticket, now: SystemTime) {
        self.modelled.terminate(ticket, now);
        let Some(asked) = self.asked.get_mut(&ticket).filter(|asked| !asked.leaving) else { return };
        asked.leaving = true;
        if let Some(Ok(id)) = &asked.answer {
            let calls = asked.launch.target_groups.iter().map(|arn| (ELB, "DeregisterTargets", targets(arn, id)));
            let calls = calls.collect();
            self.call(calls);
        }
    }

    fn step(&mut self, now: SystemTime) {
        let answers = std::mem::take(&mut *self.answers.lock().unwrap_or_else(PoisonError::into_inner));
        for (ticket, answer) in answers {
            let Some(asked) = self.asked.get_mut(&ticket) else { continue };
            match answer {
                Ok(identity) => {
                    let id = identity.id.clone();
                    self.modelled.launch_as(&asked.launch, identity, now);
                    asked.answer = Some(Ok(id.clone()));
                    if asked.leaving {
                        self.modelled.terminate(ticket, now);
                    } else {
                        let calls =
                            asked.launch.target_groups.iter().map(|arn| (ELB, "RegisterTargets", targets(arn, &id)));
                        let calls = calls.collect();
                        self.call(calls);
                    }
                }
                Err(failure) => asked.answer = Some(Err(failure.to_string())),
            }
        }
        let mut due = Vec::new();
        for (ticket, asked) in &mut self.asked {
            let drained = !matches!(self.modelled.state(*ticket, now), None | Some(State::Draining(_)));
            if let (true, false, true, Some(Ok(id))) = (asked.leaving, asked.terminated, drained, &asked.answer) {
                asked.terminated = true;
                due.push((EC2, "TerminateInstances", Tree::new().with("InstanceId", Tree::list([Tree::leaf(id)]))));
            }
        }
        for call in due {
            self.call(vec![call]);
        }
        // What the model has forgotten is over.
        self.asked.retain(|ticket, asked| !asked.terminated || self.modelled.state(*ticket, now).is_some());
    }

    fn state(&self, ticket: Ticket, now: SystemTime) -> Option<State> {
        match &self.asked.get(&ticket)?.answer {
            None => Some(State::Requested),
            Some(Err(why)) => Some(State::Refused(why.clone())),
            Some(Ok(_)) => self.modelled.state(ticket, now),
        }
    }

    fn target(&self, ticket: Ticket, now: SystemTime) -> Target {
        self.modelled.target(ticket, now)
    }

    fn errs(&self, ticket: Ticket, now: SystemTime) -> bool {
        self.modelled.errs(ticket, now)
    }
}

pub(super) async fn run(upstream: &Upstream, launch: &Launch) -> Result<Identity, Failure> {
    let kind = if launch.template.starts_with("lt-") { "LaunchTemplateId" } else { "LaunchTemplateName" };
    let template = Tree::new().set(kind, &launch.template);
    let wanted = template.clone().with("LaunchTemplateVersion", Tree::list([Tree::leaf(&launch.version)]));
    let versions = upstream.ask(EC2, "DescribeLaunchTemplateVersions", wanted).await?;
    let data = versions.get("launchTemplateVersionSet.item.launchTemplateData").cloned().unwrap_or_default();
    // moto takes neither tags nor the security groups of network interfaces from a template.
    let specifications = data.members("tagSpecificationSet").filter_map(|specification| {
        let kind = specification.text("resourceType")?;
        let own = specification.members("tagSet").filter_map(|tag| Some((tag.text("key")?, tag.text("value")?)));
        let inherited =
            launch.tags.iter().filter(|_| kind == "instance").map(|(key, value)| (key.as_str(), value.as_str()));
        let tags = own.chain(inherited).map(|(key, value)| Tree::new().set("Key", key).set("Value", value));
        let specification = Tree::new().set("ResourceType", kind).with("Tag", Tree::list(tags));
        matches!(kind, "instance" | "volume").then_some(specification)
    });
    let groups = data.get("networkInterfaceSet.item").into_iter().flat_map(|interface| interface.members("groupSet"));
    let groups = groups.map(|group| Tree::leaf(group.as_text()));
    let parameters = Tree::new()
        .set("MinCount", 1)
        .set("MaxCount", 1)
        .with("LaunchTemplate", template.set("Version", &launch.version))
        .maybe("ImageId", data.text("imageId"))
        .maybe("InstanceType", launch.instance_type.as_deref().or(data.text("instanceType")))
        .maybe("SubnetId", launch.subnet.as_ref())
        .with("Placement", Tree::new().set("AvailabilityZone", &launch.zone))
        .with("SecurityGroupId", Tree::list(groups))
        .with("TagSpecification", Tree::list(specifications));
    let answer = upstream.ask(EC2, "RunInstances", parameters).await?;
    let instance = answer.members("instancesSet").next().cloned().unwrap_or_default();
    Ok(Identity {
        id: instance.required("instanceId")?.to_owned(),
        instance_type: instance.text("instanceType").unwrap_or_default().to_owned(),
        image: instance.text("imageId").map(str::to_owned),
    })
}
