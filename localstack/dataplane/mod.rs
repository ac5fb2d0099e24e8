//! The data plane of the local AWS: real HTTP, forwarded by the live rules, weights and target
//! health of the endpoint, to tasks that are real processes.
//!
//! Rule: no kinder than an Application Load Balancer. It does not retry, fails open, applies a rule
//! change late, drains, and tells CloudWatch with a delay. Only the loopback address is used.

pub mod front;
pub mod live;
pub mod load;
pub mod meter;
pub mod processes;
pub mod programs;
pub mod propagation;
pub mod random;
pub mod rules;
pub mod world;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};

use front::{Front, Sender};
use live::{Live, Pace, TargetView};
use meter::Meter;
use processes::{Launch, Processes, Wanted};
use world::{Listener, Shown, World};

/// How fast a data plane is; all times of AWS itself by default.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Between two looks at the endpoint.
    pub poll: Duration,
    /// A rule change takes effect after a random time between these.
    pub least_rule_delay: Duration,
    pub most_rule_delay: Duration,
    /// Health checks come so many times as often as the group says, and wait as much less.
    pub health_speed: f64,
    /// From a process's own end until ECS knows.
    pub exit_notice: Duration,
    /// Length of a CloudWatch period, and how long after its end it can be seen.
    pub metric_period: Duration,
    pub metric_delay: Duration,
    /// Added to a listener's port to get the loopback port; without it any free one is taken.
    pub port_offset: Option<u16>,
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            poll: Duration::from_millis(200),
            least_rule_delay: Duration::from_secs(1),
            most_rule_delay: Duration::from_secs(10),
            health_speed: 1.0,
            exit_notice: Duration::from_secs(5),
            metric_period: Duration::from_secs(60),
            metric_delay: Duration::from_secs(60),
            port_offset: None,
            seed: 1,
        }
    }
}

impl Settings {
    /// The same behaviour in a tenth of the time, for tests.
    pub fn compressed() -> Self {
        Self {
            least_rule_delay: Duration::from_millis(100),
            most_rule_delay: Duration::from_secs(1),
            health_speed: 10.0,
            exit_notice: Duration::from_millis(500),
            metric_period: Duration::from_secs(2),
            metric_delay: Duration::from_secs(1),
            ..Self::default()
        }
    }
}

/// A data plane that runs on the Tokio runtime it was started on, until it is dropped.
#[derive(Debug)]
pub struct DataPlane {
    shared: Shared,
    _ends: DropGuard,
}

/// What the loops and the listeners share.
#[derive(Clone, Debug)]
pub struct Shared(Arc<State>);

#[derive(Debug)]
struct State {
    live: Mutex<Live>,
    meter: Mutex<Meter>,
    processes: Mutex<Processes>,
    /// Where each listener listens; None if its port could not be had.
    addresses: Mutex<BTreeMap<String, Option<SocketAddr>>>,
    /// Which rule changed in effect, and when.
    changes: Mutex<Vec<(SystemTime, String)>>,
}

impl Shared {
    pub fn live(&self) -> MutexGuard<'_, Live> {
        lock(&self.0.live)
    }

    pub fn meter(&self) -> MutexGuard<'_, Meter> {
        lock(&self.0.meter)
    }

    pub fn processes(&self) -> MutexGuard<'_, Processes> {
        lock(&self.0.processes)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(clippy::disallowed_methods, reason = "this is the edge")]
pub fn now() -> Instant {
    Instant::now()
}

#[expect(clippy::disallowed_methods, reason = "this is the edge")]
pub fn wall_clock() -> SystemTime {
    SystemTime::now()
}

impl DataPlane {
    /// Starts it for one account of the endpoint.
    pub fn start(
        endpoint: &str,
        account: &str,
        region: &str,
        launch: Launch,
        settings: Settings,
    ) -> Result<Self, reqwest::Error> {
        let world = World::new(endpoint, account, region)?;
        let Settings { least_rule_delay, most_rule_delay, health_speed, seed, .. } = settings;
        let pace =
            Pace { least_delay: least_rule_delay, most_delay: most_rule_delay, health_speed };
        let shared = Shared(Arc::new(State {
            live: Mutex::new(Live::new(pace, seed)),
            meter: Mutex::default(),
            processes: Mutex::default(),
            addresses: Mutex::default(),
            changes: Mutex::default(),
        }));
        let end = CancellationToken::new();
        let runs = Loops { world, settings, launch, shared: shared.clone(), end: end.clone() };
        tokio::spawn(end.clone().run_until_cancelled_owned(runs.clone().follow()));
        tokio::spawn(end.clone().run_until_cancelled_owned(runs.publish()));
        Ok(Self { shared, _ends: end.drop_guard() })
    }

    /// Where a listener listens, once the data plane has seen it.
    pub fn address(&self, listener: &str) -> Option<SocketAddr> {
        lock(&self.shared.0.addresses).get(listener).copied().flatten()
    }

    /// Every listener with its address.
    pub fn addresses(&self) -> BTreeMap<String, Option<SocketAddr>> {
        lock(&self.shared.0.addresses).clone()
    }

    /// The targets of a group as the data plane sees them, those that drain too.
    pub fn targets(&self, group: &str) -> Vec<TargetView> {
        self.shared.live().targets(group)
    }

    /// The rules that changed in effect so far, and when; oldest first.
    pub fn changes(&self) -> Vec<(SystemTime, String)> {
        lock(&self.shared.0.changes).clone()
    }

    /// Kills the process of a task; false if it has none.
    pub fn kill(&self, task: &str) -> bool {
        self.shared.processes().kill(task)
    }
}

/// The two loops of a data plane: following the endpoint, and telling CloudWatch.
#[derive(Clone, Debug)]
struct Loops {
    world: World,
    settings: Settings,
    launch: Launch,
    shared: Shared,
    end: CancellationToken,
}

impl Loops {
    async fn follow(self) {
        let (sender, checker) = (front::sender(), front::checker());
        let mut announced = false;
        loop {
            match self.world.show().await {
                Ok(shown) => self.take_in(&shown, &sender).await,
                Err(error) => tracing::warn!(%error, "the endpoint did not answer"),
            }
            self.start_checks(&checker);
            let found = self.shared.live().found();
            // The first report makes the endpoint rely on ours, also when it is empty.
            if !found.is_empty() || !announced {
                announced = log(self.world.tell_found(&found).await) || announced;
            }
            tokio::time::sleep(self.settings.poll).await;
        }
    }

    async fn take_in(&self, shown: &Shown, sender: &Sender) {
        let at = now();
        let changed = {
            let mut live = self.shared.live();
            live.see(shown, at);
            live.advance(at)
        };
        let changed = changed.into_iter().map(|rule| (wall_clock(), rule));
        lock(&self.shared.0.changes).extend(changed);
        for listener in &shown.listeners {
            self.listen(listener, sender).await;
        }
        let notice = self.settings.exit_notice;
        let Wanted { start, ended } = self.shared.processes().follow(&shown.tasks, at, notice);
        for task in start {
            let (launch, shared) = (self.launch.clone(), self.shared.clone());
            tokio::task::spawn_blocking(move || {
                let outcome = processes::start(&launch, &task);
                shared.processes().started(&task.arn, outcome);
            });
        }
        for (task, code) in ended {
            log(self.world.tell_exit(&task, code).await);
        }
    }

    async fn listen(&self, listener: &Listener, sender: &Sender) {
        if lock(&self.shared.0.addresses).contains_key(&listener.arn) {
            return;
        }
        let port = self.settings.port_offset.map_or(0, |offset| listener.port.wrapping_add(offset));
        let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let bound = bound.and_then(|bound| Ok((bound.local_addr()?, bound)));
        let address = match bound {
            Ok((address, socket)) => {
                self.serve(listener, socket, sender);
                Some(address)
            }
            Err(error) => {
                tracing::warn!(port, %error, "a listener's port is not free");
                None
            }
        };
        lock(&self.shared.0.addresses).insert(listener.arn.clone(), address);
    }

    fn serve(&self, listener: &Listener, socket: TcpListener, sender: &Sender) {
        let front = Front {
            listener: listener.arn.clone(),
            load_balancer: listener.load_balancer.clone(),
            port: listener.port,
            shared: self.shared.clone(),
            sender: sender.clone(),
        };
        let router = Router::new().fallback(front::forward).with_state(front);
        let socket = socket.tap_io(|stream| drop(stream.set_nodelay(true)));
        let serving = async move { log(axum::serve(socket, router).await) };
        tokio::spawn(self.end.clone().run_until_cancelled_owned(serving));
    }

    fn start_checks(&self, checker: &Sender) {
        for check in self.shared.live().due_checks(now()) {
            let (shared, checker) = (self.shared.clone(), checker.clone());
            tokio::spawn(async move {
                let port = shared.processes().port_of(&check.target);
                let passed = match port {
                    Some(port) => front::passes(&checker, port, &check).await,
                    None => false,
                };
                shared.live().checked(&check, passed);
            });
        }
    }

    async fn publish(self) {
        let Settings { metric_period, metric_delay, .. } = self.settings;
        let period = metric_period.as_secs_f64();
        loop {
            let since_epoch = wall_clock().duration_since(SystemTime::UNIX_EPOCH);
            let at = since_epoch.unwrap_or_default().as_secs_f64();
            let start = (at / period).floor() * period;
            tokio::time::sleep(Duration::from_secs_f64(start + period - at)).await;
            let delay = period + metric_delay.as_secs_f64();
            let counted = self.shared.meter().take(start, delay);
            if !counted.is_empty() {
                log(self.world.tell_counted(&counted).await);
            }
        }
    }
}

/// Whether it went well.
fn log<T, E: std::fmt::Display>(outcome: Result<T, E>) -> bool {
    if let Err(error) = &outcome {
        tracing::warn!(%error, "the endpoint was not told");
    }
    outcome.is_ok()
}
