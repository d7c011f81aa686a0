//! `tideline-rehearsal`: the command line, signals, and the exit code.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::pin::Pin;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use tideline_rehearsal::args::{self, Command, CommandLine};
use tideline_rehearsal::site::Site;
use tideline_rehearsal::{Region, Settings, rehearse, simulate};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

#[tokio::main]
#[expect(clippy::print_stderr, reason = "it is what the program says to its user")]
async fn main() -> ExitCode {
    let done = match CommandLine::parse().wanted() {
        Command::Region(wanted) => region(&wanted).await.map_err(failed),
        Command::Up(wanted) => up(wanted.settings()).await.map_err(failed),
        Command::Run(wanted) => rehearse(&wanted.settings()).await,
        Command::Down { folder } => Site::down(&folder).await.map_err(|error| failed(error.to_string())),
        Command::Simulate(wanted) => match wanted.settings() {
            Ok(settings) => simulate(&settings, &wanted.out).map_err(failed),
            Err(fault) => Err((2, fault)),
        },
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, error)) => {
            eprintln!("tideline-rehearsal: {error}");
            ExitCode::from(code)
        }
    }
}

fn failed(error: String) -> (u8, String) {
    (1, error)
}

fn simulate(settings: &simulate::Settings, out: &Path) -> Result<(), String> {
    let began = Instant::now();
    let outcome = simulate::run(settings).map_err(|failure| failure.message)?;
    simulate::write(&outcome, out).map_err(|error| format!("{}: {error}", out.display()))?;
    let (text, took, page) = (simulate::text(&outcome), began.elapsed(), out.join("report.html"));
    let told = writeln!(std::io::stdout(), "{text}\nSimulated in {:.1} s: {}", took.as_secs_f64(), page.display());
    // Whoever closed the pipe has read enough.
    told.or_else(|error| if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error.to_string()) })
}

async fn region(wanted: &args::Region) -> Result<(), String> {
    let mut end = End::new()?;
    let region = Region::start(wanted.settings()).await.map_err(|error| error.to_string())?;
    for (version, behaviour) in &wanted.behave {
        region.behave(version, behaviour.clone());
    }
    say(format_args!("{}", region.endpoint()))?;
    end.comes().await;
    region.stop().await.map_err(|error| error.to_string())
}

async fn up(settings: Settings) -> Result<(), String> {
    let mut end = End::new()?;
    let folder = settings.site.as_ref().map(|site| site.folder.clone());
    let region = tokio::select! {
        started = Region::start(settings) => started.map_err(|error| error.to_string())?,
        () = end.comes() => {
            // What was begun is not the region's yet.
            Site::down(&folder.unwrap_or_default()).await.map_err(|error| error.to_string())?;
            return Err("ended before it was up".to_owned());
        }
    };
    if let Err(error) = say(format_args!("{}", tideline_rehearsal::exports(&region))) {
        region.stop().await.map_err(|error| error.to_string())?;
        return Err(error);
    }
    end.comes().await;
    region.stop().await.map_err(|error| error.to_string())
}

/// Rehearses here; that something did not hold is a failure. Gives the exit code with it.
async fn rehearse(region: &Settings) -> Result<(), (u8, String)> {
    let cannot = |why: String| (69, why);
    let mut end = End::new().map_err(cannot)?;
    let site = region.site.clone().ok_or_else(|| cannot("a rehearsal needs machines".to_owned()))?;
    let here = |error: std::io::Error| cannot(format!("where is this? {error}"));
    let program = std::env::current_exe().map_err(here)?;
    let settings = rehearse::Settings {
        project: std::env::current_dir().map_err(here)?,
        programs: program.parent().map(Path::to_owned).unwrap_or_default(),
        region: Settings { site: None, ..region.clone() },
        site: site.clone(),
    };
    let ran = rehearse::run(&settings, end.comes()).await.map_err(cannot);
    let ran = ran.and_then(|outcome| outcome.ok_or_else(|| (130, "ended before its time".to_owned())));
    if let Err((code, why)) = &ran {
        // What was begun is removed here.
        Site::down(&site.folder).await.map_err(|error| (*code, format!("{why}; and then {error}")))?;
    }
    let outcome = ran?;
    rehearse::write(&outcome, &site.folder).map_err(|error| failed(format!("{}: {error}", site.folder.display())))?;
    let page = site.folder.join("report.html");
    say(format_args!("{}\n{}", rehearse::text(&outcome), page.display())).map_err(failed)?;
    if outcome.passed { Ok(()) } else { Err(failed("not all of it held".to_owned())) }
}

fn say(what: std::fmt::Arguments<'_>) -> Result<(), String> {
    writeln!(std::io::stdout(), "{what}").map_err(|error| format!("nobody reads standard output: {error}"))
}

/// When the program is to end.
struct End {
    terminate: Signal,
    interrupt: Signal,
    closed: Pin<Box<dyn Future<Output = ()>>>,
}

impl End {
    fn new() -> Result<Self, String> {
        let on = |kind| signal(kind).map_err(|error| format!("no signals: {error}"));
        let (terminate, interrupt) = (on(SignalKind::terminate())?, on(SignalKind::interrupt())?);
        Ok(Self { terminate, interrupt, closed: Box::pin(closed()) })
    }

    async fn comes(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
            () = &mut self.closed => {}
        }
    }
}

/// Returns when standard input is a pipe and its other end is closed: whoever started it is gone. Of anything else, as the
/// `/dev/null` of a job in the background, nothing can be told.
async fn closed() {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().map(File::from);
    let pipe = |file: &File| file.metadata().is_ok_and(|it| it.file_type().is_fifo() || it.file_type().is_socket());
    let Some(mut stdin) = stdin.ok().filter(pipe) else { return std::future::pending().await };
    let (closed, told) = oneshot::channel::<()>();
    // A thread that the end of the process need not wait for.
    std::thread::spawn(move || {
        let mut ignored = [0; 512];
        while stdin.read(&mut ignored).is_ok_and(|length| length > 0) {}
        drop(closed);
    });
    let _closed = told.await;
}
