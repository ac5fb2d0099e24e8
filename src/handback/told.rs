//! What a handback would change, as people see it before they order one.
//!
//! Rule: the same pure functions say it that the handback itself goes by.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::restore::restore;
use crate::decide::View;
use crate::model::{
    Action, CutoverMemory, CutoverName, Handback, InstanceId, PoolId, Scope, ServiceName, Side,
    Stage, Subject,
};

/// The last handback of a cluster, and what is left of Tidegate in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct HandbackTold {
    /// The one that a person ordered, ended or not.
    pub order: Option<Handback>,
    /// What one of the whole cluster would change, or leave with a reason.
    pub returns: Vec<Return>,
}

/// One thing that is not as it was before Tidegate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Return {
    pub pool: Option<PoolId>,
    pub cutover: Option<CutoverName>,
    /// What is written, or why it is left.
    pub text: String,
    /// Nothing is written: somebody changed it since.
    pub left: bool,
}

impl HandbackTold {
    /// What a handback of this scope would change.
    pub fn of(&self, scope: &Scope) -> impl Iterator<Item = &Return> {
        self.returns.iter().filter(move |one| match scope {
            Scope::Cluster => true,
            Scope::Pool(pool) => one.pool.as_ref() == Some(pool),
            Scope::Cutover(cutover) => one.cutover.as_ref() == Some(cutover),
        })
    }
}

/// Tells what would be handed back now.
pub fn told(view: View<'_>) -> HandbackTold {
    let all = whole(view.now);
    let left = restore(view, &all);
    let one = |pool, text: String, left| Return { pool, cutover: None, text, left };
    let writes =
        left.actions.iter().map(|action| one(pool_of(view, action), action.to_string(), false));
    let holds = left.holds.iter().map(|hold| {
        let pool = match &hold.subject {
            Subject::Pool(pool) => Some(pool.clone()),
            _ => None,
        };
        one(pool, hold.reason.to_string(), true)
    });
    let cutovers = view.memory.cutovers.iter().flat_map(|(name, memory)| cutover(name, memory));
    let kept = view.memory.kept.keys().map(|kept| {
        let text = format!(
            "rules and target group {} of {}: removed where Tidegate made them and nobody uses them",
            kept.group, kept.service
        );
        one(None, text, false)
    });
    let returns = cutovers.chain(writes).chain(kept).chain(holds).collect();
    HandbackTold { order: view.memory.handback.clone(), returns }
}

fn whole(at: DateTime<Utc>) -> Handback {
    let (by, reason) = (String::new(), String::new());
    Handback { by, reason, at, scope: Scope::Cluster, side: Some(Side::Blue), ended: None }
}

fn pool_of(view: View<'_>, action: &Action) -> Option<PoolId> {
    let of_host = |host: &InstanceId| view.host(host)?.pool.clone();
    match action {
        Action::SetNewHostProtection { pool, .. }
        | Action::ProtectHosts { pool, .. }
        | Action::SetProcesses { pool, .. } => Some(pool.clone()),
        Action::MarkHosts { hosts, .. } | Action::SetHostStatus { hosts, .. } => {
            hosts.iter().find_map(of_host)
        }
        _ => None,
    }
}

fn cutover(name: &CutoverName, memory: &CutoverMemory) -> Vec<Return> {
    let text = |to: &ServiceName, stage: Stage| match stage {
        Stage::Finalized => None,
        Stage::RolledBack if memory.aborted => None,
        Stage::RolledBack | Stage::RollingBack => Some(format!("{name}/{to}: its rule is removed")),
        Stage::Shifted | Stage::Baked | Stage::Tombstoned => {
            Some(format!("{name}/{to} is {stage}: stays with --side green, goes back with blue"))
        }
        Stage::Shifting | Stage::Reviving => Some(format!("{name}/{to} is {stage}: goes back")),
        _ => Some(format!("{name}/{to} is {stage}: its rule is removed")),
    };
    let one = |(to, route): (&ServiceName, &crate::model::RouteMemory)| {
        let (pool, cutover, text) = (None, Some(name.clone()), text(to, route.stage)?);
        Some(Return { pool, cutover, text, left: false })
    };
    memory.routes.iter().filter_map(one).collect()
}
