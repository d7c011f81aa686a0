//! The report as files in a folder, and back again.

mod table;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::{Deserializer, Serializer as _, V2DeflateSerializer};
use serde::{Deserialize, Serialize};

use super::{Row, SCHEMA, Summary, html, markdown};
use crate::record::Figures;

const SUMMARY: &str = "summary.json";
const TIMELINE: &str = "timeline.csv";
const HISTOGRAMS: &str = "histograms.json";
const PAGE: &str = "report.html";
const COMMENT: &str = "summary.md";

/// What is written of a run.
#[derive(Debug, Clone, Copy)]
pub struct Report<'a> {
    /// The summary.
    pub summary: &'a Summary,
    /// One row for each second.
    pub timeline: &'a [Row],
    /// By phase, in the summary's order, and by endpoint.
    pub figures: &'a [BTreeMap<String, Figures>],
}

/// [`Figures`] as they stand in `histograms.json`.
#[derive(Serialize, Deserialize)]
struct Kept {
    service: String,
    since_due: String,
    ok: u64,
    failed: u64,
    statuses: BTreeMap<u16, u64>,
}

/// `histograms.json`: by phase and endpoint.
type Histograms = BTreeMap<String, BTreeMap<String, Kept>>;

impl Report<'_> {
    /// Writes `summary.json`, `timeline.csv`, `histograms.json` (HDR V2 with deflate, in base64), `report.html` and
    /// `summary.md` into `folder`, which is made when there is none; what is there of an earlier run is replaced.
    ///
    /// Each file appears whole or not at all, and `summary.json` last: who sees it sees the others too.
    ///
    /// # Errors
    ///
    /// Where the folder or a file cannot be written; the error names it.
    pub fn write(&self, folder: &Path) -> io::Result<()> {
        let Self { summary, timeline, .. } = self;
        fs::create_dir_all(folder).map_err(|error| named(folder, &error))?;
        put(folder, TIMELINE, &table::write(timeline))?;
        put(folder, HISTOGRAMS, &serde_json::to_string_pretty(&self.histograms()?)?)?;
        put(folder, PAGE, &html::page(summary, timeline))?;
        put(folder, COMMENT, &markdown::page(summary))?;
        put(folder, SUMMARY, &(serde_json::to_string_pretty(summary)? + "\n"))
    }

    fn histograms(&self) -> io::Result<Histograms> {
        let phase = |(phase, figures): (&super::PhaseSummary, &BTreeMap<String, Figures>)| {
            let kept = figures.iter().map(|(endpoint, figures)| Ok((endpoint.clone(), keep(figures)?)));
            Ok((phase.name.clone(), kept.collect::<io::Result<_>>()?))
        };
        self.summary.phases.iter().zip(self.figures).map(phase).collect()
    }
}

/// Under a temporary name first, so that nobody reads half a file. The name is hidden, and the process's own.
fn put(folder: &Path, name: &str, content: &str) -> io::Result<()> {
    let (path, new) = (folder.join(name), folder.join(format!(".{name}.{}.new", std::process::id())));
    let written = File::create(&new).and_then(|mut file| {
        file.write_all(content.as_bytes())?;
        // A rename may reach the disk before what it names.
        file.sync_all()
    });
    written.and_then(|()| fs::rename(&new, &path)).map_err(|error| {
        // What is left of it is of no use; the first error is the one to tell.
        let _ = fs::remove_file(&new);
        named(&path, &error)
    })
}

fn named(path: &Path, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

fn keep(figures: &Figures) -> io::Result<Kept> {
    let encode = |times: &Histogram<u64>| {
        let mut bytes = Vec::new();
        match V2DeflateSerializer::new().serialize(times, &mut bytes) {
            Ok(_) => Ok(BASE64.encode(bytes)),
            Err(error) => Err(io::Error::other(format!("{HISTOGRAMS}: {error:?}"))),
        }
    };
    Ok(Kept {
        service: encode(&figures.service)?,
        since_due: encode(&figures.since_due)?,
        ok: figures.ok,
        failed: figures.failed,
        statuses: figures.statuses.clone(),
    })
}

/// Why a folder is not read.
#[derive(Debug)]
pub struct ReadError {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it, and what to do.
    pub fault: String,
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.file.display(), self.fault)
    }
}

impl std::error::Error for ReadError {}

/// The summary, its rows, and the figures by phase, in the summary's order, and endpoint.
pub type Run = (Summary, Vec<Row>, Vec<BTreeMap<String, Figures>>);

/// What [`Report::write`] wrote: the summary, the rows, and the figures by phase, in the summary's order, and endpoint.
///
/// # Errors
///
/// Where a file is missing, is not what this version writes, or does not fit the others.
pub fn read(folder: &Path) -> Result<Run, ReadError> {
    #[derive(Deserialize)]
    struct Schema {
        schema: u32,
    }
    let text = get(folder, SUMMARY)?;
    let Schema { schema } = parse(folder, SUMMARY, &text)?;
    if schema != SCHEMA {
        let fault =
            format!("it has schema {schema}, this program reads {SCHEMA}; read it with the version that wrote it");
        return Err(ReadError { file: folder.join(SUMMARY), fault });
    }
    let summary: Summary = parse(folder, SUMMARY, &text)?;
    let damaged = |name: &str, fault: String| {
        let fault = format!("{fault}; it is damaged or of another version, so leave this run out or repeat it");
        ReadError { file: folder.join(name), fault }
    };
    let rows = table::read(&get(folder, TIMELINE)?).map_err(|fault| damaged(TIMELINE, fault))?;
    let mut kept: Histograms = parse(folder, HISTOGRAMS, &get(folder, HISTOGRAMS)?)?;
    let mut figures = Vec::new();
    for phase in &summary.phases {
        let missing = || damaged(HISTOGRAMS, format!("it has no phase {:?}, which {SUMMARY} has", phase.name));
        let kept = kept.remove(&phase.name).ok_or_else(missing)?;
        let endpoints = kept.into_iter().map(|(endpoint, kept)| match unkeep(&kept) {
            Ok(figures) => Ok((endpoint, figures)),
            Err(fault) => Err(damaged(HISTOGRAMS, format!("phase {:?}, {endpoint:?}: {fault}", phase.name))),
        });
        figures.push(endpoints.collect::<Result<_, _>>()?);
    }
    Ok((summary, rows, figures))
}

fn get(folder: &Path, name: &str) -> Result<String, ReadError> {
    let file = folder.join(name);
    fs::read_to_string(&file).map_err(|error| {
        let fault = match error.kind() {
            io::ErrorKind::NotFound => "it is not there; name a folder that a run was written to".to_owned(),
            _ => format!("{error}; see to it that it can be read"),
        };
        ReadError { file, fault }
    })
}

fn parse<T: for<'de> Deserialize<'de>>(folder: &Path, name: &str, text: &str) -> Result<T, ReadError> {
    serde_json::from_str(text).map_err(|error| {
        let fault = format!("{error}; it is damaged or of another version, so leave this run out or repeat it");
        ReadError { file: folder.join(name), fault }
    })
}

fn unkeep(kept: &Kept) -> Result<Figures, String> {
    let decode = |text: &str| -> Result<Histogram<u64>, String> {
        let bytes = BASE64.decode(text).map_err(|error| error.to_string())?;
        Deserializer::new().deserialize(&mut bytes.as_slice()).map_err(|error| format!("no histogram: {error:?}"))
    };
    Ok(Figures {
        service: decode(&kept.service)?,
        since_due: decode(&kept.since_due)?,
        ok: kept.ok,
        failed: kept.failed,
        statuses: kept.statuses.clone(),
    })
}

#[cfg(test)]
mod tests;
