//! A cluster under control on a simulated AWS, stepped tick by tick.

use std::fmt::Write;

use chrono::{DateTime, TimeDelta, Utc};
use tidegate::config::{ClusterConfig, PoolConfig};
use tidegate::control::{Clock, Cluster, Inbox, Orders, TickReport, Verdict, inbox, tick};
use tidegate::journal::Journal;
use tidegate::journal::sqlite::Sqlite;
use tidegate::model::*;
use tidegate::sim::{Event, Faults, ServiceSpec, SimClock, SimCloud, World};

/// Group `workers` of m5.large with what an operator would configure, everything allowed.
pub fn config() -> ClusterConfig {
    use strum::IntoEnumIterator;
    let mut config = ClusterConfig::new("web", vec![PoolConfig::new(build::workers())]);
    config.mode = Mode::Act;
    config.allow = ActionKind::iter()
        .filter(|kind| *kind != ActionKind::Handover)
        .collect();
    config.headroom.clear();
    config
}

/// A world of one group with `hosts` hosts wanted, and one service.
pub fn world(seed: u64, hosts: u32, tasks: u64) -> World {
    let mut world = World::new("web", build::now(), seed);
    world.add_pool(build::pool(hosts), Market::OnDemand);
    world.add_service(ServiceSpec::new("shop", tasks, TaskShape::plain(512, 1024)));
    world
}

/// Everything a loop needs, and the transcript of what it did.
pub struct Run<J: Journal> {
    pub cloud: SimCloud,
    pub clock: SimClock,
    pub journal: J,
    pub cluster: Cluster,
    pub orders: Orders,
    inbox: Inbox,
    previous: Option<DateTime<Utc>>,
    pub transcript: String,
}

impl Run<Sqlite> {
    /// Starts in mode act, with an order by a person as in life.
    pub async fn start(config: ClusterConfig, world: World, faults: Faults) -> Self {
        let clock = SimClock::stepped(world.now());
        let cloud = SimCloud::new(world, clock.clone(), faults);
        let journal = Sqlite::in_memory(&config.name).unwrap();
        Self::with(config, cloud, clock, journal).await
    }
}

impl<J: Journal> Run<J> {
    pub async fn with(
        config: ClusterConfig,
        cloud: SimCloud,
        clock: SimClock,
        mut journal: J,
    ) -> Self {
        let mut cluster = Cluster::open(config, &mut journal).await.unwrap();
        let (orders, inbox) = inbox();
        if cluster.memory.mode < Mode::Act {
            let order = Order::SetMode { mode: Mode::Act };
            let command = Command {
                actor: "ann".into(),
                reason: "go".into(),
                order,
            };
            let (done, _answer) = tokio::sync::oneshot::channel();
            let ordered = tidegate::control::inbox::Ordered { command, done };
            let _ = cluster.obey(&mut journal, ordered, &clock).await;
        }
        let transcript = String::new();
        Self {
            cloud,
            clock,
            journal,
            cluster,
            orders,
            inbox,
            previous: None,
            transcript,
        }
    }

    /// One tick, then the pause the loop would make.
    pub async fn tick(&mut self) -> TickReport {
        let Self {
            cloud,
            journal,
            cluster,
            clock,
            inbox,
            previous,
            ..
        } = self;
        let report = tick(cloud, journal, cluster, clock, inbox, *previous).await;
        self.previous = Some(report.ended_at);
        self.write_down(&report);
        let pause = if report.acted() { 1 } else { 15 };
        self.clock
            .sleep(std::time::Duration::from_secs(pause))
            .await;
        report
    }

    /// Ticks for so long.
    pub async fn run(&mut self, time: TimeDelta) {
        let until = self.clock.now() + time;
        while self.clock.now() < until {
            self.tick().await;
        }
    }

    pub fn happen(&mut self, event: Event) {
        self.say(&format!("-- {event:?}"));
        self.cloud.with_world(|world| world.happen(event));
    }

    /// What the AWS API would say now, without the control loop.
    pub fn look(&self) -> Snapshot {
        let pools = self
            .cluster
            .config
            .pools
            .iter()
            .map(|pool| pool.id.clone())
            .collect();
        let cluster = self.cluster.config.name.clone();
        let need = Need {
            cluster,
            pools,
            tasks_of: Default::default(),
        };
        self.cloud.with_world(|world| world.snapshot(&need))
    }

    pub fn desired(&self, pool: &PoolId) -> u32 {
        self.look().pools.value[pool].desired.0
    }

    fn write_down(&mut self, report: &TickReport) {
        for (planned, verdict) in &report.verdicts {
            if let Verdict::Acted { outcome, .. } = verdict {
                let done = match outcome {
                    Outcome::Done { failed } if failed.is_empty() => String::new(),
                    other => format!(" => {other:?}"),
                };
                self.say(&format!("{}{done}", planned.action));
                self.say(&format!("    {}", planned.why));
            }
        }
    }

    fn say(&mut self, line: &str) {
        let seconds = (self.clock.now() - build::now()).num_seconds();
        let _ = writeln!(
            self.transcript,
            "{:>3}:{:02}  {line}",
            seconds / 60,
            seconds % 60
        );
    }
}
