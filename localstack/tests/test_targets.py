"""Services behind load balancers: which groups ECS takes, when a target is healthy, and what a task waits for."""

import pytest
import requests
from botocore.exceptions import ClientError
from conftest import ENDPOINT, PATIENCE, error_code

BEHIND = {"containerName": "main", "containerPort": 80}
PORTS = [{"containerPort": 80, "hostPort": 0}]


def health(aws, group: str) -> dict[str, str]:
    told = aws.elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]
    return {f"{each['Target']['Id']}:{each['Target']['Port']}": each["TargetHealth"]["State"] for each in told}


def found(aws, group: str, state: str, *targets: str) -> None:
    """As a data plane reports it."""
    aws.world("health", body=[{"target-group": group, "target": each, "state": state} for each in targets])


def targets_when(aws, group: str, count: int) -> dict[str, str]:
    return aws.until(lambda: len(health(aws, group)) == count and health(aws, group), f"{count} targets")


def test_ecs_takes_a_group_only_when_a_load_balancer_names_it(aws):
    aws.cluster_with_hosts(1)
    group = aws.target_group()
    aws.definition(portMappings=PORTS)
    balancers = [{"targetGroupArn": group, **BEHIND}]
    with pytest.raises(ClientError) as raised:
        aws.service(loadBalancers=balancers)
    assert error_code(raised) == "InvalidParameterException"
    assert "does not have an associated load balancer" in str(raised.value)
    aws.service()
    with pytest.raises(ClientError):
        aws.ecs.update_service(cluster="c", service="web", loadBalancers=balancers)
    aws.rule(aws.listener(), 1, "/web", group)
    before = aws.steady(1)["deployments"][0]["id"]
    updated = aws.ecs.update_service(cluster="c", service="web", loadBalancers=balancers)["service"]
    assert updated["loadBalancers"] == balancers
    assert [each["id"] for each in updated["deployments"]][1:] == [before]
    aws.steady(1)
    assert list(health(aws, group).values()) == ["healthy"]


def test_a_group_that_no_rule_names_is_unused(aws):
    host = aws.cluster_with_hosts(1)[0]["ec2InstanceId"]
    group = aws.target_group()
    aws.elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": host, "Port": 80}])
    assert health(aws, group) == {f"{host}:80": "unused"}
    aws.listener(group)
    assert health(aws, group) == {f"{host}:80": "healthy"}


def test_with_a_data_plane_a_target_is_initial_until_its_checks_pass(aws):
    host = aws.cluster_with_hosts(1)[0]["ec2InstanceId"]
    group = aws.target_group()
    aws.listener(group)
    found(aws, group, "healthy")
    aws.elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": host, "Port": 80}])
    assert health(aws, group) == {f"{host}:80": "initial"}
    found(aws, group, "healthy", f"{host}:80")
    assert health(aws, group) == {f"{host}:80": "healthy"}
    aws.elbv2.deregister_targets(TargetGroupArn=group, Targets=[{"Id": host, "Port": 80}])
    aws.elbv2.register_targets(TargetGroupArn=group, Targets=[{"Id": host, "Port": 80}])
    assert health(aws, group) == {f"{host}:80": "initial"}


def behind_a_data_plane(aws, desired: int = 1) -> str:
    aws.cluster_with_hosts(1)
    group = aws.target_group()
    aws.listener(group)
    found(aws, group, "healthy")
    aws.definition(portMappings=PORTS)
    aws.service(desired=desired, loadBalancers=[{"targetGroupArn": group, **BEHIND}])
    found(aws, group, "healthy", *targets_when(aws, group, desired))
    aws.steady(desired)
    return group


def test_a_deployment_replaces_a_task_only_when_the_new_target_is_healthy(aws):
    group = behind_a_data_plane(aws)
    (old,) = health(aws, group)
    aws.ecs.update_service(cluster="c", service="web", forceNewDeployment=True)
    (new,) = targets_when(aws, group, 2).keys() - {old}
    aws.world("tick", count=10)
    assert health(aws, group) == {old: "healthy", new: "initial"}
    found(aws, group, "healthy", new)
    aws.until(lambda: health(aws, group).get(old) != "healthy", "the old target to leave")
    # Its task lives until nothing is in flight any more.
    aws.world("tick", count=10)
    leaving = aws.tasks(desiredStatus="STOPPED")
    assert [task["lastStatus"] for task in leaving] == ["DEACTIVATING"]
    found(aws, group, "unused", old)
    aws.until(lambda: aws.task(leaving[0]["taskArn"])["lastStatus"] == "STOPPED", "the old task to stop")
    aws.steady(1)


def test_a_task_whose_target_fails_its_checks_is_replaced(aws):
    group = behind_a_data_plane(aws)
    (bad,) = health(aws, group)
    found(aws, group, "unhealthy", bad)
    aws.until(lambda: health(aws, group).keys() - {bad}, "a new target")
    (stopped,) = aws.tasks(desiredStatus="STOPPED")
    assert stopped["stoppedReason"] == "Task failed ELB health checks"


def test_a_task_whose_process_ended_is_gone_and_replaced(aws):
    group = behind_a_data_plane(aws)
    (task,) = aws.tasks()
    aws.world("exit", task=task["taskArn"], code=137)
    told = aws.task(task["taskArn"])
    assert (told["lastStatus"], told["stopCode"]) == ("STOPPED", "EssentialContainerExited")
    assert told["containers"][0]["exitCode"] == 137
    aws.until(lambda: "initial" in health(aws, group).values(), "a new target")


def test_a_data_plane_sees_rules_targets_and_tasks_in_one_answer(aws):
    group = behind_a_data_plane(aws)
    url = f"{ENDPOINT}/_world/traffic"
    shown = requests.get(url, params={"account": aws.account}, timeout=PATIENCE).json()
    (listener,), (told,), (task,) = shown["listeners"], shown["groups"], shown["tasks"]
    assert [rule["priority"] for rule in listener["rules"]] == [None]
    (target,) = told["targets"]
    assert (told["arn"], target["leaving"], target["forced"]) == (group, False, None)
    assert target["target"] == f"{task['instance']}:{task['ports'][0]}"
    assert (task["image"], task["stopping"]) == ("busybox", False)


def test_suspended_scaling_is_kept_and_told(aws):
    aws.cluster()
    aws.definition()
    aws.service(desired=0)
    target = {
        "ServiceNamespace": "ecs",
        "ResourceId": "service/c/web",
        "ScalableDimension": "ecs:service:DesiredCount",
    }
    client = aws.application_autoscaling

    def suspended() -> dict:
        told = client.describe_scalable_targets(ServiceNamespace="ecs", ResourceIds=["service/c/web"])
        return told["ScalableTargets"][0]["SuspendedState"]

    client.register_scalable_target(MinCapacity=1, MaxCapacity=9, **target)
    assert suspended() == {
        "DynamicScalingInSuspended": False,
        "DynamicScalingOutSuspended": False,
        "ScheduledScalingSuspended": False,
    }
    client.register_scalable_target(SuspendedState={"DynamicScalingInSuspended": True}, **target)
    assert suspended()["DynamicScalingInSuspended"] is True
    assert suspended()["DynamicScalingOutSuspended"] is False
    (told,) = client.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"]
    assert (told["MinCapacity"], told["MaxCapacity"]) == (1, 9)
