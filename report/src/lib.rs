//! Pages that stand alone: nothing is fetched, and no script is needed to read them. The load test, the rehearsal and the
//! simulation fill them.
//!
//! ```text
//! page.rs       the document, its sections and tiles
//! stack.rs      charts one below the other over one time axis, and the values under the pointer
//! axis.rs       the time axis
//! chart.rs      a chart
//! chart/scale.rs   its heights, linear or by powers of ten
//!       shape.rs   a series as paths or rectangles
//! words.rs      numbers, times and foreign text
//! style.css, crosshair.js   what all pages look like, and do
//! ```

mod axis;
mod chart;
mod page;
mod stack;
pub mod words;

pub use axis::Axis;
pub use chart::{Chart, Mark, Series, Unit};
pub use page::{Page, section, tile, verdict};
pub use stack::Stack;

/// The width of a drawing in its own units; it is stretched to what there is.
pub const WIDTH: f64 = 1000.0;

/// Its height.
pub const HEIGHT: f64 = 100.0;
