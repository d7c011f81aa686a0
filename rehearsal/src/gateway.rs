//! HTTP on loopback.

pub mod faults;
