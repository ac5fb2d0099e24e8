//! What every story stands on: the endpoint, the real program as a process, and waiting for what
//! must come true.
//!
//! Rule: nothing is skipped. A missing endpoint, a program that ends, a deadline that passes fail
//! the test and say what was seen last.

#![expect(clippy::print_stderr, reason = "a failed test shows the program's own log")]

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};
use serde_json::Value;
use tempfile::TempDir;

use crate::aws::World;
use crate::footing;
use crate::permitted::Permitted;

const BINARY: &str = env!("CARGO_BIN_EXE_tidegate");
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// Longest wait for what should take a few ticks of Tidegate (5 s each) on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);

/// The local AWS: `TIDEGATE_TEST_ENDPOINT`, else the one that `localstack/start` starts or finds.
pub fn endpoint() -> &'static str {
    static ENDPOINT: OnceLock<String> = OnceLock::new();
    ENDPOINT.get_or_init(|| {
        if let Ok(given) = std::env::var("TIDEGATE_TEST_ENDPOINT") {
            return given;
        }
        let start = Path::new(ROOT).join("localstack/start");
        let started = Command::new(&start).output();
        let Output { status, stdout, stderr } = started.expect("localstack/start runs");
        let text = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "no local AWS, {}: {text}", start.display());
        let stdout = String::from_utf8_lossy(&stdout);
        let last = stdout.lines().last().expect("localstack/start prints its endpoint");
        last.to_owned()
    })
}

/// Polls until the probe gives something, and gives it back.
pub async fn eventually<T>(what: &str, probe: impl AsyncFnMut() -> Option<T>) -> T {
    within(PATIENCE, what, probe).await
}

/// As [`eventually`], with its own limit.
pub async fn within<T>(
    limit: Duration,
    what: &str,
    mut probe: impl AsyncFnMut() -> Option<T>,
) -> T {
    let poll = async {
        loop {
            if let Some(found) = probe().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let found = tokio::time::timeout(limit, poll).await;
    found.unwrap_or_else(|_| panic!("{what}: not within {} s", limit.as_secs()))
}

/// One Tidegate on one account: its configuration, its state, and its process while it runs.
///
/// The process is killed when this is dropped; if the test failed its log is printed.
pub struct Tidegate {
    gate: Permitted,
    binary: PathBuf,
    /// The account, by way of the endpoint itself.
    world: World,
    cluster: String,
    directory: TempDir,
    process: Option<Child>,
    /// The last one that was killed.
    killed: Option<u32>,
    /// What the process is called in the endpoint's record.
    name: Option<String>,
    /// Where the configuration is; `None`: in the file.
    source: Option<String>,
}

impl Tidegate {
    /// Does not run yet. `endpoint` may be a proxy before the local AWS. `config` is the whole
    /// file; see [`footing::config`]. Nothing gets to the endpoint but what the policy for it allows.
    pub async fn new(endpoint: &str, world: &World, cluster: &str, config: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let it = Self {
            binary: BINARY.into(),
            gate: Permitted::start(endpoint, &world.account, cluster),
            world: World::of(&world.account).await,
            cluster: cluster.to_owned(),
            directory,
            process: None,
            killed: None,
            name: None,
            source: None,
        };
        it.configure(config);
        it
    }

    /// From its next start on the endpoint's record names it, as `exec-env/NAME`.
    pub fn call_it(&mut self, name: &str) {
        self.name = Some(name.to_owned());
    }

    /// From its next start on it is another build; `None`: this one.
    pub fn become_build(&mut self, binary: Option<PathBuf>) {
        self.binary = binary.unwrap_or_else(|| BINARY.into());
    }

    /// From its next start on the configuration is read from there, and it may be.
    pub fn read_from(&mut self, source: &str) {
        self.gate.permit_source(source);
        self.source = Some(source.to_owned());
    }

    /// Tells the process to read the configuration again.
    pub fn hang_up(&self) {
        let pid = self.pid().expect("it runs").to_string();
        let told = Command::new("kill").args(["-HUP", &pid]).status();
        assert!(told.expect("kill runs").success());
    }

    /// Of the process that runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// Replaces the configuration; a running process does not read it again.
    pub fn configure(&self, config: &str) {
        std::fs::write(self.config_path(), config).expect("the configuration is written");
        self.gate.permit(config);
    }

    pub fn config_path(&self) -> PathBuf {
        self.directory.path().join("tidegate.yaml")
    }

    pub fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    fn log_path(&self) -> PathBuf {
        self.directory.path().join("log")
    }

    /// Starts the process and waits until it answers. Of one that was killed before nobody waits
    /// until its lease has run out.
    pub async fn start(&mut self) {
        if let Some(pid) = self.killed.take() {
            footing::end_lease(&self.world, &self.cluster, pid).await;
        }
        let address = self.state().join("server.json");
        // A killed process leaves its own behind.
        let _absent = std::fs::remove_file(&address);
        let log = File::options().create(true).append(true).open(self.log_path());
        let log = log.expect("a log file");
        let mut command = self.command(&["run", "--listen", "127.0.0.1:0"]);
        let source = self.source.as_ref().map(PathBuf::from);
        command.arg("--config").arg(source.unwrap_or_else(|| self.config_path()));
        command.stdout(Stdio::null()).stderr(log);
        self.process = Some(command.spawn().expect("tidegate starts"));
        within(Duration::from_secs(30), "tidegate to answer", async || {
            let process = self.process.as_mut().expect("it was started");
            if let Some(ended) = process.try_wait().expect("its own process") {
                panic!("tidegate ended at once: {ended}");
            }
            address.exists().then_some(())
        })
        .await;
    }

    /// SIGKILL, and gone when this returns.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().expect("it can be killed");
            process.wait().expect("it ends");
            self.killed = Some(process.id());
        }
    }

    /// SIGTERM, as a deployment sends it, and gone when this returns.
    pub async fn end(&mut self) {
        let pid = self.pid().expect("it runs").to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.expect("kill runs").success());
        eventually("tidegate to end", async || {
            let process = self.process.as_mut().expect("it runs");
            process.try_wait().expect("its own process")
        })
        .await;
        self.process = None;
    }

    /// Starts in mode act.
    pub async fn act(&mut self) {
        self.start().await;
        self.set_mode("act").await;
    }

    /// Whether no process of it runs.
    pub fn is_dead(&self) -> bool {
        self.process.is_none()
    }

    /// Sets the mode by the command, through the running server or straight into the journal.
    pub async fn set_mode(&self, mode: &str) {
        let cluster = ["--cluster", &self.cluster, "--reason", "acceptance"];
        let arguments = [&["mode", "set", mode], &cluster[..]].concat();
        self.tell(&arguments).await;
    }

    /// Runs a command that must succeed, and returns what it printed on standard output.
    pub async fn tell(&self, arguments: &[&str]) -> String {
        let Output { status, stdout, stderr } = self.run(arguments).await;
        let stderr = String::from_utf8_lossy(&stderr);
        assert!(status.success(), "tidegate {}: {status}: {stderr}", arguments.join(" "));
        String::from_utf8(stdout).expect("text")
    }

    /// Runs a command to its end, whatever that is.
    pub async fn run(&self, arguments: &[&str]) -> Output {
        if arguments.starts_with(&["handover"]) {
            self.gate.permit_handover();
        }
        let mut command = self.command(arguments);
        // A proxy of the test may have to answer meanwhile, so this thread must not wait.
        let ran = tokio::task::spawn_blocking(move || command.output()).await;
        ran.expect("the waiting thread").expect("tidegate runs")
    }

    /// `tidegate status`, if the first look has been taken.
    pub async fn status(&self) -> Option<Value> {
        let arguments = ["status", "--output", "json", "--cluster", &self.cluster];
        let Output { status, stdout, .. } = self.run(&arguments).await;
        if !status.success() {
            return None;
        }
        let all: Value = serde_json::from_slice(&stdout).expect("status is JSON");
        all.get(0).cloned()
    }

    /// The status once it satisfies the condition.
    pub async fn status_when(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        eventually(what, async || self.status().await.filter(|status| is(status))).await
    }

    /// A moment after `count` more ticks have ended, counted by the times of the status.
    pub async fn ticks(&self, count: u32) {
        let mut last = Value::Null;
        // The first one seen may have ended before this was called.
        for _ in 0..=count {
            let next = async || {
                let at = self.status().await?["at"].clone();
                (at != last).then_some(at)
            };
            last = eventually("the next tick", next).await;
        }
    }

    /// What is held of this reason, as the status shows it.
    pub async fn held(&self, code: &str) -> Value {
        let what = format!("a hold {code}");
        let status = self.status_when(&what, |status| hold(status, code).is_some()).await;
        hold(&status, code).expect("just seen").clone()
    }

    /// Every record of the journal in order, as its kind and what it is about without reasons and
    /// times; read beside the process that writes it.
    pub fn records(&self) -> Vec<(String, String)> {
        let file = self.state().join(format!("{}.journal", self.cluster));
        let db = Connection::open_with_flags(file, OpenFlags::SQLITE_OPEN_READ_ONLY);
        let db = db.expect("a journal");
        let mut all = db.prepare(
            "SELECT it.record ->> 'record',
                    coalesce(json_remove(it.record -> 'planned', '$.why'),
                             json_remove(intent.record -> 'planned', '$.why'), it.record)
             FROM entries it LEFT JOIN entries intent ON intent.seq = it.record ->> 'of'
             ORDER BY it.seq",
        );
        let all = all.as_mut().expect("SQL");
        let records = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("its entries");
        records.collect::<Result<_, _>>().expect("text")
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(arguments);
        // Only what is meant: no profile, proxy or token of whoever runs the tests.
        command.env_clear();
        command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command.env("HOME", self.directory.path());
        command.env("TIDEGATE_STATE", self.state());
        command.env("AWS_ENDPOINT_URL", self.gate.url());
        command.env("AWS_REGION", crate::aws::REGION);
        command.env("AWS_ACCESS_KEY_ID", &self.world.account);
        command.env("AWS_SECRET_ACCESS_KEY", "test");
        command.env("AWS_EC2_METADATA_DISABLED", "true");
        command.envs(self.name.iter().map(|name| ("AWS_EXECUTION_ENV", name)));
        command
    }
}

impl Drop for Tidegate {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let tail: Vec<_> = log.lines().rev().take(40).collect();
            let tail: Vec<_> = tail.into_iter().rev().collect();
            eprintln!("---- log of tidegate, account {}\n{}", self.world.account, tail.join("\n"));
            let arguments = ["status", "--output", "json", "--cluster", &self.cluster];
            if let Ok(Output { stdout, .. }) = self.command(&arguments).output() {
                eprintln!("---- status\n{}", summary(&stdout));
            }
            eprintln!("---- denied\n{}", self.gate.denied().join("\n"));
        }
        self.kill();
        if std::thread::panicking() {
            return;
        }
        self.gate.close();
    }
}

/// A Tidegate on this world in mode act, started.
pub async fn acting(world: &World, cluster: &str, config: &str) -> Tidegate {
    let mut tidegate = Tidegate::new(&world.endpoint, world, cluster, config).await;
    tidegate.act().await;
    tidegate
}

/// The part of a status that explains a failure.
fn summary(stdout: &[u8]) -> String {
    let Ok(all) = serde_json::from_slice::<Value>(stdout) else { return String::new() };
    let status = &all[0];
    let part = |name: &str| format!("{name}: {}\n", status[name]);
    [
        "mode",
        "seen",
        "pools",
        "host_counts",
        "tasks",
        "plan",
        "cutovers",
        "others_writing",
        "decisions",
    ]
    .map(part)
    .concat()
}

/// The hold of this reason in a status.
pub fn hold<'a>(status: &'a Value, code: &str) -> Option<&'a Value> {
    let held = status["plan"]["held"].as_array()?;
    let barred = status["plan"]["not_allowed"].as_array()?;
    let mut all = held.iter().chain(barred);
    all.find(|held| held["hold"]["reason"]["code"] == code)
}
