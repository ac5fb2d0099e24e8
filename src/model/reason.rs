//! Why something is not done. Every refusal in the program is one of these.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::action::{ActionKind, Rank};
use super::failure::Failure;
use super::id::{CutoverName, ImageName, PoolId, RouteId, ServiceName};
use super::mode::Mode;
use super::resources::Resources;
use super::stop::StopMode;

/// The reason of a hold: a stable code, with the numbers as payload.
#[derive(
    Clone,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
    strum::IntoStaticStr,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case", tag = "code")]
#[strum(serialize_all = "snake_case")]
pub enum Reason {
    // What may be done at all.
    NewerRecord,
    ModeTooLow { mode: Mode },
    NotAllowed,
    Window { window: String, until: Option<DateTime<Utc>> },
    Paused { by: String, because: String },
    Demoted { because: String },
    LeaseLost,
    Stopped { mode: StopMode, because: String },
    SwitchUnread { since: Option<DateTime<Utc>>, failure: Option<Failure> },
    LeaseEnds { until: DateTime<Utc> },
    StandsBy { leader: String, since: DateTime<Utc> },
    // What is known.
    Blind { part: String, age_seconds: i64, gap: Option<Failure> },
    Implausible { what: String },
    UnhealthyHalt { unhealthy: u64, of: u64 },
    ClockJumped,
    InDoubt { since: DateTime<Utc> },
    Outdated { what: String },
    // Limits.
    BudgetSpent { budget: String, used: u64, limit: u64 },
    AtMaximum { max: u32, wanted: u32 },
    AtMinimum { min: u32 },
    BreakerOpen { breaker: String, failures: u32, until: Option<DateTime<Utc>> },
    // Scale-out.
    FitsNoPool { service: String, needs: Resources, advice: String },
    LargerTypeOnly { service: String, needs: Resources, guaranteed: Resources, pool: PoolId },
    CrashLooping { service: ServiceName, failed: u64 },
    Retiring,
    PoolClosed,
    NoCapacity { since: DateTime<Utc> },
    ProcessSuspended { process: String },
    // Other writers.
    ManagedScaling { provider: String },
    ScalingPolicy { policy: String },
    ForeignWrite { expected: u32, found: u32, until: DateTime<Utc> },
    InstanceRefresh { refresh: String },
    Deploying { service: ServiceName },
    ForeignDrain,
    ChangedSince { what: String, before: String, found: String },
    // Removals.
    Stabilizing { since: DateTime<Utc>, until: DateTime<Utc> },
    TasksUnseen,
    TasksFitNowhere { of: String, needs: Resources, best_free: Option<Resources> },
    StandaloneTask { group: String },
    NeverEvicted { service: ServiceName },
    DrainImpossible { service: ServiceName, minimum_healthy: u64, maximum: u64 },
    ConstraintUnknown { of: String, expression: String },
    ZonesRebalance,
    TasksStillStopping { count: u64 },
    // Traffic.
    ListenerUnfit { finding: String },
    NotSeen { what: String },
    NoTargetGroup { service: ServiceName },
    OtherTargetGroup { service: ServiceName },
    NoService { service: ServiceName },
    NoRule { what: String },
    NoPriority { what: String },
    AlreadySends { service: ServiceName },
    NativeDeployment { service: ServiceName },
    RuleChanged { expected: String, found: String },
    TooFewHealthy { group: String, healthy: u64, needed: u64, percent: u32 },
    AfterRoute { route: RouteId },
    RouteRolledBack { route: RouteId },
    AwaitsPromotion { percent: u32 },
    CutoverPaused { by: Option<String>, because: String },
    Settling { until: DateTime<Utc> },
    Baking { until: DateTime<Utc> },
    TooFewRequests { seen: u64, needed: u64 },
    GateUndecided { gate: String, detail: String },
    GateSilent { gate: String, lag_seconds: i64 },
    ProbeUnanswered { detail: String },
    KeptWarm { until: DateTime<Utc> },
    NoWeight,
    StillServes { service: ServiceName, rule: String },
    BelowFloor { service: ServiceName, floor: u64 },
    // What has left the configuration.
    Retained { until: DateTime<Utc> },
    StillUsed { group: String, by: String },
    // Releases.
    RoomMissing { service: ServiceName, tasks: u64, until: Option<DateTime<Utc>> },
    RoomBooked,
    RollingOut { running: u64, desired: u64, failed: u64, until: DateTime<Utc> },
    GoingBack { running: u64, desired: u64 },
    CutoverShifts { cutover: CutoverName },
    ImageUnseen { image: ImageName },
    // Within one plan.
    Outranked { by: Rank, kind: ActionKind },
}

impl Reason {
    /// The stable name of the reason, as in its JSON.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

impl fmt::Display for Reason {
    #[expect(clippy::too_many_lines, reason = "one line of text for each reason")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewerRecord => f.write_str(
                "the journal holds a record of a newer version; start that version again, or set the \
                 mode to go on without that record",
            ),
            Self::ModeTooLow { mode } => write!(
                f,
                "the mode is {mode}; raise it with `tidegate mode set act --cluster NAME --reason TEXT`"
            ),
            Self::NotAllowed => f.write_str("not in `allow` of this cluster"),
            Self::Window { window, until: Some(until) } => {
                write!(f, "forbidden by window {window} until {}", moment(until))
            }
            Self::Window { window, until: None } => write!(f, "forbidden by window {window}"),
            Self::Paused { by, because } => write!(f, "paused by {by}: {because}"),
            Self::Demoted { because } => {
                write!(f, "pool lowered to recommend: {because}; `tidegate resume --pool` lifts it")
            }
            Self::Stopped { mode, because } => {
                write!(f, "the stop switch in AWS says {mode}: {because}")
            }
            Self::SwitchUnread { since, failure } => {
                f.write_str("the stop switch in AWS has not answered")?;
                if let Some(since) = since {
                    write!(f, " since {}", moment(since))?;
                }
                match failure {
                    Some(failure) => write!(f, ": {failure}"),
                    None => Ok(()),
                }
            }
            Self::LeaseLost => {
                f.write_str("the lease on this cluster has ended, or another writer has it")
            }
            Self::LeaseEnds { until } => write!(
                f,
                "the lease on this cluster ends at {}, too soon for a request; it is being renewed",
                moment(until)
            ),
            Self::StandsBy { leader, since } => {
                write!(f, "this replica stands by; {leader} leads since {}", moment(since))
            }
            Self::Blind { part, age_seconds, gap: None } => {
                write!(f, "{part} were last seen {age_seconds} s ago")
            }
            Self::Blind { part, gap: Some(gap), .. } => write!(f, "{part} are incomplete: {gap}"),
            Self::Implausible { what } => write!(f, "the observation is implausible: {what}"),
            Self::UnhealthyHalt { unhealthy, of } => {
                write!(f, "{unhealthy} of {of} hosts look unhealthy together")
            }
            Self::ClockJumped => f.write_str("the clock jumped; timers start anew"),
            Self::InDoubt { since } => {
                write!(f, "an earlier request is in doubt since {}", moment(since))
            }
            Self::Outdated { what } => write!(f, "{what} moved since the plan was made"),
            Self::BudgetSpent { budget, used, limit } => {
                write!(f, "budget {budget} is spent: {used} of {limit}")
            }
            Self::AtMaximum { max, wanted } => {
                write!(f, "{wanted} wanted, the pool's maximum is {max}")
            }
            Self::AtMinimum { min } => write!(f, "the pool is at its minimum {min}"),
            Self::BreakerOpen { breaker, failures, until } => {
                write!(f, "breaker {breaker} is open after {failures} failures in a row")?;
                match until {
                    Some(until) => write!(f, ", tried again at {}", moment(until)),
                    None => write!(f, ", until a person closes it"),
                }
            }
            Self::FitsNoPool { service, needs, advice } => {
                write!(f, "{service} needs {needs}, which no pool's hosts have; {advice}")
            }
            Self::LargerTypeOnly { service, needs, guaranteed, pool } => write!(
                f,
                "{service} needs {needs}, but {pool} guarantees only {guaranteed}: its larger types \
                 cannot be asked for; remove the smaller types or add a pool of the larger one"
            ),
            Self::CrashLooping { service, failed } => {
                write!(f, "{service} fails ({failed} failed tasks); no host is added for it")
            }
            Self::Retiring => f.write_str("the pool is retiring and never grows"),
            Self::PoolClosed => f.write_str("the pool is being changed or cannot be modified"),
            Self::NoCapacity { since } => {
                write!(f, "AWS has not delivered what was ordered since {}", moment(since))
            }
            Self::ProcessSuspended { process } => {
                write!(f, "the group's {process} process is suspended")
            }
            Self::ManagedScaling { provider } => write!(
                f,
                "managed scaling of {provider} writes here; `tidegate handover --cluster NAME` takes over"
            ),
            Self::ScalingPolicy { policy } => {
                write!(
                    f,
                    "scaling policy {policy} writes here; delete it or suspend AlarmNotification"
                )
            }
            Self::ForeignWrite { expected, found, until } => write!(
                f,
                "somebody set the capacity to {found} (was {expected}); adopted until {}",
                moment(until)
            ),
            Self::InstanceRefresh { refresh } => write!(f, "instance refresh {refresh} is running"),
            Self::Deploying { service } => write!(f, "{service} is deploying"),
            Self::ForeignDrain => f.write_str("drained by somebody else: no capacity, left alone"),
            Self::ChangedSince { what, before, found } => write!(
                f,
                "left as it is: somebody changed {what} since; before Tidegate it was {before}, \
                 now {found}"
            ),
            Self::Stabilizing { since, until } => {
                write!(f, "unneeded since {}, goes at {}", moment(since), moment(until))
            }
            Self::TasksUnseen => f.write_str("its tasks are looked at first"),
            Self::TasksFitNowhere { of, needs, best_free } => {
                write!(f, "{of} needs {needs}")?;
                match best_free {
                    Some(free) => write!(f, ", best free elsewhere {free}"),
                    None => write!(f, ", and no other host is usable"),
                }
            }
            Self::StandaloneTask { group } => {
                write!(f, "{group} is a standalone task that nobody would start again")
            }
            Self::NeverEvicted { service } => write!(f, "{service} is never evicted"),
            Self::DrainImpossible { service, minimum_healthy, maximum } => write!(
                f,
                "{service} has minimum {minimum_healthy} % and maximum {maximum} % healthy, so its \
                 tasks could neither stop nor start and a drain would hang; raise the maximum"
            ),
            Self::ConstraintUnknown { of, expression } => {
                write!(f, "{of} has a placement constraint not understood: {expression}")
            }
            Self::ZonesRebalance => {
                f.write_str("AZRebalance may end hosts with tasks on this unprotected group")
            }
            Self::TasksStillStopping { count } => write!(f, "{count} tasks have not stopped yet"),
            Self::ListenerUnfit { finding } => {
                write!(f, "the listener is not fit for it: {finding}")
            }
            Self::NotSeen { what } => write!(f, "{what} was not seen"),
            Self::NoTargetGroup { service } => write!(
                f,
                "{service} has no target group: let it register with one, or give `load_balancing`"
            ),
            Self::OtherTargetGroup { service } => {
                write!(f, "{service} registers with another target group than its route names")
            }
            Self::NoService { service } => {
                write!(
                    f,
                    "service {service} does not exist; create it, or describe it with `create`"
                )
            }
            Self::NoRule { what } | Self::NoPriority { what } => f.write_str(what),
            Self::AlreadySends { service } => {
                write!(f, "its rule sends requests to {service} already")
            }
            Self::NativeDeployment { service } => write!(
                f,
                "ECS's own deployments of {service} rewrite its rules; set its strategy to ROLLING \
                 or leave its traffic to ECS"
            ),
            Self::RuleChanged { expected, found } => {
                write!(f, "somebody changed the rule: it said {expected}, now {found}")
            }
            Self::TooFewHealthy { group, healthy, needed, percent } => write!(
                f,
                "{group} has {healthy} healthy targets, {percent} % of the requests need {needed}"
            ),
            Self::AfterRoute { route } => write!(f, "{route} comes first"),
            Self::RouteRolledBack { route } => write!(
                f,
                "{route} was rolled back: `tidegate cutover start` begins it anew; once all others \
                 are baked, `tidegate cutover finalize` ends the cutover without it and keeps the \
                 old service"
            ),
            Self::AwaitsPromotion { percent } => {
                write!(f, "{percent} % wait for a person: `tidegate cutover promote`")
            }
            Self::CutoverPaused { by: Some(by), because } => {
                write!(f, "paused by {by}: {because}")
            }
            Self::CutoverPaused { by: None, because } => {
                write!(f, "stopped: {because}; `tidegate cutover resume` goes on")
            }
            Self::Settling { until } => {
                write!(f, "the load balancer takes the rule up until {}", moment(until))
            }
            Self::Baking { until } => write!(f, "watched until {}", moment(until)),
            Self::TooFewRequests { seen, needed } => write!(
                f,
                "{seen} requests say too little, {needed} are needed; \
                 `tidegate cutover promote` goes on without"
            ),
            Self::GateUndecided { gate, detail } => write!(f, "{gate} is undecided: {detail}"),
            Self::GateSilent { gate, lag_seconds } => {
                write!(f, "{gate} says nothing (its lag is {lag_seconds} s)")
            }
            Self::ProbeUnanswered { detail } => write!(f, "the probe was not answered: {detail}"),
            Self::KeptWarm { until } => {
                write!(f, "kept warm until {}; `tidegate cutover finalize` ends it", moment(until))
            }
            Self::NoWeight => f.write_str("all weights would be zero: every request would fail"),
            Self::StillServes { service, rule } => {
                write!(f, "{service} is still reached by {rule}")
            }
            Self::BelowFloor { service, floor } => {
                write!(f, "{service} is kept at {floor} tasks for the way back")
            }
            Self::Retained { until } => write!(
                f,
                "no longer in the configuration: what Tidegate made for it is deleted at {}; put it \
                 back into the configuration to keep it",
                moment(until)
            ),
            Self::StillUsed { group, by } => {
                write!(f, "no longer in the configuration, but {group} is still used by {by}")
            }
            Self::RoomMissing { service, tasks, until } => {
                write!(f, "no room yet for {tasks} more tasks of {service}")?;
                match until {
                    Some(until) => write!(f, ", waits until {}", moment(until)),
                    None => Ok(()),
                }
            }
            Self::RoomBooked => f.write_str("its room is booked for a deployment"),
            Self::RollingOut { running, desired, failed, until } => {
                write!(f, "{running} of {desired} tasks run the new revision")?;
                match failed {
                    0 => {}
                    1 => write!(f, ", 1 has failed")?,
                    _ => write!(f, ", {failed} have failed")?,
                }
                write!(f, "; given up at {}", moment(until))
            }
            Self::GoingBack { running, desired } => {
                write!(f, "{running} of {desired} tasks run the revision from before")
            }
            Self::CutoverShifts { cutover } => {
                write!(f, "cutover {cutover} is moving its requests")
            }
            Self::ImageUnseen { image } => write!(f, "{image} was not seen to exist"),
            Self::Outranked { by, kind } => {
                write!(f, "{kind} ({by}) on the same subject goes first")
            }
        }
    }
}

fn moment(at: &DateTime<Utc>) -> impl fmt::Display {
    at.format("%Y-%m-%d %H:%M:%SZ")
}
