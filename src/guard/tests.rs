//! A table of what the guard refuses: one change to a case in which everything is permitted.

use std::collections::BTreeSet;

use chrono::TimeDelta;

use super::*;
use crate::config::window::{Span, WeekMinute};
use crate::config::{PoolConfig, Window};
use crate::model::build::*;
use crate::model::*;

mod release;

/// A case and an action that pass: mode act, all kinds allowed, a complete observation.
struct Story {
    config: ClusterConfig,
    snapshot: Snapshot,
    memory: Memory,
    lease: Lease,
    switch: Switch,
    planned: Planned,
}

fn raise() -> Story {
    let action = Action::SetPoolCapacity { pool: workers(), was: Units(3), now: Units(5) };
    story(action, ActionKind::ScaleOut)
}

fn mark() -> Story {
    let mark = DrainMark { cause: DrainCause::ScaleIn, deadline: now() + TimeDelta::minutes(9) };
    let hosts = BTreeSet::from(["i-1".into()]);
    story(Action::MarkHosts { hosts, mark: Some(mark) }, ActionKind::ScaleIn)
}

fn terminate() -> Story {
    let (pool, host) = (workers(), "i-1".into());
    let desired_was = Units(3);
    let action = Action::TerminateHost { pool, host, desired_was, replace: false, forced: false };
    story(action, ActionKind::ScaleIn)
}

fn story(action: Action, kind: ActionKind) -> Story {
    let mut config = ClusterConfig::new("web", vec![PoolConfig::new(workers())]);
    config.mode = Mode::Act;
    config.allow = BTreeSet::from([ActionKind::ScaleOut, ActionKind::ScaleIn, ActionKind::Repair]);
    let mut snapshot = snapshot().with_pool(pool(3));
    for n in 1..=3 {
        snapshot = snapshot.with_host(host(&format!("i-{n}")));
    }
    let memory = Memory { mode: Mode::Act, ..Memory::default() };
    let lease = Lease::exclusive(Epoch(0));
    let planned = Planned { action, kind, why: Why::Unprotected, by: Origin::Capacity };
    let switch = Switch::default();
    Story { config, snapshot, memory, lease, switch, planned }
}

/// The code of the reason against, or "admitted".
#[track_caller]
fn check(want: &str, mut story: Story, change: impl FnOnce(&mut Story)) {
    change(&mut story);
    let Story { config, snapshot, memory, lease, switch, planned } = &story;
    let case = Case { config, snapshot, memory, lease, switch, now: now() };
    let verdict = match admit(case, planned.clone()) {
        Ok(_) => "admitted",
        Err(hold) => hold.reason.code(),
    };
    assert_eq!(verdict, want);
}

fn gap() -> Gap {
    Gap { source: "ecs:DescribeServices".to_owned(), failure: Failure::Throttled }
}

fn returned() -> Story {
    let action = Action::SetNewHostProtection { pool: workers(), was: true, now: false };
    let mut story = story(action, ActionKind::Handback);
    story.snapshot.pools.value.get_mut(&workers()).unwrap().protects_new_hosts = true;
    let flag = (Subject::Pool(workers()), Attribute::NewHostProtection);
    story.memory.originals.insert(flag, false.into());
    story.planned.by = Origin::Operator("ada".to_owned());
    story.memory.handback = Some(Handback {
        by: "ada".to_owned(),
        reason: "enough".to_owned(),
        at: now(),
        scope: Scope::Cluster,
        side: None,
        ended: None,
    });
    story
}

#[test]
fn a_handback_needs_no_mode_but_an_order_and_a_first_value() {
    check("admitted", returned(), |story| story.memory.mode = Mode::Observe);
    check("admitted", returned(), |story| story.config.mode = Mode::Observe);
    check("admitted", returned(), |story| {
        let demoted = Some("handed back".to_owned());
        story.memory.pools.insert(workers(), PoolMemory { demoted, ..PoolMemory::default() });
    });
    check("outdated", returned(), |story| story.memory.handback = None);
    check("outdated", returned(), |story| story.memory.originals.clear());
    check("outdated", returned(), |story| {
        story.memory.handback.as_mut().unwrap().ended = Some(now());
    });
    check("outdated", returned(), |story| {
        story.memory.handback.as_mut().unwrap().scope = Scope::Cutover("break".into());
    });
    check("paused", returned(), |story| {
        let (by, reason, at) = ("bob".to_owned(), "stop".to_owned(), now());
        story.memory.pause = Some(Pause { by, reason, at });
    });
}

#[test]
fn a_switch_that_is_set_or_silent_stops_what_is_voluntary() {
    fn switched(story: &mut Story, stop: Option<StopMode>, minutes: i64) {
        story.config.stop_parameter = Some("/tidegate/web/stop".to_owned());
        story.switch.stop = stop.map(|mode| Stop { mode, because: "incident".to_owned() });
        story.switch.answered_at = Some(now() - TimeDelta::minutes(minutes));
    }
    let (pin, observe) = (Some(StopMode::Pin), Some(StopMode::Observe));
    for (stop, minutes, adding, removing) in [
        (None, 0, "admitted", "admitted"),
        (None, 2, "admitted", "admitted"),
        (None, 3, "admitted", "switch_unread"),
        (pin, 0, "admitted", "stopped"),
        (pin, 9, "admitted", "stopped"),
        (observe, 0, "stopped", "stopped"),
    ] {
        check(adding, raise(), |story| switched(story, stop, minutes));
        check(removing, mark(), |story| switched(story, stop, minutes));
        check(removing, terminate(), |story| switched(story, stop, minutes));
    }
    check("admitted", returned(), |story| switched(story, pin, 0));
    check("switch_unread", mark(), |story| {
        switched(story, None, 0);
        story.switch.answered_at = None;
    });
    check("admitted", mark(), |story| {
        switched(story, pin, 0);
        story.config.stop_parameter = None;
    });
}

#[test]
fn what_nothing_speaks_against_is_admitted() {
    check("admitted", raise(), |_| {});
    check("admitted", mark(), |_| {});
    check("admitted", terminate(), |_| {});
}

#[test]
fn people_decide_what_may_be_done() {
    check("newer_record", raise(), |s| s.memory.unknown_record = true);
    check("mode_too_low", raise(), |s| s.config.mode = Mode::Recommend);
    check("mode_too_low", raise(), |s| s.memory.mode = Mode::Observe);
    check("not_allowed", mark(), |s| s.config.allow = BTreeSet::from([ActionKind::ScaleOut]));
    check("paused", raise(), |s| {
        s.memory.pause = Some(Pause { by: "ann".into(), reason: "audit".into(), at: now() });
    });
    check("demoted", raise(), |s| {
        s.memory.pools.entry(workers()).or_default().demoted = Some("contested".into());
    });
}

#[test]
fn a_window_binds_only_what_begins() {
    let closed = |s: &mut Story| {
        let forbid = BTreeSet::from([ActionKind::ScaleIn]);
        let text = "daily 00:00 - 23:59 UTC".to_owned();
        let (start, end) = (WeekMinute(0), WeekMinute(WeekMinute::WEEK - 1));
        let spans = vec![Span { start, end }];
        s.config.windows = vec![Window { forbid, text, spans, zone: chrono_tz::UTC }];
    };
    check("window", mark(), closed);
    check("admitted", terminate(), closed);
    check("admitted", raise(), closed);
}

#[test]
fn a_rival_that_is_not_silenced_has_the_pool() {
    let rival =
        |silenced| Rival::ManagedScaling { pool: workers(), provider: "cp".into(), silenced };
    check("managed_scaling", raise(), |s| s.snapshot.rivals.value.extend([rival(false)]));
    check("admitted", raise(), |s| s.snapshot.rivals.value.extend([rival(true)]));
    check("foreign_write", raise(), |s| {
        s.memory.pools.entry(workers()).or_default().foreign_writes.push_back(now());
    });
}

#[test]
fn blind_means_still_for_removals_and_slow_for_raises() {
    check("blind", mark(), |s| s.snapshot.services.gaps.push(gap()));
    check("admitted", raise(), |s| s.snapshot.services.gaps.push(gap()));
    check("blind", raise(), |s| s.snapshot.hosts.as_of = now() - TimeDelta::minutes(5));
    check("blind", terminate(), |s| s.snapshot.tasks.as_of = now() - TimeDelta::minutes(5));
    check("blind", raise(), |s| s.snapshot.pools.as_of = now() + TimeDelta::hours(1));
    check("implausible", mark(), |s| s.snapshot.hosts.value.clear());
    check("clock_jumped", mark(), |s| s.snapshot.taken_at = now() + TimeDelta::minutes(1));
}

#[test]
fn many_lost_hosts_speak_against_the_observer() {
    check("unhealthy_halt", mark(), |s| {
        for n in 4..=9 {
            let lost = Host { agent_connected: false, ..host(&format!("i-{n}")) };
            s.snapshot.hosts.value.insert(lost.instance.clone(), lost);
        }
    });
}

#[test]
fn a_request_in_doubt_blocks_its_subject() {
    check("in_doubt", terminate(), |s| {
        let doubt = Doubt { planned: s.planned.clone(), since: now() };
        s.memory.in_doubt.insert(Seq(7), doubt);
    });
}

#[test]
fn limits_have_the_last_word() {
    check("at_maximum", raise(), |s| s.config.pools[0].max = Some(4));
    check("retiring", raise(), |s| s.config.pools[0].retiring = true);
    check("at_minimum", terminate(), |s| {
        s.snapshot.pools.value.get_mut(&workers()).unwrap().min = Units(3);
    });
    check("budget_spent", raise(), |s| s.config.budgets.launched_units_per_hour = 1);
    // A sum too large for its number is no small one.
    check("budget_spent", raise(), |s| {
        s.memory.launches.extend([(now(), u32::MAX), (now(), 2)]);
    });
    check("budget_spent", mark(), |s| s.config.budgets.draining_hosts = 0);
    check("budget_spent", mark(), |s| {
        s.memory.removals.extend(std::iter::repeat_n(now(), 20));
    });
    check("breaker_open", raise(), |s| {
        let open_until = Some(now() + TimeDelta::minutes(1));
        let breaker = Breaker { failures: 3, last: "throttled".into(), open_until };
        s.memory.breakers.insert("set_pool_capacity".into(), breaker);
    });
    check("zones_rebalance", mark(), |s| {
        s.snapshot.pools.value.get_mut(&workers()).unwrap().suspended.clear();
        s.snapshot.hosts.value.get_mut(&"i-2".into()).unwrap().protected = false;
    });
}

const LISTENER: &str = "arn:listener";
const GROUP: &str = "arn:aws:elasticloadbalancing:r:1:targetgroup/web-users/1";

/// `users` left the configuration 25 hours ago, and nothing uses what was made for it.
fn removal(action: Action) -> Story {
    let mut story = story(action, ActionKind::Cutover);
    story.config.allow.insert(ActionKind::Cutover);
    let group = TargetGroup {
        arn: GROUP.into(),
        name: "web-users".into(),
        owner: Owner::Tidegate(Purpose::Group("users".into())),
        settings: GroupSettings::default(),
        load_balancer: None,
        health: Some(Health::default()),
        load: Vec::new(),
    };
    let listener = Listener {
        arn: LISTENER.into(),
        load_balancer: "arn:balancer".into(),
        protocol: "HTTP".into(),
        port: 80,
        default: RuleImage::forward_to(&"arn:others".into()),
        rules: Vec::new(),
    };
    let traffic = &mut story.snapshot.traffic.value;
    traffic.groups.insert(group.arn.clone(), group);
    traffic.listeners.insert(listener.arn.clone(), listener);
    let (service, listener, group) = ("users".into(), LISTENER.into(), "web-users".into());
    let at = KeptAt { service, listener, group };
    story.memory.kept.insert(at, Some(now() - TimeDelta::hours(25)));
    story
}

fn delete_group() -> Story {
    removal(Action::DeleteTargetGroup { group: GROUP.into(), service: "users".into() })
}

fn delete_rule() -> Story {
    let purpose = Purpose::Park("users".into());
    let was = RuleImage::forward_to(&GROUP.into());
    let (listener, rule) = (LISTENER.into(), "arn:rule".into());
    let mut story = removal(Action::DeleteRule { listener, rule, purpose: purpose.clone(), was });
    named(&mut story, Owner::Tidegate(purpose));
    story
}

fn named(story: &mut Story, owner: Owner) {
    let listeners = story.snapshot.traffic.value.listeners.values_mut();
    let image = RuleImage::forward_to(&GROUP.into());
    let (arn, priority, conditions) = ("arn:rule".into(), 7, BTreeSet::new());
    let rule = Rule { arn, priority, conditions, image, owner };
    listeners.for_each(|listener| listener.rules.push(rule.clone()));
}

fn unused(story: &mut Story) -> &mut TargetGroup {
    story.snapshot.traffic.value.groups.values_mut().next().unwrap()
}

fn marked(story: &mut Story, since: Option<chrono::DateTime<chrono::Utc>>) {
    story.memory.kept.values_mut().for_each(|mark| *mark = since);
}

#[test]
fn what_was_made_for_a_service_goes_only_when_marked_long_enough_and_unused() {
    for story in [delete_group, delete_rule] {
        check("admitted", story(), |_| {});
        check("retained", story(), |s| marked(s, Some(now() - TimeDelta::hours(23))));
        check("implausible", story(), |s| marked(s, None));
        check("implausible", story(), |s| s.memory.kept.clear());
        check("blind", story(), |s| s.snapshot.traffic.gaps.push(gap()));
        check("blind", story(), |s| s.snapshot.services.gaps.push(gap()));
        check("not_seen", story(), |s| unused(s).health = None);
        check("still_used", story(), |s| {
            unused(s).health = Some(Health { draining: 1, ..Health::default() });
        });
        check("still_used", story(), |s| {
            let targets = ServiceTargets { group: GROUP.into(), container: "c".into(), port: 1 };
            let service = Service { targets: vec![targets], ..service("users", 0, 0) };
            s.snapshot.services.value.insert("users".into(), service);
        });
        check("still_used", story(), |s| {
            let routes = ["users".into()];
            let open = CutoverMemory::started("ann", "t", &routes, now());
            s.memory.cutovers.insert("break".into(), open);
        });
    }
    check("still_used", delete_group(), |s| named(s, Owner::Other));
    check("still_used", delete_group(), |s| unused(s).load_balancer = Some("arn:other".into()));
    check("implausible", delete_group(), |s| unused(s).owner = Owner::Other);
    // Its rule goes first.
    check("implausible", delete_group(), |s| {
        named(s, Owner::Tidegate(Purpose::Park("users".into())))
    });
    check("outdated", delete_rule(), |s| {
        s.snapshot.traffic.value.listeners.values_mut().for_each(|seen| seen.rules.clear());
    });
    let other = |s: &mut Story| {
        let listeners = s.snapshot.traffic.value.listeners.values_mut();
        listeners.for_each(|seen| seen.rules[0].owner = Owner::Other);
    };
    check("implausible", delete_rule(), other);
}

#[test]
fn a_writer_that_lost_its_lease_writes_nothing() {
    check("lease_lost", raise(), |s| s.lease.valid_until = Some(now()));
    check("lease_lost", raise(), |s| s.memory.epoch = Epoch(1));
    let leave = |seconds| {
        move |s: &mut Story| {
            s.lease.valid_until = Some(now() + TimeDelta::seconds(seconds));
            s.lease.write_time = std::time::Duration::from_secs(7);
        }
    };
    check("lease_ends", raise(), leave(6));
    check("admitted", raise(), leave(7));
    check("lease_lost", raise(), leave(-1));
}

fn moved_rule(owner: Owner) -> Story {
    let purpose = Purpose::Service("users".into());
    let (listener, rule) = (LISTENER.into(), "arn:rule".into());
    let action = Action::SetRulePriority { listener, rule, purpose, was: 7, now: 40 };
    let mut story = removal(action);
    named(&mut story, owner);
    story
}

#[test]
fn a_rule_of_a_service_is_moved_only_if_ours_as_it_was_seen_and_no_cutover_is_open() {
    let ours = || moved_rule(Owner::Tidegate(Purpose::Service("users".into())));
    let rules = |s: &mut Story, change: fn(&mut Rule)| {
        let listeners = s.snapshot.traffic.value.listeners.values_mut();
        listeners.flat_map(|listener| &mut listener.rules).for_each(change);
    };
    check("admitted", ours(), |_| {});
    check("implausible", moved_rule(Owner::Other), |_| {});
    check("implausible", moved_rule(Owner::Tidegate(Purpose::Park("users".into()))), |_| {});
    check("outdated", ours(), |s| rules(s, |rule| rule.priority = 8));
    check("outdated", ours(), |s| rules(s, |rule| rule.arn = "arn:other".into()));
    check("blind", ours(), |s| s.snapshot.traffic.gaps.push(gap()));
    check("cutover_shifts", ours(), |s| {
        let mut cutover = crate::sim::tutorial::cutover();
        cutover.listener = LISTENER.into();
        let open = CutoverMemory::started("a person", "token", &["users".into()], now());
        s.memory.cutovers.insert(cutover.name.clone(), open);
        s.config.cutovers.push(cutover);
    });
}
