//! Configurations that lie in AWS: an object of S3 or a parameter of SSM.
//!
//! Rule: read with the process's own credentials, in the Region of its environment.

use std::time::Duration;

use super::clients::load_own;
use super::count::CallCounter;
use super::signed::Signer;
use super::{object, parameter};

/// Time for one answer.
const LIMIT: Duration = Duration::from_secs(10);

/// Where a configuration lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settings {
    Object { bucket: String, key: String },
    Parameter { name: String },
}

impl Settings {
    /// Its text as it is now.
    ///
    /// # Errors
    /// Why it cannot be read, for people.
    pub async fn read(&self) -> Result<String, String> {
        let config = load_own("the configuration", None).await.map_err(|e| e.to_string())?;
        let signer = Signer::new(&config, &CallCounter::default(), LIMIT)?;
        match self {
            Self::Object { bucket, key } => {
                object::get(&signer, bucket, key).await.map_err(|failure| failure.to_string())
            }
            Self::Parameter { name } => match parameter::get(&signer, name, true).await {
                Ok(found) => found.ok_or_else(|| "there is no such parameter".to_owned()),
                Err(failure) => Err(failure.to_string()),
            },
        }
    }
}
