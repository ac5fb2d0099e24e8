//! The real control loop on the simulated AWS: stories with golden transcripts, and weeks of chance.

mod capacity;
mod crash;
mod cutover;
mod mortal;
mod release;
mod stage;
mod story;
mod trouble;
mod week;
