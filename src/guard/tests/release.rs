//! What the guard refuses of releases.

use super::*;

const IMAGE: &str = "web@sha256:2222222222222222222222222222222222222222222222222222222222222222";

fn revision(n: u32) -> TaskDefinitionArn {
    format!("arn:aws:ecs:r:1:task-definition/web:{n}").into()
}

/// A release whose next action everything speaks for.
fn release(stage: ReleaseStage, action: Action) -> Story {
    let mut story = story(action, ActionKind::Services);
    story.config.allow.insert(ActionKind::Services);
    story.planned.by = Origin::Release("web".into());
    let snapshot = std::mem::replace(&mut story.snapshot, snapshot());
    story.snapshot = snapshot.with_service(service("web", 4, 4), TaskShape::plain(256, 512));
    let steer = ReleaseOrder::Start { image: "web:v2".into(), container: None };
    let order = Order::Release { service: "web".into(), steer };
    let command = Command { actor: "ann".into(), reason: "new".into(), order };
    let record = Record::Command { command };
    let memory = std::mem::take(&mut story.memory);
    story.memory = memory.fold(&Entry { seq: Seq(1), epoch: Epoch(0), at: now(), record });
    let release = story.memory.releases.get_mut(&"web".into()).unwrap();
    release.stage = stage;
    release.now = Some(revision(2)).filter(|_| stage > ReleaseStage::Resolved);
    release.path = Some(ReleasePath {
        container: "web".to_owned(),
        was: revision(1),
        previous: "web:v1".into(),
        previous_digest: None,
        image: IMAGE.into(),
    });
    let images = &mut story.snapshot.releases.value.images;
    for name in [IMAGE, "web:v1"] {
        let digest = Digest::from("sha256:2");
        images.insert(name.into(), ImageSeen::Found { digest });
    }
    story
}

fn register() -> Story {
    let (container, image) = ("web".to_owned(), IMAGE.to_owned());
    let task = TaskSpec::Revised { of: revision(1), container, image };
    release(ReleaseStage::Resolved, Action::RegisterTask { service: "web".into(), task })
}

fn deploy() -> Story {
    let (was, now) = (revision(1), revision(2));
    let alarms = BTreeSet::new();
    let action = Action::Deploy { service: "web".into(), was, now, alarms, back: false };
    release(ReleaseStage::Booked, action)
}

fn back() -> Story {
    let (was, now) = (revision(2), revision(1));
    let alarms = BTreeSet::new();
    let action = Action::Deploy { service: "web".into(), was, now, alarms, back: true };
    let mut story = release(ReleaseStage::RollingBack, action);
    web(&mut story).definition = revision(2);
    story
}

fn web(story: &mut Story) -> &mut Service {
    story.snapshot.services.value.get_mut(&"web".into()).unwrap()
}

fn memory(story: &mut Story) -> &mut ReleaseMemory {
    story.memory.releases.get_mut(&"web".into()).unwrap()
}

fn forget(story: &mut Story, image: &str) {
    story.snapshot.releases.value.images.insert(image.into(), ImageSeen::Missing);
}

#[test]
fn a_release_that_was_ordered_is_admitted() {
    check("admitted", register(), |_| {});
    check("admitted", deploy(), |_| {});
    check("admitted", back(), |_| {});
    // Load balancers are none of its concern.
    check("admitted", deploy(), |s| s.snapshot.traffic.gaps.push(gap()));
}

#[test]
fn only_an_image_that_was_seen_is_registered_and_deployed() {
    check("image_unseen", register(), |s| forget(s, IMAGE));
    check("image_unseen", register(), |s| s.snapshot.releases.value.images.clear());
    check("image_unseen", deploy(), |s| forget(s, IMAGE));
    check("image_unseen", deploy(), |s| forget(s, "web:v1"));
    check("blind", deploy(), |s| {
        s.snapshot.releases.value.images.clear();
        s.snapshot.releases.gaps.push(gap());
    });
}

#[test]
fn only_the_recorded_revision_is_replaced_and_only_by_the_one_that_was_made() {
    check("outdated", register(), |s| memory(s).stage = ReleaseStage::Registered);
    check("outdated", register(), |s| memory(s).path.as_mut().unwrap().image = "other".into());
    check("implausible", register(), |s| s.memory.releases.clear());
    check("implausible", deploy(), |s| memory(s).stage = ReleaseStage::Released);
    check("outdated", deploy(), |s| memory(s).stage = ReleaseStage::Registered);
    check("outdated", deploy(), |s| memory(s).now = Some(revision(3)));
    check("outdated", deploy(), |s| web(s).definition = revision(7));
    check("deploying", deploy(), |s| web(s).deployments[0].rollout = Rollout::InProgress);
    check("outdated", back(), |s| web(s).definition = revision(7));
    check("outdated", back(), |s| memory(s).stage = ReleaseStage::Deploying);
}

#[test]
fn a_cutover_that_moves_requests_of_the_service_comes_first() {
    let shifting = |s: &mut Story| {
        let routes = vec![crate::config::RouteConfig::new("web", ["/web*"])];
        let listener = ListenerArn::from("arn:l");
        let cutover = crate::config::CutoverConfig::new("break", listener, "api", routes);
        s.config.cutovers.push(cutover);
        let mut open = CutoverMemory::started("ann", "token", &["web".into()], now());
        open.routes.get_mut(&"web".into()).unwrap().stage = Stage::Shifting;
        s.memory.cutovers.insert("break".into(), open);
    };
    check("cutover_shifts", deploy(), shifting);
    check("admitted", back(), shifting);
}

#[test]
fn the_way_back_passes_what_holds_the_way_forward() {
    let forbid = |s: &mut Story| {
        let forbid = BTreeSet::from([ActionKind::Services]);
        let text = "daily 00:00 - 23:59 UTC".to_owned();
        let (start, end) = (WeekMinute(0), WeekMinute(WeekMinute::WEEK - 1));
        let spans = vec![Span { start, end }];
        s.config.windows = vec![Window { forbid, text, spans, zone: chrono_tz::UTC }];
    };
    check("window", deploy(), forbid);
    check("admitted", back(), forbid);
    let pause = |s: &mut Story| {
        s.memory.pause = Some(Pause { by: "ann".into(), reason: "audit".into(), at: now() });
    };
    check("paused", deploy(), pause);
    check("admitted", back(), pause);
    let forbidden = |s: &mut Story| {
        s.config.allow.remove(&ActionKind::Services);
    };
    check("not_allowed", deploy(), forbidden);
    check("admitted", back(), forbidden);
    check("mode_too_low", back(), |s| s.config.mode = Mode::Recommend);
    check("admitted", back(), |s| s.snapshot.services.gaps.push(gap()));
    check("blind", deploy(), |s| s.snapshot.services.gaps.push(gap()));
}
