//! The tasks as processes: one for each running task, on a loopback port of its own.
//!
//! Rule: a process lives from the moment its task runs until it is STOPPING, and dies with the
//! data plane. That it has ended by itself is told to the endpoint after a while, as an agent does.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::programs::{LISTENS_ON, name_of};
use super::world::Task;

/// How a process of a demo program is started; `PROGRAM` and the task's own variables are in its
/// environment. It must call [`programs::serve`](super::programs::serve) and
/// [`end_with_parent`].
#[derive(Clone, Debug)]
pub struct Launch {
    pub command: PathBuf,
    pub arguments: Vec<String>,
}

#[derive(Debug)]
enum Process {
    Starting,
    Runs {
        child: Child,
        port: u16,
    },
    Ended {
        told_at: Instant,
        code: i32,
    },
    /// Nothing of ours, or it could not be started.
    None,
}

#[derive(Debug)]
struct Held {
    process: Process,
    /// `i-…:port`, under which targets know it.
    keys: Vec<String>,
}

/// The processes by the ARN of their task.
#[derive(Debug, Default)]
pub struct Processes(BTreeMap<String, Held>);

/// What to do after a look at the tasks.
#[derive(Debug, Default)]
pub struct Wanted {
    pub start: Vec<Task>,
    /// Tasks whose end the endpoint must hear of, with the exit code.
    pub ended: Vec<(String, i32)>,
}

impl Processes {
    /// Ends what must go, and says what must start and what has ended.
    pub fn follow(&mut self, tasks: &[Task], now: Instant, notice: Duration) -> Wanted {
        let runs = |arn: &str| tasks.iter().any(|task| task.arn == *arn && !task.stopping);
        self.0.retain(|arn, held| {
            let stays = runs(arn);
            if !stays {
                held.process.end();
            }
            stays
        });
        let mut wanted = Wanted::default();
        for task in tasks.iter().filter(|task| !task.stopping) {
            let keys = || task.ports.iter().map(|port| format!("{}:{port}", task.instance));
            if let Some(held) = self.0.get_mut(&task.arn) {
                wanted
                    .ended
                    .extend(held.process.exit(now, notice).map(|code| (task.arn.clone(), code)));
            } else if name_of(&task.image).is_some() {
                let held = Held { process: Process::Starting, keys: keys().collect() };
                self.0.insert(task.arn.clone(), held);
                wanted.start.push(task.clone());
            }
        }
        wanted
    }

    /// A process that was started, or was not.
    pub fn started(&mut self, task: &str, outcome: std::io::Result<(Child, u16)>) {
        let process = match outcome {
            Ok((child, port)) => Process::Runs { child, port },
            Err(error) => {
                tracing::warn!(task, %error, "the process of a task did not start");
                Process::None
            }
        };
        match self.0.get_mut(task) {
            Some(held) => held.process = process,
            // Its task has stopped meanwhile.
            None => { process }.end(),
        }
    }

    /// The loopback port behind a target.
    pub fn port_of(&self, key: &str) -> Option<u16> {
        self.0.values().find(|held| held.keys.iter().any(|each| each == key)).and_then(|held| {
            match held.process {
                Process::Runs { port, .. } => Some(port),
                _ => None,
            }
        })
    }

    /// SIGKILL, without anybody being told.
    pub fn kill(&mut self, task: &str) -> bool {
        let Some(Held { process: Process::Runs { child, .. }, .. }) = self.0.get_mut(task) else {
            return false;
        };
        child.kill().is_ok()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        for held in self.0.values_mut() {
            held.process.end();
        }
    }
}

impl Process {
    fn end(&mut self) {
        if let Self::Runs { child, .. } = self {
            // It may have ended by itself.
            let _gone = child.kill();
            let _reaped = child.wait();
        }
        *self = Self::None;
    }

    /// The exit code, once, when the time has come to tell it.
    fn exit(&mut self, now: Instant, notice: Duration) -> Option<i32> {
        if let Self::Runs { child, .. } = self
            && let Ok(Some(status)) = child.try_wait()
        {
            tracing::warn!(%status, "the process of a task has ended by itself");
            // As a container's: killed by a signal is 128 and its number, and SIGKILL is 9.
            *self = Self::Ended { told_at: now + notice, code: status.code().unwrap_or(137) };
        }
        match *self {
            Self::Ended { told_at, code } if now >= told_at => {
                *self = Self::None;
                Some(code)
            }
            _ => None,
        }
    }
}

/// Starts the process of a task and waits until it listens. Blocks.
pub fn start(launch: &Launch, task: &Task) -> std::io::Result<(Child, u16)> {
    let mut command = Command::new(&launch.command);
    command.args(&launch.arguments).envs(&task.environment);
    command.env("PROGRAM", name_of(&task.image).unwrap_or_default());
    // Its standard input ends when the data plane does, however it ends.
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let mut said = child.stdout.take().map(BufReader::new);
    let lines = said.as_mut().into_iter().flat_map(|said| said.lines());
    let port =
        lines.map_while(Result::ok).find_map(|line| line.strip_prefix(LISTENS_ON)?.parse().ok());
    // Left open: a process that says anything more would end when nobody can hear it.
    child.stdout = said.map(BufReader::into_inner);
    match port {
        Some(port) => Ok((child, port)),
        None => {
            child.kill()?;
            child.wait()?;
            Err(std::io::Error::other("it ended before it listened"))
        }
    }
}

/// Ends this process when the one that started it is gone.
pub fn end_with_parent() {
    std::thread::spawn(|| {
        let mut line = String::new();
        while std::io::stdin().read_line(&mut line).is_ok_and(|read| read > 0) {}
        std::process::exit(0);
    });
}
