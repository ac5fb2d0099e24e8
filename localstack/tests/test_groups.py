"""Auto Scaling groups: launches, bounds, protection, suspension, hooks, mixed instances."""

import botocore.exceptions
import pytest
from conftest import error_code, eventually


def test_a_launch_is_pending_before_it_is_in_service(aws):
    aws.group()
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
    seen = set()

    def in_service():
        seen.update(aws.lifecycles())
        return "InService" in seen

    aws.until(in_service, "the instance in service")
    assert seen == {"Pending", "InService"}


def test_launches_spread_over_the_subnets(aws):
    aws.group(desired=4)
    zones = sorted(member["AvailabilityZone"] for member in aws.in_service(4))
    assert zones == ["us-east-1a"] * 2 + ["us-east-1b"] * 2


@pytest.mark.parametrize(("desired", "word"), [(4, "above max value 3"), (0, "below min value 1")])
def test_a_desired_capacity_out_of_bounds_is_refused(aws, desired, word):
    aws.group(desired=1, minimum=1, maximum=3)
    with pytest.raises(botocore.exceptions.ClientError, match=word) as raised:
        aws.autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=desired)
    assert error_code(raised) == "ValidationError"


def test_terminating_an_instance_with_decrement_shrinks_the_group(aws):
    aws.group(desired=2)
    leaving, staying = aws.in_service(2)
    aws.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=leaving["InstanceId"], ShouldDecrementDesiredCapacity=True
    )
    assert aws.describe_group()["DesiredCapacity"] == 1
    assert [member["InstanceId"] for member in aws.in_service(1)] == [staying["InstanceId"]]


def test_terminating_an_instance_without_decrement_replaces_it(aws):
    aws.group(desired=1)
    old = aws.in_service(1)[0]["InstanceId"]
    aws.autoscaling.terminate_instance_in_auto_scaling_group(InstanceId=old, ShouldDecrementDesiredCapacity=False)
    aws.until(lambda: old not in [member["InstanceId"] for member in aws.members()], "the old one gone")
    aws.in_service(1)


def test_decrementing_below_the_minimum_is_refused(aws):
    aws.group(desired=1, minimum=1)
    member = aws.in_service(1)[0]["InstanceId"]
    with pytest.raises(botocore.exceptions.ClientError, match="desiredSize equals minSize") as raised:
        aws.autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId=member, ShouldDecrementDesiredCapacity=True
        )
    assert error_code(raised) == "ValidationError"


def test_terminating_an_unknown_instance_is_refused(aws):
    with pytest.raises(botocore.exceptions.ClientError, match="No managed instance found") as raised:
        aws.autoscaling.terminate_instance_in_auto_scaling_group(
            InstanceId="i-00000000000000000", ShouldDecrementDesiredCapacity=True
        )
    assert error_code(raised) == "ValidationError"


def test_scale_in_leaves_protected_instances_alone(aws):
    aws.group(desired=3)
    kept = [member["InstanceId"] for member in aws.in_service(3)][:2]
    aws.autoscaling.set_instance_protection(AutoScalingGroupName="g", InstanceIds=kept, ProtectedFromScaleIn=True)
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=0)
    aws.until(lambda: sorted(member["InstanceId"] for member in aws.members()) == sorted(kept), "two are left")
    aws.world("tick", count=5)
    assert len(aws.members()) == 2


def test_new_instances_are_protected_if_the_group_says_so(aws):
    aws.group(desired=1, NewInstancesProtectedFromScaleIn=True)
    assert aws.in_service(1)[0]["ProtectedFromScaleIn"] is True
    aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName="g", NewInstancesProtectedFromScaleIn=False)
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=2)
    assert sorted(member["ProtectedFromScaleIn"] for member in aws.in_service(2)) == [False, True]


def test_at_most_fifty_instances_are_protected_at_once(aws):
    aws.group()
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        aws.autoscaling.set_instance_protection(
            AutoScalingGroupName="g", InstanceIds=["i-0"] * 51, ProtectedFromScaleIn=True
        )
    assert error_code(raised) == "ValidationError"


def test_a_group_whose_launches_are_suspended_does_not_launch(aws):
    aws.group()
    aws.autoscaling.suspend_processes(AutoScalingGroupName="g", ScalingProcesses=["Launch"])
    assert [each["ProcessName"] for each in aws.describe_group()["SuspendedProcesses"]] == ["Launch"]
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
    aws.world("tick", count=5)
    assert aws.members() == []
    aws.autoscaling.resume_processes(AutoScalingGroupName="g", ScalingProcesses=["Launch"])
    aws.in_service(1)


def test_a_dead_instance_is_replaced(aws):
    aws.group(desired=1)
    dead = aws.in_service(1)[0]["InstanceId"]
    aws.ec2.terminate_instances(InstanceIds=[dead])
    aws.until(lambda: [m for m in aws.members() if m["InstanceId"] != dead], "a replacement")


def test_an_unhealthy_instance_is_replaced(aws):
    aws.group(desired=1)
    ill = aws.in_service(1)[0]["InstanceId"]
    aws.autoscaling.set_instance_health(InstanceId=ill, HealthStatus="Unhealthy")
    aws.until(lambda: ill not in [member["InstanceId"] for member in aws.members()], "the ill one gone")
    aws.in_service(1)


def test_a_launch_hook_holds_the_instance_until_it_is_completed(aws):
    aws.group()
    aws.autoscaling.put_lifecycle_hook(
        AutoScalingGroupName="g", LifecycleHookName="up", LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING"
    )
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
    waiting = aws.until(
        lambda: [m["InstanceId"] for m in aws.members() if m["LifecycleState"] == "Pending:Wait"], "a waiting launch"
    )
    aws.autoscaling.complete_lifecycle_action(
        AutoScalingGroupName="g", LifecycleHookName="up", InstanceId=waiting[0], LifecycleActionResult="CONTINUE"
    )
    aws.in_service(1)


def test_a_termination_hook_holds_the_instance_until_it_is_completed(aws):
    aws.group(desired=1)
    instance = aws.in_service(1)[0]["InstanceId"]
    aws.autoscaling.put_lifecycle_hook(
        AutoScalingGroupName="g", LifecycleHookName="down", LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING"
    )
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=0)
    aws.until(lambda: aws.lifecycles() == ["Terminating:Wait"], "a waiting termination")
    described = aws.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert described["State"]["Name"] == "running"
    aws.autoscaling.complete_lifecycle_action(
        AutoScalingGroupName="g", LifecycleHookName="down", InstanceId=instance, LifecycleActionResult="CONTINUE"
    )
    aws.until(lambda: not aws.members(), "the instance gone")


def test_a_hook_that_nobody_answers_ends_by_its_default(aws):
    aws.group()
    aws.autoscaling.put_lifecycle_hook(
        AutoScalingGroupName="g",
        LifecycleHookName="up",
        LifecycleTransition="autoscaling:EC2_INSTANCE_LAUNCHING",
        HeartbeatTimeout=1,
        DefaultResult="CONTINUE",
    )
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
    aws.until(lambda: aws.lifecycles() == ["Pending:Wait"], "a waiting launch")
    aws.world("clock", running="true")  # the timeout is in seconds
    eventually(lambda: aws.lifecycles() == ["InService"], "the instance in service")


def mixed(aws, overrides, **distribution) -> dict:
    template = aws.launch_template("mixed")
    return {
        "LaunchTemplate": {
            "LaunchTemplateSpecification": {"LaunchTemplateId": template, "Version": "$Latest"},
            "Overrides": overrides,
        },
        "InstancesDistribution": distribution,
    }


def test_weights_make_the_desired_capacity_a_number_of_units(aws):
    policy = mixed(aws, [{"InstanceType": "m5.2xlarge", "WeightedCapacity": "4"}])
    aws.group(desired=7, maximum=20, MixedInstancesPolicy=policy)
    members = aws.in_service(2)
    assert [(each["InstanceType"], each["WeightedCapacity"]) for each in members] == [("m5.2xlarge", "4")] * 2
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=4)
    aws.in_service(1)


def test_terminating_a_weighted_instance_decrements_by_its_weight(aws):
    policy = mixed(aws, [{"InstanceType": "m5.2xlarge", "WeightedCapacity": "4"}])
    aws.group(desired=8, maximum=20, MixedInstancesPolicy=policy)
    member = aws.in_service(2)[0]["InstanceId"]
    aws.autoscaling.terminate_instance_in_auto_scaling_group(InstanceId=member, ShouldDecrementDesiredCapacity=True)
    assert aws.describe_group()["DesiredCapacity"] == 4


def test_a_mixed_group_splits_spot_and_on_demand(aws):
    policy = mixed(
        aws,
        [{"InstanceType": "m5.large"}, {"InstanceType": "c5.large"}],
        OnDemandBaseCapacity=1,
        OnDemandPercentageAboveBaseCapacity=0,
    )
    aws.group(desired=3, MixedInstancesPolicy=policy)
    ids = [member["InstanceId"] for member in aws.in_service(3)]
    reservations = aws.ec2.describe_instances(InstanceIds=ids)["Reservations"]
    kinds = sorted(
        (each.get("InstanceLifecycle", "on-demand"), each["InstanceType"])
        for reservation in reservations
        for each in reservation["Instances"]
    )
    assert kinds == [("on-demand", "m5.large"), ("spot", "c5.large"), ("spot", "m5.large")]


def test_an_update_of_something_else_keeps_the_mixed_instances_policy(aws):
    policy = mixed(aws, [{"InstanceType": "m5.large"}])
    aws.group(MixedInstancesPolicy=policy)
    aws.autoscaling.update_auto_scaling_group(AutoScalingGroupName="g", NewInstancesProtectedFromScaleIn=True)
    assert aws.describe_group()["MixedInstancesPolicy"]["LaunchTemplate"]["Overrides"] == [{"InstanceType": "m5.large"}]


def test_a_member_tells_the_template_version_it_was_launched_with(aws):
    template = aws.launch_template()
    aws.group(desired=1, template=template)
    aws.in_service(1)
    aws.ec2.create_launch_template_version(
        LaunchTemplateId=template, LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": "m5.xlarge"}
    )
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=2)
    versions = sorted((m["LaunchTemplate"]["Version"], m["InstanceType"]) for m in aws.in_service(2))
    assert versions == [("1", "m5.large"), ("2", "m5.xlarge")]


def test_instances_tell_launch_time_zone_group_and_template(aws):
    template = aws.launch_template()
    aws.group(desired=3, template=template)
    ids = [member["InstanceId"] for member in aws.in_service(3)]
    reservations = aws.ec2.describe_instances(InstanceIds=ids)["Reservations"]
    instances = [each for reservation in reservations for each in reservation["Instances"]]
    assert sorted(each["InstanceId"] for each in instances) == sorted(ids)
    for instance in instances:
        tags = {tag["Key"]: tag["Value"] for tag in instance["Tags"]}
        assert tags["aws:autoscaling:groupName"] == "g"
        assert tags["aws:ec2launchtemplate:id"] == template
        assert tags["aws:ec2launchtemplate:version"] == "1"
        assert instance["LaunchTime"] and instance["Placement"]["AvailabilityZone"].startswith("us-east-1")


def managed(aws) -> None:
    aws.cluster()
    aws.group(desired=1)
    aws.ecs.create_capacity_provider(
        name="cp",
        autoScalingGroupProvider={
            "autoScalingGroupArn": aws.describe_group()["AutoScalingGroupARN"],
            "managedScaling": {"status": "ENABLED", "targetCapacity": 90},
        },
    )


def test_managed_scaling_shows_as_a_target_tracking_policy(aws):
    managed(aws)
    (policy,) = aws.autoscaling.describe_policies(AutoScalingGroupName="g")["ScalingPolicies"]
    assert policy["PolicyName"].startswith("ECSManagedAutoScalingPolicy-")
    assert policy["PolicyType"] == "TargetTrackingScaling"
    tracking = policy["TargetTrackingConfiguration"]
    assert tracking["TargetValue"] == 90.0
    assert tracking["CustomizedMetricSpecification"]["MetricName"] == "CapacityProviderReservation"


def test_the_managed_scaling_alarm_sets_the_desired_capacity(aws):
    managed(aws)
    assert aws.world("managed-scaling-alarm", group="g", desired=3)["result"] == "set"
    assert aws.describe_group()["DesiredCapacity"] == 3


def test_the_managed_scaling_alarm_is_ignored_while_alarm_notification_is_suspended(aws):
    managed(aws)
    aws.autoscaling.suspend_processes(AutoScalingGroupName="g", ScalingProcesses=["AlarmNotification"])
    assert aws.world("managed-scaling-alarm", group="g", desired=3)["result"] == "ignored"
    assert aws.describe_group()["DesiredCapacity"] == 1


def test_an_instance_refresh_stays_in_progress_until_it_is_cancelled(aws):
    aws.group()
    refresh = aws.autoscaling.start_instance_refresh(AutoScalingGroupName="g")["InstanceRefreshId"]
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        aws.autoscaling.start_instance_refresh(AutoScalingGroupName="g")
    assert error_code(raised) == "InstanceRefreshInProgress"

    def status():
        refreshes = aws.autoscaling.describe_instance_refreshes(AutoScalingGroupName="g")["InstanceRefreshes"]
        return [(each["InstanceRefreshId"], each["Status"]) for each in refreshes]

    assert status() == [(refresh, "InProgress")]
    aws.autoscaling.cancel_instance_refresh(AutoScalingGroupName="g")
    assert status() == [(refresh, "Cancelled")]


def test_what_else_a_controller_reads_of_a_group_is_answered(aws):
    aws.group(desired=1)
    aws.in_service(1)
    assert aws.autoscaling.describe_lifecycle_hooks(AutoScalingGroupName="g")["LifecycleHooks"] == []
    assert aws.autoscaling.describe_scheduled_actions(AutoScalingGroupName="g")["ScheduledUpdateGroupActions"] == []
    assert aws.autoscaling.describe_policies(AutoScalingGroupName="g")["ScalingPolicies"] == []
    assert aws.autoscaling.describe_warm_pool(AutoScalingGroupName="g")["Instances"] == []
    (activity,) = aws.autoscaling.describe_scaling_activities(AutoScalingGroupName="g")["Activities"]
    assert activity["Description"].startswith("Launching a new EC2 instance")


def test_a_group_with_instances_is_deleted_only_by_force(aws):
    aws.group(desired=1)
    instance = aws.in_service(1)[0]["InstanceId"]
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName="g")
    assert error_code(raised) == "ResourceInUse"
    aws.autoscaling.delete_auto_scaling_group(AutoScalingGroupName="g", ForceDelete=True)
    described = aws.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert described["State"]["Name"] == "terminated"
    assert aws.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"] == []
