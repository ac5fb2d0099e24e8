//! Moves traffic between services route by route.

pub mod listener;
