//! The numbers and words below the drawing.

use tideline_report::words::{clock, escape, several};

use super::super::outcome::{Check, Event, Figure, Step};
use super::super::words::{failures, number};
use super::marks::kind;

/// Of more events, the list has the first and the last.
const LISTED: usize = 200;

/// What no machine of one's own can show.
const ONLY_AWS: [(&str, &str); 8] = [
    (
        "Load balancer",
        "The real one, how it grows with its load, and its DNS names. Here HAProxy stands for it, set as Terraform asked.",
    ),
    (
        "Permissions",
        "Whether the IAM policies allow what is needed, and no more. Here they are made, and nobody asks them.",
    ),
    ("EC2", "Whether there is capacity, and how long an instance takes to boot. Here it boots on this machine."),
    ("DynamoDB", "Its own latency and its throttling. Here a store on this machine stands for it."),
    ("ElastiCache", "Its latency, its failover and its limits."),
    ("Metrics", "The CloudWatch agent, and how late its metrics come."),
    ("arm64", "Graviton processors. Here the instances have this machine's."),
    ("Prices", "What it costs. Here nothing costs anything."),
];

pub(super) fn events(events: &[Event]) -> String {
    let skipped = events.len().saturating_sub(LISTED);
    let mut items = String::new();
    for (index, event) in events.iter().enumerate() {
        if skipped == 0 || index < LISTED / 2 || index >= LISTED / 2 + skipped {
            items += &format!(
                "<li id=\"event-{0}\" class=\"{1}\"><b>{0}</b><time>{2}</time><em>{1}</em><span>{3}</span></li>\n",
                index + 1,
                kind(event.kind),
                clock(event.at),
                escape(&event.text),
            );
        } else if index == LISTED / 2 {
            items += &format!("<li><span>{skipped} more, in report.json</span></li>\n");
        }
    }
    if items.is_empty() { items } else { format!("<ol class=\"events told\">{items}</ol>\n") }
}

pub(super) fn figures(steps: &[Step]) -> String {
    let row = |step: &Step, index: usize, first: bool, figure: &Figure| {
        let name = if first { escape(&step.name) } else { String::new() };
        let of = if first { format!("<a href=\"#step-{index}\">{name}</a>") } else { String::new() };
        let mark = if figure.compressed { "<em class=\"squeezed\">compressed</em>" } else { "" };
        let class = if first { " class=\"first\"" } else { "" };
        format!(
            "<tr{class}><th scope=\"row\"><small>{name}</small>{}</th><td class=\"n\">{}\u{a0}{}</td><td>{mark}</td><td class=\"of\">{of}</td></tr>\n",
            escape(&figure.what),
            number(figure.value),
            escape(&figure.unit),
        )
    };
    let mut rows = String::new();
    for (index, step) in steps.iter().enumerate() {
        for (nth, figure) in step.figures.iter().enumerate() {
            rows += &row(step, index + 1, nth == 0, figure);
        }
    }
    if rows.is_empty() {
        return rows;
    }
    let note = if steps.iter().flat_map(|step| &step.figures).any(|figure| figure.compressed) {
        "<p class=\"note\"><em class=\"squeezed\">compressed</em> has waiting in it during which the region's time ran faster: on AWS \
         it takes longer.</p>\n"
    } else {
        ""
    };
    format!(
        "<div class=\"scroll\"><table><thead><tr><th>What</th><th class=\"n\">Value</th><th>Time</th><th class=\"of\">Step</th></tr></thead>\n\
         <tbody>{rows}</tbody></table></div>\n{note}"
    )
}

pub(super) fn steps(steps: &[Step]) -> String {
    let check = |check: &Check| {
        let (class, sign) = if check.passed { ("good", "✓") } else { ("bad", "✗") };
        let word = if check.passed { "passed" } else { "failed" };
        format!(
            "<li class=\"{class}\"><b role=\"img\" aria-label=\"{word}\">{sign}</b><span>{}</span><q>{}</q></li>\n",
            escape(&check.what),
            escape(&check.seen),
        )
    };
    let step = |(index, step): (usize, &Step)| {
        let number = index + 1;
        let bad = failures(step).len();
        let (class, sign) = if bad == 0 { ("good", "✓") } else { ("bad", "✗") };
        let word = if bad == 0 { "passed".to_owned() } else { several(bad as u64, "failure") };
        let failure = step.failure.as_ref().map(|why| format!("<p class=\"why\">{}</p>", escape(why)));
        let checks: String = step.checks.iter().map(check).collect();
        format!(
            "<article id=\"step-{number}\" class=\"step {class}\"><h3><b>{number}</b><span>{}</span>\
             <small>from {}, {} s · {sign}\u{a0}{word}</small></h3>{}<ul>{checks}</ul></article>\n",
            escape(&step.name),
            clock(step.at),
            super::number(step.seconds),
            failure.unwrap_or_default(),
        )
    };
    let all: String = steps.iter().enumerate().map(step).collect();
    if all.is_empty() { all } else { format!("<div class=\"steps\">{all}</div>\n") }
}

pub(super) fn only_aws() -> String {
    let one = |(what, about): &(&str, &str)| format!("<div><dt>{what}</dt><dd>{about}</dd></div>\n");
    format!("<dl class=\"only\">{}</dl>\n", ONLY_AWS.iter().map(one).collect::<String>())
}
