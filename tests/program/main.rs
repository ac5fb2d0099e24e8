//! The program as people and scripts meet it: what it prints, how it exits, how the source is laid
//! out.

#![expect(clippy::unwrap_used, reason = "a test fails where it unwraps")]

mod access;
mod commands;
mod corpus;
mod cutover;
mod docs;
mod export;
#[path = "../guides/mod.rs"]
mod guides;
#[path = "../iam/mod.rs"]
mod iam;
mod image;
mod layers;
mod listener;
mod notify;
mod permissions;
mod previous;
mod recorded;
mod reference;
mod release;
mod typed;
