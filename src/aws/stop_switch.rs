//! The stop switch: a parameter of SSM that anyone with the console can create and delete.
//!
//! Rule: no parameter stops nothing. It is read by a client of its own, so that throttled or slow
//! reads of other services keep nobody from stopping.

use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use super::clients::{client, write_limits};
use super::count::CallCounter;
use super::failure;
use crate::model::{Failure, Stop};

/// Time for one answer: every batch of writes waits for it.
const LIMIT: Duration = Duration::from_secs(2);

/// One cluster's switch.
#[derive(Debug)]
pub(super) struct StopSwitch {
    ssm: aws_sdk_ssm::Client,
    name: String,
}

impl StopSwitch {
    pub(super) fn new(config: &SdkConfig, counter: &CallCounter, name: &str) -> Self {
        let (retry, limits) = (RetryConfig::disabled(), write_limits(LIMIT));
        let ssm = client!(aws_sdk_ssm, config, [counter], retry, limits, "tidegate-stop");
        Self { ssm, name: name.to_owned() }
    }

    pub(super) async fn read(&self) -> Result<Option<Stop>, Failure> {
        let asked = self.ssm.get_parameter().name(&self.name).send().await;
        match asked {
            Ok(found) => Ok(found.parameter().and_then(|found| found.value()).map(Stop::read)),
            Err(error) if error.code() == Some("ParameterNotFound") => Ok(None),
            Err(error) => Err(failure::gap("ssm:GetParameter", &error).failure),
        }
    }
}
