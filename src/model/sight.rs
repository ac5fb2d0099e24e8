//! What is looked at more closely while a release is open: images, containers, and why tasks failed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::id::{Digest, ImageName, ServiceName, TaskArn, TaskDefinitionArn};
use super::image::ImageSeen;

/// Services under release, and the images that are asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseSight {
    /// One that is absent could not be read.
    pub images: BTreeMap<ImageName, ImageSeen>,
    /// One that is absent could not be read, or was not asked for.
    pub services: BTreeMap<ServiceName, ServiceSight>,
}

/// One service under release.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceSight {
    /// The image of each container, of the revision the service names.
    pub containers: BTreeMap<TaskDefinitionArn, BTreeMap<String, ImageName>>,
    /// What each container of running tasks of a revision was started from.
    pub running: BTreeMap<TaskDefinitionArn, BTreeMap<String, BTreeSet<Digest>>>,
    /// Tasks that ended by a failure, oldest first, as long as ECS tells of them.
    pub failures: Vec<TaskFailure>,
    /// When ECS last said that it could not place a task, and in which words.
    pub unplaced: Option<(DateTime<Utc>, String)>,
}

/// A task that did not end by anybody's wish.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TaskFailure {
    pub at: DateTime<Utc>,
    pub task: TaskArn,
    pub definition: TaskDefinitionArn,
    pub cause: StopCause,
}

/// Why a task failed.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case", tag = "cause")]
pub enum StopCause {
    /// An essential container ended by itself.
    Exited {
        container: String,
        exit_code: Option<i32>,
    },
    PullFailed {
        message: String,
    },
    /// The load balancer or the container's own check found it unhealthy.
    Unhealthy {
        message: String,
    },
    /// It never came to run: resources, permissions, the container's start.
    NotStarted {
        message: String,
    },
}

/// What ECS tells of a stopped task.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stopped<'a> {
    pub stop_code: Option<&'a str>,
    pub reason: &'a str,
    /// Name, exit code and reason of each container that stopped.
    pub containers: &'a [(&'a str, Option<i32>, &'a str)],
}

impl StopCause {
    /// Why the task failed; `None` if somebody wanted it to stop, or its host went away.
    ///
    /// ECS's words are those of "Stopped tasks error messages" in its guide.
    pub fn of(stopped: Stopped<'_>) -> Option<Self> {
        let Stopped { stop_code, reason, containers } = stopped;
        let words = containers.iter().map(|(_, _, reason)| *reason).chain([reason]);
        let pull = words
            .clone()
            .find(|words| words.contains("CannotPull") || words.contains("pull image manifest"));
        if let Some(message) = pull {
            return Some(Self::PullFailed { message: message.to_owned() });
        }
        let lower = reason.to_ascii_lowercase();
        if lower.contains("health check") {
            return Some(Self::Unhealthy { message: reason.to_owned() });
        }
        match stop_code {
            Some("EssentialContainerExited") => {
                let ended = containers.iter().find(|(_, code, _)| code.is_some_and(|c| c != 0));
                let ended = ended.or(containers.iter().find(|(_, code, _)| code.is_some()));
                let (container, exit_code) = ended
                    .map_or((String::new(), None), |(name, code, _)| ((*name).to_owned(), *code));
                Some(Self::Exited { container, exit_code })
            }
            Some("TaskFailedToStart") => {
                let message =
                    words.filter(|words| !words.is_empty()).collect::<Vec<_>>().join("; ");
                Some(Self::NotStarted { message })
            }
            _ => None,
        }
    }
}

impl fmt::Display for StopCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited { container, exit_code } => {
                let container = if container.is_empty() { "a container" } else { container };
                match exit_code {
                    Some(code) => write!(f, "{container} exited with code {code}"),
                    None => write!(f, "{container} exited"),
                }
            }
            Self::PullFailed { message }
            | Self::Unhealthy { message }
            | Self::NotStarted { message } => f.write_str(message),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(code: &str, reason: &str, containers: &[(&str, Option<i32>, &str)], want: Expect) {
        let stopped = Stopped { stop_code: Some(code), reason, containers };
        let said = StopCause::of(stopped);
        want.assert_eq(&said.map_or("no failure".to_owned(), |cause| format!("{cause:?}")));
    }

    #[test]
    fn ecs_words_are_told_apart() {
        check(
            "EssentialContainerExited",
            "Essential container in task exited",
            &[("log", Some(0), ""), ("web", Some(137), "OutOfMemoryError: killed")],
            expect![[r#"Exited { container: "web", exit_code: Some(137) }"#]],
        );
        check(
            "TaskFailedToStart",
            "CannotPullContainerError: pull image manifest has been retried 5 time(s): not found",
            &[],
            expect![[
                r#"PullFailed { message: "CannotPullContainerError: pull image manifest has been retried 5 time(s): not found" }"#
            ]],
        );
        check(
            "TaskFailedToStart",
            "Task failed to start",
            &[("web", None, "CannotPullContainerError: manifest unknown")],
            expect![[r#"PullFailed { message: "CannotPullContainerError: manifest unknown" }"#]],
        );
        check(
            "ServiceSchedulerInitiated",
            "Task failed ELB health checks in (target-group arn:aws:x:targetgroup/web/1)",
            &[],
            expect![[
                r#"Unhealthy { message: "Task failed ELB health checks in (target-group arn:aws:x:targetgroup/web/1)" }"#
            ]],
        );
        check(
            "ServiceSchedulerInitiated",
            "Task failed container health checks",
            &[],
            expect![[r#"Unhealthy { message: "Task failed container health checks" }"#]],
        );
        check(
            "TaskFailedToStart",
            "ResourceInitializationError: unable to pull secrets",
            &[],
            expect![[
                r#"NotStarted { message: "ResourceInitializationError: unable to pull secrets" }"#
            ]],
        );
        let scaled = "Scaling activity initiated by (deployment ecs-svc/1)";
        check("ServiceSchedulerInitiated", scaled, &[], expect!["no failure"]);
        check("TerminationNotice", "Host EC2 terminated", &[], expect!["no failure"]);
        check("UserInitiated", "Task stopped by user", &[], expect!["no failure"]);
    }
}
