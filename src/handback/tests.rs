//! The printed commands, and what a shell makes of odd names.

use expect_test::expect;
use serde_json::json;

use super::print::commands;
use crate::model::build::{now, workers};
use crate::model::*;

fn folded(records: Vec<Record>) -> Memory {
    let entry = |(n, record)| Entry { seq: Seq(n), epoch: Epoch(1), at: now(), record };
    let entries = (1..).zip(records).map(entry);
    entries.fold(Memory::default(), |memory, entry| memory.fold(&entry))
}

fn original(subject: Subject, attribute: Attribute, value: serde_json::Value) -> Record {
    Record::Noted { note: Note::Original { subject, attribute, value } }
}

fn intent(action: Action) -> Record {
    let why = Why::Handover { provider: None };
    let (kind, by) = (ActionKind::Handover, Origin::Capacity);
    Record::Intent { planned: Planned { action, kind, why, by } }
}

#[test]
fn everything_is_printed_as_commands_that_need_no_tidegate() {
    let pool = || Subject::Pool(workers());
    let host = InstanceId::new("i-0abc");
    let processes = ["AZRebalance".to_owned(), "AlarmNotification".to_owned()].into();
    let mark = DrainMark { cause: DrainCause::ScaleIn, deadline: now() };
    let group = Subject::TargetGroup("web's".to_owned());
    let arn = "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web/1";
    let start = CutoverOrder::Start { token: "t".to_owned(), routes: vec!["users".into()] };
    let memory = folded(vec![
        original(pool(), Attribute::NewHostProtection, false.into()),
        original(pool(), Attribute::SuspendedProcesses, json!(["AZRebalance"])),
        intent(Action::SetNewHostProtection { pool: workers(), was: false, now: true }),
        intent(Action::SetProcesses { pool: workers(), processes, suspended: true }),
        original(Subject::Host(host.clone()), Attribute::HostProtection, false.into()),
        original(
            Subject::ScalingOf("api".into()),
            Attribute::Scaling,
            json!({ "scale_in": false, "scale_out": false, "scheduled": true }),
        ),
        original(group, Attribute::HealthCheck, json!(GroupSettings::default().health_check)),
        original(
            Subject::Rule(
                "arn:aws:elasticloadbalancing:eu-west-1:1:listener-rule/app/a/b/c/d".into(),
            ),
            Attribute::RuleActions,
            json!(RuleImage::forward_to(&arn.into())),
        ),
        Record::Noted { note: Note::DrainBegan { host, pool: workers(), mark } },
        Record::Command {
            command: Command {
                actor: "ada".to_owned(),
                reason: "go".to_owned(),
                order: Order::Cutover { cutover: "break".into(), steer: start },
            },
        },
    ]);
    let lines = commands(&"web".into(), &memory, &Scope::Cluster, Side::Blue);
    expect![[r##"
        # break/users is planned: back to the old service
        aws resourcegroupstaggingapi get-resources --resource-type-filters elasticloadbalancing:listener-rule/app --tag-filters Key=tidegate:cluster,Values=web --query "ResourceTagMappingList[?Tags[?Key == 'tidegate:purpose' && Value == 'route/break/users']].ResourceARN" --output text | tr '\t' '\n' | xargs -r -n 1 aws elbv2 delete-rule --rule-arn
        aws resourcegroupstaggingapi get-resources --resource-type-filters elasticloadbalancing:listener-rule/app --tag-filters Key=tidegate:cluster,Values=web --query "ResourceTagMappingList[?Tags[?Key == 'tidegate:purpose' && Value == 'probe/break/users']].ResourceARN" --output text | tr '\t' '\n' | xargs -r -n 1 aws elbv2 delete-rule --rule-arn
        # i-0abc drains (scale_in): it takes tasks again
        aws ecs list-container-instances --cluster web --filter 'ec2InstanceId == i-0abc' --query 'containerInstanceArns[]' --output text | xargs -r -I {} aws ecs update-container-instances-state --cluster web --container-instances {} --status ACTIVE
        aws ecs list-container-instances --cluster web --filter 'ec2InstanceId == i-0abc' --query 'containerInstanceArns[]' --output text | xargs -r -I {} aws ecs delete-attributes --cluster web --attributes name=tidegate.drain,targetType=container-instance,targetId={}
        # i-0abc: protection from scale-in as before, if it is there
        aws autoscaling describe-auto-scaling-instances --instance-ids i-0abc --query 'AutoScalingInstances[].AutoScalingGroupName' --output text | xargs -r -I {} aws autoscaling set-instance-protection --auto-scaling-group-name {} --instance-ids i-0abc --no-protected-from-scale-in
        # workers: hosts launched since 2026-11-21T09:00:00Z began protected
        aws ec2 describe-instances --filters Name=tag:aws:autoscaling:groupName,Values=workers Name=instance-state-name,Values=running --query "Reservations[].Instances[?LaunchTime >= '2026-11-21T09:00:00'][].InstanceId" --output text | tr '\t' '\n' | xargs -r -n 50 aws autoscaling set-instance-protection --auto-scaling-group-name workers --no-protected-from-scale-in --instance-ids
        # workers: as before the first write
        aws autoscaling update-auto-scaling-group --auto-scaling-group-name workers --no-new-instances-protected-from-scale-in
        # workers: as before the first write
        aws autoscaling resume-processes --auto-scaling-group-name workers --scaling-processes AlarmNotification
        # scaling of api: as before the first write
        aws application-autoscaling register-scalable-target --service-namespace ecs --resource-id service/web/api --scalable-dimension ecs:service:DesiredCount --suspended-state DynamicScalingInSuspended=false,DynamicScalingOutSuspended=false,ScheduledScalingSuspended=true
        # arn:aws:elasticloadbalancing:eu-west-1:1:listener-rule/app/a/b/c/d: as before the first write
        aws elbv2 modify-rule --rule-arn arn:aws:elasticloadbalancing:eu-west-1:1:listener-rule/app/a/b/c/d --actions '[{"ForwardConfig":{"TargetGroups":[{"TargetGroupArn":"arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/web/1","Weight":100}]},"Order":1,"Type":"forward"}]'
        # target group web's: as before the first write
        aws elbv2 modify-target-group --target-group-arn "$(aws elbv2 describe-target-groups --names 'web'\''s' --query 'TargetGroups[0].TargetGroupArn' --output text)" --health-check-path / --matcher HttpCode=200 --health-check-interval-seconds 30 --health-check-timeout-seconds 5 --healthy-threshold-count 5 --unhealthy-threshold-count 2
    "##]].assert_eq(&(lines.join("\n") + "\n"));
    let alone = commands(&"web".into(), &memory, &Scope::Pool(workers()), Side::Blue);
    assert!(alone.iter().all(|line| !line.contains("elbv2")), "{alone:?}");
}

#[test]
fn what_tidegate_made_goes_where_nobody_uses_it_and_what_may_serve_is_only_named() {
    let fleet = PoolId::SpotFleet("sfr-1".to_owned());
    let grow = Action::SetPoolCapacity { pool: fleet.clone(), was: Units(1), now: Units(3) };
    let kept = KeptAt {
        service: "posts".into(),
        listener: "arn:listener".into(),
        group: "web-posts".to_owned(),
    };
    let register = Action::RegisterTask {
        service: "posts".into(),
        task: TaskSpec::Described(TaskDescription {
            image: "posts:1".to_owned(),
            cpu_units: 64,
            memory_mib: 64,
            port: 3000,
            environment: Default::default(),
        }),
    };
    let memory = folded(vec![
        original(Subject::Pool(fleet), Attribute::NewHostProtection, false.into()),
        Record::Noted { note: Note::Kept { at: kept, edge: KeptEdge::Declared } },
        intent(register),
        Record::Outcome { of: Seq(3), outcome: Outcome::done() },
        intent(grow),
    ]);
    let lines = commands(&"web".into(), &memory, &Scope::Cluster, Side::Blue);
    expect![[r##"
        # spot-fleet/sfr-1: does nothing while it has more hosts than its target, or it would end some
        # spot-fleet/sfr-1: as before the first write
        aws ec2 describe-spot-fleet-requests --spot-fleet-request-ids sfr-1 --query 'SpotFleetRequestConfigs[?SpotFleetRequestConfig.FulfilledCapacity <= SpotFleetRequestConfig.TargetCapacity].SpotFleetRequestId' --output text | xargs -r aws ec2 modify-spot-fleet-request --excess-capacity-termination-policy default --spot-fleet-request-id
        # posts: what Tidegate made for it goes, if web-posts has no targets
        test "$(aws elbv2 describe-target-health --target-group-arn "$(aws elbv2 describe-target-groups --names web-posts --query 'TargetGroups[0].TargetGroupArn' --output text)" --query 'length(TargetHealthDescriptions)' --output text)" != 0 || aws resourcegroupstaggingapi get-resources --resource-type-filters elasticloadbalancing:listener-rule/app --tag-filters Key=tidegate:cluster,Values=web --query "ResourceTagMappingList[?Tags[?Key == 'tidegate:purpose' && Value == 'park/posts'] && starts_with(ResourceARN, 'arn:listener/')].ResourceARN" --output text | tr '\t' '\n' | xargs -r -n 1 aws elbv2 delete-rule --rule-arn
        test "$(aws elbv2 describe-target-health --target-group-arn "$(aws elbv2 describe-target-groups --names web-posts --query 'TargetGroups[0].TargetGroupArn' --output text)" --query 'length(TargetHealthDescriptions)' --output text)" != 0 || aws resourcegroupstaggingapi get-resources --resource-type-filters elasticloadbalancing:listener-rule/app --tag-filters Key=tidegate:cluster,Values=web --query "ResourceTagMappingList[?Tags[?Key == 'tidegate:purpose' && Value == 'service/posts'] && starts_with(ResourceARN, 'arn:listener/')].ResourceARN" --output text | tr '\t' '\n' | xargs -r -n 1 aws elbv2 delete-rule --rule-arn
        test "$(aws elbv2 describe-target-health --target-group-arn "$(aws elbv2 describe-target-groups --names web-posts --query 'TargetGroups[0].TargetGroupArn' --output text)" --query 'length(TargetHealthDescriptions)' --output text)" != 0 || aws resourcegroupstaggingapi get-resources --resource-type-filters elasticloadbalancing:targetgroup --tag-filters Key=tidegate:cluster,Values=web --query "ResourceTagMappingList[?Tags[?Key == 'tidegate:purpose' && Value == 'group/posts'] && contains(ResourceARN, ':targetgroup/web-posts/')].ResourceARN" --output text | tr '\t' '\n' | xargs -r -n 1 aws elbv2 delete-target-group --target-group-arn
        # posts was made by Tidegate: only if nobody needs it
        # aws ecs update-service --cluster web --service posts --desired-count 0
        # aws ecs delete-service --cluster web --service posts
    "##]].assert_eq(&(lines.join("\n") + "\n"));
}
