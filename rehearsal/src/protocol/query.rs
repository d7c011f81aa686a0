//! Calls of the Query protocol: a form with an `Action`, in which dots lead into structures and numbers count lists.

use std::collections::BTreeMap;

use super::{Failure, Tree};

/// More parameters, or deeper ones, are nobody's.
const PARAMETERS: usize = 10_000;
const DEPTH: usize = 16;

/// What is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// As `StartInstanceRefresh`.
    pub action: String,
    /// The other parameters.
    pub parameters: Tree,
}

#[derive(Default)]
struct Branch {
    text: String,
    children: BTreeMap<String, Branch>,
}

impl Branch {
    fn tree(self) -> Tree {
        let mut tree = Tree::leaf(self.text);
        let mut children: Vec<_> = self.children.into_iter().collect();
        // As numbers: 10 comes after 9.
        children.sort_by_key(|(name, _)| name.parse::<usize>().unwrap_or(usize::MAX));
        for (name, child) in children {
            let name = if name.parse::<usize>().is_ok() { "member" } else { &name };
            tree.push(name, child.tree());
        }
        tree
    }
}

impl Call {
    /// Reads the body of a call. Fails without an action, or when there is too much of anything.
    pub fn read(body: &[u8]) -> Result<Self, Failure> {
        let (mut root, mut action) = (Branch::default(), None);
        for (index, (name, value)) in form_urlencoded::parse(body).enumerate() {
            if index >= PARAMETERS {
                return Err(Failure::new("MalformedQueryString", format!("more than {PARAMETERS} parameters")));
            }
            match name.as_ref() {
                "Action" => action = Some(value.into_owned()),
                "Version" => {}
                name => {
                    // `Tags.member.1.Key` and, as EC2 has it, `Tag.1.Key`: the word `member` says nothing.
                    let steps = name.split('.').filter(|step| *step != "member");
                    let mut branch = &mut root;
                    for (depth, step) in steps.enumerate() {
                        if depth >= DEPTH {
                            return Err(Failure::new("MalformedQueryString", format!("{name} is too deep")));
                        }
                        branch = branch.children.entry(step.to_owned()).or_default();
                    }
                    branch.text = value.into_owned();
                }
            }
        }
        let action = action.filter(|action| !action.is_empty());
        let action = action.ok_or_else(|| Failure::new("MissingAction", "the call names no Action"))?;
        Ok(Self { action, parameters: root.tree() })
    }

    /// Writes it as the body of a call of EC2 (`list.1`) or of the others (`list.member.1`).
    pub fn write(&self, version: &str, ec2: bool) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("Action", &self.action).append_pair("Version", version);
        append(&mut form, "", &self.parameters, ec2);
        form.finish()
    }
}

fn append(form: &mut form_urlencoded::Serializer<'_, String>, path: &str, tree: &Tree, ec2: bool) {
    let mut count = 0;
    for (name, child) in tree.children() {
        let step = if name == "member" {
            count += 1;
            if ec2 { count.to_string() } else { format!("member.{count}") }
        } else {
            name.to_owned()
        };
        let path = if path.is_empty() { step } else { format!("{path}.{step}") };
        if child.children().next().is_none() {
            form.append_pair(&path, child.as_text());
        }
        append(form, &path, child, ec2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_structures_and_lists_in_their_order() {
        let mut body =
            "Action=CreateAutoScalingGroup&Version=2011-01-01&LaunchTemplate.Version=%247&TargetGroupARNs=".to_owned();
        for number in 1..=11 {
            body += &format!("&Tags.member.{number}.Key=k{number}");
        }
        let call = Call::read(body.as_bytes()).unwrap();
        assert_eq!(call.action, "CreateAutoScalingGroup");
        assert_eq!(call.parameters.text("LaunchTemplate.Version"), Some("$7"));
        let keys: Vec<_> = call.parameters.members("Tags").map(|tag| tag.text("Key").unwrap().to_owned()).collect();
        assert_eq!(keys, (1..=11).map(|number| format!("k{number}")).collect::<Vec<_>>());
        assert_eq!(call.parameters.members("TargetGroupARNs").count(), 0);
        assert!(call.parameters.get("TargetGroupARNs").is_some());
    }

    #[test]
    fn writes_what_it_reads() {
        let parameters = Tree::new()
            .with("Targets", Tree::list([Tree::new().set("Id", "i-1"), Tree::new().set("Id", "i-2")]))
            .set("Name", "a&b=c d");
        let call = Call { action: "RegisterTargets".to_owned(), parameters };
        assert_eq!(Call::read(call.write("1", true).as_bytes()).unwrap().parameters.texts("Targets").len(), 0);
        for ec2 in [false, true] {
            let read = Call::read(call.write("1", ec2).as_bytes()).unwrap();
            assert_eq!(read.parameters.text("Name"), Some("a&b=c d"));
            let ids: Vec<_> = read.parameters.members("Targets").map(|target| target.text("Id").unwrap()).collect();
            assert_eq!(ids, ["i-1", "i-2"]);
        }
    }

    #[test]
    fn refuses_what_is_no_call() {
        assert_eq!(Call::read(b"Version=1").unwrap_err().code, "MissingAction");
        let deep = format!("Action=A&{}=1", vec!["a"; 20].join("."));
        assert!(Call::read(deep.as_bytes()).unwrap_err().message.contains("too deep"));
        let many = format!("Action=A{}", "&a=1".repeat(PARAMETERS + 1));
        assert_eq!(Call::read(many.as_bytes()).unwrap_err().code, "MalformedQueryString");
    }
}
