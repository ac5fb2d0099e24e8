//! Each stage of a release in a few words: what is seen, and what follows from it.

use std::fmt::Write;

use chrono::TimeDelta;
use expect_test::{Expect, expect};

use crate::config::{ClusterConfig, PoolConfig};
use crate::model::build::*;
use crate::model::*;

const V1: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:v1";
const V2: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com/web:v2";

fn digest(n: u8) -> Digest {
    format!("sha256:{}", n.to_string().repeat(64)).into()
}

fn revision(n: u32) -> TaskDefinitionArn {
    format!("arn:aws:ecs:r:1:task-definition/web:{n}").into()
}

fn pinned(n: u8) -> ImageName {
    ImageName::from(V2).pinned(&digest(n))
}

/// A service of four tasks at 100/200 % on `web:v1`, a release of `web:v2` ordered a minute ago.
struct Story {
    config: ClusterConfig,
    snapshot: Snapshot,
    memory: Memory,
}

impl Story {
    fn new() -> Self {
        let mut snapshot =
            snapshot().with_service(service("web", 4, 4), TaskShape::plain(256, 512));
        let sight = ServiceSight {
            containers: [(revision(1), [("web".to_owned(), V1.into())].into())].into(),
            running: [(revision(1), [("web".to_owned(), [digest(1)].into())].into())].into(),
            ..ServiceSight::default()
        };
        snapshot.releases.value.services.insert("web".into(), sight);
        let found = |n| ImageSeen::Found { digest: digest(n) };
        let images = [(V1.into(), found(1)), (V2.into(), found(2)), (pinned(2), found(2))];
        snapshot.releases.value.images.extend(images);
        let steer = ReleaseOrder::Start { image: V2.into(), container: None };
        let memory = Memory::default();
        let mut story = Self {
            config: ClusterConfig::new("web", vec![PoolConfig::new(workers())]),
            snapshot,
            memory,
        };
        story.order(steer, 60);
        story
    }

    fn order(&mut self, steer: ReleaseOrder, seconds_ago: i64) {
        let order = Order::Release { service: "web".into(), steer };
        let command = Command { actor: "ann".into(), reason: "new".into(), order };
        self.record(Record::Command { command }, seconds_ago);
    }

    fn record(&mut self, record: Record, seconds_ago: i64) {
        let at = now() - TimeDelta::seconds(seconds_ago);
        let seq = Seq(self.memory.seq.0 + 1);
        let memory = std::mem::take(&mut self.memory);
        self.memory = memory.fold(&Entry { seq, epoch: Epoch(0), at, record });
    }

    fn at(stage: ReleaseStage) -> Self {
        let mut story = Self::new();
        let path = ReleasePath {
            container: "web".to_owned(),
            was: revision(1),
            previous: V1.into(),
            previous_digest: Some(digest(1)),
            image: pinned(2),
        };
        story.edge(ReleaseEdge::Found { path });
        let because = String::new();
        story.edge(ReleaseEdge::Moved { stage, because, verdict: None });
        if stage > ReleaseStage::Resolved {
            story.release().now = Some(revision(2));
        }
        if matches!(stage, ReleaseStage::Deploying | ReleaseStage::RollingBack) {
            story.deployed();
        }
        story
    }

    fn edge(&mut self, edge: ReleaseEdge) {
        let note = Note::Release { service: "web".into(), edge };
        self.record(Record::Noted { note }, 30);
    }

    fn release(&mut self) -> &mut ReleaseMemory {
        self.memory.releases.get_mut(&"web".into()).unwrap()
    }

    fn service(&mut self) -> &mut Service {
        self.snapshot.services.value.get_mut(&"web".into()).unwrap()
    }

    fn sight(&mut self) -> &mut ServiceSight {
        self.snapshot.releases.value.services.get_mut(&"web".into()).unwrap()
    }

    /// Our deployment is primary, the old one still has all tasks.
    fn deployed(&mut self) {
        let service = self.service();
        let mut ours = service.deployments[0].clone();
        ours.id = "ecs-svc/2".into();
        ours.definition = revision(2);
        ours.rollout = Rollout::InProgress;
        ours.running_count = 1;
        ours.created_at = now();
        service.deployments[0].primary = false;
        service.deployments.insert(0, ours);
        service.definition = revision(2);
    }

    fn ours(&mut self) -> &mut Deployment {
        &mut self.service().deployments[0]
    }

    /// ECS has put the old one first again and lists ours as failed.
    fn taken_back(&mut self) {
        self.ours().rollout = Rollout::Failed;
        let service = self.service();
        service.deployments.swap(0, 1);
        service.deployments[0].primary = true;
        service.deployments[1].primary = false;
        service.definition = revision(1);
    }

    fn fails(&mut self, cause: StopCause) {
        let (at, definition) = (now(), revision(2));
        self.sight().failures.push(TaskFailure { at, task: "t".into(), definition, cause });
    }
}

#[track_caller]
fn check(mut story: Story, change: impl FnOnce(&mut Story), want: Expect) {
    change(&mut story);
    let steps = super::step(&story.config, &story.snapshot, &story.memory, now());
    let mut text = String::new();
    for planned in &steps.plan.actions {
        writeln!(text, "do {}\n   {}", planned.action, planned.why).unwrap();
    }
    for booking in &steps.bookings {
        writeln!(text, "book {} of {}", booking.count, booking.service).unwrap();
    }
    for hold in &steps.plan.holds {
        writeln!(text, "hold {}", hold.reason).unwrap();
    }
    for note in &steps.plan.notes {
        if let Note::Release { edge: ReleaseEdge::Moved { stage, because, .. }, .. } = note {
            writeln!(text, "{stage}: {because}").unwrap();
        }
    }
    want.assert_eq(&text);
}

use ReleaseStage::*;

#[test]
fn an_image_and_its_way_back_are_looked_up_first() {
    check(
        Story::new(),
        |_| {},
        expect![[r#"
            resolved: web:1 goes to 123456789012.dkr.ecr.eu-west-1.amazonaws.com/web@sha256:2222222222222222222222222222222222222222222222222222222222222222
        "#]],
    );
    let images = |s: &mut Story| s.snapshot.releases.value.images.clear();
    check(Story::new(), images, expect![""]);
    check(
        Story::new(),
        |s| {
            images(s);
            let source = "ecr:DescribeImages".to_owned();
            let failure = Failure::AccessDenied { action: source.clone() };
            s.snapshot.releases.gaps.push(Gap { source, failure });
        },
        expect![[r#"
            hold images are incomplete: not permitted: ecr:DescribeImages
        "#]],
    );
    check(
        Story::new(),
        |s| s.ours().rollout = Rollout::InProgress,
        expect![[r#"
            hold web is deploying
        "#]],
    );
}

#[test]
fn what_cannot_go_back_does_not_begin() {
    let seen = |image: &'static str, seen: ImageSeen| {
        move |s: &mut Story| {
            s.snapshot.releases.value.images.insert(image.into(), seen);
        }
    };
    let refused = |change: Box<dyn FnOnce(&mut Story)>, want: &str| {
        let mut story = Story::new();
        change(&mut story);
        let steps = super::step(&story.config, &story.snapshot, &story.memory, now());
        let verdict = steps.plan.notes.iter().find_map(|note| match note {
            Note::Release { edge: ReleaseEdge::Moved { stage: Refused, verdict, .. }, .. } => {
                verdict.clone()
            }
            _ => None,
        });
        assert!(steps.plan.actions.is_empty());
        assert_eq!(verdict.map_or("goes on", |v| ReleaseVerdict::code(&v)), want);
    };
    refused(Box::new(|s| s.snapshot.services.value.clear()), "no_service");
    refused(Box::new(seen(V2, ImageSeen::Missing)), "image_missing");
    refused(Box::new(seen(V2, ImageSeen::NotAsked)), "image_unpinned");
    refused(Box::new(seen(V1, ImageSeen::Missing)), "previous_missing");
    refused(Box::new(seen(V1, ImageSeen::Found { digest: digest(9) })), "previous_moved");
    refused(Box::new(seen(V1, ImageSeen::NotAsked)), "previous_moved");
    refused(Box::new(|s| s.release().container = Some("log".to_owned())), "no_container");
    // What runs is the truth, so a release of just that pins it.
    refused(
        Box::new(move |s| {
            seen(V1, ImageSeen::NotAsked)(s);
            seen(V2, ImageSeen::Found { digest: digest(1) })(s);
        }),
        "goes on",
    );
    refused(
        Box::new(|s| {
            let containers = s.sight().containers.get_mut(&revision(1)).unwrap();
            containers.insert("web".to_owned(), pinned(2));
        }),
        "same",
    );
    refused(
        Box::new(|s| {
            s.service().native_rules.insert("arn:rule".into());
        }),
        "not_rolling",
    );
}

#[test]
fn a_container_is_meant_by_what_can_be_meant() {
    let log = |s: &mut Story| {
        let containers = s.sight().containers.get_mut(&revision(1)).unwrap();
        containers.insert("log".to_owned(), "log:v1".into());
    };
    // Two containers: the one that is named like the service.
    let goes = expect![[r#"
        resolved: web:1 goes to 123456789012.dkr.ecr.eu-west-1.amazonaws.com/web@sha256:2222222222222222222222222222222222222222222222222222222222222222
    "#]];
    check(Story::new(), log, goes);
    check(
        Story::new(),
        |s| {
            log(s);
            let containers = s.sight().containers.get_mut(&revision(1)).unwrap();
            let web = containers.remove("web").unwrap();
            containers.insert("app".to_owned(), web);
        },
        expect![[r#"
            refused: which container is meant? there are app, log; give it with --container
        "#]],
    );
}

#[test]
fn a_revision_is_registered_once_and_only_over_what_was_recorded() {
    check(
        Story::at(Resolved),
        |_| {},
        expect![[r#"
            do register a task definition of web: web:1 with image 123456789012.dkr.ecr.eu-west-1.amazonaws.com/web@sha256:2222222222222222222222222222222222222222222222222222222222222222
               released by ann
        "#]],
    );
    check(
        Story::at(Resolved),
        |s| s.release().now = Some(revision(2)),
        expect![[r#"
            registered: web:2 has the new image
        "#]],
    );
    check(
        Story::at(Resolved),
        |s| s.service().definition = revision(7),
        expect![[r#"
            superseded: somebody else deployed web:7, expected was web:1
        "#]],
    );
}

#[test]
fn room_is_booked_before_anything_changes() {
    let there = |s: &mut Story| {
        let subject = Subject::Service("web".into());
        s.memory.since.insert((subject, Fact::RoomThere), now());
    };
    let late = |s: &mut Story| s.release().since = now() - TimeDelta::minutes(15);
    check(
        Story::at(Registered),
        |_| {},
        expect![[r#"
            book 4 of web
            hold no room yet for 4 more tasks of web, waits until 2026-11-21 09:14:30Z
        "#]],
    );
    check(
        Story::at(Registered),
        there,
        expect![[r#"
            book 4 of web
            booked: room for 4 more tasks is there
        "#]],
    );
    check(
        Story::at(Registered),
        late,
        expect![[r#"
            book 4 of web
            refused: no capacity: no room for 4 more tasks within 900 s
        "#]],
    );
    check(
        Story::at(Registered),
        |s| {
            late(s);
            s.service().minimum_healthy_percent = 50;
        },
        expect![[r#"
            book 4 of web
            booked: no room for 4 more tasks within 900 s: ECS stops tasks before it starts any
        "#]],
    );
    check(
        Story::at(Registered),
        |s| (s.service().minimum_healthy_percent, s.service().maximum_percent) = (50, 100),
        expect![[r#"
            booked: at its maximum percent ECS stops tasks before it starts any
        "#]],
    );
    check(
        Story::at(Registered),
        |s| s.service().maximum_percent = 100,
        expect![[r#"
            refused: at minimum 100 % and maximum 100 % healthy ECS may neither stop a task nor start one; raise the maximum
        "#]],
    );
}

#[test]
fn a_deployment_begins_once_and_keeps_its_room_until_then() {
    check(
        Story::at(Booked),
        |s| {
            let alarms = ["web-errors".to_owned()].into();
            let config = crate::config::ServiceConfig { alarms, ..Default::default() };
            s.config.services.insert("web".into(), config);
        },
        expect![[r#"
            do web deploys web:1 -> web:2
               released by ann
            book 4 of web
        "#]],
    );
    check(
        Story::at(Booked),
        Story::deployed,
        expect![[r#"
            deploying: ECS brings web:2 out
        "#]],
    );
    check(
        Story::at(Booked),
        |s| s.ours().rollout = Rollout::InProgress,
        expect![[r#"
            book 4 of web
            hold web is deploying
        "#]],
    );
}

#[test]
fn verdicts_are_told_apart() {
    let failed = |cause: StopCause| {
        move |s: &mut Story| {
            s.fails(cause);
            s.ours().failed_tasks = 3;
            s.taken_back();
        }
    };
    let exited = StopCause::Exited { container: "web".to_owned(), exit_code: Some(1) };
    check(
        Story::at(Deploying),
        failed(exited),
        expect![[r#"
            rolling_back: crash loop: web exited with code 1 (3 failed tasks)
        "#]],
    );
    let message = "CannotPullContainerError: not found".to_owned();
    check(
        Story::at(Deploying),
        failed(StopCause::PullFailed { message }),
        expect![[r#"
            rolling_back: pull failure: CannotPullContainerError: not found (3 failed tasks)
        "#]],
    );
    let message = "Task failed ELB health checks".to_owned();
    check(
        Story::at(Deploying),
        failed(StopCause::Unhealthy { message }),
        expect![[r#"
            rolling_back: failed health check: Task failed ELB health checks (3 failed tasks)
        "#]],
    );
    let late = |s: &mut Story| s.release().since = now() - TimeDelta::minutes(30);
    check(
        Story::at(Deploying),
        |s| {
            late(s);
            s.release().ordered_at = now() - TimeDelta::minutes(40);
            s.sight().unplaced = Some((now(), "unable to place a task".to_owned()));
        },
        expect![[r#"
            rolling_back: no capacity: unable to place a task
        "#]],
    );
    check(
        Story::at(Deploying),
        late,
        expect![[r#"
            rolling_back: not done within 1800 s
        "#]],
    );
    check(
        Story::at(Deploying),
        |s| {
            s.ours().rollout_reason = Some("ECS deployment failed: alarm(s) detected".to_owned());
            s.taken_back();
        },
        expect![[r#"
            rolling_back: alarm: ECS deployment failed: alarm(s) detected
        "#]],
    );
    check(
        Story::at(Deploying),
        Story::taken_back,
        expect![[r#"
            rolling_back: ECS gave the deployment up (0 failed tasks)
        "#]],
    );
}

#[test]
fn a_deployment_is_watched_to_its_end() {
    check(
        Story::at(Deploying),
        |s| s.ours().failed_tasks = 1,
        expect![[r#"
            hold 1 of 4 tasks run the new revision, 1 has failed; given up at 2026-11-21 09:29:30Z
        "#]],
    );
    check(
        Story::at(Deploying),
        |s| {
            s.ours().rollout = Rollout::Completed;
            s.ours().running_count = 4;
        },
        expect![[r#"
            released: 4 tasks run web:2
        "#]],
    );
    check(
        Story::at(Deploying),
        |s| s.service().definition = revision(7),
        expect![[r#"
            superseded: somebody else deployed web:7, expected was web:2
        "#]],
    );
    // A look from before the deployment says nothing.
    check(
        Story::at(Deploying),
        |s| {
            s.service().deployments.remove(0);
            s.ours().primary = true;
            s.service().definition = revision(1);
        },
        expect![[r#"
            hold what web runs moved since the plan was made
        "#]],
    );
}

#[test]
fn the_way_back_is_written_only_where_ecs_does_not_go_it() {
    check(
        Story::at(RollingBack),
        |_| {},
        expect![[r#"
            do web goes back web:2 -> web:1
               back: 
        "#]],
    );
    check(
        Story::at(RollingBack),
        |s| {
            s.taken_back();
            s.ours().rollout = Rollout::InProgress;
        },
        expect![[r#"
            hold 4 of 4 tasks run the revision from before
        "#]],
    );
    check(
        Story::at(RollingBack),
        Story::taken_back,
        expect![[r#"
            rolled_back: 4 tasks run web:1
        "#]],
    );
    check(
        Story::at(RollingBack),
        |s| s.service().definition = revision(7),
        expect![[r#"
            superseded: somebody else deployed web:7, expected was web:1
        "#]],
    );
}

#[test]
fn an_abort_leads_back_what_was_begun() {
    for (stage, after) in [
        (Resolved, Refused),
        (Registered, Refused),
        (Booked, RollingBack),
        (Deploying, RollingBack),
    ] {
        let mut story = Story::at(stage);
        story.order(ReleaseOrder::Abort, 10);
        assert_eq!(story.release().stage, after, "{stage}");
        let verdict = story.release().verdict.clone().unwrap();
        assert_eq!(verdict.to_string(), "aborted by ann: new");
    }
}

#[test]
fn a_finished_release_is_remembered_by_the_next() {
    let mut story = Story::at(Released);
    story.order(ReleaseOrder::Start { image: V1.into(), container: None }, 5);
    let release = story.release();
    assert_eq!((release.stage, release.image.as_str()), (Ordered, V1));
    assert_eq!(release.past.len(), 1);
    story.order(ReleaseOrder::Start { image: "other".into(), container: None }, 4);
    assert_eq!(story.release().image.as_str(), V1, "an open one stands");
}
