//! How long things take in the simulated AWS, each with its source.
//!
//! Rule: a duration that decides outcomes stands here, not where it is used.

use chrono::TimeDelta;

/// EC2 launch to ECS instance ACTIVE, as (per mille, seconds): p50 75 s, p95 120 s, p99 180 s.
/// Composed from published cold-boot measurements of Amazon Linux 2 and Bottlerocket groups.
pub const LAUNCH: &[(u64, u64)] =
    &[(0, 45), (50, 55), (500, 75), (950, 120), (990, 180), (1000, 240)];

/// Of a launch delay, the share after which the group calls the instance `InService`: EC2 reaches
/// `running` in 16 of 26 s, and ECS registration waits for boot and agent.
pub const IN_SERVICE_PERCENT: i32 = 40;

/// A group looks at its size this long after something changed it.
pub const RESIZE: TimeDelta = TimeDelta::seconds(3);

/// A group whose launch found no capacity tries again after this.
pub const LAUNCH_RETRY: TimeDelta = TimeDelta::seconds(60);

/// A fleet is `modifying` for this long after its target was set.
pub const FLEET_MODIFYING: TimeDelta = TimeDelta::seconds(5);

/// From the interruption notice to the end (EC2 User Guide, Spot interruption notices).
pub const SPOT_NOTICE: TimeDelta = TimeDelta::minutes(2);

/// From terminate to gone: EC2's shutting-down.
pub const TERMINATE: (TimeDelta, TimeDelta) = (TimeDelta::seconds(15), TimeDelta::seconds(60));

/// The ECS service scheduler looks at its services this often while there is something to do.
pub const ROUND: TimeDelta = TimeDelta::seconds(4);

/// Most tasks one service starts in one round: the size of a `RunTask` batch.
pub const STARTS_PER_ROUND: u64 = 10;

/// Tasks that a drain moved have found a place this long after their host was ended, if there is
/// one: longer than the default stop timeout, which holds room, shorter than a launch.
pub const SETTLED: TimeDelta = TimeDelta::seconds(45);

/// PENDING to RUNNING with the image on the host or near it.
pub const TASK_START: (TimeDelta, TimeDelta) = (TimeDelta::seconds(3), TimeDelta::seconds(12));

/// SIGTERM to STOPPED takes at least this, and at most the task's stop timeout.
pub const TASK_STOP_MIN: TimeDelta = TimeDelta::seconds(2);

/// `ECS_CONTAINER_STOP_TIMEOUT`: SIGKILL after it (ECS agent default).
pub const TASK_STOP_TIMEOUT: TimeDelta = TimeDelta::seconds(30);

/// A crashing task is started again after a wait that doubles from here …
pub const CRASH_BACKOFF: TimeDelta = TimeDelta::seconds(15);

/// … up to this (ECS service throttle logic).
pub const CRASH_BACKOFF_MAX: TimeDelta = TimeDelta::minutes(15);

/// Failed tasks after which a deployment's circuit breaker trips: half of the desired count, within
/// these (ECS deployment circuit breaker).
pub const BREAKER_FAILURES: (u64, u64) = (3, 200);

/// ECS lists a deployment that has failed for so long.
pub const FAILED_LISTED: TimeDelta = TimeDelta::seconds(60);

/// Requests are counted this often.
pub const SECOND: TimeDelta = TimeDelta::seconds(1);

/// From `ModifyRule` to its effect on requests: not documented; a few seconds are seen.
pub const RULE_SPREADS: (TimeDelta, TimeDelta) = (TimeDelta::seconds(1), TimeDelta::seconds(10));

/// From unhealthy to the moment ECS stops the task and starts another.
pub const UNHEALTHY_STOPS: TimeDelta = TimeDelta::seconds(30);

/// Rules of one load balancer, defaults left out (ELB quotas).
pub const RULES_MAX: usize = 100;

/// Target groups of one forward action (ELB quotas).
pub const GROUPS_PER_ACTION_MAX: usize = 5;

/// Condition values of one rule, and wildcards in them (ELB quotas).
pub const CONDITION_VALUES_MAX: usize = 5;

/// ALB publishes its metrics each minute while there are requests (ELB guide).
pub const METRIC_PERIOD_SECONDS: u32 = 60;

/// A datapoint is seen so long after its period has ended.
pub const METRIC_VISIBLE: (TimeDelta, TimeDelta) =
    (TimeDelta::seconds(60), TimeDelta::seconds(120));

/// Minutes above its target until a target tracking policy scales out …
pub const SCALING_HIGH_MINUTES: u32 = 3;

/// … and below it until it scales in: its alarms' datapoints.
pub const SCALING_LOW_MINUTES: u32 = 15;

/// A group compares its zones this often while `AZRebalance` is live.
pub const ZONE_CHECK: TimeDelta = TimeDelta::minutes(5);

/// Managed scaling publishes its metric each minute.
pub const ALARM: TimeDelta = TimeDelta::minutes(1);

/// Datapoints the low alarm of managed scaling needs; not configurable.
pub const LOW_ALARM_DATAPOINTS: u32 = 15;

/// `instanceWarmupPeriod`: no further scale-out while a host is younger (default).
pub const WARMUP: TimeDelta = TimeDelta::seconds(300);
