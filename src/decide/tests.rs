//! Stories of deciding.
