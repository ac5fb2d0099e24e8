//! Requests through load balancers: who answers them, which are lost, and what AWS tells of it.

use super::super::routing::{Request, Shares, matches, route};
use super::super::tutorial;
use super::*;

/// The monolith with 4 tasks, and 100 requests a second on each of four routes.
pub(super) fn busy() -> World {
    let mut world = tutorial::world(7, now(), 4);
    tutorial::add_requests(&mut world, 100);
    world
}

/// The same with the three services ready, their groups named by a park rule.
pub(super) fn ready() -> World {
    let mut world = busy();
    tutorial::add_services(&mut world, 2);
    park(&mut world);
    minutes(&mut world, 2);
    world
}

pub(super) fn group(world: &World, name: &str) -> TargetGroupArn {
    world.target_group(name).unwrap().arn
}

pub(super) fn health(world: &World, name: &str) -> Health {
    world.target_group(name).unwrap().health.unwrap()
}

fn healthy(count: u64) -> Health {
    Health { healthy: count, ..Health::default() }
}

/// Names the groups of the three services, for a header nobody sends.
pub(super) fn park(world: &mut World) {
    let groups = tutorial::SERVICES.map(|(name, _)| (group(world, name), 1));
    let values = BTreeSet::from(["nobody".to_owned()]);
    let create = Action::CreateRule {
        listener: tutorial::listener(),
        purpose: Purpose::Park("all".into()),
        priority: 50_000,
        conditions: BTreeSet::from([Condition::Header { name: "x-tidegate".to_owned(), values }]),
        image: RuleImage::split(groups),
    };
    assert_eq!(world.apply(&create), done());
}

pub(super) fn purpose(name: &str) -> Purpose {
    Purpose::Route(RouteId { cutover: "monolith".into(), to: name.into() })
}

/// `blue` of a hundred for the monolith, the rest for the service.
pub(super) fn split(world: &World, name: &str, blue: u32) -> RuleImage {
    RuleImage::split([(group(world, "api"), blue), (group(world, name), 100 - blue)])
}

pub(super) fn route_rule(world: &World, name: &str, priority: u16) -> Action {
    let (_, pattern) = tutorial::SERVICES.iter().find(|(of, _)| *of == name).unwrap();
    Action::CreateRule {
        listener: tutorial::listener(),
        purpose: purpose(name),
        priority,
        conditions: BTreeSet::from([Condition::Path { values: [(*pattern).to_owned()].into() }]),
        image: split(world, name, 100),
    }
}

pub(super) fn write(world: &World, name: &str, now: RuleImage) -> Action {
    let listener = world.listener(&tutorial::listener()).unwrap();
    let owner = Owner::Tidegate(purpose(name));
    let rule = listener.rules.iter().find(|rule| rule.owner == owner).unwrap();
    Action::WriteRule {
        listener: listener.arn.clone(),
        rule: rule.arn.clone(),
        purpose: purpose(name),
        was: Some(rule.image.clone()),
        now,
    }
}

pub(super) fn lost(world: &World, cause: Cause) -> u64 {
    world.answers().lost.get(&cause).copied().unwrap_or_default()
}

fn good(world: &World, name: &str) -> u64 {
    world.answers().good.get(&group(world, name)).copied().unwrap_or_default()
}

pub(super) fn look(world: &World, asks: Vec<Ask>) -> Traffic {
    let need = TrafficNeed {
        listeners: BTreeSet::from([tutorial::listener()]),
        load_since: Some(world.now() - TimeDelta::hours(1)),
        load_period_seconds: 60,
        asks,
        ..TrafficNeed::default()
    };
    world.snapshot(&need_of(need)).traffic.value
}

fn need_of(traffic: TrafficNeed) -> Need {
    Need {
        cluster: "demo".into(),
        pools: BTreeSet::new(),
        tasks_of: BTreeSet::new(),
        traffic: Some(traffic),
        releases: None,
        only_traffic: true,
    }
}

#[test]
fn patterns_match_as_load_balancers_match() {
    let table = [
        ("/api*", "/api", true),
        ("/api*", "/apiary", true),
        ("/api/*", "/api", false),
        ("/api/posts*", "/api/postscript", true),
        ("/api/?", "/api/x", true),
        ("/api/?", "/api/", false),
        ("*", "", true),
        ("*/in-thread/*", "/api/posts/in-thread/1", true),
        ("/a*b*c", "/aXbYbZc", true),
        ("/a*b*c", "/aXbYbZ", false),
        ("/API", "/api", false),
    ];
    for (pattern, text, expected) in table {
        assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
    }
}

#[test]
fn the_lowest_priority_whose_conditions_all_hold_takes_the_request() {
    let world = tutorial::world(7, now(), 1);
    let mut listener = world.listener(&tutorial::listener()).unwrap().clone();
    let answer = |status| RuleImage {
        actions: vec![RuleAction::FixedResponse {
            status,
            content_type: String::new(),
            body: String::new(),
        }],
    };
    let condition = |field: &str, value: &str| {
        let values = BTreeSet::from([value.to_owned()]);
        match field {
            "path" => Condition::Path { values },
            "host" => Condition::Host { values },
            _ => Condition::Header { name: "X-Probe".to_owned(), values },
        }
    };
    let rules = [
        (1, vec![condition("path", "/api/users*"), condition("header", "token")]),
        (2, vec![condition("host", "*.EXAMPLE.com"), condition("path", "/api/users*")]),
        (3, vec![condition("path", "/api*")]),
    ];
    let rules = rules.map(|(priority, conditions)| Rule {
        arn: format!("rule-{priority}").into(),
        priority,
        conditions: conditions.into_iter().collect(),
        image: answer(priority),
        owner: Owner::Other,
    });
    (listener.rules, listener.default) = (rules.into(), answer(9));
    let table = [
        ("demo.example.com", "/api/users/1", Some(("x-probe", "TOKEN")), 1),
        ("demo.example.com", "/api/users/1", Some(("x-probe", "other")), 2),
        ("demo.example.com", "/api/users/1", None, 2),
        ("other.org", "/api/users/1", None, 3),
        ("other.org", "/", None, 9),
    ];
    for (host, path, header, expected) in table {
        let found = route(&listener, &Request { host, path, header });
        assert_eq!(*found, answer(expected), "{host}{path} {header:?}");
    }
}

#[test]
fn weights_share_out_every_request_and_nothing_without_weight() {
    let mut shares = Shares::default();
    let weights = |list: &[(&str, u32)]| {
        list.iter().map(|(name, weight)| ((*name).into(), *weight)).collect()
    };
    let mut sums: std::collections::BTreeMap<TargetGroupArn, u64> = Default::default();
    for _ in 0..1000 {
        let parts = shares.split(&weights(&[("blue", 75), ("dead", 0), ("green", 25)]), 3).unwrap();
        assert_eq!(parts.iter().map(|(_, count)| count).sum::<u64>(), 3);
        for (group, count) in parts {
            *sums.entry(group).or_default() += count;
        }
    }
    assert_eq!(sums, [("blue".into(), 2250), ("green".into(), 750)].into());
    assert_eq!(shares.split(&weights(&[("blue", 0), ("green", 0)]), 3), None);
}

#[test]
fn a_busy_monolith_answers_everything() {
    let mut world = busy();
    minutes(&mut world, 10);
    assert_eq!(health(&world, "api"), healthy(4));
    assert_eq!(world.answers().sent, 4 * 100 * 600);
    assert_eq!(good(&world, "api"), world.answers().sent);
    assert_eq!(world.check(), []);
}

#[test]
fn a_target_is_initial_until_it_has_passed_its_checks_and_unused_without_a_rule() {
    let mut world = busy();
    tutorial::add_services(&mut world, 2);
    minutes(&mut world, 1);
    assert_eq!(health(&world, "users"), Health { unused: 2, ..Health::default() });
    assert_eq!(counts_of(&world, "users"), (2, 2, 0));
    park(&mut world);
    assert_eq!(health(&world, "users"), Health { initial: 2, ..Health::default() });
    pass(&mut world, TimeDelta::seconds(18));
    assert_eq!(health(&world, "users"), healthy(2));
}

#[test]
fn a_rule_is_described_at_once_and_followed_a_few_seconds_later() {
    let mut world = ready();
    assert_eq!(world.apply(&route_rule(&world.clone(), "users", 10)), done());
    minutes(&mut world, 1);
    let green = group(&world, "users");
    assert_eq!(world.apply(&write(&world.clone(), "users", split(&world, "users", 75))), done());
    let weight = |listener: &Listener| listener.rules[0].image.weight_of(&green);
    let (mut seen, listener) = (0, tutorial::listener());
    assert_eq!(weight(world.listener(&listener).unwrap()), 25);
    while weight(world.listener_in_effect(&listener).unwrap()) == 0 {
        pass(&mut world, TimeDelta::seconds(1));
        seen += 1;
    }
    assert!((1..=10).contains(&seen), "{seen} s");
    let before = good(&world, "users");
    minutes(&mut world, 1);
    assert_eq!(good(&world, "users") - before, 60 * 100 / 4);
    assert_eq!(world.answers().lost, Default::default());
    assert_eq!(world.check(), []);
}

#[test]
fn nobody_answers_for_an_empty_group_or_without_weight() {
    for weights in [vec![], vec!["users"]] {
        let mut world = busy();
        tutorial::add_services(&mut world, 0);
        let image = match weights.as_slice() {
            [] => RuleImage::split([(group(&world, "api"), 0), (group(&world, "users"), 0)]),
            _ => RuleImage::forward_to(&group(&world, "users")),
        };
        let edit = Event::EditsRule {
            listener: tutorial::listener(),
            priority: Some(tutorial::MONOLITH_PRIORITY),
            image: Some(image),
        };
        world.happen(edit);
        pass(&mut world, TimeDelta::seconds(10));
        let before = lost(&world, Cause::NoTarget);
        minutes(&mut world, 1);
        assert_eq!(lost(&world, Cause::NoTarget) - before, 4 * 100 * 60, "{weights:?}");
        assert_eq!(world.check(), [], "a person's doing is not held against us");
    }
}

#[test]
fn a_scaled_in_task_drains_before_it_stops_and_loses_nothing() {
    let mut world = busy();
    minutes(&mut world, 1);
    world.happen(Event::SetCount { service: "api".into(), count: 2 });
    minutes(&mut world, 1);
    let draining = Health { healthy: 2, draining: 2, ..Health::default() };
    assert_eq!(health(&world, "api"), draining);
    minutes(&mut world, 5);
    assert_eq!(health(&world, "api"), healthy(2));
    assert_eq!(world.answers().lost, Default::default());
    assert_eq!(world.check(), []);
}

#[test]
fn a_rolling_deployment_waits_for_healthy_targets_and_loses_nothing() {
    let mut world = busy();
    world.happen(Event::Deploy { service: "api".into(), shape: None });
    for _ in 0..600 {
        pass(&mut world, TimeDelta::seconds(1));
        assert!(health(&world, "api").healthy >= 4, "{:?}", health(&world, "api"));
    }
    assert_eq!(health(&world, "api"), healthy(4));
    assert_eq!(world.answers().lost, Default::default());
    assert_eq!(world.check(), []);
}

#[test]
fn a_killed_task_costs_its_share_until_two_checks_have_failed() {
    let mut world = busy();
    world.happen(Event::KillTask { service: "api".into() });
    minutes(&mut world, 5);
    let at_most = 400 / 4 * 2 * 6;
    let lost = lost(&world, Cause::DeadTarget);
    assert!((at_most / 2..=at_most).contains(&lost), "{lost} of at most {at_most}");
    assert_eq!(health(&world, "api"), healthy(4));
}

#[test]
fn while_all_targets_fail_their_checks_all_are_used() {
    let mut world = busy();
    world.happen(Event::FailsChecks { service: "api".into(), on: true });
    pass(&mut world, TimeDelta::seconds(20));
    assert_eq!(health(&world, "api"), Health { unhealthy: 4, ..Health::default() });
    world.happen(Event::FailsChecks { service: "api".into(), on: false });
    minutes(&mut world, 1);
    assert_eq!(health(&world, "api"), healthy(4));
    assert_eq!(world.answers().lost, Default::default());
}

#[test]
fn errors_and_delay_of_a_service_show_in_its_metrics_after_a_minute_or_two() {
    let mut world = busy();
    minutes(&mut world, 10);
    let service = || "api".into();
    let (errors_bp, extra_latency_ms) = (200, 300);
    world.happen(Event::Misbehaves { service: service(), errors_bp, extra_latency_ms });
    let since = world.now();
    let bad = |world: &World| {
        let loads = look(world, vec![]).groups.remove(&group(world, "api")).unwrap().load;
        loads.into_iter().find(|load| load.at >= since)
    };
    let mut waited = 0;
    while bad(&world).is_none() {
        pass(&mut world, TimeDelta::seconds(1));
        waited += 1;
    }
    assert!((120..=180).contains(&waited), "{waited} s after the first bad reply");
    let told = bad(&world).unwrap();
    assert_eq!((told.requests, told.errors_5xx, told.period_seconds), (24_000, 480, 60));
    assert_eq!((told.latency_p50_ms, told.latency_p99_ms), (Some(320), Some(420)));
    assert_eq!(world.answers().lost_by_steering(), 0);
}

#[test]
fn more_than_a_task_can_take_is_refused_and_the_rest_is_slow() {
    let mut world = tutorial::world(7, now(), 4);
    let api = world.services.get_mut(&"api".into()).unwrap();
    api.spec.serves.capacity_per_second = Some(50);
    tutorial::add_requests(&mut world, 100);
    minutes(&mut world, 5);
    assert_eq!(lost(&world, Cause::Service) * 2, world.answers().sent);
    let load = &look(&world, vec![]).groups[&group(&world, "api")].load;
    assert_eq!(load[1].latency_p50_ms, Some(40));
}

#[test]
fn where_nobody_asks_there_is_no_datapoint() {
    let mut world = ready();
    minutes(&mut world, 10);
    let seen = look(&world, vec![]);
    assert_eq!(seen.groups[&group(&world, "users")].load, []);
    assert!(seen.groups[&group(&world, "api")].load.len() >= 7);
}

#[test]
fn slow_and_rare_requests_are_counted_whole() {
    let mut world = tutorial::world(7, now(), 1);
    world.set_requests(tutorial::flow("/api/users"), 7);
    minutes(&mut world, 60);
    assert_eq!((world.answers().sent, good(&world, "api")), (420, 420));
}

#[test]
fn questions_are_answered_by_who_is_asked() {
    let mut world = ready();
    let header = |value: &str| ("x-tidegate".to_owned(), value.to_owned());
    let probe = |url: &str, value: &str| Asked::Probe {
        listener: tutorial::listener(),
        url: url.to_owned(),
        host: None,
        header: header(value),
        expect_status: 200,
    };
    world.says("too-many-errors", Said::Fail, "ALARM");
    let alarm = |name: &str| Asked::Alarm { alarm: name.to_owned() };
    let values = BTreeSet::from(["secret".to_owned()]);
    let users = group(&world, "users");
    let create = Action::CreateRule {
        listener: tutorial::listener(),
        purpose: Purpose::Probe(RouteId { cutover: "monolith".into(), to: "users".into() }),
        priority: 5,
        conditions: BTreeSet::from([Condition::Header { name: "x-tidegate".to_owned(), values }]),
        image: RuleImage::forward_to(&users),
    };
    assert_eq!(world.apply(&create), done());
    pass(&mut world, TimeDelta::seconds(10));
    let url = "http://demo.example.com/api/users";
    let table = [
        (probe(url, "secret"), Said::Pass, "200 by users"),
        (probe(url, "other"), Said::Pass, "200 by api"),
        (alarm("too-many-errors"), Said::Fail, "ALARM"),
        (alarm("unknown"), Said::Nothing, "unknown does not exist"),
    ];
    for (of, said, detail) in table {
        let ask = Ask { name: "it".to_owned(), of };
        let reading = look(&world, vec![ask]).readings.remove("it").unwrap();
        assert_eq!((reading.said, reading.detail.as_str()), (said, detail));
    }
    let service = "users".into();
    world.happen(Event::Misbehaves { service, errors_bp: 10_000, extra_latency_ms: 0 });
    let ask = Ask { name: "it".to_owned(), of: probe(url, "secret") };
    let reading = look(&world, vec![ask]).readings.remove("it").unwrap();
    assert_eq!((reading.said, reading.detail.as_str()), (Said::Fail, "500 by users"));
}

#[test]
fn only_what_is_asked_for_is_seen() {
    let world = ready();
    let none = TrafficNeed { listeners: BTreeSet::from(["arn:none".into()]), ..Default::default() };
    let seen = world.snapshot(&need_of(none));
    assert_eq!(seen.traffic.gaps.len(), 1);
    assert!(seen.traffic.value.listeners.is_empty() && seen.hosts.value.is_empty());
    assert_eq!(seen.services.value.len(), 4);
    let names: Vec<_> = seen.traffic.value.groups.values().map(|g| g.name.as_str()).collect();
    assert_eq!(names, ["api", "posts", "threads", "users"], "by the services' targets");
    let mut need = need_of(TrafficNeed::default());
    need.traffic = None;
    assert_eq!(world.snapshot(&need).traffic.value, Traffic::default());
}

pub(super) fn counts_of(world: &World, name: &str) -> (u64, u64, u64) {
    let seen = world.snapshot(&need_of(TrafficNeed::default()));
    let service = &seen.services.value[&ServiceName::from(name)];
    (service.desired_count, service.running_count, service.pending_count)
}
