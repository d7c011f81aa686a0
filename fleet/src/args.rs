//! The command line.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::version::TemplateVersion;

/// What AWS takes, two days.
const LONGEST_BAKE: Duration = Duration::from_secs(172_800);

/// Alarms that a refresh may watch.
const MOST_ALARMS: usize = 10;

const CALLS: Duration = Duration::from_secs(10 * 60);
const WAIT: Duration = Duration::from_secs(15 * 60);
const ROLLOUT: Duration = Duration::from_secs(60 * 60);

/// Rolls versions of a launch template out to an Auto Scaling group, and takes them back.
///
/// A rollout is an instance refresh that launches before it terminates, watches alarms and goes back by itself. It runs in AWS: when
/// this program ends before it (a deadline, a signal, a lost connection), the refresh goes on, and `watch` rejoins it.
///
/// Account, region and endpoint come from where every AWS tool takes them: AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL and so on.
/// After `aws sso login`: eval "$(aws configure export-credentials --format env)".
#[derive(Debug, Parser)]
#[command(name = "tideline-fleet", version, disable_help_subcommand = true, max_term_width = 110, after_help = EXIT_CODES,
          after_long_help = EXIT_CODES)]
pub struct CommandLine {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done, or nothing to do
  1    failed: the refresh, or its rollback; the fleet may run two versions
  2    usage, or refused before anything was changed
  3    rolled back: an alarm went off or the new version did not become healthy
  4    cancelled
  5    the deadline has passed; the refresh goes on
  6    another instance refresh is in progress
  7    no credentials, or no permission
  8    AWS could not be reached, or would not be asked, for all of --patience
  130  SIGINT, 143 SIGTERM; the refresh goes on

With --json every event is an object on a line of standard output: event (started, progress, rollback, trouble, image, \
verdict), at, text, and what belongs to it; verdict is the last and has outcome and exit_code. status --json is one object.";

/// What there is to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Bring a launch template version to every instance, and wait until it is there
    ///
    /// Notes the version before in the group's tags (tideline:rollout:…), where rollback finds it. Does nothing when every
    /// instance runs the version already.
    #[command(after_help = EXIT_CODES)]
    Rollout {
        /// Launch template version to go to: a number
        #[arg(long, value_name = "VERSION")]
        to: TemplateVersion,
        /// CloudWatch alarm that takes the rollout back; again, or with commas, for more
        #[arg(long = "alarm", env = "TIDELINE_ALARMS", value_name = "NAME", value_delimiter = ',', value_parser = name)]
        alarms: Vec<String>,
        /// How long the alarms are watched once every instance is replaced. Those of terraform/ need two to three minutes to go off
        #[arg(long, env = "TIDELINE_BAKE", value_name = "TIME", default_value = "3m", value_parser = bake)]
        bake: Duration,
        /// Leave instances that run the version already; false replaces all
        #[arg(long, env = "TIDELINE_SKIP_MATCHING", value_name = "BOOL", default_value_t = true, num_args = 0..=1,
              default_missing_value = "true", require_equals = true, action = clap::ArgAction::Set)]
        skip_matching: bool,
        /// What all commands know
        #[command(flatten)]
        common: Common,
    },
    /// Take the rollout in progress back; without one, go back to the version before the last
    #[command(after_help = EXIT_CODES)]
    Rollback {
        /// Launch template version to go to, a number [default: what the last rollout noted]
        #[arg(long, value_name = "VERSION")]
        to: Option<TemplateVersion>,
        /// What all commands know
        #[command(flatten)]
        common: Common,
    },
    /// Rejoin the instance refresh in progress; without one, say how the last ended
    #[command(after_help = EXIT_CODES)]
    Watch(Common),
    /// Stop the instance refresh in progress where it stands; the fleet may then run two versions
    #[command(after_help = EXIT_CODES)]
    Cancel(Common),
    /// What runs where, since when, which build; what the last rollout did
    #[command(after_help = EXIT_CODES)]
    Status(Common),
    /// Wait until capacity is there and every target is healthy
    #[command(after_help = EXIT_CODES)]
    Wait(Common),
    /// Machine images
    #[command(subcommand, disable_help_subcommand = true)]
    Images(Images),
}

/// What there is to do with machine images.
#[derive(Debug, Subcommand)]
pub enum Images {
    /// Remove images of Tideline, with their snapshots, that nothing can launch from any more; needs the AWS CLI
    ///
    /// An image stays when one of the newest launch template versions names it, or one that the group, an instance or the noted
    /// rollback needs, or the latest or default of any other template; when any instance was launched from it; and when it is
    /// newer than the newest that a version names.
    #[command(after_help = EXIT_CODES)]
    Prune {
        /// Launch template versions whose images stay, the newest first
        #[arg(long, value_name = "COUNT", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..))]
        keep: u16,
        /// Say what would be removed, and remove nothing
        #[arg(long)]
        dry_run: bool,
        /// What all commands know
        #[command(flatten)]
        common: Common,
    },
}

/// What all commands know.
#[derive(Debug, Clone, Args)]
pub struct Common {
    /// Auto Scaling group
    #[arg(long, env = "TIDELINE_GROUP", value_name = "NAME", value_parser = name)]
    pub group: String,
    /// When to give up waiting [default: 1h for rollout, rollback and watch, 15m for wait, else 10m]
    #[arg(long, env = "TIDELINE_DEADLINE", value_name = "TIME", value_parser = time)]
    pub deadline: Option<Duration>,
    /// From look to look while waiting
    #[arg(long, env = "TIDELINE_POLL", value_name = "TIME", default_value = "5s", value_parser = time)]
    pub poll: Duration,
    /// How long one call is made again while AWS throttles or does not answer; while waiting, the deadline counts
    #[arg(long, env = "TIDELINE_PATIENCE", value_name = "TIME", default_value = "2m", value_parser = time)]
    pub patience: Duration,
    /// Objects on standard output, one a line, in place of text
    #[arg(long)]
    pub json: bool,
}

impl Command {
    /// What all commands know.
    pub fn common(&self) -> &Common {
        match self {
            Self::Rollout { common, .. } | Self::Rollback { common, .. } => common,
            Self::Watch(common) | Self::Cancel(common) | Self::Status(common) | Self::Wait(common) => common,
            Self::Images(Images::Prune { common, .. }) => common,
        }
    }

    /// How long it may take.
    pub fn deadline(&self) -> Duration {
        self.common().deadline.unwrap_or(match self {
            Self::Rollout { .. } | Self::Rollback { .. } | Self::Watch(_) => ROLLOUT,
            Self::Wait(_) => WAIT,
            Self::Cancel(_) | Self::Status(_) | Self::Images(_) => CALLS,
        })
    }

    /// What clap cannot check.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Rollout { alarms, .. } if alarms.len() > MOST_ALARMS => Err(format!(
                "{} alarms: AWS watches at most {MOST_ALARMS}; a composite alarm can stand for several",
                alarms.len()
            )),
            _ => Ok(()),
        }
    }
}

fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| format!("{error}; as in 30s or 5m"))?;
    if time.is_zero() { Err("it must be longer than nothing".to_owned()) } else { Ok(time) }
}

fn bake(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).map_err(|error| format!("{error}; as in 30s or 5m"))?;
    if time > LONGEST_BAKE { Err("AWS watches for two days at most".to_owned()) } else { Ok(time) }
}

fn name(text: &str) -> Result<String, String> {
    let text = text.trim();
    if text.is_empty() { Err("a name is not empty".to_owned()) } else { Ok(text.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Command, String> {
        let arguments = [&["tideline-fleet"], arguments].concat();
        let command = CommandLine::try_parse_from(arguments).map_err(|error| error.to_string())?.command;
        command.check().map(|()| command)
    }

    #[test]
    fn the_command_line_is_what_clap_allows() {
        use clap::CommandFactory;
        CommandLine::command().debug_assert();
    }

    #[test]
    fn a_rollout_is_read() {
        let arguments =
            ["rollout", "--group", "g", "--to", "7", "--alarm", "a,b", "--alarm", "c", "--skip-matching=false"];
        let command = parse(&arguments).unwrap();
        assert_eq!(command.deadline(), ROLLOUT);
        let Command::Rollout { to, alarms, bake, skip_matching, .. } = command else { panic!("{command:?}") };
        assert_eq!((to.number(), bake, skip_matching), (7, Duration::from_secs(180), false));
        assert_eq!(alarms, ["a", "b", "c"]);
        let command = parse(&["rollout", "--group", "g", "--to", "7"]).unwrap();
        assert!(matches!(command, Command::Rollout { skip_matching: true, .. }));
    }

    #[test]
    fn bad_input_is_told_what_would_be_good() {
        let eleven = ["a"; 11].join(",");
        for (arguments, part) in [
            (&["rollout", "--group", "g", "--to", "$Latest"][..], "pass the number"),
            (&["rollout", "--group", "g"], "--to"),
            (&["rollout", "--to", "7"], "--group"),
            (&["rollout", "--group", " ", "--to", "7"], "not empty"),
            (&["rollout", "--group", "g", "--to", "7", "--bake", "3d"], "two days"),
            (&["rollout", "--group", "g", "--to", "7", "--alarm", &eleven], "composite alarm"),
            (&["wait", "--group", "g", "--deadline", "soon"], "as in 30s"),
            (&["wait", "--group", "g", "--poll", "0s"], "longer than nothing"),
            (&["images", "prune", "--group", "g", "--keep", "0"], "0 is not in 1"),
        ] {
            let fault = parse(arguments).unwrap_err();
            assert!(fault.contains(part), "{arguments:?}: {fault}");
        }
    }
}
