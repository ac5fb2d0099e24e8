//! What Tidegate tells machines about itself: logs and metrics, and what to make of the metrics.

pub mod alerts;
pub mod grafana;
pub mod log;
pub mod metrics;
