//! `tidegate demo`: the real control loop, API and dashboard on a simulated AWS, with a story.
//!
//! Rule: the demo brings a world, a clock and a journal in memory; what runs on them is what runs
//! in production.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure};
use super::output::{Output, say};
use super::remote::{Address, Remote};
use super::run::{bind, start_log};
use super::serve::{Door, Scope, serve, stop_on_signal};
use crate::access::{Ledger, Token};
use crate::api::bind_allowed;
use crate::control::status::{Publisher, Status};
use crate::control::{Clock, Cluster, Orders, SystemClock, TickReport, inbox, pause_after, tick};
use crate::journal::Journal;
use crate::journal::sqlite::Sqlite;
use crate::model::{
    ClusterName, Command, CutoverOrder, Hold, Memory, Mode, Order, Reason, Record, ReleaseStage,
    RouteMemory, Stage,
};
use crate::sim::{Event, Faults, SimClock, SimCloud, World, story, tutorial};

/// How often the story is looked at for a new sentence, on the wall's clock.
const LISTEN: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The same seed gives the same world.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// Virtual seconds for each second of the wall.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=600))]
    speed: u32,

    /// Where API and dashboard listen.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    listen: SocketAddr,

    /// Directory in which commands on this machine find the demo; nothing else is kept.
    #[arg(long, env = "TIDEGATE_STATE", value_name = "DIR", default_value = ".tidegate")]
    state: PathBuf,

    /// No server: play the story once, as fast as possible, and print what was done.
    #[arg(long)]
    headless: bool,

    /// With --headless: fail unless the fleet followed its tasks, the routes moved, the bad
    /// release went back by itself, no request was lost by steering and no law of the world broken.
    #[arg(long, requires = "headless")]
    assert: bool,
}

pub(super) async fn demo(args: Args, output: Output) -> Result<Exit, Failure> {
    start_log()?;
    if args.headless {
        return headless(&args, output).await;
    }
    bind_allowed(args.listen, false).map_err(|e| Failure::new(Exit::Usage, e.to_string()))?;
    if Remote::on(&args.state, None).await?.is_some() {
        let text = format!("a server runs on the state directory {}", args.state.display());
        return Err(Failure::new(Exit::RetryLater, text)
            .hint("stop it, or give the demo a directory of its own with --state"));
    }
    let token = Token::random().map_err(|error| Failure::new(Exit::Failed, error))?;
    let listener = bind(args.listen).await?;
    let address = listener.local_addr().unwrap_or(args.listen);
    let stop = stop_on_signal()?;
    let start = SystemClock.now();
    let clock = SimClock::paced(start, args.speed);
    let cloud = SimCloud::new(story::world(args.seed, start), clock.clone(), Faults::default());
    let scope = scope(cloud.clone(), clock, start).await?;
    Address::new(address, &token).leave(&args.state);
    say(&format!("dashboard           http://{address}/"));
    say(&format!("token for changes   {}", token.reveal()));
    say(&format!("seed {}, {} virtual seconds a second; Ctrl-C ends it", args.seed, args.speed));
    let told = stop.clone();
    let name = scope.cluster.config.name.clone();
    let tell = |publisher, status, orders: &BTreeMap<ClusterName, Orders>| {
        if let Some(orders) = orders.get(&name) {
            let teller = Teller { cloud, publisher, status, orders: orders.clone() };
            tokio::spawn(teller.narrate(told));
        }
    };
    let hosts = std::collections::BTreeSet::new();
    let door = Door { listener, token, hosts, ledger: Ledger::in_memory()?, alb: None };
    let served = serve(vec![scope], door, tell, stop).await;
    Address::remove(&args.state);
    served.map(|()| Exit::Ok)
}

/// A cluster in mode act, by an order in its journal as in life.
async fn scope<K: Clock>(
    cloud: SimCloud,
    clock: K,
    at: DateTime<Utc>,
) -> Result<Scope<SimCloud, Sqlite, K>, Failure> {
    let config = story::shop();
    let mut journal = Sqlite::in_memory(&config.name)?;
    journal.recover().await?;
    let order = Order::SetMode { mode: Mode::Act };
    let command = Command { actor: "demo".into(), reason: "the story begins".into(), order };
    journal.append(vec![Record::Command { command }], at).await?;
    let cluster = Cluster::open(config, &mut journal).await?;
    Ok(Scope { cloud, journal, clock, cluster })
}

/// Who tells the story while it is watched.
struct Teller {
    cloud: SimCloud,
    publisher: Publisher,
    status: watch::Receiver<Arc<Status>>,
    orders: Orders,
}

impl Teller {
    /// Tells each sentence as it happens, and begins anew at its end. Starts cutovers as a person
    /// would; to promote is left to whoever watches.
    async fn narrate(self, stop: CancellationToken) {
        let mut told = 0;
        let mut began_at = self.cloud.clock().now();
        while !stop.is_cancelled() {
            let fresh = self.cloud.with_world(|world| {
                if world.now() >= began_at + story::LENGTH {
                    story::play(world);
                    began_at = world.now();
                }
                world.narration()[told..].to_vec()
            });
            told += fresh.len();
            for (at, sentence) in fresh {
                let line = format!("{}  {sentence}", at.format("%H:%M:%S"));
                say(&line);
                self.publisher.narrate(line);
            }
            self.order(self.cloud.clock().now() - began_at).await;
            tokio::select! {
                () = stop.cancelled() => {}
                () = SystemClock.sleep(LISTEN) => {}
            }
        }
    }

    async fn order(&self, passed: TimeDelta) {
        let seen =
            self.status.borrow().clusters.first().map(|c| (c.cutovers.clone(), c.releases.len()));
        let Some((cutovers, releases)) = seen else {
            return;
        };
        let is_open = |name: &str| {
            let cutover = cutovers.iter().find(|cutover| cutover.name.as_str() == name)?;
            cutover.started_at.map(|_| cutover.open)
        };
        if let Some((order, sentence)) = story::order(passed, is_open, releases > 0)
            && self.orders.order(command(order)).await.is_ok()
        {
            self.cloud.with_world(|world| remark(world, sentence));
        }
    }
}

fn command(order: Order) -> Command {
    Command { actor: "demo".into(), reason: "the story goes on".into(), order }
}

fn remark(world: &mut World, sentence: &str) {
    world.schedule(world.now(), Event::Remark, Some(sentence.to_owned()));
    world.advance(world.now());
}

/// What the story came to.
#[derive(Debug, Default, serde::Serialize)]
struct Summary {
    seed: u64,
    ticks: u64,
    hosts_min: usize,
    hosts_max: usize,
    hosts_at_end: usize,
    tasks_without_host_at_end: u64,
    requests: u64,
    requests_lost_by_steering: u64,
    /// Where the routes of the cutovers stand at the end.
    routes: BTreeMap<String, Stage>,
    led_back_by_itself: usize,
    /// How the release at the end came out.
    release: Option<ReleaseStage>,
    broken_laws: Vec<String>,
    actions: Vec<String>,
}

async fn headless(args: &Args, output: Output) -> Result<Exit, Failure> {
    // A fixed start, so that the same seed prints the same lines.
    let start = DateTime::from_timestamp(1_795_251_600, 0).unwrap_or_default();
    let clock = SimClock::stepped(start);
    let cloud = SimCloud::new(story::world(args.seed, start), clock.clone(), Faults::default());
    let mut scope = scope(cloud.clone(), clock.clone(), start).await?;
    let mut summary = Summary { seed: args.seed, hosts_min: usize::MAX, ..Summary::default() };
    let (orders, mut inbox) = inbox();
    let mut previous = None;
    let end = start + story::LENGTH + TimeDelta::minutes(30);
    while clock.now() < end {
        let Scope { journal, cluster, .. } = &mut scope;
        let report = tick(&cloud, journal, cluster, &clock, &mut inbox, previous).await;
        previous = Some(report.ended_at);
        summary.add(&report);
        if let Some(order) = next(&cloud, cluster, &report, clock.now() - start) {
            let taken = async {
                let ordered = inbox.next().await;
                cluster.obey(journal, ordered, &clock).await
            };
            let (_, obeyed) = tokio::join!(orders.order(command(order)), taken);
            obeyed?;
        }
        clock.sleep(pause_after(cluster, &report)).await;
    }
    cloud.with_world(|world| summary.judge(world));
    summary.moved(&scope.cluster.memory);
    output.result(&summary, || summary.text());
    if !args.assert {
        return Ok(Exit::Ok);
    }
    let wrong = summary.wrong();
    if wrong.is_empty() {
        return Ok(Exit::Ok);
    }
    Err(Failure::new(Exit::Failed, format!("the story went wrong: {}", wrong.join("; "))))
}

/// What a person orders after this tick: what the story says, and what is asked of them.
fn next(
    cloud: &SimCloud,
    cluster: &Cluster,
    report: &TickReport,
    passed: TimeDelta,
) -> Option<Order> {
    let cutovers = &cluster.memory.cutovers;
    let is_open = |name: &str| Some(cutovers.get(&name.into())?.is_open());
    let released = !cluster.memory.releases.is_empty();
    if let Some((order, sentence)) = story::order(passed, is_open, released) {
        cloud.with_world(|world| remark(world, sentence));
        return Some(order);
    }
    let waits = |hold: &Hold| matches!(hold.reason, Reason::AwaitsPromotion { .. });
    let steer = CutoverOrder::Promote { route: None, full: false };
    let promote = Order::Cutover { cutover: tutorial::CUTOVER.into(), steer };
    report.holds().iter().any(waits).then_some(promote)
}

impl Summary {
    fn judge(&mut self, world: &World) {
        self.broken_laws = world.check().iter().map(ToString::to_string).collect();
        self.requests = world.answers().sent;
        self.requests_lost_by_steering = world.answers().lost_by_steering();
    }

    fn moved(&mut self, memory: &Memory) {
        let release = memory.releases.get(&story::RELEASED.into());
        self.release = release.map(|release| release.stage);
        for cutover in memory.cutovers.values() {
            let routes = cutover.routes.iter();
            self.routes.extend(routes.map(|(to, route)| (to.to_string(), route.stage)));
            let ordered = |because: &str| because.starts_with("ordered by");
            let by_itself = |route: &RouteMemory| {
                route.stage == Stage::RolledBack && !route.because.as_deref().is_some_and(ordered)
            };
            self.led_back_by_itself += cutover.routes.values().filter(|r| by_itself(r)).count();
        }
    }

    fn add(&mut self, report: &TickReport) {
        self.ticks += 1;
        let hosts = report.snapshot.hosts.value.len();
        self.hosts_min = self.hosts_min.min(hosts);
        self.hosts_max = self.hosts_max.max(hosts);
        self.hosts_at_end = hosts;
        let services = report.snapshot.services.value.values();
        let missing =
            services.map(|s| s.desired_count.saturating_sub(s.running_count + s.pending_count));
        self.tasks_without_host_at_end = missing.sum();
        let at = report.began_at.format("%H:%M:%S");
        for (planned, verdict) in &report.verdicts {
            if matches!(verdict, crate::control::Verdict::Acted { .. }) {
                self.actions.push(format!("{at}  {}\n          {}", planned.action, planned.why));
            }
        }
    }

    fn wrong(&self) -> Vec<String> {
        let checks = [
            (self.hosts_max > self.hosts_min, "the fleet did not grow"),
            (self.hosts_at_end < self.hosts_max, "the fleet did not shrink"),
            (self.tasks_without_host_at_end == 0, "tasks were left without a host"),
            (self.is("users") && self.is("threads"), "the monolith's routes did not move"),
            (self.led_back_by_itself == 1, "the bad green was not led back by itself"),
            (self.went_back(), "the bad release was not led back by itself"),
            (self.requests_lost_by_steering == 0, "requests were lost by steering"),
            (self.broken_laws.is_empty(), "laws of the world were broken"),
        ];
        checks.iter().filter(|(right, _)| !right).map(|(_, what)| (*what).to_owned()).collect()
    }

    fn went_back(&self) -> bool {
        self.release == Some(ReleaseStage::RolledBack)
    }

    fn is(&self, moved: &str) -> bool {
        self.routes.get(moved) == Some(&Stage::Finalized)
    }

    fn text(&self) -> String {
        let routes = self.routes.iter().map(|(to, stage)| format!("{to} {stage}"));
        let routes = routes.collect::<Vec<_>>().join(", ");
        let release = self.release.map_or("not begun".to_owned(), |stage| stage.to_string());
        let broken = match self.broken_laws.as_slice() {
            [] => "no law of the world broken".to_owned(),
            laws => format!("BROKEN: {}", laws.join("; ")),
        };
        format!(
            "{}\n\nseed {}: {} ticks, {} to {} hosts, {} at the end, {} tasks without a host; \
             {routes}; release of {} {release}; {} of {} requests lost by steering; {broken}",
            self.actions.join("\n"),
            self.seed,
            self.ticks,
            self.hosts_min,
            self.hosts_max,
            self.hosts_at_end,
            self.tasks_without_host_at_end,
            story::RELEASED,
            self.requests_lost_by_steering,
            self.requests,
        )
    }
}
