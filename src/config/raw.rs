//! The settings as they may be written, with the words an editor and `config init` show for them.
//!
//! Rule: every key is here and nowhere else; defaults are those of the resolved types.

use super::alb::Url;
use super::names::{AlarmName, ExternalId, FleetId, GroupName, Region, RoleArn};
use super::read::{Named, Written, table};
use super::scalar::{Percent, Period};
use super::words::Voluntary;
use super::{CountOwner, Evict, Like};
use crate::model::{ActionKind, ClusterName, Mode};

mod access;
mod cutover;
mod journal;
mod notify;
mod service;

pub(super) use access::RawAccess;
pub(super) use cutover::{
    RawCutover, RawGate, RawGates, RawProbe, RawProbeOrOff, RawPrometheus, RawRoute, RawRules,
    RawTombstone, RawTombstoneOrEmpty,
};
pub(super) use journal::{RawDynamoDb, RawJournal, RawJournalOrSqlite};
pub(super) use notify::{RawSecret, RawTarget};
pub(super) use service::{RawDescribed, RawExposure, RawHealthCheck};

table! {
    /// What Tidegate looks after and what it may do.
    #[schemars(title = "Tidegate configuration")]
    RawConfig {
        /// Version of this format; always 1.
        #[schemars(required, range(min = 1, max = 1))]
        version: u32,
        /// Who may come in, beside those with a token.
        access: RawAccess,
        /// Where journals are kept: `sqlite`, a file for each cluster under `--state`; or a table
        /// that several replicas share.
        journal: RawJournalOrSqlite,
        /// Who is told of what happens.
        notify: Vec<Written<RawTarget>>,
        /// The ECS clusters that are looked after.
        #[schemars(required, length(min = 1))]
        clusters: Vec<Written<RawCluster>>,
    }
}

table! {
    /// One ECS cluster and what may be done to it.
    RawCluster {
        /// Name of the ECS cluster, unique in this file.
        #[schemars(required)]
        name: ClusterName,
        /// AWS Region. Left out: the one of the environment or profile.
        region: Region,
        /// Role to assume for this cluster. Left out: the process's own credentials.
        role_arn: RoleArn,
        /// External id to give when the role is assumed.
        external_id: ExternalId,
        /// The most that may be done: observe, recommend or act. People may lower it while
        /// Tidegate runs, never raise it above this.
        mode: Mode,
        /// Kinds of action that may be carried out in mode act. What is not listed is still
        /// planned and shown.
        allow: Vec<Written<ActionKind>>,
        /// Auto Scaling groups and Spot Fleet requests to size, in order of preference where
        /// costs are equal.
        #[schemars(required, length(min = 1))]
        pools: Vec<Written<RawPool>>,
        /// Reservation above these makes the fleet grow. 100 turns a ceiling off.
        reservation_ceiling: RawCeiling,
        /// Room kept free for tasks to come: one of the largest task shape unless said otherwise,
        /// `[]` for none.
        headroom: Vec<Written<RawHeadroom>>,
        /// Exceptions for single services, by name.
        services: Named<RawService>,
        /// Moves of routes from one service to others.
        cutovers: Vec<Written<RawCutover>>,
        /// When kinds of voluntary action may not begin.
        windows: Vec<Written<RawWindow>>,
        /// How hosts leave.
        scale_in: RawScaleIn,
        /// When a host is given up.
        repair: RawRepair,
        /// How long a release may take.
        releases: RawReleases,
        /// Limits on how fast things change.
        budgets: RawBudgets,
        /// How long rules and target group of a service stay after it, or its `load_balancing`,
        /// has left the configuration; 1m to 720h.
        retention: Period,
        /// Time between two looks when nothing calls for an earlier one; 5s to 5m.
        interval: Period,
        /// URL of the SQS queue that gets EventBridge's events of this cluster; without it
        /// everything is looked at in each interval.
        queue: Url,
        /// Time between two whole looks while the queue tells of no change; 1m to 1h.
        resync: Period,
        /// Name of the SSM parameter that stops all replicas: `pin REASON` or `observe REASON`; as
        /// long as it does not exist nothing is stopped.
        stop_parameter: String,
    }
}

table! {
    /// A group of hosts: either `auto_scaling_group` or `spot_fleet`.
    #[schemars(extend("oneOf" = [
        {"required": ["auto_scaling_group"]},
        {"required": ["spot_fleet"]},
    ]))]
    RawPool {
        /// Name of an Auto Scaling group.
        auto_scaling_group: GroupName,
        /// Id of a Spot Fleet request of type maintain.
        spot_fleet: FleetId,
        /// It never grows, and empties as budgets allow.
        retiring: bool,
        /// Most units it may be sized to. Left out: the group's own maximum; a fleet has no other.
        #[schemars(range(min = 1))]
        max: u32,
        /// What a listed dollar costs after commitments, in percent.
        price_percent: Percent,
    }
}

table! {
    /// Reservation ceilings.
    RawCeiling {
        /// Share of registered CPU that may be reserved, 1 to 100.
        cpu_percent: Percent,
        /// Share of registered memory that may be reserved, 1 to 100.
        memory_percent: Percent,
    }
}

table! {
    /// Room for `count` more tasks.
    RawHeadroom {
        /// Name of a service whose tasks are meant, or `largest` for the largest task shape.
        #[schemars(required)]
        tasks_like: Like,
        /// How many such tasks.
        #[schemars(range(min = 1))]
        count: u32,
    }
}

table! {
    /// What differs for one service.
    RawService {
        /// Who writes its desired count.
        desired_count: CountOwner,
        /// Whether its tasks may be moved to empty a host.
        evict: Evict,
        /// How it is reached: its target group is kept as written.
        load_balancing: RawExposure,
        /// How it is made when it does not exist.
        create: RawDescribed,
        /// CloudWatch alarms that lead its releases back.
        alarms: Vec<Written<AlarmName>>,
    }
}

table! {
    /// A time in which kinds of action may not begin.
    RawWindow {
        /// Kinds that can wait: scale_in, replace, consolidate, services, cutover.
        #[schemars(required, length(min = 1))]
        forbid: Vec<Written<Voluntary>>,
        /// `Fri 16:00 - Mon 07:00 Europe/Berlin`, `Mon-Fri 09:00 - 17:00 UTC` or
        /// `daily 22:00 - 06:00 Europe/London`.
        #[schemars(required)]
        when: String,
    }
}

table! {
    /// How hosts leave.
    RawScaleIn {
        /// How long a host must have been unneeded before it goes; at least the interval.
        stabilization: Period,
        /// How long a drain may take before it is given up and the host is used again; 1m to 24h.
        drain_deadline: Period,
        /// Age below which a host is never removed to save capacity.
        host_age_min: Period,
    }
}

table! {
    /// When a host is given up.
    RawRepair {
        /// How long its agent may be disconnected; at least 1m, flaps of minutes are normal.
        agent_lost: Period,
        /// How long it may take from launch to registration; at least 1m.
        registration: Period,
        /// Hosts given up in a row after which a pool gets no more.
        #[schemars(range(min = 1))]
        failures_max: u32,
    }
}

table! {
    /// How long a release may take.
    RawReleases {
        /// Time for hosts with room for the tasks that run beside the old ones; 1m to 24h.
        room_within: Period,
        /// Time for the deployment, before it is led back; 1m to 24h.
        done_within: Period,
    }
}

table! {
    /// Limits on how fast things change.
    RawBudgets {
        /// Most hosts that drain at one time.
        #[schemars(range(min = 1))]
        draining_hosts: u32,
        /// Most hosts removed within an hour.
        #[schemars(range(min = 1))]
        removed_hosts_per_hour: u32,
        /// Most capacity units ordered within an hour.
        #[schemars(range(min = 1))]
        launched_units_per_hour: u32,
    }
}
