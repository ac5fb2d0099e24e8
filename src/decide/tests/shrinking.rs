//! Hosts that are not needed are marked, or kept for a reason.

use expect_test::expect;

use super::*;
use crate::config::{Evict, Headroom, Like};

#[test]
fn a_host_that_became_unneeded_waits_for_its_window() {
    check(
        &config(),
        &one_to_spare(),
        &unneeded(&["i-3"], 2),
        expect![[r#"
        hold scale_in i-3
           unneeded since 2026-11-21 08:58:00Z, goes at 2026-11-21 09:03:00Z
    "#]],
    );
}

#[test]
fn a_host_proved_unneeded_long_enough_is_marked() {
    check(
        &config(),
        &one_to_spare(),
        &unneeded(&["i-3"], 5),
        expect![[r#"
        do mark i-3 for drain (scale_in)
           its task fits elsewhere, proved since 08:55:00Z, -$0.0960/h
    "#]],
    );
}

#[test]
fn a_drain_that_would_hang_is_held_before_it_begins() {
    let mut fixed = service("small", 1, 1);
    fixed.maximum_percent = 100;
    let snapshot = one_to_spare().with_service(fixed, TaskShape::plain(256, 256));
    check(
        &config(),
        &snapshot,
        &unneeded(&["i-3"], 5),
        expect![[r#"
        hold scale_in i-1
           unneeded since 2026-11-21 09:00:00Z, goes at 2026-11-21 09:05:00Z
        hold scale_in i-3
           small has minimum 100 % and maximum 100 % healthy, so its tasks could neither stop nor start and a drain would hang; raise the maximum
    "#]],
    );
}

#[test]
fn the_groups_minimum_holds_before_the_drain_not_after() {
    let snapshot = one_to_spare().with_pool(Pool { min: Units(3), ..pool(3) });
    check(
        &config(),
        &snapshot,
        &unneeded(&["i-3"], 5),
        expect![[r#"
        hold scale_in workers
           the pool is at its minimum 3
    "#]],
    );
}

#[test]
fn tasks_nobody_would_start_again_keep_their_host() {
    let mut snapshot = one_to_spare();
    let tasks = snapshot.tasks.value.get_mut(&InstanceId::from("i-3")).unwrap();
    tasks[0].owner = TaskOwner::Standalone("family:report".to_owned());
    check(
        &config(),
        &snapshot,
        &unneeded(&["i-3"], 5),
        expect![[r#"
        hold scale_in i-1
           unneeded since 2026-11-21 09:00:00Z, goes at 2026-11-21 09:05:00Z
        hold scale_in i-3
           family:report is a standalone task that nobody would start again
    "#]],
    );
    let mut config = config();
    let never = config.services.entry("small".into()).or_default();
    never.evict = Evict::Never;
    check(
        &config,
        &one_to_spare(),
        &unneeded(&["i-3"], 5),
        expect![[r#"
        hold scale_in i-1
           unneeded since 2026-11-21 09:00:00Z, goes at 2026-11-21 09:05:00Z
        hold scale_in i-3
           small is never evicted
    "#]],
    );
}

#[test]
fn a_deployment_by_anyone_makes_voluntary_drains_wait() {
    let mut small = service("small", 1, 1);
    small.deployments[0].rollout = Rollout::InProgress;
    let snapshot = one_to_spare().with_service(small, TaskShape::plain(256, 256));
    check(
        &config(),
        &snapshot,
        &unneeded(&["i-3"], 5),
        expect![[r#"
        hold scale_in i-1
           unneeded since 2026-11-21 09:00:00Z, goes at 2026-11-21 09:05:00Z
        hold scale_in i-3
           small is deploying
    "#]],
    );
}

#[test]
fn protection_comes_on_before_the_first_removal() {
    let open = Pool { protects_new_hosts: false, ..pool(3) };
    let bare = Host { protected: false, ..host("i-1") };
    let mut snapshot = one_to_spare().with_pool(open);
    snapshot.hosts.value.get_mut(&bare.instance).unwrap().protected = false;
    check(
        &config(),
        &snapshot,
        &unneeded(&["i-3"], 5),
        expect![[r#"
        do workers scale-in protection of new instances on
           hosts must be protected before any may be removed by id
        do workers protect i-1 from scale-in
           hosts must be protected before any may be removed by id
        hold scale_in i-3
           AZRebalance may end hosts with tasks on this unprotected group
    "#]],
    );
}

#[test]
fn the_headroom_is_kept_when_a_host_goes() {
    let mut config = config();
    config.headroom = vec![Headroom { like: Like::TasksOf("web".into()), count: 3 }];
    check(&config, &one_to_spare(), &unneeded(&["i-3"], 5), expect![""]);
}
