//! The guard in front of a real hyper, with the settings of `serve.rs`: what it refuses and how, what it lets through
//! untouched, its times, and mutated requests by the thousand.

mod bare;
mod fuzz;
mod harness;
mod refusals;
mod streams;
mod time;
