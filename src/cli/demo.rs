//! `tidegate demo`: the real control loop, API and dashboard on a simulated AWS, with a story.
//!
//! Rule: the demo brings a world, a clock and a journal in memory; what runs on them is what runs
//! in production.

use std::net::SocketAddr;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use tokio_util::sync::CancellationToken;

use super::exit::{Exit, Failure};
use super::output::{Output, say};
use super::run::{bind, start_log};
use super::serve::{Door, Scope, serve, stop_on_signal};
use crate::api::{Token, bind_allowed};
use crate::control::status::Publisher;
use crate::control::{Clock, Cluster, SystemClock, TickReport, inbox, tick};
use crate::journal::Journal;
use crate::journal::sqlite::Sqlite;
use crate::model::{Command, Mode, Order, Record};
use crate::sim::{Faults, SimClock, SimCloud, story};

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

    /// No server: play the story once, as fast as possible, and print what was done.
    #[arg(long)]
    headless: bool,

    /// With --headless: fail unless the fleet followed its tasks and no law of the world was broken.
    #[arg(long, requires = "headless")]
    assert: bool,
}

pub(super) async fn demo(args: Args, output: Output) -> Result<Exit, Failure> {
    start_log()?;
    if args.headless {
        return headless(&args, output).await;
    }
    bind_allowed(args.listen, false).map_err(|e| Failure::new(Exit::Usage, e.to_string()))?;
    let token = Token::random().map_err(|error| Failure::new(Exit::Failed, error))?;
    let listener = bind(args.listen).await?;
    let address = listener.local_addr().unwrap_or(args.listen);
    let stop = stop_on_signal()?;
    let start = SystemClock.now();
    let clock = SimClock::paced(start, args.speed);
    let cloud = SimCloud::new(story::world(args.seed, start), clock.clone(), Faults::default());
    let scope = scope(cloud.clone(), clock, start).await?;
    say(&format!("dashboard           http://{address}/"));
    say(&format!("token for changes   {}", token.reveal()));
    say(&format!("seed {}, {} virtual seconds a second; Ctrl-C ends it", args.seed, args.speed));
    let told = stop.clone();
    let tell = |publisher| {
        tokio::spawn(narrate(cloud, publisher, told));
    };
    let door = Door { listener, token, hosts: std::collections::BTreeSet::new() };
    serve(vec![scope], door, tell, stop).await.map(|()| Exit::Ok)
}

/// A cluster in mode act, by an order in its journal as in life.
async fn scope<K: Clock>(
    cloud: SimCloud,
    clock: K,
    at: DateTime<Utc>,
) -> Result<Scope<SimCloud, Sqlite, K>, Failure> {
    let config = story::config();
    let mut journal = Sqlite::in_memory(&config.name)?;
    journal.recover().await?;
    let order = Order::SetMode { mode: Mode::Act };
    let command = Command { actor: "demo".into(), reason: "the story begins".into(), order };
    journal.append(vec![Record::Command { command }], at).await?;
    let cluster = Cluster::open(config, &mut journal).await?;
    Ok(Scope { cloud, journal, clock, cluster })
}

/// Tells each sentence of the story as it happens, and begins anew at its end.
async fn narrate(cloud: SimCloud, publisher: Publisher, stop: CancellationToken) {
    let mut told = 0;
    let mut ends_at = cloud.clock().now() + story::LENGTH;
    while !stop.is_cancelled() {
        let fresh = cloud.with_world(|world| {
            if world.now() >= ends_at {
                story::play(world);
                ends_at = world.now() + story::LENGTH;
            }
            world.narration()[told..].to_vec()
        });
        told += fresh.len();
        for (at, sentence) in fresh {
            let line = format!("{}  {sentence}", at.format("%H:%M:%S"));
            say(&line);
            publisher.narrate(line);
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = SystemClock.sleep(LISTEN) => {}
        }
    }
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
    let (_orders, mut inbox) = inbox();
    let mut previous = None;
    let end = start + story::LENGTH + TimeDelta::minutes(30);
    while clock.now() < end {
        let Scope { journal, cluster, .. } = &mut scope;
        let report = tick(&cloud, journal, cluster, &clock, &mut inbox, previous).await;
        previous = Some(report.ended_at);
        summary.add(&report);
        let pause = if report.acted() { 1 } else { 15 };
        clock.sleep(Duration::from_secs(pause)).await;
    }
    let laws = cloud.with_world(|world| world.check());
    summary.broken_laws = laws.iter().map(ToString::to_string).collect();
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

impl Summary {
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
            (self.broken_laws.is_empty(), "laws of the world were broken"),
        ];
        checks.iter().filter(|(right, _)| !right).map(|(_, what)| (*what).to_owned()).collect()
    }

    fn text(&self) -> String {
        let broken = match self.broken_laws.as_slice() {
            [] => "no law of the world broken".to_owned(),
            laws => format!("BROKEN: {}", laws.join("; ")),
        };
        format!(
            "{}\n\nseed {}: {} ticks, {} to {} hosts, {} at the end, {} tasks without a host; {broken}",
            self.actions.join("\n"),
            self.seed,
            self.ticks,
            self.hosts_min,
            self.hosts_max,
            self.hosts_at_end,
            self.tasks_without_host_at_end,
        )
    }
}
