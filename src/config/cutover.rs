//! Cutovers and the load balancing of services, as declared, checked and with defaults.

use chrono::TimeDelta;

use crate::model::{
    CutoverName, GroupSettings, ListenerArn, RuleArn, ServiceName, TaskDescription,
};

/// The move of routes from one service to others, on one listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CutoverConfig {
    pub name: CutoverName,
    pub listener: ListenerArn,
    /// The service that serves today: blue.
    pub from: ServiceName,
    pub rules: RuleMode,
    /// In this order.
    pub routes: Vec<RouteConfig>,
    /// Each route waits until the one before has been baked.
    pub in_order: bool,
    /// No step at or above this percentage without a person's promote, per route.
    pub approve_before_percent: Option<u32>,
    pub probe: Option<ProbeConfig>,
    pub gates: Gates,
    /// Time after a write in which ALB may still route by the old weights.
    pub settle: TimeDelta,
    /// How long blue stays sized for all of its old traffic after the last route was baked.
    pub keep_warm: TimeDelta,
    /// What answers for what still reaches blue at the end; `None`: blue goes on serving it.
    pub tombstone: Option<Tombstone>,
    /// Paths blue is known to serve, for the listener's analysis.
    pub known_paths: Vec<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum RuleMode {
    /// Rules of our own above the ones that are there.
    #[default]
    Own,
    /// This one rule is edited in place.
    Adopt(RuleArn),
}

/// What moves to one service.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouteConfig {
    /// Green.
    pub to: ServiceName,
    /// ALB path patterns; at most five.
    pub paths: Vec<String>,
    /// ALB host patterns; empty for any that the present rule takes.
    pub hosts: Vec<String>,
    /// Green's weights in percent, rising, the last 100. `[100]` is all at once.
    pub steps_percent: Vec<u32>,
    /// Time each step is watched.
    pub bake: TimeDelta,
    /// Healthy targets green needs at full weight; `None`: by blue's own rate per target.
    pub healthy_targets: Option<u64>,
    pub probe_path: Option<String>,
}

/// A request of our own through the load balancer, which only green answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProbeConfig {
    /// `http://host:port` of the listener; `None`: its load balancer's own name.
    pub base_url: Option<String>,
    pub expect_status: u16,
    /// Good answers in a row.
    pub times: u32,
}

/// What green must show at each step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gates {
    /// Green's share of 5xx answers in basis points (hundredths of a percent); `None`: learnt.
    pub errors_max_bp: Option<u32>,
    /// Green's latency; `None`: learnt from blue's last hour.
    pub latency_p95_max_ms: Option<u32>,
    pub latency_p99_max_ms: Option<u32>,
    /// Requests green must have answered in a step before its metrics say anything.
    pub requests_min: u64,
    /// Length of one datapoint and the time until it can be read.
    pub metric_period: TimeDelta,
    pub metric_lag: TimeDelta,
    /// Silence after which a step that sends traffic rolls back; `None`: it waits.
    pub no_data: Option<TimeDelta>,
    /// Blue's group serves nothing but this route, so that error rates may be compared.
    pub compare_with_blue: bool,
    pub others: Vec<OtherGate>,
}

/// A gate from elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherGate {
    /// Shown, and unique within its cutover.
    pub name: String,
    pub source: GateSource,
    /// From something going wrong until this gate says so.
    pub lag: TimeDelta,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GateSource {
    CloudwatchAlarm(String),
    Prometheus { url: String, query: String, below: Option<String>, above: Option<String> },
    Http(String),
}

/// What answers on a retired route.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tombstone {
    /// A target group without targets: 503.
    EmptyGroup,
    FixedResponse {
        status: u16,
        body: String,
    },
    Redirect {
        status: u16,
        location: String,
    },
}

impl Default for Gates {
    fn default() -> Self {
        Self {
            errors_max_bp: None,
            latency_p95_max_ms: None,
            latency_p99_max_ms: None,
            requests_min: 100,
            metric_period: TimeDelta::seconds(60),
            metric_lag: TimeDelta::seconds(120),
            no_data: None,
            compare_with_blue: false,
            others: Vec::new(),
        }
    }
}

impl Default for ProbeConfig {
    fn default() -> Self {
        Self { base_url: None, expect_status: 200, times: 3 }
    }
}

impl RouteConfig {
    /// A route with the default steps and bake, for these path patterns.
    pub fn new<P: Into<String>>(
        to: impl Into<ServiceName>,
        paths: impl IntoIterator<Item = P>,
    ) -> Self {
        Self {
            to: to.into(),
            paths: paths.into_iter().map(Into::into).collect(),
            hosts: Vec::new(),
            steps_percent: CutoverConfig::STEPS_PERCENT.to_vec(),
            bake: CutoverConfig::BAKE,
            healthy_targets: None,
            probe_path: None,
        }
    }
}

impl CutoverConfig {
    /// The steps of Tidegate where none are given.
    pub const STEPS_PERCENT: [u32; 6] = [1, 5, 10, 25, 50, 100];
    pub const BAKE: TimeDelta = TimeDelta::minutes(10);
    pub const SETTLE: TimeDelta = TimeDelta::seconds(15);
    pub const KEEP_WARM: TimeDelta = TimeDelta::hours(168);

    /// A cutover with all defaults and these routes.
    pub fn new(
        name: impl Into<CutoverName>,
        listener: impl Into<ListenerArn>,
        from: impl Into<ServiceName>,
        routes: Vec<RouteConfig>,
    ) -> Self {
        Self {
            name: name.into(),
            listener: listener.into(),
            from: from.into(),
            rules: RuleMode::Own,
            routes,
            in_order: true,
            approve_before_percent: None,
            probe: None,
            gates: Gates::default(),
            settle: Self::SETTLE,
            keep_warm: Self::KEEP_WARM,
            tombstone: None,
            known_paths: Vec::new(),
        }
    }

    pub fn route(&self, to: &ServiceName) -> Option<&RouteConfig> {
        self.routes.iter().find(|route| route.to == *to)
    }

    /// The greatest lag of all gates.
    pub fn lag(&self) -> TimeDelta {
        let others = self.gates.others.iter().map(|gate| gate.lag);
        others.fold(self.gates.metric_lag, TimeDelta::max)
    }

    /// The shortest bake that its gates can judge: the lag and three samples.
    pub fn bake_min(&self) -> TimeDelta {
        self.lag() + self.gates.metric_period * 3
    }
}

/// How a service is reached: its target group, kept as declared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exposure {
    pub listener: ListenerArn,
    /// The target group's name; `None`: the one the service registers with, else one of ours.
    pub target_group: Option<String>,
    pub container: String,
    pub port: u16,
    /// Kept so; `None`: left as it is.
    pub settings: Option<GroupSettings>,
    /// Rules of its own by configuration; empty for none.
    pub paths: Vec<String>,
    pub hosts: Vec<String>,
    /// Priority of the rule of its own.
    pub priority: Option<u16>,
}

/// A service that Tidegate creates when it does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    pub task: TaskDescription,
    pub count: u64,
}
