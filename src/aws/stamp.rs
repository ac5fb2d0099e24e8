//! Writes the writer's epoch into the user agent of each request that changes something, so that
//! CloudTrail tells which of several replicas sent it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

use crate::model::Epoch;

/// The epoch of one scope; clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Stamp(Arc<AtomicU64>);

impl Stamp {
    /// From now on requests are sent under this epoch.
    pub(super) fn set(&self, epoch: Epoch) {
        self.0.store(epoch.0, Ordering::Relaxed);
    }
}

impl Intercept for Stamp {
    fn name(&self) -> &'static str {
        "Stamp"
    }

    /// After signing, which leaves this header out.
    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        _components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let headers = context.request_mut().headers_mut();
        let agent = headers.get("user-agent").unwrap_or_default();
        let stamped = format!("{agent} md/tidegate-epoch#{}", self.0.load(Ordering::Relaxed));
        headers.insert("user-agent", stamped);
        Ok(())
    }
}
