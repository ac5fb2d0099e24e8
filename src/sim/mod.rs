//! A simulated AWS in process: one cluster, its pools, hosts, services and tasks, and
//! the load balancers before them, on a virtual clock.
//!
//! Rule: the same seed and the same calls give the same world, byte for byte; nothing in here reads
//! a clock or draws a random number of its own.

pub mod act;
mod act_rules;
mod act_services;
mod balancer;
pub mod clock;
pub mod cloud;
pub mod delays;
pub mod event;
pub mod faults;
mod hosts;
mod images;
pub mod laws;
pub mod load;
mod managed;
mod metrics;
mod observe;
mod observe_traffic;
mod placement;
mod pools;
mod readings;
mod releases;
mod requests;
pub mod rng;
mod routing;
mod scaling;
mod scheduler;
mod state;
pub mod story;
pub mod table;
mod targets;
mod tasks;
#[cfg(test)]
mod tests;
pub mod tutorial;
pub mod world;

pub use clock::SimClock;
pub use cloud::SimCloud;
pub use event::{Event, ServiceSpec};
pub use faults::Faults;
pub use images::{ImageFault, digest_of};
pub use laws::Violation;
pub use load::random_load;
pub use metrics::Metrics;
pub use requests::{Answers, Cause, Flow, Latency, Lost, Profile};
pub use scaling::ScalingPolicy;
pub use table::{LineFaults, SimTable};
pub use world::World;
