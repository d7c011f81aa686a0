//! Numbers, times and foreign text, as reports have them.

/// Foreign text as text of a page, also within an attribute.
pub(crate) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

/// A number for a tick.
pub(crate) fn short(value: f64) -> String {
    let (value, unit) = match value {
        value if value >= 1e9 => (value / 1e9, "\u{a0}bn"),
        value if value >= 1e6 => (value / 1e6, "M"),
        value if value >= 1e4 => (value / 1e3, "k"),
        value => (value, ""),
    };
    let text = format!("{value:.1}");
    format!("{}{unit}", text.strip_suffix(".0").unwrap_or(&text))
}

/// A number with separators between thousands.
pub(crate) fn count(value: f64) -> String {
    let digits = format!("{:.0}", value.abs());
    let grouped: Vec<_> = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy).collect();
    grouped.join(",")
}

/// Seconds as people say them.
pub(crate) fn length(seconds: f64) -> String {
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
    }

    #[test]
    fn numbers_are_for_people() {
        assert_eq!([0.0, 2.5, 999.0, 12_000.0, 1_500_000.0].map(short), ["0", "2.5", "999", "12k", "1.5M"]);
        assert_eq!([0.0, 999.4, 1234567.0].map(count), ["0", "999", "1,234,567"]);
        assert_eq!([59.0, 120.0, 61.0, 7260.0].map(length), ["59 s", "2 min", "1 min 1 s", "2 h 1 min"]);
    }
}
