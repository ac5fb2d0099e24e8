//! Runs the loop on a world and writes down what an operator would see.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, TimeDelta, Utc};
use tidegate::config::ClusterConfig;
use tidegate::control::{
    Clock, Cluster, Inbox, Orders, TickReport, Verdict, inbox, pause_after, tick,
};
use tidegate::model::{
    Command, CutoverEdge, CutoverOrder, DrainCause, Hold, Host, InstanceId, Lifecycle, Mode, Need,
    Note, Order, Outcome, Reason, ReleaseEdge, Snapshot, Why,
};
use tidegate::sim::{Faults, SimClock, SimCloud, Violation, World};

use crate::mortal::Mortal;

/// The loop, its journal and the world it looks after, on a clock that jumps.
pub(crate) struct Stage {
    pub(crate) cloud: SimCloud,
    pub(crate) cx: Cluster,
    clock: SimClock,
    journal: Mortal,
    orders: Orders,
    inbox: Inbox,
    previous: Option<DateTime<Utc>>,
    pub(crate) script: Script,
}

/// What happened, line by line, with short names for hosts.
pub(crate) struct Script {
    start: DateTime<Utc>,
    text: String,
    names: BTreeMap<InstanceId, String>,
    holds: Vec<Hold>,
    told: usize,
    /// Actions carried out so far.
    pub(crate) acts: usize,
    /// When the loop last planned something, done or not.
    pub(crate) last_plan: DateTime<Utc>,
    /// Requests that the last step forward put at risk, as it said itself.
    pub(crate) exposed: u64,
    /// Limits that did not hold.
    pub(crate) broken: Vec<String>,
}

impl Stage {
    /// Opens an empty journal and orders mode act, as a person would.
    pub(crate) async fn open(world: World, config: ClusterConfig, faults: Faults) -> Self {
        let journal = Mortal::new(&config.name);
        Self::open_on(journal, world, config, faults).await
    }

    /// The same with an empty journal elsewhere.
    pub(crate) async fn open_on(
        mut journal: Mortal,
        world: World,
        config: ClusterConfig,
        faults: Faults,
    ) -> Self {
        let clock = SimClock::stepped(world.now());
        let cx = Cluster::open(config, &mut journal).await;
        let cx = cx.expect("a new journal opens");
        let (orders, inbox) = inbox();
        let start = world.now();
        let mut stage = Self {
            cloud: SimCloud::new(world, clock.clone(), faults),
            cx,
            clock,
            journal,
            orders,
            inbox,
            previous: None,
            script: Script {
                start,
                text: String::new(),
                names: BTreeMap::new(),
                holds: Vec::new(),
                told: 0,
                acts: 0,
                last_plan: start,
                exposed: 0,
                broken: Vec::new(),
            },
        };
        stage.order(Order::SetMode { mode: Mode::Act }).await;
        stage
    }

    /// The process dies instead of the record after so many more, and is started again.
    pub(crate) fn dies_after(&mut self, records: usize) {
        self.journal.dies_after(records);
    }

    /// Orders something as a person would, between two ticks; again, if the process died of it.
    pub(crate) async fn order(&mut self, order: Order) {
        let command = Command {
            actor: "operator".to_owned(),
            reason: "the scenario wants it".to_owned(),
            order,
        };
        while self.order_once(command.clone()).await.is_err() {
            self.reopen().await;
        }
    }

    async fn order_once(&mut self, command: Command) -> Result<(), String> {
        let given = self.orders.order(command);
        let (cx, inbox) = (&mut self.cx, &mut self.inbox);
        let (journal, clock) = (&mut self.journal, &self.clock);
        let taken = async {
            let ordered = inbox.next().await;
            cx.obey(journal, ordered, clock).await
        };
        let (answer, _) = tokio::join!(given, taken);
        answer.map(|_| ())
    }

    /// Orders something of a cutover.
    pub(crate) async fn steer(&mut self, cutover: &str, steer: CutoverOrder) {
        self.order(Order::Cutover { cutover: cutover.into(), steer }).await;
    }

    /// Starts the process again with another configuration.
    pub(crate) async fn configure(&mut self, config: ClusterConfig) {
        let reopened = Cluster::open(config, &mut self.journal).await;
        self.cx = reopened.expect("it opens");
        self.previous = None;
    }

    /// The process ends, and lets go of its journal.
    pub(crate) fn end(&mut self) {
        self.journal = Mortal::new(&self.cx.config.name);
    }

    /// A process begins with this journal.
    pub(crate) async fn begin(&mut self, journal: Mortal) {
        self.journal = journal;
        self.configure(self.cx.config.clone()).await;
    }

    /// A new process: nothing is known but what the journal holds.
    async fn reopen(&mut self) {
        self.journal.dies_after(usize::MAX);
        self.configure(self.cx.config.clone()).await;
    }

    /// Ticks for a while, one after the other, as the loop does.
    pub(crate) async fn run(&mut self, time: TimeDelta) {
        self.run_until(time, |_| false).await;
    }

    /// The same, until something holds; says whether it does.
    pub(crate) async fn run_until(
        &mut self,
        time: TimeDelta,
        holds: impl Fn(&Self) -> bool,
    ) -> bool {
        let until = self.clock.now() + time;
        loop {
            let report = self.tick().await;
            if holds(self) {
                return true;
            }
            if report.ended_at >= until {
                return false;
            }
            self.clock.sleep(pause_after(&self.cx, &report)).await;
        }
    }

    /// Tells the loop what the world would have told of itself in events.
    pub(crate) fn hear(&mut self) -> bool {
        self.cx.hear(self.cloud.with_world(World::take_changes))
    }

    async fn tick(&mut self) -> TickReport {
        let (journal, cx) = (&mut self.journal, &mut self.cx);
        let (clock, inbox) = (&self.clock, &mut self.inbox);
        let report = tick(&self.cloud, journal, cx, clock, inbox, self.previous).await;
        self.previous = Some(report.ended_at);
        let script = &mut self.script;
        self.cloud.with_world(|world| script.narrate(world));
        script.write(&report);
        script.watch(&self.cx, &report);
        if report.trouble.is_some() {
            self.reopen().await;
        }
        report
    }

    /// How many records the journal holds.
    pub(crate) fn records(&self) -> usize {
        usize::try_from(self.cx.memory.seq.0).expect("a small journal")
    }

    /// The true state of pools, hosts and services.
    pub(crate) fn see(&self) -> Snapshot {
        let config = &self.cx.config;
        let need = Need {
            cluster: config.name.clone(),
            pools: config.pools.iter().map(|pool| pool.id.clone()).collect(),
            tasks_of: Default::default(),
            traffic: None,
            releases: None,
            only_traffic: false,
        };
        self.cloud.with_world(|world| world.snapshot(&need))
    }

    pub(crate) fn now(&self) -> DateTime<Utc> {
        self.clock.now()
    }

    pub(crate) fn violations(&self) -> Vec<Violation> {
        self.cloud.with_world(|world| world.check())
    }
}

impl Script {
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// The last lines.
    pub(crate) fn tail(&self, lines: usize) -> String {
        let all: Vec<_> = self.text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Bounds and budgets, as they are seen.
    fn watch(&mut self, cx: &Cluster, report: &TickReport) {
        for pool in report.snapshot.pools.value.values() {
            if pool.desired < pool.min || pool.desired > pool.max {
                self.broken.push(format!("{}: {} out of bounds", pool.id, pool.desired));
            }
        }
        let hosts = report.snapshot.hosts.value.values();
        let leaving = |host: &&Host| {
            host.mark.is_some_and(|mark| mark.cause == DrainCause::ScaleIn)
                && host.lifecycle == Lifecycle::InService
        };
        let leaving = hosts.filter(leaving).count() as u64;
        if leaving > cx.config.budgets.draining_hosts {
            self.broken.push(format!("{leaving} hosts drain at one time"));
        }
    }

    fn narrate(&mut self, world: &World) {
        for (at, sentence) in &world.narration()[self.told..] {
            self.line(*at, &format!("\"{sentence}\""));
        }
        self.told = world.narration().len();
    }

    fn write(&mut self, report: &TickReport) {
        let at = report.began_at;
        if !report.plan.is_idle() {
            self.last_plan = at;
        }
        for (planned, verdict) in &report.verdicts {
            let Verdict::Acted { outcome, .. } = verdict else {
                continue;
            };
            self.acts += 1;
            if let Why::Shifts { exposed, .. } = planned.why {
                self.exposed = exposed.unwrap_or_default();
            }
            let answer = match outcome {
                Outcome::Done { failed, .. } if failed.is_empty() => String::new(),
                other => format!(" ({other:?})"),
            };
            self.line(at, &format!("  {}{answer}", planned.action));
        }
        for note in &report.plan.notes {
            if let Note::Cutover { edge, .. } = note {
                self.write_edge(at, edge);
            }
            if let Note::Release { service, edge: ReleaseEdge::Moved { stage, because, .. } } = note
            {
                self.line(at, &format!("  release of {service} is {stage}: {because}"));
            }
        }
        self.holds = report.holds();
    }

    /// Moves of routes, and stops; what else is noted can be told from them.
    fn write_edge(&mut self, at: DateTime<Utc>, edge: &CutoverEdge) {
        match edge {
            CutoverEdge::Moved { to, stage, because, .. } => {
                self.line(at, &format!("  {to} is {stage}: {because}"));
            }
            CutoverEdge::Stopped { because } => self.line(at, &format!("  stopped: {because}")),
            _ => {}
        }
    }

    /// Whether the last tick left a step to a person.
    pub(crate) fn awaits_promotion(&self) -> bool {
        let waits = |hold: &Hold| matches!(hold.reason, Reason::AwaitsPromotion { .. });
        self.holds.iter().any(waits)
    }

    /// What is held at the end, and why.
    pub(crate) fn holds(&mut self) -> String {
        let holds = std::mem::take(&mut self.holds);
        let lines = holds.iter().map(|hold| {
            let line = format!("{} {}: {}\n", hold.subject, hold.wants, hold.reason);
            self.shorten(&line)
        });
        lines.collect()
    }

    fn line(&mut self, at: DateTime<Utc>, what: &str) {
        let passed = (at - self.start).num_seconds();
        let what = self.shorten(what);
        let _infallible = writeln!(self.text, "{:>3}:{:02} {what}", passed / 60, passed % 60);
    }

    /// `h1`, `h2`, … for instance ids, in the order they appear.
    fn shorten(&mut self, text: &str) -> String {
        let mut short = String::new();
        let mut rest = text;
        while let Some(begin) = rest.find("i-0") {
            let id = &rest[begin..];
            let end = id[3..].find(|c: char| !c.is_ascii_hexdigit());
            let end = end.map_or(id.len(), |end| end + 3);
            let next = format!("h{}", self.names.len() + 1);
            let name = self.names.entry(id[..end].into()).or_insert(next);
            short.push_str(&rest[..begin]);
            short.push_str(name);
            rest = &id[end..];
        }
        short + rest
    }
}
