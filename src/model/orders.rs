//! Which orders of a cutover make sense.
//!
//! Rule: asked before an order is journalled, so that nobody believes one to stand that does not,
//! and again as it is folded: one that is refused changes nothing.

use super::id::{CutoverName, ServiceName};
use super::record::Refusal;
use super::route::{CutoverMemory, CutoverOrder, Stage};

/// What is known of a cutover when an order comes.
#[derive(Clone, Debug)]
pub struct Known {
    pub name: CutoverName,
    /// `None`: never started.
    pub stages: Option<Vec<(ServiceName, Stage)>>,
    pub paused: bool,
}

impl Known {
    pub fn of(name: &CutoverName, memory: Option<&CutoverMemory>) -> Self {
        let stages = |memory: &CutoverMemory| {
            memory.routes.iter().map(|(to, route)| (to.clone(), route.stage)).collect()
        };
        Self {
            name: name.clone(),
            stages: memory.map(stages),
            paused: memory.is_some_and(|memory| memory.paused.is_some()),
        }
    }

    fn all(&self) -> &[(ServiceName, Stage)] {
        self.stages.as_deref().unwrap_or_default()
    }

    fn any(&self, of: impl Fn(Stage) -> bool) -> bool {
        self.all().iter().any(|(_, stage)| of(*stage))
    }

    fn is_open(&self) -> bool {
        self.any(|stage| !stage.is_final())
    }

    fn refuse<T>(
        &self,
        code: &'static str,
        detail: &str,
        remedy: impl Into<String>,
    ) -> Result<T, Refusal> {
        let detail = format!("cutover `{}` {detail}", self.name);
        Err(Refusal { code, detail, remedy: remedy.into() })
    }
}

/// Whether the order would do something.
///
/// # Errors
/// A refusal with what to do instead.
pub fn check(known: &Known, order: &CutoverOrder) -> Result<(), Refusal> {
    match order {
        CutoverOrder::Start { .. } => start(known),
        CutoverOrder::Undo if known.any(|stage| stage == Stage::Finalized) => Ok(()),
        CutoverOrder::Undo if known.is_open() => {
            let remedy = "before finalize, `tidegate cutover rollback` leads back at once";
            known.refuse("not_finalized", "is not finalized", remedy)
        }
        _ if !known.is_open() => closed(known),
        CutoverOrder::Undo | CutoverOrder::Pause | CutoverOrder::Abort => Ok(()),
        CutoverOrder::Resume if !known.paused => {
            known.refuse("not_paused", "is not paused", "nothing has to be done")
        }
        CutoverOrder::Resume => Ok(()),
        CutoverOrder::Promote { route, .. } => promote(known, route.as_ref()),
        CutoverOrder::Rollback { route } => roll_back(known, route.as_ref()),
        CutoverOrder::Finalize => finalize(known),
    }
}

fn start(known: &Known) -> Result<(), Refusal> {
    let on_its_way = |stage| matches!(stage, Stage::RollingBack | Stage::Reviving);
    if known.any(|stage| stage == Stage::RolledBack) && !known.any(on_its_way) {
        return Ok(());
    }
    if known.is_open() {
        let remedy = "`tidegate cutover status` shows where it stands";
        return known.refuse("already_open", "is under way", remedy);
    }
    if known.any(|stage| stage == Stage::Finalized) {
        let remedy = "`tidegate cutover undo` leads back; after that it can be started anew";
        return known.refuse("already_finalized", "is finalized", remedy);
    }
    Ok(())
}

fn closed(known: &Known) -> Result<(), Refusal> {
    let start = "`tidegate cutover start` begins it";
    if known.stages.is_none() {
        return known.refuse("not_started", "was not started", start);
    }
    if known.any(|stage| stage == Stage::Finalized) {
        let remedy = "`tidegate cutover undo` provides the old service again and shifts back";
        return known.refuse("already_finalized", "is finalized", remedy);
    }
    known.refuse("not_open", "has been rolled back", format!("{start} anew"))
}

/// The stages that an order for one route, or for all, is about.
fn meant<'a>(
    known: &'a Known,
    route: Option<&ServiceName>,
) -> Result<Vec<&'a (ServiceName, Stage)>, Refusal> {
    let all = known.all();
    let meant: Vec<_> =
        all.iter().filter(|(to, _)| route.is_none_or(|route| route == to)).collect();
    match (meant.is_empty(), route) {
        (true, Some(route)) => {
            let names: Vec<_> = all.iter().map(|(to, _)| to.as_str()).collect();
            let detail = format!("has no route to `{route}`");
            known.refuse("unknown_route", &detail, format!("its routes: {}", names.join(", ")))
        }
        _ => Ok(meant),
    }
}

fn promote(known: &Known, route: Option<&ServiceName>) -> Result<(), Refusal> {
    // A planned route may wait for a person to accept what the listener's analysis found.
    let waits =
        |stage| matches!(stage, Stage::Planned | Stage::Probed | Stage::Shifting | Stage::Shifted);
    if meant(known, route)?.iter().any(|(_, stage)| waits(*stage)) {
        return Ok(());
    }
    let remedy = "`tidegate cutover status` shows what its routes wait for";
    known.refuse("nothing_to_promote", "has no route that waits or shifts", remedy)
}

fn roll_back(known: &Known, route: Option<&ServiceName>) -> Result<(), Refusal> {
    let meant = meant(known, route)?;
    if meant.iter().any(|(_, stage)| stage.can_roll_back() || *stage == Stage::RollingBack) {
        return Ok(());
    }
    if meant.iter().any(|(_, stage)| *stage == Stage::Finalized) {
        let remedy = "`tidegate cutover undo` provides the old service again and shifts back";
        return known.refuse("already_finalized", "is finalized there", remedy);
    }
    known.refuse("not_open", "has been rolled back there", "nothing has to be done")
}

fn finalize(known: &Known) -> Result<(), Refusal> {
    // Without a route that went back, and with the old service kept for it.
    let baked = |stage: Stage| {
        (Stage::Baked..=Stage::Finalized).contains(&stage) || stage == Stage::RolledBack
    };
    let open: Vec<_> = known.all().iter().filter(|(_, stage)| !baked(*stage)).collect();
    if open.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = open.iter().map(|(to, stage)| format!("{to} is {stage}")).collect();
    let remedy = "finalize gives the old service up, so every route has to be baked first";
    known.refuse("not_baked", &format!("is not baked: {}", list.join(", ")), remedy)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use expect_test::expect;

    use super::*;

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn an_order_that_would_do_nothing_is_refused_with_a_remedy() {
        let orders = [
            CutoverOrder::Start { token: String::new(), routes: vec![] },
            CutoverOrder::Pause,
            CutoverOrder::Resume,
            CutoverOrder::Promote { route: None, full: false },
            CutoverOrder::Rollback { route: None },
            CutoverOrder::Abort,
            CutoverOrder::Finalize,
            CutoverOrder::Undo,
        ];
        let mut table = String::new();
        for stages in [
            None,
            Some([Stage::Planned, Stage::Planned]),
            Some([Stage::Attached, Stage::Healthy]),
            Some([Stage::Shifting, Stage::Probed]),
            Some([Stage::Baked, Stage::Tombstoned]),
            Some([Stage::RolledBack, Stage::Baked]),
            Some([Stage::RolledBack, Stage::Probed]),
            Some([Stage::RolledBack, Stage::Finalized]),
            Some([Stage::RollingBack, Stage::RolledBack]),
            Some([Stage::Finalized, Stage::Finalized]),
            Some([Stage::RolledBack, Stage::RolledBack]),
        ] {
            let named = |[a, b]: [Stage; 2]| vec![("users".into(), a), ("posts".into(), b)];
            let known = Known { name: "break".into(), stages: stages.map(named), paused: false };
            let title = stages.map_or("not started".to_owned(), |[a, b]| format!("{a}, {b}"));
            writeln!(table, "{title}").unwrap();
            for order in &orders {
                let said = check(&known, order).map_or_else(|no| no.code, |()| "yes");
                writeln!(table, "  {order:<9} {said}", order = order.to_string()).unwrap();
            }
        }
        expect![[r#"
            not started
              start     yes
              pause     not_started
              resume    not_started
              promote   not_started
              rollback  not_started
              abort     not_started
              finalize  not_started
              undo      not_started
            planned, planned
              start     already_open
              pause     yes
              resume    not_paused
              promote   yes
              rollback  yes
              abort     yes
              finalize  not_baked
              undo      not_finalized
            attached, healthy
              start     already_open
              pause     yes
              resume    not_paused
              promote   nothing_to_promote
              rollback  yes
              abort     yes
              finalize  not_baked
              undo      not_finalized
            shifting, probed
              start     already_open
              pause     yes
              resume    not_paused
              promote   yes
              rollback  yes
              abort     yes
              finalize  not_baked
              undo      not_finalized
            baked, tombstoned
              start     already_open
              pause     yes
              resume    not_paused
              promote   nothing_to_promote
              rollback  yes
              abort     yes
              finalize  yes
              undo      not_finalized
            rolled_back, baked
              start     yes
              pause     yes
              resume    not_paused
              promote   nothing_to_promote
              rollback  yes
              abort     yes
              finalize  yes
              undo      not_finalized
            rolled_back, probed
              start     yes
              pause     yes
              resume    not_paused
              promote   yes
              rollback  yes
              abort     yes
              finalize  not_baked
              undo      not_finalized
            rolled_back, finalized
              start     yes
              pause     already_finalized
              resume    already_finalized
              promote   already_finalized
              rollback  already_finalized
              abort     already_finalized
              finalize  already_finalized
              undo      yes
            rolling_back, rolled_back
              start     already_open
              pause     yes
              resume    not_paused
              promote   nothing_to_promote
              rollback  yes
              abort     yes
              finalize  not_baked
              undo      not_finalized
            finalized, finalized
              start     already_finalized
              pause     already_finalized
              resume    already_finalized
              promote   already_finalized
              rollback  already_finalized
              abort     already_finalized
              finalize  already_finalized
              undo      yes
            rolled_back, rolled_back
              start     yes
              pause     not_open
              resume    not_open
              promote   not_open
              rollback  not_open
              abort     not_open
              finalize  not_open
              undo      not_open
        "#]]
        .assert_eq(&table);
    }

    #[test]
    fn a_route_that_is_not_there_is_named_with_those_that_are() {
        let stages =
            Some(vec![("users".into(), Stage::Shifting), ("posts".into(), Stage::Attached)]);
        let known = Known { name: "break".into(), stages, paused: false };
        let order = CutoverOrder::Rollback { route: Some("threads".into()) };
        let refusal = check(&known, &order).unwrap_err();
        assert_eq!(refusal.code, "unknown_route");
        assert_eq!(refusal.remedy, "its routes: users, posts");
        let order = CutoverOrder::Promote { route: Some("posts".into()), full: false };
        assert_eq!(check(&known, &order).unwrap_err().code, "nothing_to_promote");
    }
}
