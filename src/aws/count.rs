//! Counts what is asked of AWS, attempt by attempt, by service, operation and result.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// What a count is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// As the SDK names it: `ECS`, `EC2`, `Auto Scaling`, `Application Auto Scaling`.
    pub service: String,
    /// As the API names it: `DescribeServices`.
    pub operation: String,
    pub result: CallResult,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub enum CallResult {
    Ok,
    /// AWS answered with an error, or with what could not be read.
    Error,
    NoAnswer,
}

/// The counts of one scope; clones count into the same.
#[derive(Clone, Debug, Default)]
pub struct CallCounter(Arc<Mutex<BTreeMap<Call, u64>>>);

impl CallCounter {
    /// Calls made so far, retries included. Bounded: one entry an operation and result.
    pub fn counts(&self) -> BTreeMap<Call, u64> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All calls made so far.
    pub fn total(&self) -> u64 {
        self.counts().values().sum()
    }

    fn count(&self, call: Call) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(call).or_default() += 1;
    }
}

impl Intercept for CallCounter {
    fn name(&self) -> &'static str {
        "CallCounter"
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(metadata) = config.load::<Metadata>() {
            self.count(Call {
                service: metadata.service().to_owned(),
                operation: metadata.name().to_owned(),
                result: match (context.output_or_error(), context.response()) {
                    (Some(Ok(_)), _) => CallResult::Ok,
                    (_, Some(_)) => CallResult::Error,
                    (_, None) => CallResult::NoAnswer,
                },
            });
        }
        Ok(())
    }
}
