//! Crash cuts.
