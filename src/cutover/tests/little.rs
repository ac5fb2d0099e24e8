//! The smallest AWS a cutover can be played on: every request takes effect at once.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};

use crate::config::{
    ClusterConfig, CutoverConfig, Gates, PoolConfig, ProbeConfig, RouteConfig, RuleMode,
    ServiceConfig, Tombstone,
};
use crate::control::originals::originals;
use crate::cutover;
use crate::guard::{self, Case, Lease};
use crate::model::*;

pub(crate) const LISTENER: &str = "arn:aws:elasticloadbalancing:r:1:listener/app/web/1/2";

/// Config, what AWS says, what is remembered, and the time.
#[derive(Clone, Debug)]
pub(crate) struct Little {
    pub(crate) config: ClusterConfig,
    pub(crate) snapshot: Snapshot,
    pub(crate) memory: Memory,
    pub(crate) now: DateTime<Utc>,
    /// Requests a minute by group, errors in percent of them, and latency.
    pub(crate) load: BTreeMap<String, (u64, u64, u32)>,
    pub(crate) log: Vec<String>,
    /// The name of the action AWS refuses just now.
    pub(crate) refuses: Option<&'static str>,
}

pub(crate) fn group_arn(name: &str) -> TargetGroupArn {
    format!("arn:aws:elasticloadbalancing:r:1:targetgroup/{name}/1").into()
}

impl Little {
    /// The tutorial's cluster: `/api*` and all else to the monolith, and services that wait.
    pub(crate) fn tutorial(services: &[&str]) -> Self {
        let now = build::now();
        let mut config = ClusterConfig::new("web", vec![PoolConfig::new(build::workers())]);
        config.mode = Mode::Act;
        config.allow.insert(ActionKind::Cutover);
        config.cutovers.push(cutover(services));
        for name in services {
            config.services.insert((*name).into(), ServiceConfig::default());
        }
        let mut little = Self {
            config,
            snapshot: build::snapshot(),
            memory: Memory { mode: Mode::Act, ..Memory::default() },
            now,
            load: BTreeMap::new(),
            log: Vec::new(),
            refuses: None,
        };
        little.add_service("api", 3);
        for name in services {
            little.add_service(name, 2);
        }
        let api = group_arn("api");
        let values = BTreeSet::from(["/api*".to_owned()]);
        let rule = Rule {
            arn: "rule-api".into(),
            priority: 99,
            conditions: BTreeSet::from([Condition::Path { values }]),
            image: RuleImage::forward_to(&api),
            owner: Owner::Other,
        };
        let listener = Listener {
            arn: LISTENER.into(),
            load_balancer: "arn:aws:elasticloadbalancing:r:1:loadbalancer/app/web/1".into(),
            protocol: "HTTP".to_owned(),
            port: 80,
            default: RuleImage::forward_to(&api),
            rules: vec![rule],
        };
        little.traffic().listeners.insert(LISTENER.into(), listener);
        little.load.insert("api".to_owned(), (6000, 0, 20));
        little
    }

    pub(crate) fn traffic(&mut self) -> &mut Traffic {
        &mut self.snapshot.traffic.value
    }

    pub(crate) fn add_service(&mut self, name: &str, count: u64) {
        let mut service = build::service(name, count, count);
        let group = group_arn(name);
        let (container, port) = (name.to_owned(), 3000);
        service.targets.push(ServiceTargets { group: group.clone(), container, port });
        self.snapshot.services.value.insert(service.name.clone(), service);
        let target_group = TargetGroup {
            arn: group.clone(),
            name: name.to_owned(),
            owner: Owner::Other,
            settings: GroupSettings::default(),
            load_balancer: None,
            health: Some(Health { healthy: count, ..Health::default() }),
            load: Vec::new(),
        };
        self.traffic().groups.insert(group, target_group);
    }

    pub(crate) fn service(&mut self, name: &str) -> &mut Service {
        self.snapshot.services.value.get_mut(&ServiceName::from(name)).unwrap()
    }

    pub(crate) fn group(&mut self, name: &str) -> &mut TargetGroup {
        self.traffic().groups.get_mut(&group_arn(name)).unwrap()
    }

    pub(crate) fn rule(&mut self, to: &str) -> &mut Rule {
        let purpose = Owner::Tidegate(Purpose::Route(route(to)));
        let listener = self.traffic().listeners.get_mut(&ListenerArn::from(LISTENER)).unwrap();
        listener.rules.iter_mut().find(|rule| rule.owner == purpose).unwrap()
    }

    pub(crate) fn order(&mut self, steer: CutoverOrder) {
        let order = Order::Cutover { cutover: "break".into(), steer };
        let (actor, reason) = ("ana".to_owned(), "the plan of today".to_owned());
        self.record(Record::Command { command: Command { actor, reason, order } });
    }

    pub(crate) fn start(&mut self) {
        let routes = self.config.cutovers[0].routes.iter().map(|r| r.to.clone()).collect();
        self.order(CutoverOrder::Start { token: "t0ken".to_owned(), routes });
    }

    pub(crate) fn record(&mut self, record: Record) {
        let seq = Seq(self.memory.seq.0 + 1);
        let entry = Entry { seq, epoch: Epoch(1), at: self.now, record };
        self.memory = std::mem::take(&mut self.memory).fold(&entry);
    }

    /// One tick, then `seconds` pass.
    pub(crate) fn tick(&mut self, seconds: i64) -> Plan {
        self.look();
        let plan = self.plan();
        for note in &plan.notes {
            if let Note::Cutover { edge: CutoverEdge::Moved { to, stage, step, because }, .. } =
                note
            {
                self.say(format!("{to} {stage} {step}: {because}"));
            }
            self.record(Record::Noted { note: note.clone() });
        }
        let mut taken = BTreeSet::new();
        for planned in &plan.actions {
            // As the tick does: one action a subject.
            if !planned.action.subjects().is_disjoint(&taken) {
                continue;
            }
            taken.extend(planned.action.subjects());
            if let Err(hold) = self.admit(planned) {
                self.say(format!("refused {}: {}", planned.action, hold.reason));
                continue;
            }
            self.say(format!("{} ({})", planned.action, planned.why));
            let first = originals(&self.snapshot, &self.memory, &planned.action);
            for note in first {
                self.record(Record::Noted { note });
            }
            self.record(Record::Intent { planned: planned.clone() });
            let of = self.memory.seq;
            if self.refuses == Some(planned.action.name()) {
                let outcome = Outcome::Refused { failure: Failure::Throttled };
                self.record(Record::Outcome { of, outcome });
                continue;
            }
            self.apply(&planned.action);
            self.record(Record::Outcome { of, outcome: Outcome::done() });
        }
        self.now += TimeDelta::seconds(seconds);
        plan
    }

    /// What there is to do by the last look.
    pub(crate) fn plan(&self) -> Plan {
        cutover::step(&self.config, &self.snapshot, &self.memory, self.now).plan
    }

    pub(crate) fn admit(&self, planned: &Planned) -> Result<guard::Admitted, Hold> {
        let lease = Lease::exclusive(Epoch(1));
        let (config, snapshot, memory) = (&self.config, &self.snapshot, &self.memory);
        guard::admit(
            Case {
                config,
                snapshot,
                memory,
                lease: &lease,
                switch: &Switch::default(),
                now: self.now,
            },
            planned.clone(),
        )
    }

    fn say(&mut self, line: String) {
        let passed = (self.now - build::now()).num_seconds();
        self.log.push(format!("{:>3}:{:02} {line}", passed / 60, passed % 60));
    }

    /// Everything as of now, with a datapoint a minute for every group with weight.
    pub(crate) fn look(&mut self) {
        let now = self.now;
        self.snapshot.taken_at = now;
        self.snapshot.services.as_of = now;
        self.snapshot.rivals.as_of = now;
        self.snapshot.traffic.as_of = now;
        let shares = self.shares();
        let token = self.memory.cutovers.values().next().map(|memory| memory.token.clone());
        for (arn, group) in &mut self.snapshot.traffic.value.groups {
            let (percent, (requests, errors, latency)) = (
                shares.get(arn).copied().unwrap_or_default(),
                self.load.get(&group.name).copied().unwrap_or((6000, 0, 20)),
            );
            let last = group.load.last().map_or(now - TimeDelta::minutes(2), |load| load.at);
            if percent > 0 && now - last >= TimeDelta::minutes(1) {
                let requests = requests * u64::from(percent) / 100;
                group.load.push(Load {
                    at: last + TimeDelta::minutes(1),
                    period_seconds: 60,
                    requests,
                    errors_5xx: requests * errors / 100,
                    latency_p50_ms: Some(latency / 2),
                    latency_p95_ms: Some(latency),
                    latency_p99_ms: Some(latency * 2),
                });
            } else if percent == 0 {
                group.load.retain(|load| load.at >= now);
            }
        }
        if token.is_some() {
            let names: Vec<_> =
                self.config.cutovers[0].routes.iter().map(|r| r.to.clone()).collect();
            for to in names {
                let name = format!("probe break/{to}");
                let reading = Reading { at: now, said: Said::Pass, detail: "200".to_owned() };
                self.traffic().readings.insert(name, reading);
            }
        }
    }

    /// Green's share of its route, and blue's of the rest, roughly.
    fn shares(&self) -> BTreeMap<TargetGroupArn, u32> {
        let listener = &self.snapshot.traffic.value.listeners[&ListenerArn::from(LISTENER)];
        let mut shares = BTreeMap::from([(group_arn("api"), 100)]);
        for rule in &listener.rules {
            if let Owner::Tidegate(Purpose::Route(id)) = &rule.owner {
                let green = group_arn(id.to.as_str());
                shares.insert(green.clone(), rule.image.percent_of(&green));
            }
        }
        shares
    }

    pub(crate) fn apply(&mut self, action: &Action) {
        let count = self.traffic().listeners[&ListenerArn::from(LISTENER)].rules.len();
        match action.clone() {
            Action::CreateRule { listener, purpose, priority, conditions, image } => {
                let arn = format!("rule-{purpose}-{count}").into();
                let owner = Owner::Tidegate(purpose);
                let rule = Rule { arn, priority, conditions, image, owner };
                let listener = self.traffic().listeners.get_mut(&listener).unwrap();
                assert!(listener.rules.iter().all(|r| r.priority != rule.priority), "{rule:?}");
                listener.rules.push(rule);
                listener.rules.sort_by_key(|rule| rule.priority);
            }
            Action::WriteRule { listener, rule, now, .. } => {
                let listener = self.traffic().listeners.get_mut(&listener).unwrap();
                listener.rules.iter_mut().find(|r| r.arn == rule).unwrap().image = now;
            }
            Action::DeleteRule { listener, rule, .. } => {
                let listener = self.traffic().listeners.get_mut(&listener).unwrap();
                listener.rules.retain(|r| r.arn != rule);
            }
            Action::SetServiceCount { service, now, .. } => {
                let name = service.as_str().to_owned();
                let service = self.service(&name);
                (service.desired_count, service.running_count) = (now, now);
                self.group(&name).health = Some(Health { healthy: now, ..Health::default() });
            }
            Action::SuspendScaling { service: of, now, .. } => {
                let rivals = std::mem::take(&mut self.snapshot.rivals.value);
                let changed = rivals.into_iter().map(|rival| match rival {
                    Rival::ScalableTarget { service, min, max, .. } if service == of => {
                        Rival::ScalableTarget { service, min, max, suspended: now }
                    }
                    other => other,
                });
                self.snapshot.rivals.value = changed.collect();
            }
            other => panic!("{other} is not of this story"),
        }
    }
}

pub(crate) fn route(to: &str) -> RouteId {
    RouteId { cutover: "break".into(), to: to.into() }
}

fn cutover(services: &[&str]) -> CutoverConfig {
    let route = |name: &&str| RouteConfig {
        to: (*name).into(),
        paths: vec![format!("/api/{name}"), format!("/api/{name}/*")],
        hosts: Vec::new(),
        steps_percent: vec![5, 50, 100],
        bake: TimeDelta::minutes(10),
        healthy_targets: Some(2),
        probe_path: None,
    };
    CutoverConfig {
        name: "break".into(),
        listener: LISTENER.into(),
        from: "api".into(),
        rules: RuleMode::Own,
        routes: services.iter().map(route).collect(),
        in_order: true,
        approve_before_percent: None,
        probe: Some(ProbeConfig::default()),
        gates: Gates::default(),
        settle: CutoverConfig::SETTLE,
        keep_warm: TimeDelta::hours(24),
        tombstone: Some(Tombstone::FixedResponse { status: 410, body: "gone".to_owned() }),
        known_paths: Vec::new(),
    }
}
