//! EC2 Auto Scaling: a model with one `step(now)` and no clock of its own.

use crate::protocol;

/// Why an action was refused: code and message as AWS has them.
pub type Failure = protocol::Failure;

/// A group in the making.
#[derive(Clone, Debug)]
pub struct Draft {
    pub(crate) name: String,
    pub(crate) min: u32,
    pub(crate) max: u32,
    pub(crate) desired: u32,
    pub(crate) template_id: String,
    pub(crate) version: String,
    pub(crate) instance_types: Vec<String>,
    pub(crate) target_groups: Vec<String>,
    pub(crate) tags: Vec<(String, String)>,
    pub(crate) grace: u32,
    pub(crate) warmup: u32,
}

impl Draft {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            min: 2,
            max: 5,
            desired: 2,
            template_id: "lt-0123456789abcdef0".to_owned(),
            version: "1".to_owned(),
            instance_types: Vec::new(),
            target_groups: vec![format!(
                "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/{name}/0123456789abcdef"
            )],
            tags: Vec::new(),
            grace: 60,
            warmup: 60,
        }
    }
}
