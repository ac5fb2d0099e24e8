//! Tells people elsewhere what needs them: events from the status, and their way to each target.
//!
//! Rule: the loop waits for none of this. What happened is read from the published status; what
//! cannot be delivered is logged and counted, and never held up by another target.

mod address;
mod edges;
mod events;
mod outbox;
mod quiet;
mod secret;
mod wire;

pub use address::Refused;
pub use events::{Event, Notice, events};
pub use outbox::run;
pub use secret::Unreadable;
pub use wire::{Post, Publish, SendError, Wire};

#[cfg(test)]
mod tests;
