//! The document around it all.

/// What all pages look like; each adds what it alone has.
const STYLE: &str = include_str!("style.css");

/// Shows the values under the pointer; a page is whole without it.
const SCRIPT: &str = include_str!("crosshair.js");

/// It fetches nothing; should foreign text ever get through, then neither does that.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:";

/// A page.
#[derive(Debug)]
pub struct Page<'a> {
    /// Its title, as HTML.
    pub title: &'a str,
    /// CSS that it alone has.
    pub style: &'a str,
    /// Its parts, as HTML.
    pub parts: &'a [String],
}

impl Page<'_> {
    /// The whole document.
    pub fn html(&self) -> String {
        let Self { title, style, parts } = self;
        format!(
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n\
             <meta name=\"color-scheme\" content=\"light dark\"><link rel=\"icon\" href=\"data:,\">\n\
             <style>{STYLE}{style}</style></head>\n<body><main>\n{}</main>\n<script>{SCRIPT}</script></body></html>\n",
            parts.concat(),
        )
    }
}

/// HTML under a heading; nothing, if there is nothing.
pub fn section(title: &str, content: &str) -> String {
    if content.is_empty() { String::new() } else { format!("<section><h2>{title}</h2>\n{content}</section>\n") }
}

/// A figure that is large: what it is, its value and what that means, as HTML. A bad one is red.
pub fn tile(title: &str, value: &str, about: &str, bad: bool) -> String {
    let class = if bad { " bad" } else { "" };
    format!(
        "<div class=\"tile{class}\"><h3>{title}</h3><p class=\"value\">{value}</p><p class=\"about\">{about}</p></div>\n"
    )
}

/// What came of it: `class` is `good`, `warn` or `bad`, `sign` says it without colour; the line and the reasons are HTML.
pub fn verdict(class: &str, sign: &str, line: &str, reasons: &[String]) -> String {
    let reasons: String = reasons.iter().map(|reason| format!("<li>{reason}</li>")).collect();
    let reasons = if reasons.is_empty() { reasons } else { format!("<ul>{reasons}</ul>") };
    format!(
        "<section class=\"verdict {class}\"><span class=\"sign\" aria-hidden=\"true\">{sign}</span><div><p class=\"line\">{line}</p>\
         {reasons}</div></section>\n"
    )
}
