use chrono::TimeDelta;
use expect_test::{expect, expect_file};

use super::story;
use super::*;
use crate::cloud::Calls;
use crate::control::{Cluster, TickReport, Verdict};
use crate::guard::Lease;
use crate::journal::JournalError;
use crate::journal::Standing;
use crate::model::{Memory, Outcome, Plan, Reason, Subject, Switch, build};

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap()
}

#[test]
fn reservation_counts_only_hosts_that_take_tasks() {
    let status = story::status();
    // i-0a: 2 x 768 cpu, i-0b: 2 x 768 + 256 of 2,048 each; the draining and the lost host and the
    // one that launches are no capacity.
    let reservation = status.reservation;
    assert_eq!(reservation.hosts, 2);
    assert_eq!(reservation.reserved, Resources::new(3_328, 8_704));
    assert_eq!(reservation.cpu_percent, Some(81.3));
    assert_eq!(reservation.memory_percent, Some(55.9));
    assert_eq!(reservation.largest_hole, Some(Resources::new(512, 3_686)));
    expect![[r#"{"all":5,"usable":2,"launching":1,"draining":1,"agent_lost":1,"other":0}"#]]
        .assert_eq(&json(&status.host_counts));
    expect![[r#"{"desired":8,"running":6,"pending":0,"unplaced":2,"unplaced_since":"2026-11-21T08:59:19Z"}"#]]
        .assert_eq(&json(&status.tasks));
}

#[test]
fn a_cluster_without_hosts_has_no_reservation_rather_than_a_full_one() {
    let status = ClusterStatus::of(
        &story::config(),
        &build::snapshot(),
        &Memory::default(),
        &Plan::default(),
        &[],
        build::now(),
    );
    assert_eq!(status.reservation.cpu_percent, None);
    assert_eq!(status.reservation.largest_hole, None);
}

#[test]
fn what_lacks_only_permission_is_told_apart_from_what_is_held() {
    let plan = story::status().plan;
    let lines = |views: &[ActionView]| -> Vec<String> {
        let line = |view: &ActionView| format!("{} ({:?})", view.text, view.needs);
        views.iter().map(line).collect()
    };
    assert_eq!(lines(&plan.would_do), ["workers desired capacity 5 -> 6 (None)"]);
    assert_eq!(lines(&plan.not_allowed), ["drain i-0d (Some(\"repair in `allow`\"))"]);
    let held = plan.held.first().unwrap();
    assert_eq!(held.subject, "i-0b");
    assert_eq!(held.since, Some(build::now() - TimeDelta::minutes(12)));

    let hold = Hold::new(Subject::Cluster, ActionKind::ScaleOut, Reason::LeaseLost);
    let action = plan.would_do.first().unwrap().planned.clone();
    let status = ClusterStatus::of(
        &story::config(),
        &build::snapshot(),
        &Memory::default(),
        &Plan::default(),
        &[(action, Err(hold.clone()))],
        build::now(),
    );
    assert_eq!(status.plan.held.first().map(|view| &view.hold), Some(&hold));
}

#[test]
fn cost_follows_what_is_allowed_and_what_is_not() {
    // Five hosts at $0.096 and one more; without the lost one if repair were allowed.
    let cost = story::status().cost;
    assert_eq!(cost.now_micro_usd_per_hour, 5 * 96_000);
    assert_eq!(cost.after_micro_usd_per_hour, 6 * 96_000);
    assert_eq!(cost.if_allowed_micro_usd_per_hour, 5 * 96_000);
    assert_eq!(cost.unpriced_hosts, 0);
}

#[test]
fn the_lowest_mode_wins() {
    let of = |memory: &Memory| {
        let (config, snapshot) = (story::config(), build::snapshot());
        ClusterStatus::of(&config, &snapshot, memory, &Plan::default(), &[], build::now()).mode
    };
    assert_eq!(of(&story::memory()).effective, Mode::Act);
    assert_eq!(of(&Memory::default()).effective, Mode::Observe);
}

#[test]
fn a_gap_is_told_and_counted() {
    let mut snapshot = story::snapshot();
    snapshot.services.gaps.push(story::gap());
    let mut status = ClusterStatus::of(
        &story::config(),
        &snapshot,
        &story::memory(),
        &Plan::default(),
        &[],
        build::now(),
    );
    assert!(!status.seen.complete);
    assert_eq!(
        status.seen.gaps,
        ["ecs:DescribeServices failed: not permitted: ecs:DescribeServices"]
    );
    let took = std::time::Duration::from_secs(3);
    status.counters.tick(&snapshot, true, took, build::now());
    expect![[r#"{"ticks":1,"good_ticks":0,"last_good_tick_at":null,"tick_durations":{"count":1,"sum_microseconds":3000000,"buckets":[0,0,0,0,0,0,0,1,0,0]},"actions":{},"guard_rejections":{},"failed_reads":{"ecs:DescribeServices":{"access_denied":1}},"throttles":0,"aws_requests":{}}"#]]
        .assert_eq(&json(&status.counters));
}

#[test]
fn the_chart_is_bounded_and_evenly_spaced() {
    let spacing = TimeDelta::seconds(15);
    let at = |seconds: i64| {
        let now = build::now() + TimeDelta::seconds(seconds);
        let mut status = story::status();
        status.history.drain(..status.history.len() - 1);
        status.at = now;
        status.history.iter_mut().for_each(|point| point.at = now);
        status
    };
    let mut status = at(0);
    for seconds in 1..=60 {
        status = at(seconds).after(&status, spacing);
    }
    let shown: Vec<_> =
        status.history.iter().map(|p| (p.at - build::now()).num_seconds()).collect();
    assert_eq!(shown, [0, 15, 30, 45, 60]);
    status.history = vec![status.history[0]; HISTORY_MAX];
    assert_eq!(at(90).after(&status, spacing).history.len(), HISTORY_MAX);
}

#[test]
fn a_decision_is_news_only_when_actions_fates_or_holds_change() {
    let status = story::status();
    let decision = status.decisions.first().unwrap().clone();
    assert!(decision.differs_from(Some(&decision)), "it wrote to AWS");
    let quiet = Decision::of(&status, decision.actions[1..].to_vec());
    assert!(quiet.differs_from(Some(&decision)));
    let mut later = status.clone();
    later.at += TimeDelta::minutes(1);
    let again = Decision::of(&later, quiet.actions.clone());
    assert!(!again.differs_from(Some(&quiet)));
    assert!(Decision::of(&later, vec![]).differs_from(Some(&quiet)));
    assert!(quiet.id.starts_with("d-20261121-090003-"), "{}", quiet.id);
    assert_ne!(quiet.id, decision.id);
}

#[test]
fn a_decision_comes_back_from_the_ring_as_it_went_in() {
    let status = story::status();
    let decision = status.decisions.first().unwrap();
    let stored = serde_json::to_value(decision).unwrap();
    assert_eq!(&serde_json::from_value::<Decision>(stored).unwrap(), decision);
}

#[test]
fn clusters_are_awaited_until_they_are_published() {
    let names = ["web".into(), "batch".into()];
    let (publisher, status) = Publisher::new(names, build::now());
    publisher.publish(story::status(), build::now());
    publisher.narrate("the tide turns");
    let shown = status.borrow().clone();
    assert_eq!(shown.awaited, BTreeSet::from(["batch".into()]));
    assert_eq!(shown.generation, 2);
    assert!(shown.cluster("web").is_some());
    assert_eq!(shown.narration.as_deref(), Some("the tide turns"));
}

fn report(trouble: Option<JournalError>) -> (Cluster, TickReport) {
    let planned = story::status().plan.would_do[0].planned.clone();
    let acted = Verdict::Acted { intent: Seq(42), outcome: Outcome::done() };
    let verdicts = match trouble {
        None => vec![(planned.clone(), acted)],
        Some(_) => vec![],
    };
    let cluster = Cluster {
        standing: Standing::Leads,
        config: story::config(),
        memory: story::memory(),
        lease: Lease::exclusive(Epoch(3)),
        switch: Switch::default(),
        seen: None,
        looked_at: None,
        hearing: crate::control::hearing::Hearing::default(),
    };
    let report = TickReport {
        began_at: build::now(),
        ended_at: build::now() + TimeDelta::milliseconds(300),
        snapshot: story::snapshot(),
        plan: Plan { actions: vec![planned], ..Plan::default() },
        verdicts,
        trouble,
        calls: Calls::new(),
    };
    (cluster, report)
}

#[test]
fn a_tick_is_told_with_what_became_of_its_plan() {
    let (publisher, status) = Publisher::new(["web".into()], build::now());
    let (cluster, acted) = report(None);
    let earlier = story::status().decisions;
    let kept = serde_json::to_value(&earlier[0]).unwrap();
    publisher.remember(&cluster.config.name, vec![kept, "not one".into()]);
    let decision = publisher.tell(&cluster, &acted, build::now()).unwrap();
    let shown = status.borrow().clusters[0].clone();
    assert_eq!(shown.decisions, [decision, earlier[0].clone()]);
    assert_eq!(shown.plan.would_do.len(), 1);
    assert_eq!(shown.counters.good_ticks, 1);
    assert_eq!(shown.counters.tick_durations.sum_microseconds, 300_000);
}

#[test]
fn without_a_journal_nothing_is_said_to_be_done() {
    let (publisher, status) = Publisher::new(["web".into()], build::now());
    let (cluster, failed) = report(Some(JournalError::Storage("disk full".into())));
    let decision = publisher.tell(&cluster, &failed, build::now()).unwrap();
    assert_eq!(decision.actions[0].fate, Fate::NotReached);
    let again = publisher.tell(&cluster, &failed, build::now());
    assert_eq!(again, None, "the same trouble is no news");
    let shown = status.borrow().clusters[0].clone();
    assert!(shown.plan.would_do.is_empty());
    let needs = shown.plan.not_allowed[0].needs.as_deref();
    assert_eq!(needs, Some("a journal that works"));
    assert!(shown.journal.trouble.unwrap().contains("disk full"));
    assert_eq!((shown.counters.ticks, shown.counters.good_ticks), (2, 0));
}

#[test]
fn a_handover_still_to_make_is_listed_with_its_pool() {
    let mut snapshot = story::snapshot();
    let managed = |silenced| Rival::ManagedScaling {
        pool: build::workers(),
        provider: "cp".into(),
        silenced,
    };
    snapshot.rivals.value.insert(managed(false));
    let (mut cluster, mut told) = report(None);
    cluster.memory = Memory::default();
    told.snapshot = snapshot;
    let (publisher, status) = Publisher::new(["web".into()], build::now());
    publisher.tell(&cluster, &told, build::now());
    let handover = status.borrow().clusters[0].pools[0].handover.clone();
    assert_eq!(handover, ["workers suspend AlarmNotification"]);
}

#[test]
fn the_most_silent_loop_says_how_long_it_is_quiet() {
    let at = |minutes| build::now() + TimeDelta::minutes(minutes);
    let (publisher, status) = Publisher::new(["web".into(), "batch".into()], at(0));
    assert_eq!(status.borrow().silent_since(), at(0));
    publisher.publish(story::status(), at(3));
    assert_eq!(status.borrow().silent_since(), at(0), "batch is awaited");
    let mut batch = story::status();
    batch.name = "batch".into();
    publisher.publish(batch, at(1));
    publisher.publish(story::status(), at(9));
    assert_eq!(status.borrow().silent_since(), at(1));
}

/// What the tests of the program are shown by their server.
#[test]
fn a_cutover_under_way_comes_back_from_json_as_it_went_in() {
    let status = story::cutting();
    let told = serde_json::to_string_pretty(&status).unwrap() + "\n";
    expect_file!["../../../tests/program/cutting.json"].assert_eq(&told);
    assert_eq!(serde_json::from_str::<ClusterStatus>(&told).unwrap(), status);
}

#[test]
fn a_release_under_way_comes_back_from_json_as_it_went_in() {
    for status in [story::releasing(), story::gone_back()] {
        let json = serde_json::to_string(&status).unwrap();
        assert_eq!(serde_json::from_str::<ClusterStatus>(&json).unwrap(), status);
    }
    // The command line's tests serve this.
    let json = serde_json::to_string_pretty(&story::releasing()).unwrap() + "\n";
    expect_test::expect_file!["../../../tests/program/releasing.json"].assert_eq(&json);
}
