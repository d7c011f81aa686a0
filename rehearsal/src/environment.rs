//! The environment that leads AWS's own tools to a region, and nowhere else.

use std::fmt::Write as _;

use crate::region::Region;

/// Names of variables, and their values. `machines`: also what Packer is to do otherwise, because its build instance is one.
pub(crate) fn variables(endpoint: &str, region: &str, machines: bool) -> Vec<(String, String)> {
    let mut variables = vec![
        ("AWS_ENDPOINT_URL", endpoint),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("AWS_REGION", region),
        ("AWS_DEFAULT_REGION", region),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("AWS_CONFIG_FILE", "/dev/null"),
        ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
    ];
    if machines {
        variables.extend([
            // As moto/network.py has it: an address of loopback is the build instance's, its port 22 may be this machine's.
            ("PKR_VAR_ssh_port", "2222"),
            ("PKR_VAR_ssh_source_cidrs", r#"["127.0.0.1/32"]"#),
            // Its package is AWS's, on the Internet.
            ("PKR_VAR_cloudwatch_agent", "false"),
        ]);
    }
    variables.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// What a person needs to know of a region that is up, as lines that a shell reads.
pub fn exports(region: &Region) -> String {
    let mut text =
        "# The pretend region is up; Ctrl-C ends it, and removes everything. In another shell, and in a checkout\n\
                    # that has no deployment on AWS, because its state would be taken for this one's:\n\
                    unset AWS_PROFILE AWS_DEFAULT_PROFILE AWS_SESSION_TOKEN\n"
            .to_owned();
    for (name, value) in region.environment() {
        // A text is no file, and cannot fail.
        let _always = writeln!(text, "export {name}={}", quoted(&value));
    }
    if let Some(site) = region.site() {
        let _always = write!(text, "# Then make build-app; the page will be at {}", site.url());
    }
    text
}

/// A word of a shell's.
fn quoted(word: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "/:._-".contains(it);
    if word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_what_a_shell_reads() {
        assert_eq!(quoted("http://127.0.0.1:80"), "http://127.0.0.1:80");
        assert_eq!(quoted(r#"["127.0.0.1/32"]"#), r#"'["127.0.0.1/32"]'"#);
        assert_eq!(quoted("it's"), r"'it'\''s'");
        let without = variables("http://127.0.0.1:1", "eu-west-1", false);
        assert!(without.iter().all(|(name, _)| name.starts_with("AWS_")), "{without:?}");
        let with = variables("http://127.0.0.1:1", "eu-west-1", true);
        assert!(with.contains(&("PKR_VAR_ssh_port".to_owned(), "2222".to_owned())), "{with:?}");
    }
}
