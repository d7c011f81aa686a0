//! What is done for each request: one file for each resource.

pub mod data;
pub mod fleet;
pub mod health;
pub mod metrics;
pub mod openapi;
pub mod page;
pub mod product;
pub mod status;
