//! Numbers, times and foreign text, as reports have them.

/// Foreign text as text of a page, in elements and in quoted attributes.
pub fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            // Nothing that turns the reading direction of what follows, or that is no character of HTML.
            '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => escaped.push('\u{fffd}'),
            c if c.is_control() && c != '\n' => escaped.push(' '),
            c => escaped.push(c),
        }
    }
    escaped
}

/// `1,234,567`
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let grouped: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    grouped.join(",")
}

/// The same of a number that may have decimals, without them and without its sign.
pub fn whole(value: f64) -> String {
    count(value.abs().round() as u64)
}

/// `1 check`, `3 checks`
pub fn several(number: u64, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

/// A number where there is little room: `2.5`, `12k`, `1.5M`.
pub fn short(value: f64) -> String {
    let (value, unit) = match value {
        value if value >= 1e9 => (value / 1e9, "\u{a0}bn"),
        value if value >= 1e6 => (value / 1e6, "M"),
        value if value >= 1e4 => (value / 1e3, "k"),
        value => (value, ""),
    };
    let text = format!("{value:.1}");
    format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
}

/// Seconds from the start as `m:ss`, or `h:mm:ss` from an hour on.
pub fn clock(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    let (hours, minutes, seconds) = (whole / 3600, whole / 60 % 60, whole % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// Seconds as people say them: `1 min 5 s`.
pub fn length(seconds: f64) -> String {
    let seconds = seconds.round() as u64;
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, 0) => format!("{minutes} min"),
        (0, minutes, seconds) => format!("{minutes} min {seconds} s"),
        (hours, 0, _) => format!("{hours} h"),
        (hours, minutes, _) => format!("{hours} h {minutes} min"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_stays_text() {
        assert_eq!(escape("<b> & \"c\" 'd'"), "&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
        assert_eq!(escape("a\nb\u{202e}c\0"), "a\nb\u{fffd}c ");
    }

    #[test]
    fn numbers_and_times_are_for_people() {
        assert_eq!([0, 999, 1000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0.4, 999.5, -1234.0].map(whole), ["0", "1,000", "1,234"]);
        assert_eq!([0, 1, 2000].map(|number| several(number, "check")), ["0 checks", "1 check", "2,000 checks"]);
        assert_eq!([0.0, 2.5, 999.0, 12_000.0, 1_500_000.0].map(short), ["0", "2.5", "999", "12k", "1.5M"]);
        assert_eq!([0.0, 59.6, 3599.0, 3661.0].map(clock), ["0:00", "1:00", "59:59", "1:01:01"]);
        assert_eq!([59.0, 120.0, 61.0, 7260.0].map(length), ["59 s", "2 min", "1 min 1 s", "2 h 1 min"]);
    }
}
