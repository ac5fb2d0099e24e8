//! How a service is reached and made, as it may be written.

use crate::config::alb::{Environment, Expect, GroupName, HostPattern, Path, PathPattern};
use crate::config::measure::Stickiness;
use crate::config::names::{ContainerName, Image};
use crate::config::read::{Named, Written, table};
use crate::config::scalar::Period;
use crate::model::ListenerArn;

table! {
    /// The target group of a service and the listener it stands behind.
    RawExposure {
        /// ARN of the listener of an Application Load Balancer.
        #[schemars(required)]
        listener: ListenerArn,
        /// Name of the target group. Left out: the one the service registers with, else one of
        /// ours.
        target_group: GroupName,
        /// Container that answers. Left out: the service's name.
        container: ContainerName,
        /// Port it listens on. Left out: that of `create`.
        #[schemars(range(min = 1, max = 65535))]
        port: u32,
        /// How targets are checked.
        health_check: RawHealthCheck,
        /// How long a target that leaves may finish what it has; up to 1h.
        deregistration_delay: Period,
        /// How long a new target gets less than its share: 0s for off, or 30s to 15m.
        slow_start: Period,
        /// How long clients stay with a target: off, or up to 168h.
        stickiness: Stickiness,
        /// Path patterns of a rule of its own.
        paths: Vec<Written<PathPattern>>,
        /// Host patterns of a rule of its own.
        hosts: Vec<Written<HostPattern>>,
        /// Priority of that rule.
        #[schemars(range(min = 1, max = 50000))]
        priority: u32,
    }
}

table! {
    /// How targets are checked.
    RawHealthCheck {
        /// What is asked for.
        path: Path,
        /// Good answers: \"200\", \"200,302\" or \"200-299\".
        expect: Expect,
        /// Time between two checks; 5s to 5m.
        interval: Period,
        /// Time for an answer; 2s to 2m and below the interval.
        timeout: Period,
        /// Good answers in a row after which a target is used.
        #[schemars(range(min = 2, max = 10))]
        healthy_after: u32,
        /// Bad answers in a row after which a target is no longer used.
        #[schemars(range(min = 2, max = 10))]
        unhealthy_after: u32,
    }
}

table! {
    /// A service that is made when it does not exist: one container on the bridge network.
    RawDescribed {
        /// Image of the container.
        #[schemars(required)]
        image: Image,
        /// CPU reserved for a task; 1024 units are one vCPU.
        #[schemars(required, range(min = 1, max = 1048576))]
        cpu_units: u32,
        /// Memory a task may use.
        #[schemars(required, range(min = 6, max = 33554432))]
        memory_mib: u32,
        /// Port the container listens on.
        #[schemars(required, range(min = 1, max = 65535))]
        port: u32,
        /// Tasks at first.
        count: u32,
        /// Environment variables; no place for secrets.
        environment: Named<Environment>,
    }
}
