//! What ELBv2, ECS and Application Auto Scaling refuse, what they do, and what is held against us.

use super::super::tutorial;
use super::traffic::*;
use super::*;

#[track_caller]
fn answers(action: impl FnOnce(&World) -> Action, expected: &str) {
    let mut world = ready();
    assert_eq!(world.apply(&route_rule(&world.clone(), "users", 10)), done());
    let action = action(&world);
    let before = look(&world, vec![]);
    let outcome = kind(&world.apply(&action));
    assert_eq!(outcome, expected, "{action}");
    if outcome != "done" {
        assert_eq!(look(&world, vec![]), before, "{action}: nothing has changed");
    }
}

#[test]
fn rules_are_written_only_as_they_were_assumed_to_be() {
    let users = |was: Option<u32>, blue| {
        move |world: &World| match write(world, "users", split(world, "users", blue)) {
            Action::WriteRule { listener, rule, purpose, now, .. } => {
                let was = was.map(|was| split(world, "users", was));
                Action::WriteRule { listener, rule, purpose, was, now }
            }
            other => other,
        }
    };
    answers(users(Some(100), 75), "done");
    answers(users(None, 75), "done");
    let found = "moved: rule api 90, users 10 -> rule api 100, users 0";
    answers(users(Some(90), 75), found);
    answers(|world| route_rule(world, "posts", 10), "refused by AWS: PriorityInUse: 10 has a rule");
    answers(|world| route_rule(world, "posts", 11), "done");
    let again = ready_rule();
    answers(|world| route_rule(world, "users", 11), &format!("moved: rule none -> rule {again}"));
    answers(
        |world| match route_rule(world, "posts", 11) {
            Action::CreateRule { listener, purpose, priority, conditions, .. } => {
                let image = RuleImage::forward_to(&"arn:none".into());
                Action::CreateRule { listener, purpose, priority, conditions, image }
            }
            other => other,
        },
        "not found: arn:none",
    );
}

fn ready_rule() -> String {
    let mut world = ready();
    assert_eq!(world.apply(&route_rule(&world.clone(), "users", 10)), done());
    world.listener(&tutorial::listener()).unwrap().rules[0].arn.to_string()
}

#[test]
fn a_deleted_rule_is_ours_and_says_what_it_said() {
    let delete = |of: usize, blue| {
        move |world: &World| {
            let listener = world.listener(&tutorial::listener()).unwrap();
            Action::DeleteRule {
                listener: listener.arn.clone(),
                rule: listener.rules[of].arn.clone(),
                purpose: purpose("users"),
                was: split(world, "users", blue),
            }
        }
    };
    answers(delete(0, 100), "done");
    answers(delete(0, 50), "moved: rule api 50, users 50 -> rule api 100, users 0");
    answers(delete(1, 100), "moved: owner route/monolith/users -> owner somebody else");
    answers(delete(2, 100), "moved: purpose route/monolith/users -> purpose park/all");
}

#[test]
fn a_rule_takes_other_requests_or_another_place() {
    let path =
        |value: &str| BTreeSet::from([Condition::Path { values: [value.to_owned()].into() }]);
    let rule =
        |world: &World, of: usize| world.listener(&tutorial::listener()).unwrap().rules[of].clone();
    let takes = |was: Option<&str>, now: &str| {
        let (was, now) = (was.map(path), path(now));
        move |world: &World| Action::SetRuleConditions {
            listener: tutorial::listener(),
            rule: rule(world, 0).arn,
            purpose: purpose("users"),
            was: was.clone().unwrap_or(rule(world, 0).conditions),
            now: now.clone(),
        }
    };
    answers(takes(None, "/api/users"), "done");
    answers(
        takes(Some("/other"), "/api/users"),
        "moved: conditions path /other -> conditions path /api/users*",
    );
    let moves = |was: u16, now: u16| {
        move |world: &World| Action::SetRulePriority {
            listener: tutorial::listener(),
            rule: rule(world, 0).arn,
            purpose: purpose("users"),
            was,
            now,
        }
    };
    answers(moves(10, 11), "done");
    answers(moves(9, 11), "moved: priority 9 -> priority 10");
    answers(moves(10, tutorial::MONOLITH_PRIORITY), "refused by AWS: PriorityInUse: 99 has a rule");
}

#[test]
fn a_load_balancer_takes_a_hundred_rules() {
    let mut world = ready();
    let mut outcomes = Vec::new();
    for n in 0..100_u16 {
        let service = format!("s{n}").as_str().into();
        let Action::CreateRule { listener, priority, conditions, image, .. } =
            route_rule(&world, "users", 100 + n)
        else {
            panic!()
        };
        let purpose = Purpose::Service(service);
        let create = Action::CreateRule { listener, purpose, priority, conditions, image };
        outcomes.push(kind(&world.apply(&create)));
    }
    assert_eq!(outcomes.iter().filter(|outcome| *outcome == "done").count(), 98);
    assert_eq!(outcomes[99], "refused by AWS: TooManyRules: 100 on one load balancer");
}

#[test]
fn groups_are_made_settled_and_deleted() {
    let mut world = ready();
    let spec = |interval_seconds| {
        let mut settings = tutorial::settings();
        settings.health_check.interval_seconds = interval_seconds;
        TargetGroupSpec {
            name: "mail".to_owned(),
            service: "mail".into(),
            listener: tutorial::listener(),
            target_type: TargetType::Instance,
            settings,
        }
    };
    let create = |interval| Action::CreateTargetGroup { spec: spec(interval) };
    assert_eq!(world.apply(&create(6)), done());
    assert_eq!(world.apply(&create(6)), done(), "the same again does no harm");
    let exists = "refused by AWS: a target group mail exists already";
    assert_eq!(kind(&world.apply(&create(10))), exists);

    let group = group(&world, "mail");
    let (was, now) = (spec(6).settings, spec(10).settings);
    let set = |was: &GroupSettings, now: &GroupSettings| {
        let (group, was, now) = (group.clone(), was.clone(), now.clone());
        Action::SetHealthCheck { group, was, now }
    };
    assert_eq!(world.apply(&set(&was, &now)), done());
    assert!(kind(&world.apply(&set(&was, &now))).starts_with("moved: health check"));
    assert!(kind(&world.apply(&set(&now, &spec(3).settings))).starts_with("refused"));
    let quick = GroupSettings { deregistration_delay_seconds: 5, ..now.clone() };
    let set = |was: &GroupSettings| Action::SetGroupAttributes {
        group: group.clone(),
        was: was.clone(),
        now: quick.clone(),
    };
    assert_eq!(world.apply(&set(&now)), done());
    assert!(kind(&world.apply(&set(&now))).starts_with("moved: attributes"));
    assert_eq!(world.target_group("mail").unwrap().settings, quick);

    let delete =
        |group: TargetGroupArn| Action::DeleteTargetGroup { group, service: "mail".into() };
    let users = super::traffic::group(&world, "users");
    assert_eq!(kind(&world.apply(&delete(users))), "moved: owner mail -> owner somebody else");
    assert_eq!(world.apply(&delete(group.clone())), done());
    assert_eq!(world.target_group("mail"), None);
}

#[test]
fn a_service_is_created_behind_a_group_that_a_rule_names() {
    let mut world = busy();
    tutorial::add_services(&mut world, 0);
    let task = TaskSpec::Described(TaskDescription {
        image: "mail:1".to_owned(),
        cpu_units: 128,
        memory_mib: 128,
        port: 3000,
        environment: Default::default(),
    });
    let create = |world: &World| Action::CreateService {
        spec: NewService {
            service: "mail".into(),
            family: "mail".to_owned(),
            count: 2,
            group: group(world, "users"),
            container: "mail".to_owned(),
            port: 3000,
        },
    };
    let refused = kind(&world.apply(&create(&world.clone())));
    assert_eq!(refused, "refused by AWS: target group users has no associated load balancer");
    park(&mut world);
    let refused = kind(&world.apply(&create(&world.clone())));
    assert_eq!(refused, "refused by AWS: family mail has no task definition");
    let registered = world.apply(&Action::RegisterTask { service: "mail".into(), task });
    let arn = world.latest_revision("mail").unwrap();
    assert_eq!(registered, Outcome::Done { failed: Vec::new(), made: Some(arn.clone()) });
    assert_eq!((arn.short(), world.image_of(&arn)), ("mail:1", Some("mail:1")));
    assert_eq!(world.apply(&create(&world.clone())), done());
    minutes(&mut world, 2);
    assert_eq!(health(&world, "users").healthy, 2);
    let refused = kind(&world.apply(&create(&world.clone())));
    assert_eq!(refused, "refused by AWS: service mail exists already");
    assert_eq!(world.check(), []);
}

#[test]
fn attaching_a_group_starts_a_deployment_whose_tasks_register() {
    let mut world = ready();
    let mut plain = ServiceSpec::new("plain", 2, TaskShape::plain(256, 256));
    plain.serves.capacity_per_second = None;
    world.add_service(plain);
    minutes(&mut world, 2);
    let attach = Action::AttachGroup {
        service: "plain".into(),
        group: group(&world, "users"),
        container: "plain".to_owned(),
        port: 3000,
    };
    assert_eq!(world.apply(&attach), done());
    assert!(kind(&world.apply(&attach)).starts_with("moved: target group"));
    minutes(&mut world, 5);
    assert_eq!(health(&world, "users").healthy, 4);
    assert_eq!(counts_of(&world, "plain"), (2, 2, 0));
}

fn service(world: &World, name: &str) -> Service {
    let need = Need {
        cluster: "demo".into(),
        pools: BTreeSet::new(),
        tasks_of: BTreeSet::new(),
        traffic: None,
        releases: None,
        only_traffic: false,
    };
    world.snapshot(&need).services.value[&ServiceName::from(name)].clone()
}

#[test]
fn a_release_of_a_bad_image_is_taken_back_by_its_circuit_breaker() {
    let mut world = ready();
    world.happen(Event::BadImage { image: "users:bad".into(), how: ImageFault::Exits });
    let was = service(&world, "users").definition;
    let task = TaskSpec::Revised {
        of: was.clone(),
        container: "users".to_owned(),
        image: "users:bad".to_owned(),
    };
    let registered = world.apply(&Action::RegisterTask { service: "users".into(), task });
    let now = world.latest_revision("users").unwrap();
    assert_eq!(registered, Outcome::Done { failed: Vec::new(), made: Some(now.clone()) });
    let deploy = Action::Deploy {
        service: "users".into(),
        was: was.clone(),
        now: now.clone(),
        alarms: BTreeSet::new(),
        back: false,
    };
    assert_eq!(world.apply(&deploy), done());
    assert!(kind(&world.apply(&deploy)).starts_with("moved: task definition users:1"));
    let failed = |world: &World| {
        let deployments = service(world, "users").deployments;
        deployments.into_iter().find(|d| d.rollout == Rollout::Failed)
    };
    let mut waited = 0;
    while failed(&world).is_none() {
        pass(&mut world, TimeDelta::seconds(1));
        waited += 1;
        assert!(waited < 600);
    }
    assert_eq!(failed(&world).unwrap().definition, now);
    minutes(&mut world, 3);
    let after = service(&world, "users");
    assert_eq!((after.definition.clone(), after.is_deploying()), (was, false));
    assert_eq!(health(&world, "users").healthy, 2);
    assert_eq!(world.check(), []);
}

#[test]
fn somebody_elses_broken_release_is_taken_back_too() {
    let mut world = ready();
    world.happen(Event::DeployBroken { service: "api".into() });
    minutes(&mut world, 10);
    let after = service(&world, "api");
    assert_eq!((after.definition.short(), after.is_deploying()), ("api:1", false));
    assert_eq!(world.answers().lost, Default::default());
}

#[test]
fn application_auto_scaling_takes_moved_traffic_for_gone_traffic_unless_suspended() {
    let scaled = |scale_in| {
        let mut world = busy();
        world.add_scaling_policy(ScalingPolicy::new("api", 1, 8, 6000));
        minutes(&mut world, 5);
        assert_eq!(counts_of(&world, "api").0, 4);
        let now = Suspension { scale_in, ..Suspension::default() };
        let suspend = |was| Action::SuspendScaling { service: "api".into(), was, now };
        assert_eq!(world.apply(&suspend(Suspension::default())), done());
        let was = Suspension { scale_out: true, ..Suspension::default() };
        assert!(kind(&world.apply(&suspend(was))).starts_with("moved: scaling scale out"));
        for path in ["/api/users", "/api/threads/1"] {
            world.happen(Event::Requests { flow: tutorial::flow(path), per_minute: 0 });
        }
        minutes(&mut world, 20);
        counts_of(&world, "api").0
    };
    assert_eq!((scaled(false), scaled(true)), (2, 4));
}

#[test]
fn application_auto_scaling_follows_more_requests_soon() {
    let mut world = busy();
    world.add_scaling_policy(ScalingPolicy::new("api", 1, 8, 6000));
    tutorial::add_requests(&mut world, 150);
    minutes(&mut world, 5);
    assert_eq!(counts_of(&world, "api").0, 6);
    let unknown = Action::SuspendScaling {
        service: "users".into(),
        was: Suspension::default(),
        now: Suspension::default(),
    };
    assert_eq!(kind(&world.apply(&unknown)), "not found: users");
}

#[test]
fn a_count_is_set_from_what_it_was() {
    let count = |was, now| Action::SetServiceCount { service: "users".into(), was, now };
    answers(|_| count(2, 3), "done");
    answers(|_| count(1, 3), "moved: desired count 1 -> desired count 2");
}

#[test]
fn steering_to_nobody_is_done_and_held_against_us() {
    let mut world = busy();
    tutorial::add_services(&mut world, 0);
    park(&mut world);
    assert_eq!(world.apply(&route_rule(&world.clone(), "users", 10)), done());
    assert_eq!(world.check(), []);
    let (at, purpose) = (world.now(), purpose("users"));
    let to_empty = write(&world, "users", split(&world, "users", 75));
    assert_eq!(world.apply(&to_empty), done());
    let nobody =
        Violation::SentToNobody { at, purpose: purpose.clone(), group: group(&world, "users") };
    assert_eq!(world.check(), std::slice::from_ref(&nobody));
    let none = RuleImage::split([(group(&world, "api"), 0), (group(&world, "users"), 0)]);
    let to_none = write(&world, "users", none);
    assert_eq!(world.apply(&to_none), done());
    assert_eq!(world.check(), [nobody, Violation::NothingHasWeight { at, purpose }]);
}

#[test]
fn lowering_the_service_that_a_route_leaves_is_held_against_us_while_it_has_weight() {
    let mut world = ready();
    assert_eq!(world.apply(&route_rule(&world.clone(), "users", 10)), done());
    let lower =
        |service: &str, was, now| Action::SetServiceCount { service: service.into(), was, now };
    assert_eq!(world.apply(&lower("users", 2, 1)), done());
    assert_eq!(world.check(), [], "nothing reaches users");
    let (at, service) = (world.now(), ServiceName::from("api"));
    assert_eq!(world.apply(&lower("api", 4, 3)), done());
    let broken = Violation::LoweredInUse { at, service, count: 3 };
    assert_eq!(world.check(), [broken]);
}

#[test]
fn a_monolith_is_broken_up_without_a_lost_request() {
    let mut world = ready();
    for (n, (name, _)) in (10..).zip(tutorial::SERVICES) {
        assert_eq!(world.apply(&route_rule(&world.clone(), name, n)), done());
        for blue in [90, 50, 0] {
            minutes(&mut world, 2);
            let step = write(&world, name, split(&world, name, blue));
            assert_eq!(world.apply(&step), done());
        }
    }
    minutes(&mut world, 2);
    let gone = RuleAction::FixedResponse {
        status: 410,
        content_type: "text/plain".to_owned(),
        body: "moved".to_owned(),
    };
    for priority in [None, Some(tutorial::MONOLITH_PRIORITY)] {
        let (listener, image) = (tutorial::listener(), RuleImage { actions: vec![gone.clone()] });
        world.happen(Event::EditsRule { listener, priority, image: Some(image) });
    }
    pass(&mut world, TimeDelta::seconds(11));
    let lower = Action::SetServiceCount { service: "api".into(), was: 4, now: 0 };
    assert_eq!(world.apply(&lower), done());
    minutes(&mut world, 10);
    assert_eq!(counts_of(&world, "api"), (0, 0, 0));
    assert_eq!(world.answers().lost.keys().collect::<Vec<_>>(), [&Cause::Fixed]);
    assert_eq!(world.answers().lost_by_steering(), 0);
    assert_eq!(world.check(), []);
}
