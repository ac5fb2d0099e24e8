//! Tables of what the guard refuses.
