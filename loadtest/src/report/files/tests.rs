use super::*;
use crate::report::html::example;

fn figures(summary: &Summary) -> Vec<BTreeMap<String, Figures>> {
    let phase = |(index, phase): (usize, &crate::report::PhaseSummary)| {
        let figures = |endpoint: &String| {
            let mut figures = Figures { ok: 998, failed: 2, ..Figures::default() };
            for micros in 1..1000 {
                figures.service.saturating_record(micros * (index as u64 + 1));
                figures.since_due.saturating_record(micros * micros);
            }
            figures.statuses = BTreeMap::from([(200, 998), (0, 2)]);
            (endpoint.clone(), figures)
        };
        phase.endpoints.keys().map(figures).collect()
    };
    summary.phases.iter().enumerate().map(phase).collect()
}

#[test]
fn what_was_written_is_read_and_merges_as_before() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("new").join("run");
    // `TIDELINE_EXAMPLE=folder cargo test` leaves the page there, to be looked at.
    let folder = std::env::var_os("TIDELINE_EXAMPLE").map_or(folder, Into::into);
    let (summary, timeline) = (example::summary(true), example::timeline(true));
    let written = figures(&summary);
    let report = Report { summary: &summary, timeline: &timeline, figures: &written };
    report.write(&folder).unwrap();
    // Again, over what is there.
    report.write(&folder).unwrap();
    let (read_summary, rows, read) = read(&folder).unwrap();
    assert_eq!((&read_summary, &rows), (&summary, &timeline));
    assert_eq!(read.len(), written.len());
    for (written, read) in written.iter().zip(&read) {
        assert!(written.keys().eq(read.keys()) && !read.is_empty());
        for (endpoint, figures) in written {
            let mut merged = Figures::default();
            merged.merge(&read[endpoint]);
            merged.merge(figures);
            let mut expected = figures.clone();
            expected.merge(figures);
            assert_eq!((merged.service, merged.since_due), (expected.service, expected.since_due));
            assert_eq!((merged.ok, merged.failed, merged.statuses), (1996, 4, expected.statuses));
        }
    }
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, [HISTOGRAMS, PAGE, SUMMARY, COMMENT, TIMELINE]);
}

#[test]
fn what_cannot_be_read_is_named_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (summary, folder) = (example::summary(false), folder.path());
    let fault = || read(folder).unwrap_err().to_string();
    assert!(fault().contains("summary.json: it is not there; name a folder"), "{}", fault());
    let report = Report { summary: &summary, timeline: &[], figures: &figures(&summary) };
    let change = |name: &str, from: &str, to: &str| {
        report.write(folder).unwrap();
        let (path, text) = (folder.join(name), fs::read_to_string(folder.join(name)).unwrap());
        assert!(text.contains(from), "{name}: {from}");
        fs::write(path, text.replacen(from, to, 1)).unwrap();
    };
    for (name, from, to, part) in [
        (SUMMARY, "\"schema\": 1", "\"schema\": 2", "schema 2, this program reads 1; read it with the version"),
        (SUMMARY, "\"users\"", "\"losers\"", "missing field `users`"),
        (TIMELINE, ",fleet_cpu\r\n", "", "timeline.csv: its last line is cut off; it is damaged"),
        (HISTOGRAMS, "\"hold\"", "\"held\"", "histograms.json: it has no phase \"hold\""),
        (HISTOGRAMS, "\"HI", "\"!!", "histograms.json: phase "),
        (HISTOGRAMS, "\"HI", "\"AA", "no histogram"),
    ] {
        change(name, from, to);
        assert!(fault().contains(part), "{part}: {}", fault());
    }
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "").unwrap();
    let report = Report { summary: &example::summary(false), timeline: &[], figures: &[] };
    assert!(report.write(&file).unwrap_err().to_string().contains("file"));
    fs::create_dir(folder.path().join(TIMELINE)).unwrap();
    assert!(report.write(folder.path()).unwrap_err().to_string().contains(TIMELINE));
    // Nothing is left of the attempt.
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
}
