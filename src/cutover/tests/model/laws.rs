//! What must hold whatever happens: at each write, and of where a world leads.

use super::moves::{Game, start};
use super::world::{ALL, Aws, Mood, NAMES, World};
use crate::cutover::tests::little::group_arn;
use crate::model::*;

pub(super) const SOME_WEIGHT: &str = "a rule of ours always has weight";
pub(super) const HEALTHY: &str = "weight is given to healthy targets only";
pub(super) const BLUE_STAYS: &str = "blue stays while anything leads to it";
pub(super) const NOT_OURS: &str = "rules of others are never written";
pub(super) const INTENT: &str = "every write has its intent";
pub(super) const STILL: &str = "nothing goes forward in a pause or on the way back";
pub(super) const ROLLS_BACK: &str = "a rollback leads back from everywhere";
pub(super) const ENDS: &str = "a cutover ends or says what it waits for";

/// Its name, and whether a write keeps it.
type Law = (&'static str, fn(&World, &Planned) -> bool);

/// The law that a write breaks as it takes effect.
pub(super) fn broken_by(world: &World, planned: &Planned) -> Option<&'static str> {
    let checks: [Law; 6] = [
        (INTENT, |world, planned| {
            world.memory.in_doubt.values().any(|doubt| doubt.planned == *planned)
        }),
        (SOME_WEIGHT, |_, planned| some_weight(&planned.action)),
        (HEALTHY, |world, planned| healthy(&world.aws, &planned.action)),
        (BLUE_STAYS, |world, planned| blue_stays(world, &planned.action)),
        (NOT_OURS, |world, planned| is_ours(&world.aws, &planned.action)),
        (STILL, |world, planned| may_go_forward(world, &planned.action)),
    ];
    checks.into_iter().find(|(_, holds)| !holds(world, planned)).map(|(law, _)| law)
}

fn some_weight(action: &Action) -> bool {
    let (Action::WriteRule { now: image, .. } | Action::CreateRule { image, .. }) = action else {
        return true;
    };
    image.weights().is_none_or(|weights| weights.values().any(|weight| *weight > 0))
}

/// Green needs targets for its share, of two for all; blue needs one, unless there is none
/// anywhere.
fn healthy(aws: &Aws, action: &Action) -> bool {
    let Action::WriteRule { rule, now, .. } = action else {
        return true;
    };
    let Some(live) = aws.rules.iter().find(|live| live.arn == *rule) else {
        return true;
    };
    let blue = group_arn(NAMES[0]);
    let given = |group: &TargetGroupArn| now.percent_of(group) > live.image.percent_of(group);
    let mut groups = now.weights().into_iter().flat_map(|weights| weights.keys());
    groups.all(|group| match aws.healthy(group) {
        _ if !given(group) => true,
        0 if *group == blue => live
            .image
            .weights()
            .is_none_or(|weights| weights.keys().all(|other| aws.healthy(other) == 0)),
        healthy if *group == blue => healthy > 0,
        healthy => healthy * 100 >= 2 * u64::from(now.percent_of(group)),
    })
}

fn blue_stays(world: &World, action: &Action) -> bool {
    let Action::SetServiceCount { service, was, now } = action else {
        return true;
    };
    if service.as_str() != NAMES[0] || now >= was {
        return true;
    }
    let over = |route: &RouteMemory| matches!(route.stage, Stage::Tombstoned | Stage::Finalized);
    let retired = world.cutover().is_some_and(|cutover| cutover.routes.values().all(over));
    let blue = group_arn(NAMES[0]);
    let led =
        world.aws.rules.iter().any(|rule| {
            matches!(rule.owner, Owner::Tidegate(_)) && rule.image.weight_of(&blue) > 0
        });
    // In front of the monolith's own rule, and of the default action.
    retired && !led && world.aws.tombstones() == 2
}

fn is_ours(aws: &Aws, action: &Action) -> bool {
    let (Action::WriteRule { rule, purpose, .. } | Action::DeleteRule { rule, purpose, .. }) =
        action
    else {
        return true;
    };
    let live = aws.rules.iter().find(|live| live.arn == *rule);
    live.is_none_or(|live| live.owner == Owner::Tidegate(purpose.clone()))
}

fn may_go_forward(world: &World, action: &Action) -> bool {
    let Action::WriteRule { purpose: Purpose::Route(route), now, .. } = action else {
        return true;
    };
    let to = route.to.as_str();
    if now.percent_of(&group_arn(to)) <= world.aws.percent(to) {
        return true;
    }
    let stage = world.cutover().and_then(|c| c.routes.get(&route.to)).map(|route| route.stage);
    let still = world.is_paused() || world.memory.mode < Mode::Act;
    !still && stage.is_some_and(|stage| (Stage::Shifting..=Stage::Shifted).contains(&stage))
}

/// Blue is well again; with `all`, green and the metrics too.
fn heal(world: &mut World, all: bool) {
    let sides = world.aws.sides.len();
    for side in &mut world.aws.sides[..if all { sides } else { 1 }] {
        (side.fit, side.mood) = (ALL, Mood::Good);
    }
}

/// The world in which a rollback is ordered and blue can serve.
pub(super) fn ordered_back(world: &World) -> World {
    let mut world = world.clone();
    world.order(CutoverOrder::Rollback { route: None });
    heal(&mut world, false);
    world.calm();
    world
}

/// The world in which everything is well and a person lets everything pass.
pub(super) fn let_pass(world: &World) -> World {
    let mut world = world.clone();
    if world.cutover().is_none() {
        world.order(start());
    }
    // What heals is seen before anything else is written.
    world.pending = None;
    if world.is_paused() {
        world.order(CutoverOrder::Resume);
    }
    world.order(CutoverOrder::Promote { route: None, full: true });
    heal(&mut world, true);
    world.calm();
    world
}

/// Everything that was not given up is blue's again; what was back before is nobody's concern.
pub(super) fn is_back(begin: &World, end: &World) -> bool {
    let (Some(before), Some(cutover)) = (begin.cutover(), end.cutover()) else {
        return true;
    };
    let blue = group_arn(NAMES[0]);
    let back = |(to, route): (&ServiceName, &RouteMemory)| {
        let rule = end.aws.rule_of(to.as_str());
        let all = rule.is_none_or(|rule| rule.image.percent_of(&blue) == 100);
        match before.routes.get(to).map(|route| route.stage) {
            Some(Stage::RolledBack) => true,
            _ => route.stage == Stage::Finalized || (route.stage == Stage::RolledBack && all),
        }
    };
    let returned = cutover.routes.values().any(|route| route.stage == Stage::RolledBack);
    let floor = cutover.floors.get(&NAMES[0].into()).copied().unwrap_or_default();
    let serves = end.aws.tombstones() == 0 && end.aws.sides[0].count >= floor.max(1);
    !end.is_open() && cutover.routes.iter().all(back) && (!returned || serves)
}

/// Closed, or every open route says what only a person can give.
pub(super) fn is_over(game: &Game, end: &World) -> bool {
    let Some(cutover) = end.cutover().filter(|cutover| cutover.is_open()) else {
        return true;
    };
    let plan = game.plan(end);
    let open = cutover.routes.iter().filter(|(_, route)| !route.stage.is_final());
    let mut named = open.map(|(to, _)| {
        let gone = end.aws.rule_of(to.as_str()).is_none();
        let subject = Subject::Route(RouteId { cutover: "break".into(), to: to.clone() });
        let holds = plan.holds.iter().filter(move |hold| hold.subject == subject);
        holds.map(|hold| &hold.reason).any(|reason| match reason {
            Reason::AfterRoute { .. }
            | Reason::RouteRolledBack { .. }
            | Reason::NotSeen { .. }
            | Reason::NoRule { .. }
            | Reason::AlreadySends { .. } => true,
            // Resumed already: it stopped again, which only a rule that is gone excuses.
            Reason::CutoverPaused { .. } => gone || another_is_gone(end),
            Reason::StillServes { .. } => true,
            _ => false,
        })
    });
    named.all(|named| named)
}

fn another_is_gone(end: &World) -> bool {
    NAMES[1..].iter().any(|name| end.aws.rule_of(name).is_none())
}
