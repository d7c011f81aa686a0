//! Tideline's service: JSON documents over HTTP, kept in DynamoDB.
//!
//! A request flows one way, and each room knows only the next:
//!
//! [`serve`] (connections) → [`guard`] (their bytes and times) → [`layers`] (what every request passes) → [`routes`] (the one table of URLs) → [`handlers`]
//! (one file for each resource) → [`store`] (DynamoDB, the cache). What it carries is a [`model::Document`]. Errors rise
//! untouched to [`error`], where each gets its status and its problem document.
//!
//! Around it: [`args`] and [`config`] (the settings), [`logging`], [`metrics`], [`identity`] (which instance this is),
//! [`heartbeat`] (what the instances know of each other), [`lifecycle`] and [`systemd`] (starting, ready, draining), [`app`] (what requests share) and [`server`] (the whole,
//! from bind to drain).

pub mod app;
pub mod args;
pub mod config;
pub mod error;
pub mod guard;
pub mod handlers;
pub mod heartbeat;
pub mod http;
pub mod identity;
pub mod layers;
pub mod lifecycle;
pub mod logging;
pub mod metrics;
pub mod model;
pub mod routes;
pub mod serve;
pub mod server;
pub mod store;
pub mod systemd;
pub mod version;
