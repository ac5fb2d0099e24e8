//! Where the pieces meet: the tick, the loop around it, and what it tells the world.

pub mod clock;
pub mod status;

pub use clock::{Clock, SystemClock};
