//! Charts one below the other over one time axis, and what the script shows of them under the pointer.

use serde_json::{Map, Value, json};

use crate::{Axis, Chart};

/// The charts of a page; there is one stack on it.
#[derive(Debug, Default)]
pub struct Stack<'a> {
    /// What they share.
    pub axis: Axis,
    /// The charts, from top to bottom.
    pub charts: Vec<Chart>,
    /// What is drawn behind each of them, in units of the drawing.
    pub backdrop: String,
    /// HTML above the charts.
    pub above: String,
    /// HTML below the charts, above the times.
    pub under: String,
    /// HTML below the times.
    pub below: String,
    /// Named times, first and last second: told with the time.
    pub spans: Vec<(f64, f64, &'a str)>,
    /// Told with the time from a point on, by its index, to the next of them.
    pub remarks: Vec<(usize, String)>,
    /// The same, told over the chart that has an element with `data-tip` over it.
    pub tips: Vec<(usize, String)>,
}

impl Stack<'_> {
    /// As HTML.
    pub fn draw(&self) -> String {
        let Self { axis, backdrop, above, under, below, .. } = self;
        let charts: String = self.charts.iter().map(|chart| chart.draw(axis, backdrop)).collect();
        format!(
            "<div class=\"stack\" id=\"stack\">{above}\n{charts}{under}{}{below}</div>\n\
             <script type=\"application/json\" id=\"points\">{}</script>\n",
            axis.times(),
            self.points(),
        )
    }

    /// What the script shows at a moment; without `<`, so that nothing in it ends the element that it stands in.
    fn points(&self) -> String {
        let round = |value: f64| (value * 100.0).round() / 100.0;
        let mut series = Map::new();
        for (chart, one) in self.charts.iter().flat_map(|chart| chart.series.iter().map(move |one| (chart, one))) {
            if !one.key.is_empty() {
                let values: Value = one.known(&self.axis).into_iter().map(|value| value.map(round)).collect();
                series.insert(one.key.clone(), json!({ "unit": chart.unit.sign(), "values": values }));
            }
        }
        let at: Value = self.axis.at.iter().copied().map(round).collect();
        let points = json!({
            "span": self.axis.span, "step": self.axis.step, "at": at, "series": series,
            "spans": self.spans, "remarks": self.remarks, "tips": self.tips,
        });
        points.to_string().replace('<', "\\u003c")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Mark, Series, Unit};

    #[test]
    fn the_script_gets_what_is_drawn_and_nothing_that_ends_it() {
        let of = |key, values| Series::new(key, "l", Mark::Line, values);
        let series = vec![of("k", vec![Some(1.234), Some(f64::NAN)]), of("", vec![Some(1.0), None])];
        let stack = Stack {
            axis: Axis { span: 2.0, step: 1.0, at: vec![1.003, 2.0] },
            charts: vec![Chart { unit: Unit::Millis, series, ..Chart::default() }],
            spans: vec![(0.0, 2.0, "</script>")],
            remarks: vec![(1, "fast".to_owned())],
            ..Stack::default()
        };
        let drawn = stack.draw();
        let json = drawn.split("id=\"points\">").nth(1).and_then(|rest| rest.split("</script>").next()).unwrap();
        let points: Value = serde_json::from_str(json).unwrap();
        assert_eq!(points["at"], json!([1.0, 2.0]));
        assert_eq!(points["series"], json!({"k": {"unit": "ms", "values": [1.23, null]}}));
        assert_eq!(points["spans"], json!([[0.0, 2.0, "</script>"]]));
        assert_eq!((&points["remarks"], &points["tips"]), (&json!([[1, "fast"]]), &json!([])));
    }
}
