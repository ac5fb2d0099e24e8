//! What is remembered of the release of one service: where it stands, what it goes from and to, and
//! how it ended.
//!
//! Rule: everything here is folded from the journal; what AWS can tell (deployments, tasks, images)
//! is read from AWS each time.

use std::collections::VecDeque;
use std::fmt;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::id::{Digest, ImageName, TaskDefinitionArn};
use super::sight::StopCause;

/// Moves kept of a release; older ones are in the journal only.
const HISTORY_MAX: usize = 32;
/// Finished releases of a service that are remembered beside the last.
const PAST_MAX: usize = 10;

/// Where a release stands. In this order until released.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
    strum::Display,
    strum::EnumIter,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum ReleaseStage {
    /// A person ordered it; nothing has been written.
    #[default]
    Ordered,
    /// The image has a digest, and the image of the way back exists.
    Resolved,
    /// The new revision exists; no service runs it yet.
    Registered,
    /// There is room for what the deployment starts beside what runs.
    Booked,
    /// ECS brings the new revision out.
    Deploying,
    Released,
    /// The revision from before is brought back.
    RollingBack,
    RolledBack,
    /// Nothing was deployed.
    Refused,
    /// Somebody else deployed the service: it is left to them.
    Superseded,
}

impl ReleaseStage {
    /// Whether nothing more happens by itself.
    pub fn is_final(self) -> bool {
        matches!(self, Self::Released | Self::RolledBack | Self::Refused | Self::Superseded)
    }

    /// Whether the service may run the new revision.
    pub fn may_run(self) -> bool {
        matches!(self, Self::Booked | Self::Deploying | Self::RollingBack)
    }
}

/// What a release goes from and to, once all of it is known to exist.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReleasePath {
    pub container: String,
    /// The revision that the service ran when the release began.
    pub was: TaskDefinitionArn,
    /// The image of the way back, as that revision names it.
    pub previous: ImageName,
    /// What that name meant then; `None`: a registry that is not asked.
    pub previous_digest: Option<Digest>,
    /// The new image by its digest.
    pub image: ImageName,
}

/// Why a release did not end as wished, told apart.
#[derive(
    Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, strum::IntoStaticStr,
)]
#[serde(rename_all = "snake_case", tag = "code")]
#[strum(serialize_all = "snake_case")]
pub enum ReleaseVerdict {
    // Before anything was deployed.
    NoService,
    NoContainer {
        wanted: Option<String>,
        has: Vec<String>,
    },
    NotRolling {
        what: String,
    },
    ImageMissing {
        image: ImageName,
    },
    ImageUnpinned {
        image: ImageName,
    },
    PreviousMissing {
        image: ImageName,
    },
    /// The tag of the revision that runs means another image by now, or nobody can say.
    PreviousMoved {
        image: ImageName,
        runs: Vec<Digest>,
        means: Option<Digest>,
    },
    Same {
        image: ImageName,
    },
    /// At 100/100 % healthy ECS may neither stop a task nor start one.
    CannotRoll {
        minimum_healthy: u64,
        maximum: u64,
    },
    /// No hosts for what the deployment starts beside what runs.
    NoRoom {
        tasks: u64,
        waited_seconds: i64,
    },
    // Of a deployment.
    CrashLoop {
        failed: u64,
        cause: StopCause,
    },
    PullFailure {
        failed: u64,
        message: String,
    },
    FailedHealthCheck {
        failed: u64,
        message: String,
    },
    NotStarted {
        failed: u64,
        message: String,
    },
    NoCapacity {
        message: String,
    },
    /// ECS gave it up for an alarm.
    Alarm {
        message: String,
    },
    TimedOut {
        after_seconds: i64,
    },
    /// ECS gave it up, and nothing says why.
    GivenUp {
        failed: u64,
    },
    // By people.
    Aborted {
        by: String,
        because: String,
    },
    Superseded {
        expected: TaskDefinitionArn,
        found: TaskDefinitionArn,
    },
}

impl ReleaseVerdict {
    /// The stable name of the verdict, as in its JSON.
    pub fn code(&self) -> &'static str {
        self.into()
    }
}

/// What is remembered of the last release of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReleaseMemory {
    /// As ordered.
    pub image: ImageName,
    /// As ordered; `None`: the one that can be meant.
    pub container: Option<String>,
    pub by: String,
    pub reason: String,
    pub ordered_at: DateTime<Utc>,
    pub stage: ReleaseStage,
    pub since: DateTime<Utc>,
    pub path: Option<ReleasePath>,
    /// The new revision, by the answer of the request that made it.
    pub now: Option<TaskDefinitionArn>,
    pub verdict: Option<ReleaseVerdict>,
    /// Each move, oldest first.
    #[schema(value_type = Vec<ReleaseMove>)]
    pub history: VecDeque<ReleaseMove>,
    /// How those before it ended, oldest first.
    #[serde(default)]
    #[schema(value_type = Vec<PastRelease>)]
    pub past: VecDeque<PastRelease>,
}

/// One change of stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct ReleaseMove {
    pub at: DateTime<Utc>,
    pub stage: ReleaseStage,
    pub because: String,
}

/// How an earlier release ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct PastRelease {
    pub image: ImageName,
    pub by: String,
    pub ended_at: DateTime<Utc>,
    pub stage: ReleaseStage,
    pub verdict: Option<ReleaseVerdict>,
}

/// What a person may order of a release.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "release_order")]
pub enum ReleaseOrder {
    Start {
        image: ImageName,
        /// Left out: the only one, the one behind the load balancer, or the service's name.
        container: Option<String>,
    },
    /// Lead back what was begun.
    Abort,
}

/// One edge in a release, written once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case", tag = "edge")]
pub enum ReleaseEdge {
    /// What it goes from and to is known.
    Found { path: ReleasePath },
    /// It is at this stage now.
    Moved { stage: ReleaseStage, because: String, verdict: Option<ReleaseVerdict> },
}

impl ReleaseMemory {
    /// A release that a person has just ordered; `before` is the one before it.
    pub(super) fn ordered(
        image: &ImageName,
        container: Option<&String>,
        (by, reason): (&str, &str),
        at: DateTime<Utc>,
        before: Option<Self>,
    ) -> Self {
        let mut past = VecDeque::new();
        if let Some(before) = before {
            past = before.past;
            past.push_back(PastRelease {
                image: before.image,
                by: before.by,
                ended_at: before.since,
                stage: before.stage,
                verdict: before.verdict,
            });
            while past.len() > PAST_MAX {
                past.pop_front();
            }
        }
        Self {
            image: image.clone(),
            container: container.cloned(),
            by: by.to_owned(),
            reason: reason.to_owned(),
            ordered_at: at,
            stage: ReleaseStage::Ordered,
            since: at,
            path: None,
            now: None,
            verdict: None,
            history: VecDeque::new(),
            past,
        }
    }

    /// Whether something may still happen by itself.
    pub fn is_open(&self) -> bool {
        !self.stage.is_final()
    }

    pub(super) fn note(&mut self, edge: &ReleaseEdge, at: DateTime<Utc>) {
        match edge {
            ReleaseEdge::Found { path } => self.path = Some(path.clone()),
            ReleaseEdge::Moved { stage, because, verdict } => {
                self.go(*stage, because, verdict.clone(), at);
            }
        }
    }

    /// Folds a person's abort in: before the deployment nothing was changed.
    pub(super) fn abort(&mut self, by: &str, reason: &str, at: DateTime<Utc>) {
        let verdict = ReleaseVerdict::Aborted { by: by.to_owned(), because: reason.to_owned() };
        let because = verdict.to_string();
        let stage = match self.stage {
            stage if stage.is_final() || stage == ReleaseStage::RollingBack => return,
            // The write may be under way.
            ReleaseStage::Booked | ReleaseStage::Deploying => ReleaseStage::RollingBack,
            _ => ReleaseStage::Refused,
        };
        self.go(stage, &because, Some(verdict), at);
    }

    fn go(
        &mut self,
        stage: ReleaseStage,
        because: &str,
        verdict: Option<ReleaseVerdict>,
        at: DateTime<Utc>,
    ) {
        self.stage = stage;
        self.since = at;
        // The first verdict is the cause; what follows is its undoing.
        self.verdict = self.verdict.take().or(verdict);
        self.history.push_back(ReleaseMove { at, stage, because: because.to_owned() });
        while self.history.len() > HISTORY_MAX {
            self.history.pop_front();
        }
    }
}

impl fmt::Display for ReleaseVerdict {
    #[expect(clippy::too_many_lines, reason = "one line of text for each verdict")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoService => f.write_str("there is no such service"),
            Self::NoContainer { wanted: Some(wanted), has } => {
                write!(f, "no container {wanted}; there are {}", has.join(", "))
            }
            Self::NoContainer { wanted: None, has } => write!(
                f,
                "which container is meant? there are {}; give it with --container",
                has.join(", ")
            ),
            Self::NotRolling { what } => f.write_str(what),
            Self::ImageMissing { image } => write!(f, "image {image} does not exist"),
            Self::ImageUnpinned { image } => write!(
                f,
                "{image} is in a registry that is not asked: give it by its digest, \
                 {}@sha256:...",
                image.repository()
            ),
            Self::PreviousMissing { image } => write!(
                f,
                "image {image} of the revision that runs does not exist any more, so there is no \
                 way back; push it again"
            ),
            Self::PreviousMoved { image, runs, means } => {
                let runs = runs.iter().map(Digest::as_str).collect::<Vec<_>>().join(", ");
                write!(f, "{image} of the revision that runs ")?;
                match means {
                    Some(means) => write!(f, "means {} by now", means.short())?,
                    None => write!(f, "may mean anything")?,
                }
                match runs.is_empty() {
                    true => write!(f, " and nothing runs that would tell: no sure way back"),
                    false => write!(
                        f,
                        ", its tasks run {runs}: no sure way back; release {}@{runs} first",
                        image.repository()
                    ),
                }
            }
            Self::Same { image } => write!(f, "{image} is what the service runs already"),
            Self::CannotRoll { minimum_healthy, maximum } => write!(
                f,
                "at minimum {minimum_healthy} % and maximum {maximum} % healthy ECS may neither \
                 stop a task nor start one; raise the maximum"
            ),
            Self::NoRoom { tasks, waited_seconds } => {
                let s = if *tasks == 1 { "task" } else { "tasks" };
                write!(f, "no capacity: no room for {tasks} more {s} within {waited_seconds} s")
            }
            Self::CrashLoop { failed, cause } => {
                write!(f, "crash loop: {cause} ({failed} failed tasks)")
            }
            Self::PullFailure { failed, message } => {
                write!(f, "pull failure: {message} ({failed} failed tasks)")
            }
            Self::FailedHealthCheck { failed, message } => {
                write!(f, "failed health check: {message} ({failed} failed tasks)")
            }
            Self::NotStarted { failed, message } => {
                write!(f, "tasks do not start: {message} ({failed} failed tasks)")
            }
            Self::NoCapacity { message } => write!(f, "no capacity: {message}"),
            Self::Alarm { message } => write!(f, "alarm: {message}"),
            Self::TimedOut { after_seconds } => write!(f, "not done within {after_seconds} s"),
            Self::GivenUp { failed } => {
                write!(f, "ECS gave the deployment up ({failed} failed tasks)")
            }
            Self::Aborted { by, because } => write!(f, "aborted by {by}: {because}"),
            Self::Superseded { expected, found } => write!(
                f,
                "somebody else deployed {}, expected was {}",
                found.short(),
                expected.short()
            ),
        }
    }
}

impl fmt::Display for ReleaseOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start { image, .. } => write!(f, "release of {image}"),
            Self::Abort => f.write_str("abort"),
        }
    }
}
