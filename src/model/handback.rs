//! Handing back: what a person ordered to be as it was before Tidegate, and how far that is.
//!
//! Rule: only what the journal knows from before the first write is written again, and only where
//! nobody else has changed it since.

use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::action::{Action, Subject};
use super::id::{CutoverName, PoolId};
use super::memory::Memory;
use super::mode::Mode;
use super::note::Attribute;
use super::orders::Known;
use super::record::Refusal;
use super::route::Stage;

/// Values remembered of one attribute; older ones count as somebody else's.
const VALUES_MAX: usize = 64;

/// What is handed back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Cluster,
    Pool(PoolId),
    Cutover(CutoverName),
}

/// Where an open cutover ends.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
    strum::Display,
    strum::EnumString,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum Side {
    /// Every route goes back, and our rules are removed.
    Blue,
    /// Routes that are wholly on green stay there; those without a request on it are taken back.
    Green,
}

/// A handback that a person ordered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Handback {
    pub by: String,
    pub reason: String,
    pub at: DateTime<Utc>,
    pub scope: Scope,
    pub side: Option<Side>,
    /// Nothing is left to write since then; what somebody else changed is still shown.
    pub ended: Option<DateTime<Utc>>,
}

/// What Tidegate has asked for of one attribute since its first write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Written {
    pub since: DateTime<Utc>,
    pub values: Vec<serde_json::Value>,
}

impl Handback {
    pub fn is_under_way(&self) -> bool {
        self.ended.is_none()
    }

    pub fn covers_cutover(&self, name: &CutoverName) -> bool {
        match &self.scope {
            Scope::Cluster => true,
            Scope::Cutover(cutover) => cutover == name,
            Scope::Pool(_) => false,
        }
    }

    pub fn covers_pool(&self, id: &PoolId) -> bool {
        match &self.scope {
            Scope::Cluster => true,
            Scope::Pool(pool) => pool == id,
            Scope::Cutover(_) => false,
        }
    }

    pub fn covers_cluster(&self) -> bool {
        self.scope == Scope::Cluster
    }
}

impl Written {
    pub(super) fn first(at: DateTime<Utc>) -> Self {
        Self { since: at, values: Vec::new() }
    }

    /// Whether Tidegate ever asked for this value.
    pub fn has(&self, value: &serde_json::Value) -> bool {
        self.values.contains(value)
    }

    pub(super) fn add(&mut self, value: serde_json::Value) {
        if self.has(&value) {
            return;
        }
        self.values.push(value);
        if self.values.len() > VALUES_MAX {
            self.values.remove(0);
        }
    }
}

/// Whether a handback can be begun. `cutovers` are those that it covers.
///
/// # Errors
/// A refusal with what to do instead.
pub fn check(
    under_way: Option<&Handback>,
    scope: &Scope,
    side: Option<Side>,
    cutovers: &[Known],
) -> Result<(), Refusal> {
    let refuse = |code, detail: String, remedy: &str| {
        Err(Refusal { code, detail, remedy: remedy.to_owned() })
    };
    if let Some(other) = under_way.filter(|other| other.is_under_way())
        && other.scope != *scope
        && *scope != Scope::Cluster
    {
        let detail = format!("{} is being handed back", other.scope);
        return refuse("handing_back", detail, "wait for its end, or hand the whole cluster back");
    }
    for known in cutovers {
        let name = &known.name;
        let stages = known.stages.iter().flatten();
        let mut open = stages.filter(|(_, stage)| !stage.is_final()).peekable();
        if matches!(scope, Scope::Cutover(_)) && known.stages.is_none() {
            let detail = format!("cutover `{name}` was not started");
            return refuse("not_started", detail, "nothing of it has to be handed back");
        }
        match side {
            None if open.peek().is_some() => {
                let detail = format!("cutover `{name}` is open, and no side is named");
                let remedy = "--side blue leads its routes back; --side green leaves them where \
                              they are wholly on green";
                return refuse("side_missing", detail, remedy);
            }
            Some(Side::Green) => {
                let between = |stage| matches!(stage, Stage::Shifting | Stage::Reviving);
                if let Some((to, stage)) = open.find(|(_, stage)| between(*stage)) {
                    let detail = format!("route {name}/{to} is {stage}, between the sides");
                    let remedy = "`tidegate cutover promote` takes it on, `--side blue` back";
                    return refuse("between_sides", detail, remedy);
                }
            }
            _ => {}
        }
    }
    Ok(())
}

impl Memory {
    /// The cluster is observed from now on, the pool begins nothing, and cutovers and releases end.
    pub(super) fn hand_back(
        &mut self,
        scope: &Scope,
        side: Option<Side>,
        (actor, reason): (&str, &str),
        at: DateTime<Utc>,
    ) {
        let handback = Handback {
            by: actor.to_owned(),
            reason: reason.to_owned(),
            at,
            scope: scope.clone(),
            side,
            ended: None,
        };
        let known = |(name, memory)| Known::of(name, Some(memory));
        let covered = self.cutovers.iter().filter(|(name, _)| handback.covers_cutover(name));
        let known: Vec<_> = covered.map(known).collect();
        if check(self.handback.as_ref(), scope, side, &known).is_err() {
            return;
        }
        for (name, cutover) in &mut self.cutovers {
            if handback.covers_cutover(name) {
                cutover.hand_back(side.unwrap_or(Side::Blue), (actor, reason), at);
            }
        }
        match scope {
            Scope::Cluster => {
                self.mode = Mode::Observe;
                self.pools.values_mut().for_each(|pool| pool.handover = None);
                self.releases.values_mut().for_each(|release| release.abort(actor, reason, at));
            }
            Scope::Pool(pool) => {
                let pool = self.pools.entry(pool.clone()).or_default();
                pool.handover = None;
                pool.demoted = Some(format!("handed back by {actor}: {reason}"));
            }
            Scope::Cutover(_) => {}
        }
        self.handback = Some(handback);
    }
}

/// What an action asks of attributes that can be handed back.
pub(super) fn asks(action: &Action) -> Vec<(Subject, Attribute, serde_json::Value)> {
    let pool = |id: &PoolId| Subject::Pool(id.clone());
    match action {
        Action::SetPoolCapacity { pool: id, .. } if id.is_fleet() => {
            vec![(pool(id), Attribute::NewHostProtection, true.into())]
        }
        Action::SetNewHostProtection { pool: id, now, .. } => {
            vec![(pool(id), Attribute::NewHostProtection, (*now).into())]
        }
        Action::SetProcesses { pool: id, processes, suspended: true } => {
            let each =
                |name: &String| (pool(id), Attribute::SuspendedProcesses, name.clone().into());
            processes.iter().map(each).collect()
        }
        Action::ProtectHosts { hosts, now, .. } => {
            let each = |host: &super::id::InstanceId| {
                (Subject::Host(host.clone()), Attribute::HostProtection, (*now).into())
            };
            hosts.iter().map(each).collect()
        }
        Action::SuspendScaling { service, now, .. } => {
            vec![(Subject::ScalingOf(service.clone()), Attribute::Scaling, json(now))]
        }
        Action::SetHealthCheck { group, now, .. } => {
            let subject = Subject::TargetGroup(group.short().to_owned());
            vec![(subject, Attribute::HealthCheck, json(&now.health_check))]
        }
        Action::SetGroupAttributes { group, now, .. } => {
            let subject = Subject::TargetGroup(group.short().to_owned());
            vec![(subject, Attribute::GroupAttributes, json(now))]
        }
        Action::WriteRule { rule, now, .. } => {
            vec![(Subject::Rule(rule.clone()), Attribute::RuleActions, json(now))]
        }
        _ => Vec::new(),
    }
}

fn json(value: &impl Serialize) -> serde_json::Value {
    serde_json::to_value(value).unwrap_or_default()
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster => f.write_str("the cluster"),
            Self::Pool(pool) => pool.fmt(f),
            Self::Cutover(cutover) => write!(f, "cutover `{cutover}`"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handback_that_could_not_end_is_refused_with_a_remedy() {
        let known = |stages: Option<Vec<Stage>>| Known {
            name: "break".into(),
            stages: stages
                .map(|all| all.into_iter().map(|stage| ("users".into(), stage)).collect()),
            paused: false,
        };
        let said = |scope: &Scope, side, stages: Option<Vec<Stage>>| {
            check(None, scope, side, &[known(stages)]).map_or_else(|no| no.code, |()| "yes")
        };
        let (cluster, cutover) = (Scope::Cluster, Scope::Cutover("break".into()));
        let (blue, green) = (Some(Side::Blue), Some(Side::Green));
        for (scope, side, stages, want) in [
            (&cluster, None, None, "yes"),
            (&cutover, None, None, "not_started"),
            (&cluster, None, Some(vec![Stage::RolledBack, Stage::Finalized]), "yes"),
            (&cluster, None, Some(vec![Stage::Probed]), "side_missing"),
            (&cluster, blue, Some(vec![Stage::Shifting]), "yes"),
            (&cutover, green, Some(vec![Stage::Shifted, Stage::Shifting]), "between_sides"),
            (&cutover, green, Some(vec![Stage::Shifted, Stage::Planned]), "yes"),
        ] {
            assert_eq!(said(scope, side, stages.clone()), want, "{scope}, {side:?}, {stages:?}");
        }
    }

    #[test]
    fn one_handback_at_a_time_but_the_whole_cluster_swallows_any() {
        let under_way = Handback {
            by: "ada".to_owned(),
            reason: "x".to_owned(),
            at: DateTime::UNIX_EPOCH,
            scope: Scope::Pool(PoolId::group("workers")),
            side: None,
            ended: None,
        };
        let said = |scope: Scope| check(Some(&under_way), &scope, None, &[]).err();
        assert_eq!(said(Scope::Cluster), None);
        assert_eq!(said(under_way.scope.clone()), None);
        let other = said(Scope::Pool(PoolId::group("spare"))).unwrap();
        assert_eq!(
            (other.code, other.detail.as_str()),
            ("handing_back", "workers is being handed back")
        );
    }
}
