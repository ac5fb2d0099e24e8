//! Logs: text for a person at a terminal, JSON lines for everything else.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

/// Which events are logged, in `tracing-subscriber`'s filter syntax: `info,tidegate::aws=debug`.
pub const FILTER_VARIABLE: &str = "TIDEGATE_LOG";

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    #[error("{FILTER_VARIABLE} is `{filter}`: {error}; write it like `info,tidegate=debug`")]
    Filter { filter: String, error: tracing_subscriber::filter::ParseError },
    #[error("logging has been set up before")]
    Twice,
}

/// Sends this process's events to standard error. `filter` is what [`FILTER_VARIABLE`] holds; info
/// without it.
///
/// # Errors
/// When the filter cannot be read, or when called twice.
pub fn init(filter: Option<&str>) -> Result<(), LogError> {
    let text = filter.unwrap_or("info");
    let filter = EnvFilter::builder()
        .parse(text)
        .map_err(|error| LogError::Filter { filter: text.to_owned(), error })?;
    let output = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = if std::io::stderr().is_terminal() {
        output.with_target(false).finish().try_init()
    } else {
        output.json().flatten_event(true).finish().try_init()
    };
    started.map_err(|_| LogError::Twice)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_cannot_be_read_is_named_with_the_remedy() {
        let told = init(Some("tidegate=loud")).unwrap_err().to_string();
        assert!(told.starts_with("TIDEGATE_LOG is `tidegate=loud`: "), "{told}");
        assert!(told.ends_with("write it like `info,tidegate=debug`"), "{told}");
    }
}
