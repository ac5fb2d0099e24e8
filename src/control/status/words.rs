//! Who else writes here, in words.

use crate::model::{PoolId, PoolMemory, Rival};

/// That somebody set the capacity within the hour.
pub(super) fn foreign_write(pool: &PoolId, memory: &PoolMemory) -> Option<String> {
    let at = memory.foreign_writes.back()?.format("%H:%M:%SZ");
    let was = memory.overruled?;
    Some(format!("{pool}: somebody else set its capacity at {at}, which was {was}; adopted"))
}

/// One line, and whether it cannot harm: silenced, or writing only what Tidegate follows.
pub(super) fn rival(rival: &Rival) -> (String, bool) {
    match rival {
        Rival::ManagedScaling { pool, provider, silenced: true } => (
            format!(
                "{pool}: managed scaling of capacity provider {provider}, silenced by suspended \
                 AlarmNotification"
            ),
            true,
        ),
        Rival::ManagedScaling { pool, provider, .. } => (
            format!("{pool}: managed scaling of capacity provider {provider} sets its size"),
            false,
        ),
        Rival::ScalingPolicy { pool, policy, silenced: true } => {
            (format!("{pool}: scaling policy {policy}, silenced"), true)
        }
        Rival::ScalingPolicy { pool, policy, .. } => {
            (format!("{pool}: scaling policy {policy} sets its size"), false)
        }
        Rival::ScheduledAction { pool, action } => {
            (format!("{pool}: scheduled action {action} may set its size"), false)
        }
        Rival::InstanceRefresh { pool, refresh } => {
            (format!("{pool}: instance refresh {refresh} replaces hosts"), false)
        }
        Rival::TerminateHook { pool, hook } => {
            (format!("{pool}: lifecycle hook {hook} acts when a host ends"), true)
        }
        Rival::WarmPool { pool } => (format!("{pool}: keeps a warm pool"), true),
        Rival::SuspendedProcess { pool, process } => {
            (format!("{pool}: process {process} is suspended"), true)
        }
        Rival::ScalableTarget { service, min, max, suspended } => (
            format!(
                "{service}: Application Auto Scaling sets its desired count, {min} to {max}, \
                 {suspended}"
            ),
            true,
        ),
        Rival::Deployment { service, deployment } => {
            (format!("{service}: deployment {deployment} is under way"), true)
        }
    }
}
