//! What every stage looks at: one cutover, one route of it, and the questions asked of them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::config::{ClusterConfig, CutoverConfig, RouteConfig, RuleMode};
use crate::model::{
    Action, ActionKind, CutoverEdge, CutoverMemory, Doubt, Draft, Hold, Listener, Memory, Note,
    Origin, Planned, Purpose, Reason, Rollout, RouteId, RouteMemory, Rule, RuleImage, Service,
    ServiceName, Snapshot, Stage, Subject, TargetGroup, TargetGroupArn, Traffic, Why,
};

use super::Verdict;

/// One cutover a person has started.
#[derive(Clone, Copy)]
pub struct Saga<'a> {
    pub cluster: &'a ClusterConfig,
    pub config: &'a CutoverConfig,
    pub memory: &'a CutoverMemory,
    pub all: &'a Memory,
    pub snapshot: &'a Snapshot,
    pub now: DateTime<Utc>,
}

impl<'a> Saga<'a> {
    /// The cutovers that are under way, in the order of the configuration.
    pub fn open(
        cluster: &'a ClusterConfig,
        snapshot: &'a Snapshot,
        all: &'a Memory,
        now: DateTime<Utc>,
    ) -> impl Iterator<Item = Self> {
        cluster.cutovers.iter().filter_map(move |config| {
            let memory = all.cutovers.get(&config.name).filter(|memory| memory.is_open())?;
            Some(Self { cluster, config, memory, all, snapshot, now })
        })
    }

    /// Its routes in the order of the configuration.
    pub fn routes(self) -> impl Iterator<Item = Route<'a>> {
        self.config.routes.iter().filter_map(move |config| self.route(config))
    }

    pub fn route(self, config: &'a RouteConfig) -> Option<Route<'a>> {
        let memory = self.memory.routes.get(&config.to)?;
        Some(Route { saga: self, config, memory })
    }

    pub fn traffic(self) -> &'a Traffic {
        &self.snapshot.traffic.value
    }

    pub fn listener(self) -> Option<&'a Listener> {
        self.traffic().listeners.get(&self.config.listener)
    }

    pub fn service(self, name: &ServiceName) -> Option<&'a Service> {
        self.snapshot.services.value.get(name)
    }

    pub fn blue(self) -> Option<&'a Service> {
        self.service(&self.config.from)
    }

    pub fn blue_group(self) -> Option<&'a TargetGroup> {
        self.group_of(&self.config.from)
    }

    /// The target group of a service: the one configured, one of ours, or the one it registers
    /// with.
    pub fn group_of(self, name: &ServiceName) -> Option<&'a TargetGroup> {
        group_of(self.cluster, self.snapshot, name)
    }

    /// Whether any other service or route still stands in front of this one.
    pub fn before(self, route: &RouteConfig) -> Option<Route<'a>> {
        if !self.config.in_order {
            return None;
        }
        let before = self.routes().take_while(|other| other.config.to != route.to);
        let done = |stage: Stage| (Stage::Baked..=Stage::Finalized).contains(&stage);
        before.filter(|other| !done(other.stage())).last()
    }

    /// Notes an edge of this cutover.
    pub fn note(self, draft: &mut Draft, edge: CutoverEdge) {
        let cutover = self.config.name.clone();
        draft.notes.push(Note::Cutover { cutover, edge });
    }

    /// Adds an action of this cutover.
    pub fn act(self, draft: &mut Draft, action: Action, why: Why) {
        let by = Origin::Cutover(self.config.name.clone());
        draft.actions.push(Planned { action, kind: ActionKind::Cutover, why, by });
    }
}

/// The target group of a service, by configuration, purpose or registration.
pub fn group_of<'a>(
    cluster: &ClusterConfig,
    snapshot: &'a Snapshot,
    name: &ServiceName,
) -> Option<&'a TargetGroup> {
    let traffic = &snapshot.traffic.value;
    let exposure = cluster.services.get(name).and_then(|service| service.exposure.as_ref());
    let given = exposure.and_then(|exposure| exposure.target_group.as_deref());
    let named = exposure.and_then(|_| traffic.group_named(&group_name(cluster, name, given)));
    if named.is_some() || given.is_some() {
        return named;
    }
    let service = snapshot.services.value.get(name)?;
    service.targets.iter().find_map(|targets| traffic.groups.get(&targets.group))
}

/// A group's configured name, or the one Tidegate gives: cluster and service, cut to 32 characters
/// with a checksum where they are longer.
pub fn group_name(cluster: &ClusterConfig, service: &ServiceName, given: Option<&str>) -> String {
    const MAX: usize = 32;
    if let Some(given) = given {
        return given.to_owned();
    }
    let whole: String = format!("{}-{service}", cluster.name)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    if whole.len() <= MAX {
        return whole.trim_matches('-').to_owned();
    }
    let sum = crc32fast::hash(whole.as_bytes());
    format!("{}-{sum:08x}", whole[..MAX - 9].trim_matches('-'))
}

/// One route of a cutover.
#[derive(Clone, Copy)]
pub struct Route<'a> {
    pub saga: Saga<'a>,
    pub config: &'a RouteConfig,
    pub memory: &'a RouteMemory,
}

impl<'a> Route<'a> {
    pub fn id(self) -> RouteId {
        RouteId { cutover: self.saga.config.name.clone(), to: self.config.to.clone() }
    }

    pub fn stage(self) -> Stage {
        self.memory.stage
    }

    pub fn subject(self) -> Subject {
        Subject::Route(self.id())
    }

    pub fn green(self) -> Option<&'a Service> {
        self.saga.service(&self.config.to)
    }

    pub fn green_group(self) -> Option<&'a TargetGroup> {
        self.saga.group_of(&self.config.to)
    }

    /// The rule that carries it: ours, or the one adopted.
    pub fn rule(self) -> Option<&'a Rule> {
        match &self.saga.config.rules {
            RuleMode::Own => {
                let purpose = Purpose::Route(self.id());
                self.saga.traffic().rule_for(&self.saga.config.listener, &purpose)
            }
            RuleMode::Adopt(arn) => self.saga.listener()?.rules.iter().find(|r| r.arn == *arn),
        }
    }

    /// Green's share of the requests by the rule as it stands.
    pub fn percent_now(self) -> Option<u32> {
        Some(self.rule()?.image.percent_of(&self.green_group()?.arn))
    }

    /// Green's share in percent at a step; the last where there is none.
    pub fn percent_at(self, step: usize) -> u32 {
        self.config.steps_percent.get(step).copied().unwrap_or(100)
    }

    /// What the rule says with green at this share, its other actions as they are.
    pub fn image_at(self, rule: &Rule, percent: u32) -> Option<RuleImage> {
        let (blue, green) = (self.saga.blue_group()?, self.green_group()?);
        rule.image.with_weights(&weights(&blue.arn, &green.arn, percent))
    }

    /// A request on its rule whose answer was lost.
    pub fn doubt(self) -> Option<&'a Doubt> {
        self.saga.all.doubt(&self.subject())
    }

    /// When the load balancer has surely taken up our last write.
    pub fn settled_at(self) -> DateTime<Utc> {
        let written = self.memory.written_at.unwrap_or(self.saga.now);
        written + self.saga.config.settle
    }

    /// The end of the present bake.
    pub fn baked_at(self) -> Option<DateTime<Utc>> {
        Some(self.memory.baking_since? + self.config.bake)
    }

    /// A person's promote lets this share pass.
    pub fn is_approved(self, percent: u32) -> bool {
        let asked = self.saga.config.approve_before_percent.is_some_and(|from| percent >= from);
        // Once per route: a promote at the threshold holds for what follows.
        let passed = self.saga.config.approve_before_percent.is_some_and(|from| {
            self.memory.stage == Stage::Shifting && self.percent_at(self.memory.step) >= from
        });
        !asked || passed || self.memory.promoted || self.memory.promoted_full
    }

    /// A deployment by anyone on either side.
    pub fn deploying(self) -> Option<&'a Service> {
        let both = [self.saga.blue(), self.green()];
        both.into_iter().flatten().find(|service| service.is_deploying())
    }

    /// A deployment of green that ECS gave up.
    pub fn failed_deployment(self) -> Option<String> {
        let green = self.green()?;
        let failed = green.deployments.iter().find(|d| d.rollout == Rollout::Failed)?;
        Some(format!("deployment {} of {} failed", failed.id, green.name))
    }

    /// Holds while somebody deploys on either side; whether that is so.
    pub fn is_deploying(self, draft: &mut Draft) -> bool {
        let Some(service) = self.deploying() else {
            return false;
        };
        self.hold(draft, Reason::Deploying { service: service.name.clone() });
        true
    }

    /// Holds while the cutover is paused; whether that is so.
    pub fn is_paused(self, draft: &mut Draft) -> bool {
        let Some(pause) = &self.saga.memory.paused else {
            return false;
        };
        let (by, because) = (pause.by.clone(), pause.because.clone());
        self.hold(draft, Reason::CutoverPaused { by, because });
        true
    }

    /// Nothing moves, for this reason.
    pub fn stay(self, reason: Reason, draft: &mut Draft) -> Verdict {
        self.hold(draft, reason);
        Verdict::Stay
    }

    /// Stays until what a step needs is there. Targets that green has no tasks for are ordered.
    pub fn wait(self, reason: Reason, draft: &mut Draft) -> Verdict {
        if let (Reason::TooFewHealthy { needed, .. }, Some(green)) = (&reason, self.green())
            && green.desired_count < *needed
        {
            let (service, was) = (green.name.clone(), green.desired_count);
            let action = Action::SetServiceCount { service, was, now: *needed };
            self.prepare(draft, action, "the next step needs as many tasks");
        }
        self.stay(reason, draft)
    }

    /// The write of its rule.
    pub fn write(self, rule: &Rule, was: Option<RuleImage>, now: RuleImage) -> Action {
        Action::WriteRule {
            listener: self.saga.config.listener.clone(),
            rule: rule.arn.clone(),
            purpose: Purpose::Route(self.id()),
            was,
            now,
        }
    }

    /// What an adopted rule said before, to be given back.
    pub fn original(self) -> Option<&'a RuleImage> {
        let adopted = matches!(self.saga.config.rules, RuleMode::Adopt(_));
        self.memory.original.as_ref().filter(|_| adopted)
    }

    /// A rule that is as we want it counts as our write, whoever heard the answer.
    pub fn adopt_recorded(self, rule: &Rule, draft: &mut Draft) {
        if self.memory.recorded.as_ref() != Some(&rule.image) {
            let (to, image) = (self.config.to.clone(), rule.image.clone());
            self.saga.note(draft, CutoverEdge::Adopted { to, image });
        }
    }

    pub fn hold(self, draft: &mut Draft, reason: Reason) {
        draft.holds.push(Hold::new(self.subject(), ActionKind::Cutover, reason));
    }

    pub fn prepare(self, draft: &mut Draft, action: Action, what: &str) {
        let why = Why::Prepares { route: self.id(), what: what.to_owned() };
        self.saga.act(draft, action, why);
    }
}

/// Blue and green with green at `percent` of 100.
pub fn weights(
    blue: &TargetGroupArn,
    green: &TargetGroupArn,
    percent: u32,
) -> BTreeMap<TargetGroupArn, u32> {
    let percent = percent.min(100);
    BTreeMap::from([(blue.clone(), 100 - percent), (green.clone(), percent)])
}
