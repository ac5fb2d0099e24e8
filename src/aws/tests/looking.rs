//! What an observation makes of each kind of answer.

use super::fake::{Fake, Reply};
use super::*;
use crate::model::*;

fn fake() -> (Fake, TestClock) {
    (Fake::new(small), TestClock::new())
}

#[tokio::test]
async fn a_small_cluster_is_seen_whole() {
    let (fake, clock) = fake();
    let seen = fake.aws(&clock).observe(&need()).await;
    assert_eq!(seen.gaps().next(), None);
    assert_eq!(seen.oldest(), clock.now());

    let host = &seen.hosts.value[&"i-1".into()];
    assert!(host.is_usable());
    assert_eq!(host.pool, Some(PoolId::group("workers")));
    assert_eq!((host.market, host.zone.as_str()), (Market::Spot, "eu-west-1a"));
    assert_eq!(host.reserved(), Resources::new(256, 512));
    assert_eq!(host.registered.enis, 2);
    assert_eq!(host.ports_used, [22, 8080].into());
    assert_eq!(host.launched_at.to_rfc3339(), "2026-11-21T06:00:00+00:00");
    assert!(host.protected);

    let service = &seen.services.value[&"shop".into()];
    assert_eq!((service.minimum_healthy_percent, service.maximum_percent), (50, 150));
    assert_eq!(service.launch, Launch::Ec2);
    assert!(!service.is_deploying());
    assert_eq!(seen.shapes.value[&service.definition], TaskShape::plain(256, 512));

    let pool = &seen.pools.value[&PoolId::group("workers")];
    assert_eq!((pool.desired, pool.min, pool.max), (Units(1), Units(0), Units(10)));
    assert!(pool.protects_new_hosts && pool.is_suspended("AZRebalance"));
    let offering = &pool.offerings[0];
    assert_eq!(offering.registers, host.registered);
    assert_eq!(offering.list_price_micro_usd_per_hour, Some(96_000));
    assert_eq!(pool.attributes["ecs.os-type"], "linux");
}

#[tokio::test]
async fn every_page_of_a_listing_is_read() {
    let (fake, clock) = fake();
    let page = |arn: &str, next: Option<&str>| {
        Reply::Json(
            json!({ "containerInstanceArns": [format!("{CONTAINER}{arn}")], "nextToken": next }),
        )
    };
    fake.on("ecs:ListContainerInstances", [page("a", Some("2")), page("b", None)]);
    let both = [container("a", "i-1"), container("b", "i-2")];
    fake.on("ecs:DescribeContainerInstances", [described(both)]);
    let more = format!("{}<NextToken>2</NextToken>", "<AutoScalingGroups/>");
    let last = groups([group("workers", 2, &["i-1", "i-2"])]);
    fake.on("autoscaling:DescribeAutoScalingGroups", [Reply::Xml(more), last]);
    let seen = fake.aws(&clock).observe(&need()).await;
    assert_eq!(seen.hosts_of(&PoolId::group("workers")).count(), 2);
    let tokens = fake.asked("ecs:ListContainerInstances");
    assert_eq!(tokens[1].json()["nextToken"], "2");
}

#[tokio::test]
async fn a_throttled_call_leaves_the_last_good_value_with_its_age_and_a_gap() {
    let (fake, clock) = fake();
    let aws = fake.aws(&clock);
    let first = aws.observe(&need()).await;
    clock.advance(15);
    let throttled = Reply::Error(400, "ThrottlingException", "Rate exceeded");
    fake.on("ecs:DescribeServices", [throttled]);
    let second = aws.observe(&need()).await;
    assert_eq!(second.services.value, first.services.value);
    assert_eq!(second.services.as_of, first.taken_at);
    assert_eq!(second.services.gaps, [gap("ecs:DescribeServices", Failure::Throttled)]);
    assert!(second.hosts.gaps.is_empty());
    assert_eq!(second.hosts.as_of, second.taken_at);
    // Three attempts, then no more.
    assert_eq!(fake.asked("ecs:DescribeServices").len(), 1 + 3);

    clock.advance(15);
    fake.on("ecs:DescribeServices", [Reply::Json(json!({ "services": [service("shop")] }))]);
    let third = aws.observe(&need()).await;
    assert_eq!((third.services.as_of, third.services.gaps.len()), (third.taken_at, 0));
}

#[tokio::test]
async fn a_missing_permission_is_named() {
    let (fake, clock) = fake();
    let denied = Reply::Error(403, "AccessDenied", "User is not authorized");
    fake.on("autoscaling:DescribePolicies", [denied]);
    let seen = fake.aws(&clock).observe(&need()).await;
    let action = "autoscaling:DescribePolicies".to_owned();
    let failure = Failure::AccessDenied { action: action.clone() };
    assert_eq!(seen.rivals.gaps, [gap(&action, failure)]);
}

#[tokio::test]
async fn an_entry_in_failures_is_gone_when_missing_and_a_gap_otherwise() {
    let (fake, clock) = fake();
    let arns =
        json!({ "containerInstanceArns": [format!("{CONTAINER}a"), format!("{CONTAINER}b")] });
    fake.on("ecs:ListContainerInstances", [Reply::Json(arns)]);
    let both = described([container("a", "i-1"), container("b", "i-2")]);
    let without = |reason: &str| {
        let failure = json!({ "arn": format!("{CONTAINER}b"), "reason": reason });
        Reply::Json(json!({ "containerInstances": [container("a", "i-1")], "failures": [failure] }))
    };
    let answers = [both, without("INTERNAL"), without("MISSING")];
    fake.on("ecs:DescribeContainerInstances", answers);
    let aws = fake.aws(&clock);
    aws.observe(&need()).await;
    let second = aws.observe(&need()).await;
    assert_eq!(second.hosts.value.len(), 2);
    let message = "INTERNAL".to_owned();
    let failure = Failure::Refused { message };
    assert_eq!(second.hosts.gaps, [gap("ecs:DescribeContainerInstances", failure)]);
    let third = aws.observe(&need()).await;
    assert_eq!((third.hosts.value.len(), third.hosts.gaps.len()), (1, 0));
}

#[tokio::test]
async fn an_empty_description_of_listed_hosts_is_not_believed() {
    let (fake, clock) = fake();
    let aws = fake.aws(&clock);
    aws.observe(&need()).await;
    fake.on("ecs:DescribeContainerInstances", [described([])]);
    let seen = aws.observe(&need()).await;
    assert!(seen.hosts.value[&"i-1".into()].is_registered());
    assert!(matches!(seen.hosts.gaps[0].failure, Failure::Implausible { .. }));
}

#[tokio::test]
async fn states_this_program_does_not_know_are_left_alone() {
    let (fake, clock) = fake();
    let strange = with(container("a", "i-1"), "status", json!("HIBERNATING"));
    fake.on("ecs:DescribeContainerInstances", [described([strange])]);
    let unknown = group("workers", 1, &["i-1"]).replace("InService", "Hovering");
    fake.on("autoscaling:DescribeAutoScalingGroups", [groups([unknown])]);
    let seen = fake.aws(&clock).observe(&need()).await;
    let host = &seen.hosts.value[&"i-1".into()];
    assert_eq!((host.status, host.lifecycle), (HostStatus::Other, Lifecycle::Other));
}

#[tokio::test]
async fn a_drain_mark_is_read_and_a_garbled_one_is_a_gap() {
    let (fake, clock) = fake();
    let text = "scale_in@2026-11-21T10:00:00Z";
    let answers = [text, "later"].map(|mark| described([marked(container("a", "i-1"), mark)]));
    fake.on("ecs:DescribeContainerInstances", answers);
    let aws = fake.aws(&clock);
    let seen = aws.observe(&need()).await;
    assert_eq!(seen.hosts.value[&"i-1".into()].mark, text.parse().ok());
    let seen = aws.observe(&need()).await;
    assert_eq!(seen.hosts.value[&"i-1".into()].mark, None);
    assert!(seen.hosts.gaps[0].failure.to_string().contains("i-1: `later`"));
}

#[tokio::test]
async fn an_instance_that_has_not_registered_is_launching() {
    let (fake, clock) = fake();
    let members = group("workers", 2, &["i-1"]);
    let members = members.replace("</Instances>", &(member("i-9", "Pending") + "</Instances>"));
    fake.on("autoscaling:DescribeAutoScalingGroups", [groups([members])]);
    fake.on("ec2:DescribeInstances", [machines(&["i-1", "i-9"])]);
    let aws = fake.aws(&clock);
    let seen = aws.observe(&need()).await;
    let host = &seen.hosts.value[&"i-9".into()];
    assert!(host.is_launching() && !host.is_usable());
    assert_eq!(host.launched_at.to_rfc3339(), "2026-11-21T06:00:00+00:00");
    // What EC2 told of an instance never changes.
    aws.observe(&need()).await;
    assert_eq!(fake.asked("ec2:DescribeInstances").len(), 1);
}

#[tokio::test]
async fn tasks_are_listed_only_of_hosts_asked_for_and_count_until_stopped() {
    let (fake, clock) = fake();
    let task = |id: &str, last: &str, desired: &str, group: &str| {
        json!({
            "taskArn": format!("arn:aws:ecs:eu-west-1:1:task/web/{id}"),
            "taskDefinitionArn": "arn:aws:ecs:eu-west-1:1:task-definition/shop:1",
            "containerInstanceArn": format!("{CONTAINER}a"),
            "lastStatus": last, "desiredStatus": desired, "group": group,
        })
    };
    let arns = |ids: &[&str]| {
        let arns = ids.iter().map(|id| format!("arn:aws:ecs:eu-west-1:1:task/web/{id}"));
        Reply::Json(json!({ "taskArns": arns.collect::<Vec<_>>() }))
    };
    fake.on("ecs:ListTasks", [arns(&["1", "2"]), arns(&["3"])]);
    let tasks = [
        task("1", "RUNNING", "RUNNING", "service:shop"),
        task("2", "RUNNING", "RUNNING", "family:job"),
        task("3", "DEPROVISIONING", "STOPPED", "service:shop"),
    ];
    fake.on("ecs:DescribeTasks", [Reply::Json(json!({ "tasks": tasks }))]);
    let on = json!({ "taskArn": "arn:aws:ecs:eu-west-1:1:task/web/1", "protectionEnabled": true });
    fake.on("ecs:GetTaskProtection", [Reply::Json(json!({ "protectedTasks": [on] }))]);
    let aws = fake.aws(&clock);
    let none = aws.observe(&need()).await;
    assert!(none.tasks.value.is_empty() && fake.asked("ecs:ListTasks").is_empty());

    let need = Need { tasks_of: ["i-1".into()].into(), ..need() };
    let seen = aws.observe(&need).await;
    assert_eq!(seen.tasks.gaps, []);
    let tasks: Vec<_> = seen.tasks.value[&"i-1".into()]
        .iter()
        .map(|task| (task.owner.clone(), task.status, task.protected))
        .collect();
    let shop = || TaskOwner::Service("shop".into());
    let job = TaskOwner::Standalone("family:job".to_owned());
    let expected = [
        (shop(), TaskStatus::Running, true),
        (job, TaskStatus::Running, false),
        (shop(), TaskStatus::Stopping, false),
    ];
    assert_eq!(tasks, expected);
}

#[tokio::test]
async fn a_host_whose_tasks_cannot_be_read_is_unseen_not_empty() {
    let (fake, clock) = fake();
    fake.on("ecs:ListTasks", [Reply::Error(500, "ServerException", "try again")]);
    let need = Need { tasks_of: ["i-1".into()].into(), ..need() };
    let seen = fake.aws(&clock).observe(&need).await;
    assert!(seen.tasks.value.is_empty());
    assert_eq!(seen.tasks.gaps.len(), 1);
}

#[tokio::test]
async fn waiting_tasks_are_listed_when_the_cluster_counts_more_pending_than_its_services() {
    let (fake, clock) = fake();
    let aws = fake.aws(&clock);
    aws.observe(&need()).await;
    assert!(fake.asked("ecs:ListTasks").is_empty());

    let arn = "arn:aws:ecs:eu-west-1:1:task/web/w";
    let waiting = json!({
        "taskArn": arn, "taskDefinitionArn": "arn:aws:ecs:eu-west-1:1:task-definition/job:4",
        "lastStatus": "PROVISIONING", "desiredStatus": "RUNNING", "group": "family:job",
    });
    fake.on("ecs:DescribeClusters", [Reply::Json(json!({ "clusters": [cluster(1)] }))]);
    fake.on("ecs:ListTasks", [Reply::Json(json!({ "taskArns": [arn] }))]);
    fake.on("ecs:DescribeTasks", [Reply::Json(json!({ "tasks": [waiting] }))]);
    let seen = aws.observe(&need()).await;
    let [group] = seen.waiting.value.as_slice() else {
        panic!("{:?}", seen.waiting);
    };
    assert_eq!((group.count, group.group.as_str()), (1, "family:job"));
    assert!(seen.shapes.value.contains_key(&group.definition));
}

/// A capacity provider with managed scaling, and a deployment of a service on it.
fn rivals_of_ecs(fake: &Fake) {
    let mut with_provider = cluster(0);
    with_provider["capacityProviders"] = json!(["cp", "FARGATE"]);
    let provider = json!({
        "name": "cp", "status": "ACTIVE", "autoScalingGroupProvider": {
            "autoScalingGroupArn": "arn:aws:autoscaling:eu-west-1:1:autoScalingGroup:uuid:autoScalingGroupName/workers",
            "managedScaling": { "status": "ENABLED" },
            "managedTerminationProtection": "DISABLED", "managedDraining": "ENABLED",
        },
    });
    let mut rolling = service("shop");
    rolling["deployments"][0]["rolloutState"] = json!("IN_PROGRESS");
    rolling["launchType"] = json!(null);
    rolling["capacityProviderStrategy"] = json!([{ "capacityProvider": "cp", "weight": 1 }]);
    fake.on("ecs:DescribeClusters", [Reply::Json(json!({ "clusters": [with_provider] }))])
        .on(
            "ecs:DescribeCapacityProviders",
            [Reply::Json(json!({ "capacityProviders": [provider] }))],
        )
        .on("ecs:DescribeServices", [Reply::Json(json!({ "services": [rolling] }))]);
}

/// All that may write to a group by itself, and the same on a group of somebody else.
fn rivals_of_groups(fake: &Fake) {
    let row = |group: &str, inside: &str| {
        format!("<member><AutoScalingGroupName>{group}</AutoScalingGroupName>{inside}</member>")
    };
    let policy = |group: &str, name: &str| row(group, &format!("<PolicyName>{name}</PolicyName>"));
    let policies = policy("workers", "cpu")
        + &policy("workers", "ECSManagedAutoScalingPolicy-1")
        + &policy("foreign", "cpu");
    let hook = "<LifecycleHookName>drain</LifecycleHookName>\
                <LifecycleTransition>autoscaling:EC2_INSTANCE_TERMINATING</LifecycleTransition>";
    let refresh = "<InstanceRefreshId>r-1</InstanceRefreshId><Status>Baking</Status>";
    let ended = "<InstanceRefreshId>r-0</InstanceRefreshId><Status>Successful</Status>";
    let schedule = row("workers", "<ScheduledActionName>night</ScheduledActionName>");
    fake.on("autoscaling:DescribePolicies", [list("ScalingPolicies", &policies)])
        .on(
            "autoscaling:DescribeScheduledActions",
            [list("ScheduledUpdateGroupActions", &schedule)],
        )
        .on("autoscaling:DescribeLifecycleHooks", [list("LifecycleHooks", &row("workers", hook))])
        .on(
            "autoscaling:DescribeInstanceRefreshes",
            [list("InstanceRefreshes", &(row("workers", refresh) + &row("workers", ended)))],
        );
}

#[tokio::test]
async fn everyone_else_who_writes_is_seen() {
    let (fake, clock) = fake();
    rivals_of_ecs(&fake);
    rivals_of_groups(&fake);
    let seen = fake.aws(&clock).observe(&need()).await;
    assert_eq!(seen.gaps().next(), None);
    let pool = || PoolId::group("workers");
    let expected = [
        Rival::ManagedScaling { pool: pool(), provider: "cp".to_owned(), silenced: false },
        Rival::ScalingPolicy { pool: pool(), policy: "cpu".to_owned(), silenced: false },
        Rival::ScheduledAction { pool: pool(), action: "night".to_owned() },
        Rival::InstanceRefresh { pool: pool(), refresh: "r-1".to_owned() },
        Rival::TerminateHook { pool: pool(), hook: "drain".to_owned() },
        Rival::SuspendedProcess { pool: pool(), process: "AZRebalance".to_owned() },
        Rival::Deployment { service: "shop".into(), deployment: "ecs-svc/1".into() },
    ];
    assert_eq!(seen.rivals.value, expected.into());
    let service = &seen.services.value[&"shop".into()];
    assert_eq!(service.launch, Launch::Providers([pool()].into()));
    let provider = seen.pools.value[&pool()].provider.clone().unwrap();
    assert!(provider.managed_scaling && provider.managed_draining);
    // Managed scaling lets tasks wait unseen, so all tasks were listed once.
    assert_eq!(fake.asked("ecs:ListTasks").len(), 1);
}

#[tokio::test]
async fn a_spot_fleet_is_a_pool_and_knows_which_of_its_hosts_end() {
    let (fake, clock) = fake();
    let over = |name: &str, weight: u32| {
        format!(
            "<item><instanceType>{name}</instanceType><weightedCapacity>{weight}</weightedCapacity></item>"
        )
    };
    let config = format!(
        "<targetCapacity>4</targetCapacity><fulfilledCapacity>4.0</fulfilledCapacity><type>maintain</type>\
         <launchTemplateConfigs><item><overrides>{}{}</overrides></item></launchTemplateConfigs>",
        over("m5.large", 1),
        over("m5.xlarge", 2)
    );
    let request = format!(
        "<spotFleetRequestConfigSet><item><spotFleetRequestId>sfr-1</spotFleetRequestId>\
         <spotFleetRequestState>active</spotFleetRequestState>\
         <spotFleetRequestConfig>{config}</spotFleetRequestConfig></item></spotFleetRequestConfigSet>"
    );
    let active = |id: &str| {
        format!("<item><instanceId>{id}</instanceId><instanceType>m5.large</instanceType></item>")
    };
    let active =
        format!("<activeInstanceSet>{}{}</activeInstanceSet>", active("i-1"), active("i-8"));
    let both = machine("i-1", "running") + &machine("i-8", "shutting-down");
    let both = format!(
        "<reservationSet><item><instancesSet>{both}</instancesSet></item></reservationSet>"
    );
    fake.on("ec2:DescribeSpotFleetRequests", [Reply::Xml(request)])
        .on("ec2:DescribeSpotFleetInstances", [Reply::Xml(active)])
        .on("ec2:DescribeInstances", [Reply::Xml(both)]);
    let fleet = PoolId::SpotFleet("sfr-1".to_owned());
    let need = Need { pools: [fleet.clone()].into(), ..need() };
    let seen = fake.aws(&clock).observe(&need).await;
    assert_eq!(seen.gaps().next(), None);
    let pool = &seen.pools.value[&fleet];
    assert_eq!(
        (pool.state, pool.desired, pool.max),
        (PoolState::Active, Units(4), Units(u32::MAX))
    );
    let weights: Vec<_> = pool.offerings.iter().map(|o| (o.weight, o.estimated)).collect();
    assert_eq!(weights, [(1, false), (2, true)]);
    let life = |id: &str| seen.hosts.value[&id.into()].lifecycle;
    assert_eq!((life("i-1"), life("i-8")), (Lifecycle::InService, Lifecycle::Terminating));
    assert!(fake.asked("autoscaling:DescribeAutoScalingGroups").is_empty());
}

#[tokio::test]
async fn a_cluster_is_discovered_with_its_pools_and_services() {
    let (fake, clock) = fake();
    let arns = ["a", "b", "c"].map(|id| format!("{CONTAINER}{id}"));
    fake.on("ecs:ListContainerInstances", [Reply::Json(json!({ "containerInstanceArns": arns }))]);
    let all = [container("a", "i-1"), container("b", "i-2"), container("c", "i-3")];
    fake.on("ecs:DescribeContainerInstances", [described(all)]);
    let row = "<member><InstanceId>i-1</InstanceId><AutoScalingGroupName>workers</AutoScalingGroupName></member>";
    fake.on("autoscaling:DescribeAutoScalingInstances", [list("AutoScalingInstances", row)]);
    let tag =
        "<tagSet><item><key>aws:ec2spot:fleet-request-id</key><value>sfr-7</value></item></tagSet>";
    let tagged = machine("i-2", "running").replace("<placement>", &format!("{tag}<placement>"));
    let rest = machine("i-1", "running") + &tagged + &machine("i-3", "running");
    let rest = format!(
        "<reservationSet><item><instancesSet>{rest}</instancesSet></item></reservationSet>"
    );
    fake.on("ec2:DescribeInstances", [Reply::Xml(rest)]);
    let found = fake.aws(&clock).discover(&"web".into()).await.unwrap();
    let pools: Vec<String> = found.pools.iter().map(|pool| pool.id.to_string()).collect();
    assert_eq!(pools, ["workers", "spot-fleet/sfr-7"]);
    assert!(found.services.keys().eq([&"shop".into()]));
}

fn list(name: &str, rows: &str) -> Reply {
    Reply::Xml(format!("<{name}>{rows}</{name}>"))
}

fn gap(source: &str, failure: Failure) -> Gap {
    Gap { source: source.to_owned(), failure }
}
