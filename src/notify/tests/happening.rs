//! Which step from one status to the next is news.

use chrono::TimeDelta;

use crate::control::status::{
    ClusterStatus, Decided, Decision, Fate, HoldView, OtherWriter, Publisher, Status, story,
};
use crate::journal::Holder;
use crate::model::{
    ActionKind, Epoch, Failure, Hold, Mode, Outcome, Reason, Rival, Subject, build,
};
use crate::notify::events::{Event, Notice, events};
use crate::notify::quiet::Quiet;

fn whole(cluster: ClusterStatus) -> Status {
    let (publisher, status) = Publisher::new([cluster.name.clone()], build::now());
    publisher.publish(cluster, build::now());
    let status = status.borrow();
    Status::clone(&status)
}

/// What is told of a step, one line each.
fn told(before: ClusterStatus, now: ClusterStatus) -> Vec<String> {
    let notices = events(&whole(before), &whole(now));
    notices.iter().map(|notice| format!("{}: {}", notice.event, notice.text)).collect()
}

/// The status of the story a quarter of a minute later, changed.
fn next(change: impl FnOnce(&mut ClusterStatus)) -> ClusterStatus {
    let mut status = story::status();
    status.at += TimeDelta::seconds(15);
    change(&mut status);
    status
}

fn acted(status: &mut ClusterStatus, outcome: Outcome) {
    let planned = status.decisions[0].actions[0].planned.clone();
    let decided = Decided::new(planned, Fate::Outcome { outcome });
    let decision = Decision::of(status, vec![decided]);
    status.decided(decision);
}

fn held(status: &mut ClusterStatus, host: &str, reason: Reason, minutes: i64) {
    let hold = Hold::new(Subject::Host(host.into()), ActionKind::ScaleIn, reason);
    status.plan.held.push(HoldView {
        subject: hold.subject.to_string(),
        wants: hold.wants,
        why: hold.reason.to_string(),
        since: Some(status.at - TimeDelta::minutes(minutes)),
        hold,
    });
}

fn standby(status: &mut ClusterStatus) {
    let since = build::now();
    status.journal.leader =
        Some(Holder { owner: "a/1/x".into(), epoch: Epoch(3), since, address: None });
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table")]
fn each_step_tells_what_it_should_and_no_more() {
    let denied = || Outcome::Refused {
        failure: Failure::AccessDenied { action: "autoscaling:SetDesiredCapacity".into() },
    };
    let policy = || Rival::ScalingPolicy {
        pool: build::workers(),
        policy: "cpu-50".into(),
        silenced: false,
    };
    let rival = |harmless| OtherWriter { text: "cpu-50 sets it".into(), harmless, rival: policy() };
    let standalone = || Reason::StandaloneTask { group: "family:report".into() };
    let table: [(&str, ClusterStatus, &[&str]); 13] = [
        ("nothing", next(|_| {}), &[]),
        (
            "a lower mode",
            next(|now| {
                now.mode.stored = Mode::Observe;
                now.mode.effective = Mode::Observe;
            }),
            &["mode_changed: act -> observe (set to observe, the configuration allows act)"],
        ),
        ("a request that was done", next(|now| acted(now, Outcome::done())), &[]),
        (
            "a request that was refused",
            next(|now| acted(now, denied())),
            &["action_failed: workers desired capacity 5 -> 6: not permitted: \
               autoscaling:SetDesiredCapacity"],
        ),
        (
            "a request of unknown fate",
            next(|now| acted(now, Outcome::InDoubt { message: "timeout".into() })),
            &["action_failed: workers desired capacity 5 -> 6: no answer, its fate is open: \
               timeout"],
        ),
        ("a hold of less than an hour", next(|now| held(now, "i-1", standalone(), 59)), &[]),
        (
            "holds of an hour",
            next(|now| {
                for host in ["i-1", "i-2", "i-3", "i-4", "i-5"] {
                    held(now, host, standalone(), 60);
                }
            }),
            &["held_long: scale_in of i-1, i-2, i-3 and 2 more: family:report is a standalone \
               task that nobody would start again"],
        ),
        ("a hold that was told before", next(|now| held(now, "i-1", standalone(), 61)), &[]),
        (
            "a hold that ends by itself",
            next(|now| {
                let (since, until) = (build::now(), build::now());
                held(now, "i-1", Reason::Stabilizing { since, until }, 60);
            }),
            &[],
        ),
        (
            "another writer",
            next(|now| now.others_writing.push(rival(false))),
            &["foreign_writer: cpu-50 sets it"],
        ),
        ("a writer that cannot harm", next(|now| now.others_writing.push(rival(true))), &[]),
        (
            "a pool lowered to recommend",
            next(|now| now.pools[0].demoted = Some("somebody set its capacity twice".into())),
            &["foreign_writer: workers is only watched from now on: somebody set its capacity \
               twice"],
        ),
        (
            "a replica that stands by",
            next(|now| {
                standby(now);
                acted(now, denied());
            }),
            &[],
        ),
    ];
    for (step, now, want) in table {
        assert_eq!(told(story::status(), now), want, "{step}");
    }
}

#[test]
fn a_route_that_goes_back_or_meets_another_writer_is_told_once() {
    let cutting = story::cutting;
    assert_eq!(told(cutting(), cutting()), [""; 0]);
    let back = told(cutting(), story::rolled_back());
    assert_eq!(back.len(), 2, "{back:?}");
    assert!(back[0].starts_with("rolled_back: break/users goes back to api"), "{back:?}");
    assert_eq!(told(story::rolled_back(), story::rolled_back()), [""; 0]);
    let stopped = told(cutting(), story::stopped());
    assert!(
        stopped[0].starts_with("cutover_stopped: break: somebody changed the rule"),
        "{stopped:?}"
    );
    let mut asks = cutting();
    let promotion = Reason::AwaitsPromotion { percent: 25 };
    let hold = crate::cutover::told::HeldTold {
        code: promotion.code().into(),
        why: promotion.to_string(),
        asks: true,
    };
    asks.cutovers[0].routes[0].held.push(hold);
    let asked = told(cutting(), asks.clone());
    assert!(asked[0].starts_with("approval_wanted: break/users: "), "{asked:?}");
    assert_eq!(told(asks.clone(), asks), [""; 0]);
}

#[test]
fn a_release_that_goes_back_is_told_once() {
    let told_of = told(story::releasing(), story::gone_back());
    assert!(told_of[0].starts_with("release_gone_back: mail with "), "{told_of:?}");
    assert_eq!(told(story::gone_back(), story::gone_back()), [""; 0]);
}

#[test]
fn a_replica_that_takes_over_says_so() {
    let mut before = story::status();
    standby(&mut before);
    let now = next(|now| now.journal.epoch = Epoch(4));
    assert_eq!(
        told(before, now),
        ["lease_taken: this replica leads now, in epoch 4; a/1/x led before"]
    );
}

#[test]
fn what_was_so_before_the_start_is_not_news() {
    let nothing = Status::default();
    assert_eq!(events(&nothing, &whole(story::gone_back())), []);
}

#[test]
fn a_configuration_is_told_when_it_is_taken_up_and_when_it_is_refused() {
    let before = whole(story::status());
    let mut taken = before.clone();
    taken.config.taken_up_at = Some(build::now());
    taken.config.changed = (1..=7).map(|n| format!("web.a{n}: 1 -> 2")).collect();
    let mut refused = taken.clone();
    refused.config.refused = Some("error: clusters[0].mode: wrong\n --> t.yaml:4:1".into());
    let lines = |before, now| events(before, now).iter().map(Notice::line).collect::<Vec<_>>();
    let told = lines(&before, &taken);
    assert!(told[0].ends_with("web.a5: 1 -> 2; and 2 more") && told.len() == 1, "{told:?}");
    assert_eq!(
        lines(&taken, &refused),
        ["Tidegate: configuration refused, the last good one is in force: error: \
          clusters[0].mode: wrong"]
    );
    assert_eq!(lines(&refused, &refused), [""; 0]);
    assert_eq!(lines(&refused, &taken), [""; 0]);
}

#[test]
fn the_same_is_news_once_an_hour() {
    let mut quiet = Quiet::default();
    let at = |minutes, about| {
        let at = build::now() + TimeDelta::minutes(minutes);
        Notice::new(at, Event::ActionFailed, Some(&"web".into()), about, "")
    };
    let heard = [(0, "a"), (1, "a"), (1, "b"), (59, "a"), (60, "a"), (61, "a")];
    let heard = heard.map(|(minutes, about)| quiet.is_news(&at(minutes, about)));
    assert_eq!(heard, [true, false, true, false, true, false]);
}
