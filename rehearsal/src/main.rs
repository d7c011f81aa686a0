//! `tideline-rehearsal`: the command line, signals, and the exit code.

fn main() {}
