//! What a replica is called, so that others can say who leads.

use super::exit::{Exit, Failure};

/// Host, process, and a random part, which no other process ever has.
pub(super) fn owner() -> Result<String, Failure> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = if host.trim().is_empty() { "replica" } else { host.trim() };
    let random = getrandom::u64().map_err(|error| {
        Failure::new(Exit::Failed, format!("no random numbers from the system: {error}"))
    })?;
    Ok(format!("{host}/{}/{random:016x}", std::process::id()))
}
