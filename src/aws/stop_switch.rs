//! The stop switch: a parameter of SSM that anyone with the console can create and delete.
//!
//! Rule: no parameter stops nothing. It is read on a way of its own, so that throttled or slow
//! reads of other services keep nobody from stopping.

use std::time::Duration;

use aws_config::SdkConfig;

use super::count::CallCounter;
use super::parameter;
use super::signed::Signer;
use crate::model::{Failure, Stop};

/// Time for one answer: every batch of writes waits for it.
const LIMIT: Duration = Duration::from_secs(2);

/// One cluster's switch.
#[derive(Debug)]
pub(super) struct StopSwitch {
    signer: Signer,
    name: String,
}

impl StopSwitch {
    /// # Errors
    /// When the operating system's certificates cannot be used.
    pub(super) fn new(
        config: &SdkConfig,
        counter: &CallCounter,
        name: &str,
    ) -> Result<Self, String> {
        Ok(Self { signer: Signer::new(config, counter, LIMIT)?, name: name.to_owned() })
    }

    pub(super) async fn read(&self) -> Result<Option<Stop>, Failure> {
        let found = parameter::get(&self.signer, &self.name, false).await?;
        Ok(found.as_deref().map(Stop::read))
    }
}
