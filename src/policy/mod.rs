//! IAM policies: every permission there is a call for, and documents made of them.
//!
//! Rule: one table (`table`) is all there is to know; documents, pages and exports are its
//! projections. Nothing here asks AWS.

mod document;
mod export;
mod never;
mod page;
mod reads;
mod scope;
mod table;
mod writes;

pub use document::{Clause, Document, Effect, SIZE_MAX};
pub use export::{cloudformation, terraform};
pub use never::NEVER;
pub use page::page;
pub use scope::{Part, Place, parts_of};
pub use table::{Asked, Grant, Named, Never, On, Only, Permission, grants};

use strum::IntoEnumIterator;

use document::{Conditions, arrange};

/// The policy for one role: what may be done at these places, and what never may.
///
/// `passed` are ARNs of roles that a release may hand to tasks, `assumed` those of other scopes.
/// A statement about nothing is left out.
pub fn document(places: &[Place], passed: &[String], assumed: &[String]) -> Document {
    let allowed = grants().filter_map(|grant| {
        let may = |permission: &Permission, place: &Place| {
            permission.parts.is_empty() || place.may(permission.parts)
        };
        let any = |place: &&Place| grant.actions.iter().any(|action| may(action, place));
        let here: Vec<&Place> = places.iter().filter(any).collect();
        let some = |action: &&Permission| here.iter().any(|place| may(action, place));
        let actions: Vec<_> = grant.actions.iter().filter(some).collect();
        let resources = grant.on.iter().flat_map(|on| match on {
            On::PassedRoles => passed.to_vec(),
            On::AssumedRoles => assumed.to_vec(),
            on => here.iter().flat_map(|place| place.arns(*on)).collect(),
        });
        let resource = arrange(resources);
        (!actions.is_empty() && !resource.is_empty()).then(|| Clause {
            sid: grant.sid,
            effect: Effect::Allow,
            principal: None,
            action: arrange(actions.into_iter().map(|action| action.action.to_owned())),
            resource,
            condition: conditions(grant.only, &here),
        })
    });
    let mut statements: Vec<Clause> = allowed.collect();
    if places.iter().any(Place::writes) {
        statements.extend(never());
    }
    Document::new(statements)
}

/// The same, a document for each part of it.
pub fn documents(places: &[Place], passed: &[String], assumed: &[String]) -> Vec<(Part, Document)> {
    let parts = Part::iter().map(|part| {
        let may = places.iter().filter(|place| {
            place.parts.contains(&part) || (place.parts.is_empty() && part == Part::Observe)
        });
        let may: Vec<Place> = may
            .map(|place| Place { parts: &place.parts & &[part].into(), ..place.clone() })
            .collect();
        let assumed = if part == Part::Observe { assumed } else { &[] };
        (part, document(&may, passed, assumed))
    });
    parts.filter(|(_, document)| !document.statement.is_empty()).collect()
}

/// The most that any role of Tidegate may ever do, whatever else is attached to it.
pub fn boundary() -> Document {
    let actions = grants().flat_map(|grant| grant.actions);
    let all = Clause {
        sid: "NothingBut",
        effect: Effect::Allow,
        principal: None,
        action: arrange(actions.map(|a| a.action.to_owned())),
        resource: vec!["*".to_owned()],
        condition: Conditions::new(),
    };
    Document::new([all].into_iter().chain(never()).collect())
}

/// Who may take the role: tasks of ECS of this account and Region.
pub fn trust() -> Document {
    let place = Place::anywhere([]);
    let from = format!("arn:{}:ecs:{}:{}:*", place.partition, place.region, place.account);
    let condition = [
        ("StringEquals", [("aws:SourceAccount".to_owned(), vec![place.account])].into()),
        ("ArnLike", [("aws:SourceArn".to_owned(), vec![from])].into()),
    ];
    Document::new(vec![Clause {
        sid: "TasksOfEcs",
        effect: Effect::Allow,
        principal: Some([("Service", "ecs-tasks.amazonaws.com")].into()),
        action: vec!["sts:AssumeRole".to_owned()],
        resource: Vec::new(),
        condition: condition.into(),
    }])
}

/// Every file of `policies/` by name.
pub fn files() -> Vec<(String, Document)> {
    let roles = ["arn:${Partition}:iam::${Account}:role/${TaskRole}".to_owned()];
    let parts = Part::iter().map(|part| {
        let document = document(&[Place::anywhere([part])], &roles, &[]);
        (format!("{part}.json"), document)
    });
    let others = [
        ("permissions-boundary.json".to_owned(), boundary()),
        ("trust-ecs-tasks.json".to_owned(), trust()),
    ];
    parts.chain(others).collect()
}

fn conditions(only: &[Only], here: &[&Place]) -> Conditions {
    let mut all = Conditions::new();
    for only in only {
        for (operator, key, values) in only.conditions(here) {
            all.entry(operator).or_default().insert(key, arrange(values));
        }
    }
    all
}

fn never() -> impl Iterator<Item = Clause> {
    NEVER.iter().map(|never| Clause {
        sid: never.sid,
        effect: Effect::Deny,
        principal: None,
        action: arrange(never.actions.iter().map(|action| (*action).to_owned())),
        resource: vec!["*".to_owned()],
        condition: conditions(never.only, &[]),
    })
}
