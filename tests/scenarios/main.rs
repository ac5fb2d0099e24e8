//! The real control loop on the simulated AWS: stories with golden transcripts, and weeks of chance.

mod adopt;
mod capacity;
mod crash;
mod cutover;
mod declared;
mod handback;
mod interrupted;
mod mortal;
mod network;
mod newer;
mod quiet;
mod release;
mod replicas;
mod stage;
mod story;
mod switch;
mod trouble;
mod week;
