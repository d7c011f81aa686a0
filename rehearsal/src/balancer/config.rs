//! HAProxy's configuration, from what Terraform made.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use super::settings::{Action, Settings, TargetGroup};

/// How many targets a group can have. Those that are not there yet have a place already, so that none of them needs a reload.
pub(super) const SLOTS: usize = 64;
/// Where no target is.
const NOBODY: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Where it listens, and where its targets are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    /// The address that it listens on.
    pub(super) listen: IpAddr,
    /// The network namespace of its targets.
    pub(super) namespace: &'a str,
    /// Its runtime socket.
    pub(super) socket: &'a Path,
}

/// A text that the configuration cannot hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the load balancer cannot be told {0:?}: it has a character that its configuration cannot hold")]
pub(super) struct Unwritable(String);

/// The name of a target group's backend.
pub(super) fn backend(group: usize) -> String {
    format!("group{group}")
}

/// The name of a target's place.
pub(super) fn server(slot: usize) -> String {
    format!("target{slot}")
}

/// The configuration. `healthy` gives, for each target group, the addresses of the targets that are to serve at once, by slot.
pub(super) fn render(
    settings: &Settings,
    place: Place<'_>,
    healthy: &[Vec<Option<Ipv4Addr>>],
) -> Result<String, Unwritable> {
    let idle = settings.idle_timeout.as_secs();
    let mut text = format!(
        "# The load balancer {name}, as Terraform made it.
global
  stats socket {socket} mode 600 level admin
  # Two descriptors for each, of the 20,000 that it may have anywhere.
  maxconn 4000
  hard-stop-after {idle}s
  nbthread 1
  log stderr format raw local0 info

defaults
  mode http
  log global
  option httplog
  option dontlognull
  option dontlog-normal
  option forwardfor
  # In a reload, an idle connection is closed with its next answer: closing it at once would lose a request under way in it.
  option idle-close-on-response
  timeout connect 10s
  timeout client {idle}s
  timeout server {idle}s
  timeout http-keep-alive {idle}s
  timeout http-request {idle}s
  # It sends a request once, as it came.
  retries 0
",
        name = plain(&settings.name)?,
        socket = plain(&place.socket.to_string_lossy())?,
    );
    if settings.drop_invalid_headers {
        text.push_str("  option http-restrict-req-hdr-names delete\n");
    }
    for listener in &settings.listeners {
        // Writing to a string cannot fail.
        let _ = write!(text, "\nfrontend port{0}\n  bind {1}:{0}\n", listener.port, bracketed(place.listen));
        text.push_str("  http-request set-header x-forwarded-proto http\n");
        let _ = writeln!(text, "  http-request set-header x-forwarded-port {}", listener.port);
        for (number, rule) in listener.rules.iter().enumerate() {
            for path in &rule.paths {
                let _ = writeln!(text, "  acl rule{number} path_reg {}", quoted(&pattern(path))?);
            }
        }
        // A request takes the first rule that is for it, and HAProxy has all answers before all groups.
        for (number, rule) in listener.rules.iter().enumerate() {
            let earlier = (0..number).fold(String::new(), |text, earlier| text + &format!(" !rule{earlier}"));
            act(&mut text, settings, &rule.action, &format!("if{earlier} rule{number}"))?;
        }
        let none = (0..listener.rules.len()).fold(String::new(), |text, number| text + &format!(" !rule{number}"));
        let otherwise = if none.is_empty() { String::new() } else { format!("if{none}") };
        act(&mut text, settings, &listener.default, &otherwise)?;
    }
    for (number, group) in settings.target_groups.iter().enumerate() {
        targets(&mut text, number, group, place, healthy.get(number).map_or(&[], Vec::as_slice))?;
    }
    Ok(text)
}

fn act(text: &mut String, settings: &Settings, action: &Action, condition: &str) -> Result<(), Unwritable> {
    let _ = match action {
        Action::Forward(arn) => match settings.target_groups.iter().position(|group| group.arn == *arn) {
            Some(group) if condition.is_empty() => writeln!(text, "  default_backend {}", backend(group)),
            Some(group) => writeln!(text, "  use_backend {} {condition}", backend(group)),
            // Of a group that is being made.
            None => writeln!(text, "  http-request return status 503 {condition}"),
        },
        Action::Respond { status, content_type, body } => writeln!(
            text,
            "  http-request return status {status} content-type {} string {} {condition}",
            quoted(content_type)?,
            quoted(body)?
        ),
    };
    Ok(())
}

fn targets(
    text: &mut String,
    number: usize,
    group: &TargetGroup,
    place: Place<'_>,
    healthy: &[Option<Ipv4Addr>],
) -> Result<(), Unwritable> {
    let check = &group.check;
    let _ = write!(
        text,
        "
backend {name}
  balance {algorithm}
  option httpchk
  http-check send meth GET uri {path} ver HTTP/1.1 hdr host target hdr user-agent ELB-HealthChecker/2.0 hdr connection close
  http-check expect status {matcher}
  timeout check {timeout}s
  default-server check inter {interval}s fall {fall} rise {rise}
",
        name = backend(number),
        algorithm = if group.least_outstanding { "leastconn" } else { "roundrobin" },
        path = quoted(&check.path)?,
        matcher = plain(&check.matcher)?,
        timeout = check.timeout.as_secs(),
        interval = check.interval.as_secs(),
        fall = check.unhealthy,
        // At least two, so that the first success of a new target shows before it counts.
        rise = check.healthy.max(2),
    );
    // default-server does not hand it down.
    let namespace = plain(place.namespace)?;
    for slot in 0..SLOTS {
        let _ = match healthy.get(slot).copied().flatten() {
            Some(address) => writeln!(text, "  server {} {address}:{} namespace {namespace}", server(slot), group.port),
            None => writeln!(text, "  server {} {NOBODY}:{} namespace {namespace} disabled", server(slot), group.port),
        };
    }
    Ok(())
}

/// A pattern of a path as a regular expression.
fn pattern(path: &str) -> String {
    let inner = path.chars().fold(String::new(), |mut text, character| {
        match character {
            '*' => text.push_str(".*"),
            '?' => text.push('.'),
            _ if character.is_ascii_alphanumeric() || "/_-~%&:@\"'".contains(character) => text.push(character),
            _ => text.extend(['\\', character]),
        }
        text
    });
    format!("^{inner}$")
}

/// A word as it is.
fn plain(text: &str) -> Result<&str, Unwritable> {
    let fits = text.chars().all(|character| character.is_ascii_alphanumeric() || "-_./,:+@~".contains(character));
    if fits && !text.is_empty() { Ok(text) } else { Err(Unwritable(text.to_owned())) }
}

/// A text in strong quotes, in which nothing has a meaning.
fn quoted(text: &str) -> Result<String, Unwritable> {
    if text.chars().any(|character| character == '\'' || character.is_control()) {
        return Err(Unwritable(text.to_owned()));
    }
    Ok(format!("'{text}'"))
}

fn bracketed(address: IpAddr) -> String {
    match address {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::balancer::settings::{Rule, example};

    fn rendered(settings: &Settings, healthy: &[Vec<Option<Ipv4Addr>>]) -> Result<String, Unwritable> {
        let place = Place {
            listen: IpAddr::V4(Ipv4Addr::LOCALHOST),
            namespace: "rehearsal-1",
            socket: Path::new("/run/rehearsal-1.sock"),
        };
        render(settings, place, healthy)
    }

    fn line<'a>(text: &'a str, start: &str) -> &'a str {
        text.lines()
            .map(str::trim)
            .find(|line| line.starts_with(start))
            .unwrap_or_else(|| panic!("no {start} in {text}"))
    }

    #[test]
    fn is_what_terraform_made() {
        let text = rendered(&example(), &[]).unwrap();
        assert_eq!(line(&text, "bind"), "bind 127.0.0.1:80");
        assert_eq!(line(&text, "timeout client"), "timeout client 60s");
        assert_eq!(line(&text, "timeout server"), "timeout server 60s");
        assert_eq!(line(&text, "option forwardfor"), "option forwardfor");
        assert_eq!(line(&text, "option http-restrict"), "option http-restrict-req-hdr-names delete");
        assert_eq!(line(&text, "balance"), "balance leastconn");
        assert!(line(&text, "http-check send").starts_with("http-check send meth GET uri '/health' ver HTTP/1.1 "));
        assert_eq!(line(&text, "http-check expect"), "http-check expect status 200");
        assert_eq!(line(&text, "timeout check"), "timeout check 5s");
        assert_eq!(line(&text, "default-server"), "default-server check inter 10s fall 3 rise 2");
        assert_eq!(text.lines().filter(|line| line.trim().starts_with("server target")).count(), SLOTS);
    }

    #[test]
    fn a_rule_comes_before_the_default_and_an_earlier_one_before_a_later() {
        let mut settings = example();
        settings.listeners[0]
            .rules
            .push(Rule { paths: vec!["/*".to_owned()], action: Action::Forward("arn:tg".to_owned()) });
        let text = rendered(&settings, &[]).unwrap();
        assert!(text.contains("acl rule0 path_reg '^/metrics$'\n  acl rule0 path_reg '^/metrics/.*$'\n"));
        assert_eq!(
            line(&text, "http-request return"),
            "http-request return status 404 content-type 'text/plain' string 'Not found' if rule0"
        );
        assert!(text.contains("use_backend group0 if !rule0 rule1\n  use_backend group0 if !rule0 !rule1\n"), "{text}");
    }

    #[test]
    fn who_serves_goes_on_serving_through_a_reload() {
        let text = rendered(&example(), &[vec![None, Some(Ipv4Addr::new(10, 0, 0, 7))]]).unwrap();
        assert_eq!(line(&text, "server target0"), "server target0 192.0.2.1:8080 namespace rehearsal-1 disabled");
        assert_eq!(line(&text, "server target1"), "server target1 10.0.0.7:8080 namespace rehearsal-1");
    }

    #[test]
    fn nothing_that_was_given_becomes_configuration() {
        let mut settings = example();
        settings.target_groups[0].check.path = "/a\n  server evil".to_owned();
        assert!(rendered(&settings, &[]).is_err());
        settings.target_groups[0].check.path = "/it's".to_owned();
        assert!(rendered(&settings, &[]).is_err());
        settings.target_groups[0].check.path = "/a b".to_owned();
        assert!(rendered(&settings, &[]).unwrap().contains("uri '/a b' ver"));
    }

    #[test]
    fn a_pattern_means_the_whole_path() {
        assert_eq!(pattern("/a.b/*"), r"^/a\.b/.*$");
        assert_eq!(pattern("/v?"), "^/v.$");
    }
}
