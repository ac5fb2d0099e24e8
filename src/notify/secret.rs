//! Secrets, read where the configuration says they are.
//!
//! Rule: read when needed and dropped after, so that a file may be replaced; never in a message.

use crate::config::notify::Secret;

/// Why a secret cannot be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    #[error("the environment has no variable {0}; set it where the server is started")]
    NoVariable(String),
    #[error("{path} cannot be read: {error}; mount the secret there")]
    NoFile { path: String, error: String },
    #[error("{0} is empty; put the secret there")]
    Empty(String),
}

/// The secret without the space around it.
pub(super) fn read(secret: &Secret) -> Result<String, Unreadable> {
    let (place, text) = match secret {
        Secret::Env(name) => {
            let text = std::env::var(name).map_err(|_| Unreadable::NoVariable(name.clone()))?;
            (name, text)
        }
        Secret::File(path) => {
            let text = std::fs::read_to_string(path).map_err(|error| Unreadable::NoFile {
                path: path.clone(),
                error: error.to_string(),
            })?;
            (path, text)
        }
    };
    match text.trim() {
        "" => Err(Unreadable::Empty(place.clone())),
        text => Ok(text.to_owned()),
    }
}
