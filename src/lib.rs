//! Tidegate keeps an ECS-on-EC2 fleet exactly as large as its tasks need, and moves traffic between
//! services route by route.
//!
//! ```text
//!         wake-up (timer, change event, operator): carries facts, no decision
//!               |
//!  Need  <--- computed purely from config and memory: what this tick must see
//!    |
//!  Cloud --observe(need)--> Snapshot ---> cutover::step, release::step -> plans + bookings
//!  (aws | sim)                  |    \--> decide::capacity(bookings) ---> Plan
//!    ^   '--changes--> Snapshot::apply (pure)                               |
//!    |                                              merge: one action per subject, by rank
//!    |                                                                      |
//!    '-- act(intent) <-- Journal.intend <-- guard::admit (last word on every write)
//!            '--> outcome --> Journal.append --> Memory::fold --> Status --> api, dashboard
//! ```
//!
//! The rooms, lowest first; each uses only those above it in this list, and rooms of one line do
//! not use each other: `model`; `config`; `decide`, `cutover`, `release`, `policy`; `handback`,
//! `doctor`; `guard`; `journal`; `access`; `cloud`, `eventbridge`; `control`; `aws`, `sim`,
//! `telemetry`, `notify`; `api`, `dashboard`; `cli`.

pub mod access;
pub mod api;
#[cfg(feature = "aws")]
pub mod aws;
pub mod cli;
pub mod cloud;
pub mod config;
pub mod control;
pub mod cutover;
pub mod dashboard;
pub mod decide;
pub mod doctor;
pub mod eventbridge;
pub mod guard;
pub mod handback;
pub mod journal;
pub mod model;
pub mod notify;
pub mod policy;
pub mod release;
pub mod sim;
pub mod telemetry;
