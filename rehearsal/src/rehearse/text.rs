//! The outcome for a terminal.

use tideline_report::words::length;

use super::outcome::{Figure, Outcome};
use super::words::{Verdict, failures, number};

/// The steps, the figures and the verdict, which is last: it is what stays on the screen.
pub fn text(outcome: &Outcome) -> String {
    let width = |lengths: &mut dyn Iterator<Item = usize>| lengths.max().unwrap_or(0);
    let names = width(&mut outcome.steps.iter().map(|step| step.name.chars().count()));
    let mut lines = Vec::new();
    for step in &outcome.steps {
        let failures = failures(step);
        let sign = if failures.is_empty() { '✓' } else { '✗' };
        lines.push(format!("  {sign}  {:names$}  {:>7.1} s", step.name, step.seconds));
        lines.extend(failures.iter().map(|failure| format!("       {failure}")));
    }
    let figures: Vec<&Figure> = outcome.steps.iter().flat_map(|step| &step.figures).collect();
    if !figures.is_empty() {
        let whats = width(&mut figures.iter().map(|figure| figure.what.chars().count()));
        let values = width(&mut figures.iter().map(|figure| number(figure.value).chars().count()));
        let units = width(&mut figures.iter().map(|figure| figure.unit.chars().count()));
        lines.push(String::new());
        for Figure { what, value, unit, compressed } in figures {
            let mark = if *compressed { "  compressed: longer on AWS" } else { "" };
            let line = format!("  {what:whats$}  {:>values$} {unit:units$}{mark}", number(*value));
            lines.push(line.trim_end().to_owned());
        }
    }
    let verdict = Verdict::of(outcome);
    lines.push(String::new());
    lines.push(verdict.line);
    if verdict.failures.len() > 1 {
        lines.extend(verdict.failures.iter().map(|failure| format!("  {failure}")));
    }
    lines.push(format!("It took {}.", length(outcome.seconds)));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::super::example;
    use super::*;

    #[test]
    fn each_step_has_a_line_and_what_failed_stands_under_it() {
        let text = text(&example::outcome());
        let lines: Vec<_> = text.lines().collect();
        let at = lines.iter().position(|line| line.starts_with("  ✗  the power of an instance is cut ")).unwrap();
        assert_eq!(lines[at + 1], "       expected “at most the requests in flight failed”, seen “7, of 2 in flight”");
        assert_eq!(lines.iter().filter(|line| line.starts_with("  ✓")).count(), example::outcome().steps.len() - 1);
        let ends: Vec<_> =
            lines.iter().filter(|line| line.starts_with("  ✓")).map(|line| line.chars().count()).collect();
        assert!(ends.windows(2).all(|pair| pair[0] == pair[1]), "{text}");
        assert!(lines.iter().any(|line| line.ends_with("compressed: longer on AWS")), "{text}");
        assert!(lines[lines.len() - 2].starts_with("The rehearsal failed at “the power"), "{text}");
    }
}
