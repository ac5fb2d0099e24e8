//! The adapter on load balancers and services, through guard, journal and the wire: every kind of
//! action once, and what an observation makes of each.

use std::collections::BTreeSet;

use chrono::TimeDelta;
use tidegate::control::{Clock, SystemClock};
use tidegate::model::*;

use crate::harness::eventually;

mod adapter;

use adapter::{Gate, adapter};

fn description(image: &str) -> TaskSpec {
    TaskSpec::Described(TaskDescription {
        image: image.to_owned(),
        cpu_units: 64,
        memory_mib: 64,
        port: 80,
        environment: [("MODE".to_owned(), "users".to_owned())].into(),
    })
}

fn condition(path: &str) -> BTreeSet<Condition> {
    BTreeSet::from([Condition::Path { values: BTreeSet::from([path.to_owned()]) }])
}

fn settings() -> GroupSettings {
    let mut settings = GroupSettings::default();
    settings.health_check.path = "/health".to_owned();
    settings
}

/// Makes the group with its settings and names it in two rules.
async fn prepare(gate: &mut Gate, served: &Purpose) -> TargetGroup {
    let spec = TargetGroupSpec {
        name: "c-users".to_owned(),
        service: "users".into(),
        listener: gate.listener.clone(),
        target_type: TargetType::Instance,
        settings: settings(),
    };
    gate.done(Action::CreateTargetGroup { spec: spec.clone() }).await;
    let again = gate.act(Action::CreateTargetGroup { spec }).await;
    assert!(matches!(again, Outcome::Moved { .. }), "{again:?}");
    let green = gate.green().await;
    assert_eq!(green.owner, Owner::Tidegate(Purpose::Group("users".into())));
    assert_eq!((green.settings.clone(), green.load_balancer), (settings(), None));

    let (group, was) = (green.arn.clone(), green.settings);
    let mut now = was.clone();
    now.health_check.interval_seconds = 6;
    now.health_check.healthy_after = 2;
    now.deregistration_delay_seconds = 20;
    let (before, after) = (was.clone(), now.clone());
    gate.done(Action::SetHealthCheck { group: group.clone(), was, now }).await;
    gate.done(Action::SetGroupAttributes { group: group.clone(), was: before, now: after.clone() })
        .await;
    assert_eq!(gate.green().await.settings, after);

    let listener = gate.listener.clone();
    let header = Condition::Header { name: "x-park".to_owned(), values: ["1".to_owned()].into() };
    gate.done(Action::CreateRule {
        listener: listener.clone(),
        purpose: Purpose::Park("users".into()),
        priority: 900,
        conditions: BTreeSet::from([header]),
        image: RuleImage::forward_to(&group),
    })
    .await;
    gate.done(Action::CreateRule {
        listener,
        purpose: served.clone(),
        priority: 10,
        conditions: condition("/api/users*"),
        image: gate.weights(100, (&group, 0)),
    })
    .await;
    assert_eq!(gate.rule(served).await.conditions, condition("/api/users*"));
    assert_eq!(
        gate.rule(&Purpose::Park("users".into())).await.image,
        RuleImage::forward_to(&group)
    );
    let green = gate.green().await;
    assert!(green.load_balancer.is_some(), "a rule names it");
    green
}

/// Makes the service behind the group and gives it two tasks, both healthy.
async fn provide(gate: &mut Gate, group: &TargetGroupArn) {
    let (service, task) = (ServiceName::from("users"), description("users:1"));
    gate.done(Action::RegisterTask { service: service.clone(), task }).await;
    let spec = NewService {
        service: service.clone(),
        family: "users".to_owned(),
        count: 1,
        group: group.clone(),
        container: "users".to_owned(),
        port: 80,
    };
    gate.done(Action::CreateService { spec }).await;
    gate.done(Action::SetServiceCount { service: service.clone(), was: 1, now: 2 }).await;
    gate.world.steady("users").await;
    eventually("two healthy targets", async || {
        let health = gate.green().await.health?;
        (health.healthy == 2).then_some(())
    })
    .await;
    let seen = gate.see().await;
    let targets = ServiceTargets { group: group.clone(), container: "users".to_owned(), port: 80 };
    assert_eq!(seen.services.value[&service].targets, [targets]);
}

/// Moves half of the requests, once, and not again on the same assumption.
async fn shift(gate: &mut Gate, served: &Purpose, group: &TargetGroupArn) {
    let rule = gate.rule(served).await;
    let write = |was: RuleImage, now: RuleImage| Action::WriteRule {
        listener: gate.listener.clone(),
        rule: rule.arn.clone(),
        purpose: served.clone(),
        was: Some(was),
        now,
    };
    let half = gate.weights(50, (group, 50));
    let (first, second) = (
        write(rule.image.clone(), half.clone()),
        write(rule.image.clone(), gate.weights(0, (group, 100))),
    );
    gate.done(first).await;
    let outcome = gate.act(second).await;
    let (expected, found) = (rule.image.to_string(), half.to_string());
    assert_eq!(outcome, Outcome::Moved { expected, found });
    assert_eq!(gate.rule(served).await.image, half);
}

/// Edits what it did not make, where the configuration names it, and what it made.
async fn edit(gate: &mut Gate, served: &Purpose, green: &TargetGroupArn) {
    let image = RuleImage::forward_to(&gate.blue);
    let write = Action::WriteRule {
        listener: gate.listener.clone(),
        rule: gate.old.clone(),
        purpose: served.clone(),
        was: Some(image),
        now: gate.weights(90, (green, 10)),
    };
    gate.done(write).await;

    let seen = gate.see().await.traffic.value;
    let blue = seen.group_named("blue").expect("the group").clone();
    assert_eq!(blue.owner, Owner::Other);
    let (was, mut now) = (blue.settings.clone(), blue.settings);
    now.health_check.interval_seconds += 1;
    gate.done(Action::SetHealthCheck { group: blue.arn, was, now }).await;

    let Rule { arn: rule, priority: was, conditions, .. } = gate.rule(served).await;
    let (listener, purpose) = (gate.listener.clone(), served.clone());
    let now = was + 1;
    gate.done(Action::SetRulePriority { listener, rule, purpose, was, now }).await;
    let moved = gate.rule(served).await;
    assert_eq!((moved.priority, &moved.conditions), (now, &conditions));
    let (listener, purpose) = (gate.listener.clone(), served.clone());
    let (was, now) = (conditions, condition("/api/users/*"));
    gate.done(Action::SetRuleConditions { listener, rule: moved.arn, purpose, was, now }).await;
}

/// Another image for the one service, another group for the other.
async fn deploy(gate: &mut Gate, group: &TargetGroupArn) {
    let service = ServiceName::from("users");
    let of = gate.see().await.services.value[&service].definition.clone();
    let image = "users@sha256:2".to_owned();
    let container = "users".to_owned();
    let path = ReleasePath {
        container: container.clone(),
        was: of.clone(),
        previous: "users:1".into(),
        previous_digest: None,
        image: image.as_str().into(),
    };
    let task = TaskSpec::Revised { of: of.clone(), container, image };
    let outcome = gate.act(Action::RegisterTask { service: service.clone(), task }).await;
    let Outcome::Done { made: Some(now), .. } = outcome else { panic!("{outcome:?}") };
    assert_eq!(now.as_str(), of.as_str().replace(":1", ":2"));
    gate.releases(&service, path, now.clone());
    let (alarms, back) = (Default::default(), false);
    gate.done(Action::Deploy { service: service.clone(), was: of, now: now.clone(), alarms, back })
        .await;
    let users = gate.world.steady("users").await;
    assert_eq!(users.task_definition(), Some(now.as_str()));
    let breaker = users
        .deployment_configuration()
        .expect("it is told")
        .deployment_circuit_breaker()
        .expect("it is told");
    assert!(breaker.enable() && breaker.rollback());

    let (service, container) = (ServiceName::from("monolith"), "main".to_owned());
    let attach =
        Action::AttachGroup { service: service.clone(), group: group.clone(), container, port: 80 };
    gate.done(attach).await;
    assert_eq!(gate.see().await.services.value[&service].targets.len(), 2);
}

async fn suspend(gate: &mut Gate) {
    let now = Suspension { scale_in: true, ..Suspension::default() };
    let (service, was) = (ServiceName::from("monolith"), Suspension::default());
    gate.done(Action::SuspendScaling { service: service.clone(), was, now }).await;
    // A fresh adapter, since what changes rarely is read in turns.
    gate.aws = adapter(&gate.world, &gate.permitted);
    let target = Rival::ScalableTarget { service, min: 1, max: 9, suspended: now };
    assert!(gate.see().await.rivals.value.contains(&target));
}

/// What the data plane reports is seen as load.
async fn carry(gate: &Gate, group: &TargetGroupArn) {
    let seen = gate.see().await.traffic.value;
    let balancer = seen.listeners[&gate.listener].load_balancer.clone();
    let minute = SystemClock.now().timestamp() / 60 * 60;
    let point = serde_json::json!([{
        "at": minute - 120, "delay": 0, "load-balancer": balancer, "target-group": group,
        "requests": 10, "target-5xx": 2, "seconds": [[0.05, 10]],
    }]);
    let url = format!("{}/_world/load?account={}", gate.world.endpoint, gate.world.account);
    let http = reqwest::Client::builder().no_proxy().build().expect("it is told");
    let told = http.post(url).json(&point).send().await.expect("it is told");
    assert!(told.status().is_success(), "{}", told.text().await.expect("it is told"));
    let [load] = gate.green().await.load.try_into().expect("it is told");
    assert_eq!((load.requests, load.errors_5xx, load.latency_p95_ms), (10, 2, Some(50)));
    assert_eq!(load.at.timestamp(), minute - 120);
}

/// Takes everything away again, in the order AWS wants it, as what left the configuration a day ago.
async fn clear(gate: &mut Gate, served: &Purpose, group: &TargetGroupArn) {
    for service in ["users", "monolith"] {
        let gone = gate.world.ecs.delete_service().cluster("c").service(service).force(true);
        gone.send().await.expect("DeleteService");
    }
    let old = gate.elbv2.delete_rule().rule_arn(gate.old.as_str()).send().await;
    old.expect("DeleteRule");
    eventually("no target", async || (gate.green().await.health?.targets() == 0).then_some(()))
        .await;
    let (listener, group_name) = (gate.listener.clone(), "c-users".to_owned());
    let at = KeptAt { service: "users".into(), listener, group: group_name };
    gate.memory.kept.insert(at, Some(SystemClock.now() - TimeDelta::hours(25)));
    for purpose in [served, &Purpose::Park("users".into())] {
        let Rule { arn: rule, image: was, .. } = gate.rule(purpose).await;
        let (listener, purpose) = (gate.listener.clone(), purpose.clone());
        gate.done(Action::DeleteRule { listener, rule, purpose, was }).await;
    }
    let (group, service) = (group.clone(), "users".into());
    gate.done(Action::DeleteTargetGroup { group, service }).await;
    assert!(gate.see().await.traffic.value.group_named("c-users").is_none());
    let left = gate.elbv2.describe_rules().listener_arn(gate.listener.as_str()).send().await;
    assert_eq!(left.expect("DescribeRules").rules().len(), 1, "the default");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_action_on_traffic_is_sent_once_and_seen() {
    let mut gate = Gate::new().await;
    let served = Purpose::Service("users".into());
    gate.world.steady("monolith").await;
    let before = gate.world.mark().await;
    suspend(&mut gate).await;
    let green = prepare(&mut gate, &served).await;
    provide(&mut gate, &green.arn).await;
    carry(&gate, &green.arn).await;
    edit(&mut gate, &served, &green.arn).await;
    shift(&mut gate, &served, &green.arn).await;
    let listener = gate.listener.clone();
    let alone = gate.aws.traffic_of_listener(&listener).await.expect("a whole listener");
    assert_eq!(alone.listeners[&listener].rules.len(), 3);
    deploy(&mut gate, &green.arn).await;
    clear(&mut gate, &served, &green.arn).await;
    let sent: Vec<String> =
        gate.world.writes(before).await.into_iter().map(|request| request.operation).collect();
    let expected = [
        "RegisterScalableTarget",
        "CreateTargetGroup",
        "ModifyTargetGroup",
        "ModifyTargetGroupAttributes",
        "CreateRule",
        "CreateRule",
        "RegisterTaskDefinition",
        "CreateService",
        "UpdateService",
        "ModifyRule",
        "ModifyTargetGroup",
        "SetRulePriorities",
        "ModifyRule",
        "ModifyRule",
        "RegisterTaskDefinition",
        "UpdateService",
        "UpdateService",
        "DeleteService",
        "DeleteService",
        "DeleteRule",
        "DeleteRule",
        "DeleteRule",
        "DeleteTargetGroup",
    ];
    assert_eq!(sent, expected);
    gate.permitted.close();
}
