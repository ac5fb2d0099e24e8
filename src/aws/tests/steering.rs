//! Actions on traffic and services: what of them is special. What holds for every action is in
//! `acting`.

use super::acting::{Case, kind, perform, world};
use super::balancer::*;
use super::fake::Reply;
use super::*;
use crate::model::*;

mod cases;

use cases::*;
pub(super) use cases::{HEALTH, cases};

#[tokio::test(start_paused = true)]
async fn what_is_so_already_is_done_without_a_request() {
    let already = [
        suspend_scaling(),
        register_task(),
        attach(),
        set_health_check(),
        set_attributes(),
        roll_back(),
        delete_rule(),
        delete_group(),
    ];
    for case in already {
        let fake = world(&case);
        fake.on(case.read, [case.after.clone()]);
        assert_eq!(kind(&perform(&fake, &case).await), "done", "{}", case.action);
        assert_eq!(fake.asked(case.write).len(), 0, "{}", case.action);
    }
}

#[tokio::test(start_paused = true)]
async fn a_described_task_is_registered_once() {
    let case = register_task();
    let fake = world(&case);
    assert_eq!(kind(&perform(&fake, &case).await), "done");
    let [sent] = fake.asked(case.write).try_into().unwrap();
    let sent = sent.json();
    let container = &sent["containerDefinitions"][0];
    assert_eq!(
        (&sent["family"], &sent["networkMode"], &container["name"]),
        (&json!("users"), &json!("bridge"), &json!("users"))
    );
    assert_eq!(
        container["portMappings"],
        json!([{ "containerPort": 8080, "hostPort": 0, "protocol": "tcp" }])
    );
    // A lost answer is in doubt, and what cannot be read sends nothing.
    let fake = world(&case);
    fake.on(case.write, [Reply::Cut]);
    assert_eq!(kind(&perform(&fake, &case).await), "in doubt");
    let fake = world(&case);
    fake.on(case.read, [Reply::Error(500, "ServerException", "")]);
    assert_eq!(kind(&perform(&fake, &case).await), "refused");
}

#[tokio::test(start_paused = true)]
async fn a_revision_keeps_everything_but_the_image() {
    let old = json!({
        "family": "users", "networkMode": "awsvpc", "cpu": "256", "memory": "512", "revision": 3,
        "taskRoleArn": "arn:role", "executionRoleArn": "arn:execution",
        "volumes": [{ "name": "data" }], "status": "ACTIVE",
        "taskDefinitionArn": "arn:aws:ecs:eu-west-1:1:task-definition/users:3",
        "runtimePlatform": { "cpuArchitecture": "ARM64" },
        "containerDefinitions": [
            { "name": "users", "image": "users:1", "memory": 100, "secrets": [
                { "name": "KEY", "valueFrom": "arn:secret" }] },
            { "name": "sidecar", "image": "proxy:1" },
        ],
    });
    let mut new = old.clone();
    new["containerDefinitions"][0]["image"] = json!("users@sha256:2");
    let answer = |definition: &Value| {
        let tags = json!([{ "key": "team", "value": "a" }, { "key": "aws:x", "value": "b" }]);
        Reply::Json(json!({ "taskDefinition": definition, "tags": tags }))
    };
    let task = |container: &str| TaskSpec::Revised {
        of: "arn:aws:ecs:eu-west-1:1:task-definition/users:3".into(),
        container: container.to_owned(),
        image: "users@sha256:2".to_owned(),
    };
    let case = |container: &str| Case {
        action: Action::RegisterTask { service: "users".into(), task: task(container) },
        before: answer(&old),
        after: answer(&old),
        ..register_task()
    };
    let fake = world(&case("users"));
    fake.on(TASKS, [answer(&old), answer(&old), answer(&new)]);
    let made = Some(USERS_2.into());
    let registered = Outcome::Done { failed: Vec::new(), made };
    assert_eq!(perform(&fake, &case("users")).await, registered);
    let [sent] = fake.asked("ecs:RegisterTaskDefinition").try_into().unwrap();
    let sent = sent.json();
    for field in ["family", "networkMode", "cpu", "taskRoleArn", "executionRoleArn"] {
        assert_eq!(sent[field], old[field], "{field}");
    }
    assert_eq!(sent["runtimePlatform"], old["runtimePlatform"]);
    assert_eq!(sent["tags"], json!([{ "key": "team", "value": "a" }]));
    let containers = &sent["containerDefinitions"];
    assert_eq!(containers[0]["image"], "users@sha256:2");
    assert_eq!(containers[0]["secrets"], old["containerDefinitions"][0]["secrets"]);
    assert_eq!(containers[1]["image"], "proxy:1");
    assert!(sent.get("revision").is_none() && sent.get("status").is_none());

    // One that is alike is taken, whatever AWS has added to it and however it sorts.
    let fake = world(&case("users"));
    new["taskDefinitionArn"] = json!("arn:aws:ecs:eu-west-1:1:task-definition/users:9");
    new["revision"] = json!(9);
    new["registeredBy"] = json!("arn:aws:iam::1:user/ci");
    fake.on(TASKS, [answer(&old), answer(&new)]);
    let made = Some("arn:aws:ecs:eu-west-1:1:task-definition/users:9".into());
    let found = Outcome::Done { failed: Vec::new(), made };
    assert_eq!(perform(&fake, &case("users")).await, found);
    assert_eq!(fake.asked("ecs:RegisterTaskDefinition").len(), 0);
    // One with the image but with something else changed is not.
    new["cpu"] = json!("1024");
    let fake = world(&case("users"));
    fake.on(TASKS, [answer(&old), answer(&new)]);
    assert_eq!(kind(&perform(&fake, &case("users")).await), "done");
    assert_eq!(fake.asked("ecs:RegisterTaskDefinition").len(), 1);

    let fake = world(&case("typo"));
    assert_eq!(kind(&perform(&fake, &case("typo")).await), "moved");
}

#[tokio::test(start_paused = true)]
async fn requests_say_exactly_what_was_meant() {
    let sent = async |case: Case| {
        let fake = world(&case);
        perform(&fake, &case).await;
        fake.asked(case.write)[0].clone()
    };
    let count = sent(set_count()).await.json();
    assert_eq!(count, json!({ "cluster": "web", "service": "shop", "desiredCount": 5 }));
    let scaling = sent(suspend_scaling()).await.json();
    assert_eq!(scaling["ResourceId"], "service/web/shop");
    assert!(scaling.get("MinCapacity").is_none() && scaling.get("MaxCapacity").is_none());
    let attached = sent(attach()).await.json();
    assert_eq!(attached["loadBalancers"][0]["targetGroupArn"], group_arn("blue"));
    assert_eq!(attached["loadBalancers"][1]["targetGroupArn"], group_arn("green"));
    let breaker = json!({ "enable": true, "rollback": true });
    let deployed = sent(deploy()).await.json();
    let deployment = &deployed["deploymentConfiguration"];
    assert_eq!(deployment["deploymentCircuitBreaker"], breaker);
    assert_eq!(deployment["maximumPercent"], 150, "what the service had");
    let alarms = json!({ "alarmNames": ["shop-errors"], "enable": true, "rollback": true });
    assert_eq!(deployment["alarms"], alarms);
    let created = sent(create_service()).await.json();
    assert_eq!(created["launchType"], "EC2");
    assert_eq!(created["deploymentConfiguration"]["deploymentCircuitBreaker"], breaker);
    let group = sent(create_group()).await.body;
    assert!(group.contains("VpcId=vpc-7") && group.contains("HealthCheckPath=%2Fhealth"));
    assert!(group.contains("Tags.member.1.Value=group%2Fusers"), "{group}");
    let rule = sent(create_rule()).await.body;
    assert!(rule.contains("Tags.member.1.Value=probe%2Fsplit%2Fusers"), "{rule}");
    assert!(rule.contains("Tags.member.2.Value=web"), "{rule}");
    let written = sent(write_rule()).await.body;
    assert!(written.contains("TargetGroups.member.2.Weight=50"), "{written}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_with_a_strategy_of_its_own_places_new_services_by_it() {
    let case = create_service();
    let fake = world(&case);
    let strategy = json!([{ "capacityProvider": "spare", "weight": 1 }]);
    let cluster = with(cluster(0), "defaultCapacityProviderStrategy", strategy);
    fake.on("ecs:DescribeClusters", [Reply::Json(json!({ "clusters": [cluster] }))]);
    assert_eq!(kind(&perform(&fake, &case).await), "done");
    assert!(fake.asked(case.write)[0].json().get("launchType").is_none());
}

#[tokio::test(start_paused = true)]
async fn a_purpose_has_one_rule() {
    let mut case = create_rule();
    if let Action::CreateRule { purpose, .. } = &mut case.action {
        *purpose = route();
    }
    let fake = world(&case);
    let outcome = perform(&fake, &case).await;
    let found = "blue 100, green 0".to_owned();
    assert_eq!(outcome, Outcome::Moved { expected: "no rule route/split/users".to_owned(), found });
    assert!(fake.asked(case.write).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_rule_that_was_edited_is_told_and_left_alone() {
    let case = write_rule();
    let fake = world(&case);
    fake.on(case.read, [case.moved.clone()]);
    let expected = "blue 75, green 25".to_owned();
    let found = "blue 90, green 10".to_owned();
    assert_eq!(perform(&fake, &case).await, Outcome::Moved { expected, found });
}

#[tokio::test(start_paused = true)]
async fn a_rule_with_an_action_that_cannot_be_written_back_is_never_written() {
    let login = "<member><Type>authenticate-oidc</Type><Order>1</Order></member>";
    let guarded = rule(RULE, "10", &(login.to_owned() + &forward(&[("blue", 1)])));
    let fake = world(&roll_back());
    fake.on(RULES, [rules([guarded])]);
    assert_eq!(kind(&perform(&fake, &roll_back()).await), "refused");
    assert!(fake.asked("elasticloadbalancing:ModifyRule").is_empty());

    let mut case = write_rule();
    if let Action::WriteRule { now, .. } = &mut case.action {
        let other = RuleAction::Other { kind: "dance".to_owned(), json: "{}".to_owned() };
        now.actions.insert(0, other);
    }
    let fake = world(&case);
    assert_eq!(kind(&perform(&fake, &case).await), "refused");
    assert!(fake.asked(case.write).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_is_somebody_elses_is_not_deleted() {
    for case in [delete_rule(), delete_group()] {
        for (purpose, cluster) in [("park/users", "web"), ("route/split/users", "another")] {
            let fake = world(&case);
            let arns = [RULE.to_owned(), group_arn("green")];
            let all = arns.map(|arn| (arn, purpose, cluster));
            fake.on("elasticloadbalancing:DescribeTags", [tags(all)]);
            assert_eq!(kind(&perform(&fake, &case).await), "moved", "{}", case.action);
            assert!(fake.asked(case.write).is_empty(), "{}", case.action);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_group_with_targets_is_not_deleted_though_they_leave() {
    let case = delete_group();
    let fake = world(&case);
    fake.on(HEALTH, [health(&["draining"])]);
    assert_eq!(kind(&perform(&fake, &case).await), "moved");
    assert!(fake.asked(case.write).is_empty());
}
