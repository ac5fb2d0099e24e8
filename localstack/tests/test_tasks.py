"""Standalone tasks: placement, waiting for capacity, failures, stopping."""

import botocore.exceptions
import pytest
from conftest import error_code, remaining


def provider(aws, status: str) -> None:
    """Cluster c whose default capacity provider is group g, with managed scaling ENABLED or DISABLED."""
    aws.cluster()
    aws.group()
    aws.ecs.create_capacity_provider(
        name="cp",
        autoScalingGroupProvider={
            "autoScalingGroupArn": aws.describe_group()["AutoScalingGroupARN"],
            "managedScaling": {"status": status, "targetCapacity": 100},
        },
    )
    aws.ecs.put_cluster_capacity_providers(
        cluster="c",
        capacityProviders=["cp"],
        defaultCapacityProviderStrategy=[{"capacityProvider": "cp", "weight": 1}],
    )


def test_a_task_is_pending_and_then_runs(aws):
    aws.cluster_with_hosts(1)
    aws.definition()
    task = aws.ecs.run_task(cluster="c", taskDefinition="web", startedBy="me")["tasks"][0]
    assert (task["lastStatus"], task["desiredStatus"], task["startedBy"]) == ("PENDING", "RUNNING", "me")
    aws.until(lambda: aws.task(task["taskArn"])["lastStatus"] == "RUNNING", "the task running")


def test_a_task_keeps_running_however_often_it_is_described(aws):
    aws.cluster_with_hosts(1)
    aws.definition()
    arn = aws.ecs.run_task(cluster="c", taskDefinition="web")["tasks"][0]["taskArn"]
    aws.until(lambda: aws.task(arn)["lastStatus"] == "RUNNING", "the task running")
    assert {aws.task(arn)["lastStatus"] for _ in range(10)} == {"RUNNING"}


@pytest.mark.parametrize(
    ("size", "reason"), [({"cpu": 4096}, "RESOURCE:CPU"), ({"memory": 16000}, "RESOURCE:MEMORY")]
)
def test_a_task_that_fits_nowhere_is_a_failure(aws, size, reason):
    host = aws.cluster_with_hosts(1)[0]
    aws.definition(**size)
    answer = aws.ecs.run_task(cluster="c", taskDefinition="web")
    assert answer["tasks"] == []
    assert answer["failures"] == [{"arn": host["containerInstanceArn"], "reason": reason}]


def test_a_batch_that_fits_in_part_gives_tasks_and_failures(aws):
    aws.cluster_with_hosts(1)
    aws.definition(cpu=1024)
    answer = aws.ecs.run_task(cluster="c", taskDefinition="web", count=3)
    assert (len(answer["tasks"]), answer["failures"][0]["reason"]) == (2, "RESOURCE:CPU")
    assert remaining(aws.hosts(1)[0], "CPU") == 0


def test_without_hosts_a_task_is_refused(aws):
    aws.cluster()
    aws.definition()
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        aws.ecs.run_task(cluster="c", taskDefinition="web")
    assert error_code(raised) == "InvalidParameterException"


def test_with_managed_scaling_a_task_waits_until_there_is_room(aws):
    provider(aws, "ENABLED")
    aws.definition()
    task = aws.ecs.run_task(cluster="c", taskDefinition="web")["tasks"][0]
    assert (task["lastStatus"], task.get("containerInstanceArn")) == ("PROVISIONING", None)
    assert task["capacityProviderName"] == "cp"
    assert aws.ecs.describe_clusters(clusters=["c"])["clusters"][0]["pendingTasksCount"] == 1
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
    aws.until(lambda: aws.task(task["taskArn"])["lastStatus"] == "RUNNING", "the task running")
    assert aws.task(task["taskArn"])["containerInstanceArn"] == aws.hosts(1)[0]["containerInstanceArn"]
    assert aws.ecs.describe_clusters(clusters=["c"])["clusters"][0]["pendingTasksCount"] == 0


def test_without_managed_scaling_a_task_of_a_provider_fails(aws):
    provider(aws, "DISABLED")
    aws.definition()
    answer = aws.ecs.run_task(
        cluster="c", taskDefinition="web", capacityProviderStrategy=[{"capacityProvider": "cp", "weight": 1}]
    )
    assert (answer["tasks"], answer["failures"][0]["reason"]) == ([], "RESOURCE:MEMORY")


def test_a_waiting_task_can_be_stopped(aws):
    provider(aws, "ENABLED")
    aws.definition()
    arn = aws.ecs.run_task(cluster="c", taskDefinition="web")["tasks"][0]["taskArn"]
    aws.ecs.stop_task(cluster="c", task=arn)
    aws.until(lambda: aws.task(arn)["lastStatus"] == "STOPPED", "the task stopped")


def test_a_service_of_a_scaling_provider_has_waiting_tasks(aws):
    provider(aws, "ENABLED")
    aws.definition()
    aws.service(desired=2)
    aws.until(lambda: aws.describe_service()["pendingCount"] == 2, "two pending tasks")
    assert {task["lastStatus"] for task in aws.tasks()} == {"PROVISIONING"}
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
    aws.steady(2)


def test_a_stopping_task_holds_its_host_after_it_has_left_the_running_count(aws):
    aws.cluster_with_hosts(1)
    aws.definition(cpu=512)
    arn = aws.ecs.run_task(cluster="c", taskDefinition="web")["tasks"][0]["taskArn"]
    aws.until(lambda: aws.task(arn)["lastStatus"] == "RUNNING", "the task running")
    stopped = aws.ecs.stop_task(cluster="c", task=arn, reason="enough")["task"]
    assert (stopped["desiredStatus"], stopped["lastStatus"]) == ("STOPPED", "RUNNING")
    host = aws.hosts(1)[0]
    assert (host["runningTasksCount"], remaining(host, "CPU")) == (0, 1536)
    seen = []

    def finished():
        seen.append(aws.task(arn)["lastStatus"])
        return seen[-1] == "STOPPED"

    aws.until(finished, "the task stopped")
    assert {"DEACTIVATING", "STOPPING"} <= set(seen)
    assert aws.task(arn)["stoppedReason"] == "enough"


def test_a_standalone_task_stays_on_a_draining_host(aws):
    host = aws.cluster_with_hosts(2)[0]["containerInstanceArn"]
    aws.definition()
    arn = aws.ecs.start_task(cluster="c", taskDefinition="web", containerInstances=[host])["tasks"][0]["taskArn"]
    aws.until(lambda: aws.task(arn)["lastStatus"] == "RUNNING", "the task running")
    aws.ecs.update_container_instances_state(cluster="c", containerInstances=[host], status="DRAINING")
    aws.world("tick", count=10)
    assert (aws.task(arn)["lastStatus"], aws.task(arn)["containerInstanceArn"]) == ("RUNNING", host)


def test_tasks_are_listed_by_host_service_starter_and_status(aws):
    first, second = aws.cluster_with_hosts(2)
    aws.definition()
    aws.service(desired=2)
    aws.steady(2)
    mine = aws.ecs.run_task(cluster="c", taskDefinition="web", startedBy="me")["tasks"][0]["taskArn"]
    assert [task["taskArn"] for task in aws.tasks(startedBy="me")] == [mine]
    assert len(aws.tasks(serviceName="web")) == 2
    on_hosts = [len(aws.tasks(containerInstance=each["containerInstanceArn"])) for each in (first, second)]
    assert sum(on_hosts) == 3
    aws.ecs.stop_task(cluster="c", task=mine)
    assert [task["taskArn"] for task in aws.tasks(desiredStatus="STOPPED")] == [mine]


def test_tasks_are_listed_in_pages(aws):
    aws.cluster_with_hosts(1)
    aws.definition(cpu=10, memory=10)
    aws.ecs.run_task(cluster="c", taskDefinition="web", count=5)
    first = aws.ecs.list_tasks(cluster="c", maxResults=3)
    second = aws.ecs.list_tasks(cluster="c", maxResults=3, nextToken=first["nextToken"])
    assert (len(first["taskArns"]), len(second["taskArns"]), second.get("nextToken")) == (3, 2, None)


def test_the_death_of_its_host_stops_a_standalone_task(aws):
    host = aws.cluster_with_hosts(1)[0]
    aws.definition()
    arn = aws.ecs.run_task(cluster="c", taskDefinition="web")["tasks"][0]["taskArn"]
    aws.ec2.terminate_instances(InstanceIds=[host["ec2InstanceId"]])
    aws.until(lambda: aws.task(arn)["lastStatus"] == "STOPPED", "the task stopped")
    assert "terminated" in aws.task(arn)["stoppedReason"]


def test_tasks_of_services_answer_that_they_are_not_protected(aws):
    aws.cluster_with_hosts(1)
    aws.definition()
    aws.service(desired=1)
    aws.steady(1)
    tasks = aws.ecs.list_tasks(cluster="c", serviceName="web")["taskArns"]
    answer = aws.ecs.get_task_protection(cluster="c", tasks=tasks)
    assert answer["protectedTasks"] == [{"taskArn": tasks[0], "protectionEnabled": False}]
    assert answer["failures"] == []
