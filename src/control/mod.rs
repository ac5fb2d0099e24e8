//! Where the pieces meet: the tick, the loop around it, and what it tells the world.

pub mod clock;

pub use clock::{Clock, SystemClock};
