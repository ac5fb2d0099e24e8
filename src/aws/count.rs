//! Counts what is asked of AWS, attempt by attempt, by service, operation and result.

use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::FinalizerInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use crate::cloud::{Call, CallResult, Calls};

/// The counts of one scope; clones count into the same.
#[derive(Clone, Debug, Default)]
pub(super) struct CallCounter(Arc<Mutex<Calls>>);

impl CallCounter {
    pub(super) fn counts(&self) -> Calls {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn count(&self, call: Call) {
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
