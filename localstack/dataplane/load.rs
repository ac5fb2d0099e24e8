//! A load generator: so many requests a second over some routes, however long answers take.
//!
//! Rule: bounded in rate and time, and only to the loopback address. Every answer is judged: the
//! status, the body, and that it came from a program that serves the route.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::programs::{self, SERVED_BY};
use super::wall_clock;

const MOST_PER_SECOND: u32 = 1000;
const LONGEST: Duration = Duration::from_secs(600);

/// The tutorial's routes, each with the service it moves to.
pub const ROUTES: [(&str, &str); 7] = [
    ("/api/users", "users"),
    ("/api/users/3", "users"),
    ("/api/threads", "threads"),
    ("/api/threads/1", "threads"),
    ("/api/posts", "posts"),
    ("/api/posts/in-thread/2", "posts"),
    ("/api/posts/by-user/1", "posts"),
];

/// What to send.
#[derive(Clone, Debug)]
pub struct Plan {
    pub to: SocketAddr,
    pub per_second: u32,
    /// It ends by itself after this time.
    pub at_most: Duration,
    /// Of one request.
    pub timeout: Duration,
    /// Paths with the programs that may answer them, in turn.
    pub routes: Vec<(String, Vec<String>)>,
}

impl Plan {
    /// All routes of the tutorial, answered by the monolith or the service of the route.
    pub fn tutorial(to: SocketAddr, per_second: u32) -> Self {
        let route = |(path, service): &(&str, &str)| {
            ((*path).to_owned(), vec!["api".to_owned(), (*service).to_owned()])
        };
        Self {
            to,
            per_second,
            at_most: LONGEST,
            timeout: Duration::from_secs(10),
            routes: ROUTES.iter().map(route).collect(),
        }
    }

    /// Only these paths.
    #[must_use]
    pub fn only(mut self, paths: &[&str]) -> Self {
        self.routes.retain(|(path, _)| paths.contains(&path.as_str()));
        self
    }
}

/// A request that did not get the right answer.
#[derive(Clone, Debug)]
pub struct Failure {
    /// When it was known.
    pub at: SystemTime,
    pub path: String,
    /// None if there was no answer.
    pub status: Option<u16>,
    pub why: String,
}

/// What came of the requests so far.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    pub sent: u64,
    pub right: u64,
    /// Those that ended badly, in the order of their end.
    pub failures: Vec<Failure>,
    /// Right answers by path and program.
    pub served: BTreeMap<(String, String), u64>,
    pub slowest: Duration,
}

impl Tally {
    pub fn first_bad(&self) -> Option<SystemTime> {
        self.failures.first().map(|failure| failure.at)
    }

    /// The share of right answers that a program gave.
    pub fn share_of(&self, program: &str) -> f64 {
        let by = self.served.iter().filter(|((_, by), _)| by == program);
        ratio(by.map(|(_, count)| count).sum(), self.right)
    }

    /// What came after an earlier tally of the same load.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let mut later = self.clone();
        later.sent -= earlier.sent;
        later.right -= earlier.right;
        later.failures.drain(..earlier.failures.len());
        for (key, count) in &earlier.served {
            *later.served.entry(key.clone()).or_default() -= count;
        }
        later
    }
}

#[expect(clippy::cast_precision_loss, reason = "no test sends 2^52 requests")]
fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

/// A load that runs; dropping it ends it.
#[derive(Debug)]
pub struct Load {
    tally: Arc<Mutex<Tally>>,
    end: CancellationToken,
    /// Closed when no request is under way.
    under_way: mpsc::Receiver<()>,
}

impl Load {
    /// Refuses a plan that is not bounded, or that leaves this machine.
    pub fn start(plan: Plan) -> Result<Self, String> {
        if !plan.to.ip().is_loopback() {
            return Err(format!("{} is not on this machine", plan.to));
        }
        if !(1..=MOST_PER_SECOND).contains(&plan.per_second) || plan.at_most > LONGEST {
            return Err(format!("at most {MOST_PER_SECOND} a second for {LONGEST:?}"));
        }
        if plan.routes.is_empty() {
            return Err("no route".to_owned());
        }
        let http = reqwest::Client::builder().no_proxy().timeout(plan.timeout);
        let http = http.retry(reqwest::retry::never()).redirect(reqwest::redirect::Policy::none());
        let http = http.build().map_err(|error| error.to_string())?;
        let tally = Arc::new(Mutex::new(Tally::default()));
        let (end, (goes, under_way)) = (CancellationToken::new(), mpsc::channel(1));
        let run = run(plan, http, Arc::clone(&tally), goes);
        tokio::spawn(end.clone().run_until_cancelled_owned(run));
        Ok(Self { tally, end, under_way })
    }

    pub fn so_far(&self) -> Tally {
        lock(&self.tally).clone()
    }

    /// Sends nothing more, waits for what is under way, and gives the result.
    pub async fn stop(mut self) -> Tally {
        self.end.cancel();
        // Nothing is ever sent: it ends when the last request does.
        let _closed = self.under_way.recv().await;
        self.so_far()
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

fn lock(tally: &Mutex<Tally>) -> MutexGuard<'_, Tally> {
    tally.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn run(plan: Plan, http: reqwest::Client, tally: Arc<Mutex<Tally>>, goes: mpsc::Sender<()>) {
    let mut every = tokio::time::interval(Duration::from_secs(1) / plan.per_second);
    // A late tick is made up for: the rate is that of clients who do not wait for each other.
    every.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let count = plan.at_most.as_secs() * u64::from(plan.per_second);
    let routes = (0..count).zip(plan.routes.iter().cycle());
    for (_, (path, programs)) in routes {
        every.tick().await;
        lock(&tally).sent += 1;
        let request = http.get(format!("http://{}{path}", plan.to));
        let (path, programs, tally) = (path.clone(), programs.clone(), Arc::clone(&tally));
        let goes = goes.clone();
        tokio::spawn(async move {
            let _under_way = goes;
            let began = super::now();
            let outcome = judge(request, &path, &programs).await;
            let mut tally = lock(&tally);
            tally.slowest = tally.slowest.max(began.elapsed());
            match outcome {
                Ok(by) => {
                    tally.right += 1;
                    *tally.served.entry((path, by)).or_default() += 1;
                }
                Err((status, why)) => {
                    tally.failures.push(Failure { at: wall_clock(), path, status, why });
                }
            }
        });
    }
}

/// The program that gave the right answer, or what was wrong.
async fn judge(
    request: reqwest::RequestBuilder,
    path: &str,
    programs: &[String],
) -> Result<String, (Option<u16>, String)> {
    let failed = |error: reqwest::Error| (error.status().map(|s| s.as_u16()), format!("{error:?}"));
    let answer = request.send().await.map_err(failed)?;
    let status = answer.status();
    let by = answer.headers().get(SERVED_BY).and_then(|by| by.to_str().ok()).map(str::to_owned);
    let wrong = |why: String| (Some(status.as_u16()), why);
    if status != reqwest::StatusCode::OK {
        return Err(wrong(format!("status {status} by {by:?}")));
    }
    let Some(by) = by.filter(|by| programs.contains(by)) else {
        return Err(wrong("answered by a program that does not serve the route".to_owned()));
    };
    let body: serde_json::Value = answer.json().await.map_err(failed)?;
    if programs::answer(&by, path).as_ref() != Some(&body) {
        return Err(wrong(format!("a wrong body: {body}")));
    }
    Ok(by)
}
