//! A simulated AWS in process: one cluster, its pools, hosts, services and tasks on a virtual clock.
//!
//! Rule: the same seed and the same calls give the same world, byte for byte; nothing in here reads
//! a clock or draws a random number of its own.

pub mod act;
pub mod clock;
pub mod cloud;
pub mod delays;
pub mod event;
pub mod faults;
mod hosts;
pub mod laws;
pub mod load;
mod managed;
mod observe;
mod placement;
mod pools;
pub mod rng;
mod scheduler;
mod state;
pub mod story;
mod tasks;
#[cfg(test)]
mod tests;
pub mod world;

pub use clock::SimClock;
pub use cloud::SimCloud;
pub use event::{Event, ServiceSpec};
pub use faults::Faults;
pub use laws::Violation;
pub use load::random_load;
pub use world::World;
