//! What Tidegate tells machines about itself: logs and metrics.

pub mod log;
pub mod metrics;
