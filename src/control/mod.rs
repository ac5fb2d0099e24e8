//! Where the pieces meet: the tick, the loop around it, and what it tells the world.

pub mod clock;
pub mod cluster;
pub mod hearing;
pub mod inbox;
pub mod merge;
pub mod need;
pub mod originals;
pub mod preview;
pub mod reload;
pub mod run;
pub mod standby;
pub mod status;
pub mod tick;

pub use clock::{Clock, SystemClock};
pub use cluster::{Cluster, Verdict};
pub use inbox::{Inbox, Orders, inbox};
pub use preview::{Preview, preview};
pub use run::{pause_after, run};
pub use tick::{TickReport, tick};
