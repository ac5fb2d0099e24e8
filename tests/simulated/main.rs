//! The control loop on the simulated AWS: stories with transcripts, crash cuts, and long runs.

mod crash;
mod stories;
mod week;
mod world;
