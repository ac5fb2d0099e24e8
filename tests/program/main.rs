//! The program as people and scripts meet it: what it prints, how it exits, how the source is laid
//! out.

mod commands;
mod layers;
