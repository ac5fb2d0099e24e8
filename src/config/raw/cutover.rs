//! The move of routes between services, as it may be written.

use crate::config::alb::{BaseUrl, Body, HostPattern, Location, Path, PathPattern, Url};
use crate::config::measure::{BasisPoints, Decimal, Millis};
use crate::config::names::{AlarmName, GateName};
use crate::config::read::{Written, table, word_or_table};
use crate::config::scalar::{Percent, Period};
use crate::config::words::Strategy;
use crate::model::{CutoverName, ListenerArn, RuleArn, ServiceName};

table! {
    /// The move of routes from one service to others.
    RawCutover {
        /// Name of the cutover, unique in its cluster.
        #[schemars(required)]
        name: CutoverName,
        /// ARN of the listener whose traffic moves.
        #[schemars(required)]
        listener: ListenerArn,
        /// Service that serves today.
        #[schemars(required)]
        from: ServiceName,
        /// `own`: rules of ours above those that are there; or the one rule to edit.
        rules: RawRules,
        /// What moves, in this order.
        #[schemars(required, length(min = 1))]
        routes: Vec<Written<RawRoute>>,
        /// Steps in a word, instead of steps_percent.
        strategy: Strategy,
        /// Share of a route's requests at each step: rising, the last 100.
        #[schemars(length(min = 1))]
        steps_percent: Vec<Written<Percent>>,
        /// Time each step is watched: at least the longest lag of a gate and three samples.
        bake: Period,
        /// Each route waits until the one before has been baked.
        in_order: bool,
        /// No step at or above it without a person's promote, per route.
        approve_before_percent: Percent,
        /// Requests of our own before any user's; off for none.
        probe: RawProbeOrOff,
        /// What the new service must show at each step.
        gates: RawGates,
        /// Time after a write in which ALB may still route by the old weights; up to 5m.
        settle: Period,
        /// How long the old service stays ready for all of its traffic; up to 720h.
        keep_warm: Period,
        /// What answers for what still reaches the old service at the end. Left out: it does.
        tombstone: RawTombstoneOrEmpty,
        /// Paths the old service is known to serve, for the listener's analysis.
        known_paths: Vec<Written<Path>>,
    }
}

table! {
    /// What moves to one service.
    RawRoute {
        /// Service that shall serve it.
        #[schemars(required)]
        to: ServiceName,
        /// Path patterns; with the hosts at most five.
        paths: Vec<Written<PathPattern>>,
        /// Host patterns. Left out: any that the present rule takes.
        hosts: Vec<Written<HostPattern>>,
        /// Steps of this route in a word.
        strategy: Strategy,
        /// Steps of this route.
        #[schemars(length(min = 1))]
        steps_percent: Vec<Written<Percent>>,
        /// Time each step of this route is watched.
        bake: Period,
        /// Healthy targets needed at full weight. Left out: by the old service's rate per target.
        #[schemars(range(min = 1))]
        healthy_targets: u32,
        /// What the probe asks for. Left out: the first path without wildcards.
        probe_path: Path,
    }
}

table! {
    /// The one rule that is edited in place.
    RawAdopt {
        /// ARN of a rule of this listener.
        #[schemars(required)]
        adopt: RuleArn,
    }
}

table! {
    /// Requests of our own that only the new service answers.
    RawProbe {
        /// Where the listener is reached. Left out: its load balancer's own name.
        base_url: BaseUrl,
        /// The good answer; 200 to 499.
        #[schemars(range(min = 200, max = 499))]
        expect_status: u32,
        /// Good answers in a row; 1 to 20.
        #[schemars(range(min = 1, max = 20))]
        times: u32,
    }
}

table! {
    /// What the new service must show at each step.
    RawGates {
        /// Most 5xx answers, in percent with up to two decimals. Left out: learnt.
        errors_max_percent: BasisPoints,
        /// Highest latency of 95 in 100 requests. Left out: learnt.
        latency_p95_max: Millis,
        /// Highest latency of 99 in 100 requests. Left out: not a gate.
        latency_p99_max: Millis,
        /// Requests in a step before its metrics say anything.
        #[schemars(range(min = 1))]
        requests_min: u32,
        /// Length of one datapoint: 1s, 5s, 10s, 20s, 30s or whole minutes up to 1h.
        metric_period: Period,
        /// Time until a datapoint can be read; up to 1h.
        metric_lag: Period,
        /// Silence after which a step rolls back. Left out: it waits.
        no_data: Period,
        /// The old service's group serves nothing but this route: compare the two.
        compare_with_blue: bool,
        /// Gates from elsewhere.
        others: Vec<Written<RawGate>>,
    }
}

table! {
    /// A gate from elsewhere: one of `prometheus`, `cloudwatch_alarm` and `http`.
    #[schemars(extend("oneOf" = [
        {"required": ["prometheus"]},
        {"required": ["cloudwatch_alarm"]},
        {"required": ["http"]},
    ]))]
    RawGate {
        /// What it is called; a name means the same gate throughout a cluster.
        #[schemars(required)]
        name: GateName,
        /// An instant query.
        prometheus: RawPrometheus,
        /// Name of an alarm that must not be in ALARM.
        cloudwatch_alarm: AlarmName,
        /// Address that answers pass, fail or inconclusive.
        http: Url,
        /// From something going wrong until this gate says so. Left out: as metric_lag.
        lag: Period,
    }
}

table! {
    /// An instant query whose value must be within bounds.
    RawPrometheus {
        /// Address of the server.
        #[schemars(required)]
        url: Url,
        /// The query; one number.
        #[schemars(required)]
        query: String,
        /// Good below it.
        below: Decimal,
        /// Good above it.
        above: Decimal,
    }
}

table! {
    /// A fixed response, or a redirect.
    #[schemars(extend("not" = {"required": ["body", "redirect"]}))]
    RawTombstone {
        /// Of a fixed response 2xx, 4xx or 5xx; of a redirect 301 or 302.
        #[schemars(required)]
        status: u32,
        /// What the fixed response says.
        body: Body,
        /// Where the redirect leads: `https://new.example.com/#{path}`.
        redirect: Location,
    }
}

word_or_table! {
    RawRules: "own", RawAdopt;
    RawProbeOrOff: "off", RawProbe;
    RawTombstoneOrEmpty: "empty_group", RawTombstone;
}
