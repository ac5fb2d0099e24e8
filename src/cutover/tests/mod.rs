//! Stories of routes, told on a load balancer small enough to see through.

pub(crate) mod little;
mod model;
mod moments;
mod removal;
mod ways;
