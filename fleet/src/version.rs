//! The version of a launch template that a rollout goes to: a number, and nothing else.

use std::fmt;
use std::str::FromStr;

/// A launch template version, from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TemplateVersion(u64);

impl TemplateVersion {
    /// The number.
    pub fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for TemplateVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for TemplateVersion {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with('$') || text.eq_ignore_ascii_case("latest") || text.eq_ignore_ascii_case("default") {
            return Err(format!(
                "{text} can mean another version tomorrow, so AWS rolls no refresh back that goes there; pass the number, \
                 such as 7 (terraform output launch_template_version)"
            ));
        }
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        let number = text.parse().ok().filter(|number| digits && *number > 0);
        number.map(Self).ok_or_else(|| "a launch template version is a number from 1, such as 7".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_number_is_a_version() {
        assert_eq!("7".parse::<TemplateVersion>().unwrap().number(), 7);
        for (text, part) in [
            ("$Latest", "another version tomorrow"),
            ("latest", "pass the number"),
            ("$Default", "rolls no refresh back"),
            ("0", "from 1"),
            ("+7", "from 1"),
            ("7.1", "from 1"),
            ("", "from 1"),
        ] {
            let fault = text.parse::<TemplateVersion>().unwrap_err();
            assert!(fault.contains(part), "{text}: {fault}");
        }
    }
}
