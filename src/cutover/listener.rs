//! Finds what is wrong with a listener, and with what is to move on it, before any rule is written.

pub mod pattern;
