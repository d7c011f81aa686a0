//! What goes wrong beside anybody's question: it is said to whoever reads the program's output.

/// Says it.
#[expect(clippy::print_stderr, reason = "it is what the program says to its user")]
pub(crate) fn complain(what: impl std::fmt::Display) {
    eprintln!("tideline-rehearsal: {what}");
}
