//! Why an action is wanted. The text is the product: an operator decides by it.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::drain::DrainCause;
use super::id::{PoolId, RouteId, ServiceName};
use super::resources::Resources;
use super::snapshot::Warning;

/// The reason for an action, with the numbers it rests on.
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
)]
#[serde(rename_all = "snake_case", tag = "code")]
#[strum(serialize_all = "snake_case")]
pub enum Why {
    /// Hosts are missing; `hosts` of them close all the shortfalls together.
    Short { shortfalls: Vec<Shortfall>, hosts: u64, rejected: Vec<Rejected> },
    /// Its tasks were placed elsewhere on paper, for the whole stabilization window.
    Removable { tasks: u64, since: DateTime<Utc>, saves_micro_usd_per_hour: Option<u64> },
    /// The agent is disconnected since then.
    AgentLost { since: DateTime<Utc> },
    /// Launched then, and not a container instance yet.
    NeverRegistered { since: DateTime<Utc> },
    /// EC2 takes the host, or might, and said so then.
    Warned { warning: Warning, since: DateTime<Utc> },
    /// The next step of a drain begun before.
    DrainGoesOn { cause: DrainCause, deadline: DateTime<Utc> },
    /// The deadline passed on a host that is lost anyway; what runs there is lost with it.
    Forced { cause: DrainCause },
    /// Every task on it has stopped.
    Emptied { cause: DrainCause },
    /// The drain is called off: its deadline has passed, or its reason is gone.
    DrainAborted { cause: DrainCause, blocked_by: String },
    /// The fleet's target still counts hosts that have been emptied.
    FleetOversized { emptied: u64 },
    /// Hosts must not be chosen by the group before any may be removed by Tidegate.
    Unprotected,
    /// Something a route needs before any request moves.
    Prepares { route: RouteId, what: String },
    /// The next weight of a route.
    Shifts { route: RouteId, percent: u32, step: usize, of: usize, exposed: Option<u64> },
    /// Blue gets all of the route back.
    RollsBack { route: RouteId, because: String },
    /// As many tasks as before step one, so that the way back never waits for any.
    KeepsFloor { service: ServiceName, floor: u64 },
    /// Nothing reaches it any more.
    Retires { service: ServiceName },
    /// Nothing of the cutover needs it any more.
    Tidies { what: String },
    /// As the configuration declares it.
    Declared { what: String },
    /// It left the configuration then, and the retention time has passed.
    Undeclared { service: ServiceName, since: DateTime<Utc> },
    /// A new revision that a person released.
    Released { by: String },
    /// The revision from before is brought back.
    LeadsBack { because: String },
    /// A person ordered the handover.
    Handover { provider: Option<String> },
    /// A person ordered the handback.
    HandsBack { by: String },
}

impl Why {
    /// The stable name of the reason, as in its JSON.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// One reason why hosts are missing.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Shortfall {
    /// Tasks that should exist and fit on no usable or launching host.
    Tasks { of: String, count: u64, needs: Resources, best_free: Option<Resources> },
    /// Tasks that a deployment will start beside those that run.
    Booked { of: String, count: u64, needs: Resources, best_free: Option<Resources> },
    /// Free room for this many tasks of this shape is wanted.
    Headroom { like: String, count: u64, needs: Resources },
    /// Reservation would be above its ceiling.
    Ceiling { resource: String, reserved_percent: u64, ceiling_percent: u64 },
}

/// A pool that was not chosen, and why.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
pub struct Rejected {
    pub pool: PoolId,
    pub because: String,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tasks { of, count, needs, best_free } => {
                let s = if *count == 1 { "task fits" } else { "tasks fit" };
                write!(f, "{of}: {count} {s} on no host, each needs {needs}")?;
                match best_free {
                    Some(free) => write!(f, "; best free is {free}"),
                    None => write!(f, "; no usable host"),
                }
            }
            Self::Booked { of, count, needs, best_free } => {
                let s = if *count == 1 { "task" } else { "tasks" };
                write!(
                    f,
                    "{of}: no room for {count} more {s} of a deployment, each needs {needs}"
                )?;
                match best_free {
                    Some(free) => write!(f, "; best free is {free}"),
                    None => write!(f, "; no usable host"),
                }
            }
            Self::Headroom { like, count, needs } => {
                write!(f, "headroom for {count} like {like} ({needs}) is missing")
            }
            Self::Ceiling { resource, reserved_percent, ceiling_percent } => write!(
                f,
                "{resource} reservation {reserved_percent} % is above its ceiling {ceiling_percent} %"
            ),
        }
    }
}

impl fmt::Display for Why {
    #[expect(clippy::too_many_lines, reason = "one line of text for each reason")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short { shortfalls, hosts, rejected } => {
                let list: Vec<_> = shortfalls.iter().map(ToString::to_string).collect();
                let s = if *hosts == 1 { "" } else { "s" };
                write!(f, "{}: {hosts} host{s}", list.join("; "))?;
                for Rejected { pool, because } in rejected {
                    write!(f, "; not {pool}: {because}")?;
                }
                Ok(())
            }
            Self::Removable { tasks, since, saves_micro_usd_per_hour } => {
                match tasks {
                    0 => write!(f, "it has been empty")?,
                    1 => write!(f, "its task fits elsewhere, proved")?,
                    _ => write!(f, "its {tasks} tasks fit elsewhere, proved")?,
                }
                write!(f, " since {}", clock(since))?;
                match saves_micro_usd_per_hour {
                    Some(micro) => write!(f, ", -{}", usd(*micro)),
                    None => Ok(()),
                }
            }
            Self::AgentLost { since } => write!(f, "agent disconnected since {}", clock(since)),
            Self::NeverRegistered { since } => {
                write!(f, "launched at {} and never registered", clock(since))
            }
            Self::Warned { warning: Warning::Ends, since } => {
                write!(f, "EC2 takes it two minutes after its notice of {}", clock(since))
            }
            Self::Warned { warning: Warning::AtRisk, since } => {
                write!(f, "EC2 recommends to replace it, since {}", clock(since))
            }
            Self::DrainGoesOn { cause, deadline } => {
                write!(f, "drain ({cause}) goes on, deadline {}", clock(deadline))
            }
            Self::Forced { cause } => {
                write!(f, "its deadline has passed and it is lost anyway ({cause})")
            }
            Self::Emptied { cause } => write!(f, "all its tasks have stopped ({cause})"),
            Self::DrainAborted { cause, blocked_by } => {
                write!(f, "drain ({cause}) is called off: {blocked_by}")
            }
            Self::FleetOversized { emptied } => {
                write!(f, "{emptied} emptied hosts still count in its target")
            }
            Self::Unprotected => {
                f.write_str("hosts must be protected before any may be removed by id")
            }
            Self::Prepares { route, what } => write!(f, "{route}: {what}"),
            Self::Shifts { route, percent, step, of, exposed } => {
                write!(f, "{route} step {} of {of}: {percent} %", step + 1)?;
                match exposed {
                    Some(1) => write!(f, ", at most 1 request hurt if green is wholly broken"),
                    Some(n) => write!(f, ", at most {n} requests hurt if green is wholly broken"),
                    None => Ok(()),
                }
            }
            Self::RollsBack { route, because } => write!(f, "{route} rolls back: {because}"),
            Self::KeepsFloor { service, floor } => {
                write!(f, "{service} is kept at {floor} tasks for the way back")
            }
            Self::Retires { service } => write!(f, "nothing reaches {service} any more"),
            Self::Tidies { what } => write!(f, "{what} is no longer needed"),
            Self::Declared { what } => write!(f, "{what}, as configured"),
            Self::Undeclared { service, since } => {
                write!(f, "{service} is not in the configuration since {}", since.format("%F %TZ"))
            }
            Self::Released { by } => write!(f, "released by {by}"),
            Self::LeadsBack { because } => write!(f, "back: {because}"),
            Self::Handover { provider: Some(provider) } => {
                write!(f, "handover from managed scaling of {provider}")
            }
            Self::Handover { provider: None } => f.write_str("handover"),
            Self::HandsBack { by } => write!(f, "handed back by {by}"),
        }
    }
}

fn clock(at: &DateTime<Utc>) -> impl fmt::Display {
    at.format("%H:%M:%SZ")
}

/// Millionths of a dollar an hour as `$0.0960/h`.
pub fn usd(micro_usd_per_hour: u64) -> String {
    let dollars = micro_usd_per_hour / 1_000_000;
    let rest = micro_usd_per_hour % 1_000_000 / 100;
    format!("${dollars}.{rest:04}/h")
}
