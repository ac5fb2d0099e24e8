//! What a cluster's page says, in words ready to be placed.

use std::borrow::Borrow;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

use super::chart::{self, Chart};
use super::cutover::{self, Card};
use super::fleet::{self, Zone};
use super::release;
use crate::control::status::{
    ActionView, ClusterStatus, ConfigStatus, Decided, Decision, Fate, HoldView, Status,
};
use crate::model::{ActionKind, Mode, Outcome, why};

/// Rows shown of tables that could be long.
const ROWS_MAX: usize = 200;
const DECISIONS_SHOWN: usize = 12;

pub(super) struct View<'a> {
    pub(super) c: &'a ClusterStatus,
    pub(super) narration: Option<&'a str>,
    pub(super) config: &'a ConfigStatus,
    pub(super) zones: Vec<Zone<'a>>,
    pub(super) small: bool,
    pub(super) chart: Chart,
    pub(super) cutovers: Vec<Card<'a>>,
    pub(super) releases: Vec<release::Card<'a>>,
}

impl<'a> View<'a> {
    pub(super) fn of(status: &'a Status, cluster: &'a ClusterStatus) -> Self {
        Self {
            c: cluster,
            narration: status.narration.as_deref(),
            config: &status.config,
            zones: fleet::zones(cluster),
            small: fleet::is_small(cluster),
            chart: Chart::of(cluster),
            cutovers: cutover::cards(cluster),
            releases: release::cards(cluster),
        }
    }

    pub(super) fn chart_size(&self) -> (f64, f64) {
        (chart::WIDTH, chart::HEIGHT)
    }

    /// The drawing with its margins, in the words of a `viewBox`.
    pub(super) fn chart_box(&self) -> String {
        let (left, around) = (chart::AXIS_WIDTH, chart::MARGIN);
        let (width, height) = (chart::WIDTH + left + around, chart::HEIGHT + 2.0 * around);
        format!("-{left} -{around} {width} {height}")
    }

    /// What mode act would carry out, or why the mode does less.
    pub(super) fn mode_line(&self) -> String {
        let kinds: Vec<_> = self.c.allow.iter().map(words).collect();
        match self.c.mode.effective {
            mode if self.c.pause.is_some() => format!("paused, in mode {mode}"),
            Mode::Act if kinds.is_empty() => "act, but no kind is allowed".to_owned(),
            Mode::Act => format!("act: {}", kinds.join(", ")),
            Mode::Recommend => "recommend: a person carries plans out".to_owned(),
            Mode::Observe => "observe: nothing is changed".to_owned(),
        }
    }

    pub(super) fn mode_class(&self) -> &'static str {
        match self.c.mode.effective {
            _ if self.c.pause.is_some() => "paused",
            Mode::Act => "act",
            Mode::Recommend => "recommend",
            Mode::Observe => "observe",
        }
    }

    pub(super) fn mode_sign(&self) -> &'static str {
        match self.c.mode.effective {
            _ if self.c.pause.is_some() => "❚❚",
            Mode::Act => "▶",
            Mode::Recommend => "☞",
            Mode::Observe => "◉",
        }
    }

    /// Whether an order that is given here gets to the replica that leads.
    pub(super) fn takes_orders(&self) -> bool {
        self.c.journal.leader.as_ref().is_none_or(|leader| leader.address.is_some())
    }

    /// The mode a person may want next: one that is not in force and not above the ceiling.
    pub(super) fn other_modes(&self) -> Vec<Mode> {
        let all = [Mode::Observe, Mode::Recommend, Mode::Act];
        let ceiling = self.c.mode.ceiling;
        all.into_iter().filter(|mode| *mode != self.c.mode.stored && *mode <= ceiling).collect()
    }

    pub(super) fn hosts_shown(&self) -> impl Iterator<Item = &'a crate::control::status::HostView> {
        self.c.hosts.iter().take(ROWS_MAX)
    }

    pub(super) fn hosts_hidden(&self) -> usize {
        self.c.hosts.len().saturating_sub(ROWS_MAX)
    }

    pub(super) fn decisions(&self) -> impl Iterator<Item = &'a Decision> {
        self.c.decisions.iter().take(DECISIONS_SHOWN)
    }

    pub(super) fn is_short(&self) -> bool {
        self.c.tasks.unplaced > 0
    }

    pub(super) fn since(&self, at: &Option<DateTime<Utc>>) -> String {
        at.map_or_else(String::new, |at| lasting(self.c.at - at))
    }

    pub(super) fn nothing_planned(&self) -> bool {
        let plan = &self.c.plan;
        plan.would_do.is_empty() && plan.not_allowed.is_empty() && plan.held.is_empty()
    }

    /// What the money would become, if it changes.
    pub(super) fn cost_after(&self) -> Option<String> {
        let cost = &self.c.cost;
        let changes = cost.after_micro_usd_per_hour != cost.now_micro_usd_per_hour;
        changes.then(|| why::usd(cost.after_micro_usd_per_hour))
    }

    pub(super) fn cost_if_allowed(&self) -> Option<String> {
        let cost = &self.c.cost;
        let changes = cost.if_allowed_micro_usd_per_hour != cost.after_micro_usd_per_hour;
        changes.then(|| why::usd(cost.if_allowed_micro_usd_per_hour))
    }
}

/// What several subjects are held for.
pub(super) struct Held<'a> {
    pub(super) wants: ActionKind,
    pub(super) why: &'a str,
    subjects: Vec<&'a str>,
    /// The longest lasting.
    pub(super) since: Option<DateTime<Utc>>,
}

impl<'a> Held<'a> {
    /// Subjects named; the rest is counted.
    const NAMED: usize = 6;

    fn of(hold: &'a HoldView) -> Self {
        Self { wants: hold.wants, why: &hold.why, subjects: vec![&hold.subject], since: hold.since }
    }

    fn add(&mut self, hold: &'a HoldView) {
        self.subjects.push(&hold.subject);
        self.since = [self.since, hold.since].into_iter().flatten().min();
    }

    pub(super) fn subjects(&self) -> String {
        let named = self.subjects.iter().take(Self::NAMED).copied();
        let named = named.collect::<Vec<_>>().join(", ");
        match self.subjects.len().saturating_sub(Self::NAMED) {
            0 => named,
            more => format!("{named} and {more} more"),
        }
    }
}

/// Holds of the same kind for the same reason in one row.
pub(super) fn held(holds: &[HoldView]) -> Vec<Held<'_>> {
    let mut rows: Vec<Held<'_>> = Vec::new();
    for hold in holds {
        let same = |row: &&mut Held<'_>| row.wants == hold.wants && row.why == hold.why;
        match rows.iter_mut().find(same) {
            Some(row) => row.add(hold),
            None => rows.push(Held::of(hold)),
        }
    }
    rows.truncate(ROWS_MAX);
    rows
}

/// `41 s`, `12 min`, `3 h 05 min`, `4 d`.
pub(super) fn lasting(time: TimeDelta) -> String {
    let seconds = time.num_seconds().max(0);
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7_199 => format!("{} min", seconds / 60),
        7_200..=172_799 => format!("{} h {:02} min", seconds / 3_600, seconds % 3_600 / 60),
        _ => format!("{} d", seconds / 86_400),
    }
}

pub(super) fn percent(percent: &Option<f64>) -> String {
    percent.map_or_else(|| "–".to_owned(), |percent| format!("{percent:.1} %"))
}

pub(super) fn usd(micro: &u64) -> String {
    why::usd(*micro)
}

pub(super) fn clock(at: &DateTime<Utc>) -> String {
    at.format("%H:%M:%S").to_string()
}

pub(super) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

pub(super) fn iso(at: &DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

/// `1 task`, `2 tasks`.
pub(super) fn tasks(count: impl Borrow<u64>) -> String {
    let count = *count.borrow();
    let s = if count == 1 { "" } else { "s" };
    format!("{count} task{s}")
}

/// Words for codes: `scale_out` becomes `scale out`.
pub(super) fn words(code: &impl ToString) -> String {
    code.to_string().replace('_', " ")
}

/// Up, down or sideways.
pub(super) fn kind_sign(kind: &ActionKind) -> &'static str {
    match kind {
        ActionKind::ScaleOut => "+",
        ActionKind::ScaleIn => "−",
        ActionKind::Repair | ActionKind::Spot => "!",
        ActionKind::Replace | ActionKind::Consolidate => "~",
        ActionKind::Services | ActionKind::Cutover => "»",
        ActionKind::Handover => "⇄",
        ActionKind::Handback => "↩",
    }
}

/// Sign, class and words for what became of an action.
pub(super) fn fate(decided: &Decided) -> (&'static str, &'static str, String) {
    match &decided.fate {
        Fate::Outcome { outcome } => match outcome {
            Outcome::Done { failed, .. } if failed.is_empty() => ("✓", "good", "done".to_owned()),
            Outcome::Done { failed, .. } => {
                ("!", "bad", format!("done, but for {} of them", failed.len()))
            }
            Outcome::Moved { found, .. } => ("·", "calm", format!("nothing sent: found {found}")),
            Outcome::Refused { failure } => ("✕", "bad", format!("refused: {failure}")),
            Outcome::InDoubt { message } => ("?", "warn", format!("in doubt: {message}")),
        },
        Fate::Held { hold } => ("◌", "calm", format!("held: {}", hold.reason)),
        Fate::NotReached => ("·", "warn", "not reached".to_owned()),
    }
}

/// The groups of the plan's table that are alike.
pub(super) fn groups<'a>(view: &View<'a>) -> [(&'static str, &'static str, &'a [ActionView]); 2] {
    let plan = &view.c.plan;
    [
        ("Would do", "do", plan.would_do.as_slice()),
        ("Would do, not allowed yet", "may", plan.not_allowed.as_slice()),
    ]
}
