"""Container instances: registration, resources, attributes, counts, agents."""

import botocore.exceptions
import pytest
from conftest import attributes, error_code, remaining


def test_instances_register_by_their_user_data_with_the_resources_of_their_type(aws):
    host = aws.cluster_with_hosts(1)[0]
    registered = {each["name"]: each.get("integerValue") for each in host["registeredResources"]}
    assert (registered["CPU"], registered["MEMORY"]) == (2048, int(8192 * 0.95))
    assert (host["status"], host["agentConnected"]) == ("ACTIVE", True)


def test_a_host_tells_its_type_zone_and_image(aws):
    host = aws.cluster_with_hosts(1)[0]
    instance = aws.ec2.describe_instances(InstanceIds=[host["ec2InstanceId"]])["Reservations"][0]["Instances"][0]
    known = attributes(host)
    assert known["ecs.instance-type"] == "m5.large"
    assert known["ecs.availability-zone"] == instance["Placement"]["AvailabilityZone"]
    assert known["ecs.ami-id"] == instance["ImageId"]


def test_a_host_names_the_capacity_provider_of_its_group(aws):
    aws.cluster()
    aws.group(desired=1)
    arn = aws.describe_group()["AutoScalingGroupARN"]
    aws.ecs.create_capacity_provider(name="cp", autoScalingGroupProvider={"autoScalingGroupArn": arn})
    aws.ecs.put_cluster_capacity_providers(cluster="c", capacityProviders=["cp"], defaultCapacityProviderStrategy=[])
    assert aws.hosts(1)[0]["capacityProviderName"] == "cp"


def test_attributes_can_be_put_listed_and_deleted(aws):
    host = aws.cluster_with_hosts(1)[0]["containerInstanceArn"]
    mark = {"name": "tidegate.drain", "value": "repair", "targetType": "container-instance", "targetId": host}
    aws.ecs.put_attributes(cluster="c", attributes=[mark])
    assert attributes(aws.hosts(1)[0])["tidegate.drain"] == "repair"
    listed = aws.ecs.list_attributes(
        cluster="c", targetType="container-instance", attributeName="tidegate.drain", attributeValue="repair"
    )["attributes"]
    assert [each["targetId"] for each in listed] == [host]
    aws.ecs.delete_attributes(
        cluster="c", attributes=[{key: mark[key] for key in ("name", "targetType", "targetId")}]
    )
    assert "tidegate.drain" not in attributes(aws.hosts(1)[0])


def test_at_most_ten_attributes_are_put_at_once(aws):
    host = aws.cluster_with_hosts(1)[0]["containerInstanceArn"]
    marks = [{"name": f"n{number}", "targetId": host, "targetType": "container-instance"} for number in range(11)]
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        aws.ecs.put_attributes(cluster="c", attributes=marks)
    assert error_code(raised) == "InvalidParameterException"


def test_at_most_ten_hosts_change_state_at_once(aws):
    aws.cluster()
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        aws.ecs.update_container_instances_state(cluster="c", containerInstances=["x"] * 11, status="DRAINING")
    assert error_code(raised) == "InvalidParameterException"


def test_hosts_are_listed_by_status_and_in_pages(aws):
    hosts = aws.cluster_with_hosts(3)
    aws.ecs.update_container_instances_state(
        cluster="c", containerInstances=[hosts[0]["containerInstanceArn"]], status="DRAINING"
    )
    draining = aws.ecs.list_container_instances(cluster="c", status="DRAINING")["containerInstanceArns"]
    assert draining == [hosts[0]["containerInstanceArn"]]
    assert len(aws.ecs.list_container_instances(cluster="c", status="ACTIVE")["containerInstanceArns"]) == 2
    first = aws.ecs.list_container_instances(cluster="c", maxResults=2)
    second = aws.ecs.list_container_instances(cluster="c", maxResults=2, nextToken=first["nextToken"])
    assert (len(first["containerInstanceArns"]), len(second["containerInstanceArns"])) == (2, 1)
    assert "nextToken" not in second


def test_hosts_are_listed_by_a_filter_on_attributes(aws):
    aws.cluster_with_hosts(2)
    zone_a = "attribute:ecs.availability-zone == us-east-1a"
    assert len(aws.ecs.list_container_instances(cluster="c", filter=zone_a)["containerInstanceArns"]) == 1
    wanted = aws.hosts(2)[0]
    found = aws.ecs.list_container_instances(cluster="c", filter=f"ec2InstanceId == {wanted['ec2InstanceId']}")
    assert found["containerInstanceArns"] == [wanted["containerInstanceArn"]]


def test_the_counts_of_host_service_and_cluster_agree(aws):
    aws.cluster_with_hosts(1)
    aws.definition()
    aws.service(desired=3)
    aws.steady(3)
    host = aws.hosts(1)[0]
    cluster = aws.ecs.describe_clusters(clusters=["c"], include=["STATISTICS"])["clusters"][0]
    statistics = {each["name"]: each["value"] for each in cluster["statistics"]}
    assert (host["runningTasksCount"], host["pendingTasksCount"]) == (3, 0)
    assert (cluster["runningTasksCount"], cluster["pendingTasksCount"]) == (3, 0)
    assert (cluster["registeredContainerInstancesCount"], cluster["activeServicesCount"]) == (1, 1)
    assert statistics["runningEC2TasksCount"] == "3"


def test_a_disconnected_host_takes_no_tasks_and_keeps_those_it_has(aws):
    host = aws.cluster_with_hosts(1)[0]
    aws.definition()
    aws.service(desired=1)
    aws.steady(1)
    aws.world("agent", instance=host["ec2InstanceId"], connected="false")
    assert aws.hosts(1)[0]["agentConnected"] is False
    aws.ecs.update_service(cluster="c", service="web", desiredCount=2)
    aws.until(lambda: "unable to place" in aws.describe_service()["events"][0]["message"], "the event")
    assert aws.describe_service()["runningCount"] == 1
    aws.world("agent", instance=host["ec2InstanceId"], connected="true")
    aws.steady(2)


def test_a_task_on_a_disconnected_host_does_not_stop(aws):
    host = aws.cluster_with_hosts(1)[0]
    aws.definition()
    arn = aws.ecs.run_task(cluster="c", taskDefinition="web")["tasks"][0]["taskArn"]
    aws.until(lambda: aws.task(arn)["lastStatus"] == "RUNNING", "the task running")
    aws.world("agent", instance=host["ec2InstanceId"], connected="false")
    aws.ecs.stop_task(cluster="c", task=arn)
    aws.world("tick", count=10)
    assert (aws.task(arn)["desiredStatus"], aws.task(arn)["lastStatus"]) == ("STOPPED", "RUNNING")


def test_a_group_can_launch_hosts_that_never_register(aws):
    aws.cluster_with_hosts(1)
    aws.world("registration", group="g", works="false")
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=2)
    aws.in_service(2)
    aws.world("tick", count=10)
    assert len(aws.hosts()) == 1
    aws.world("registration", group="g", works="true")
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=3)
    assert len(aws.hosts(2)) == 2


def test_a_host_can_be_made_older(aws):
    host = aws.cluster_with_hosts(1)[0]
    aws.world("age", instance=host["ec2InstanceId"], seconds=900)
    assert (host["registeredAt"] - aws.hosts(1)[0]["registeredAt"]).total_seconds() == 900


def test_a_host_is_deregistered_only_by_force_while_it_has_tasks(aws):
    host = aws.cluster_with_hosts(1)[0]["containerInstanceArn"]
    aws.definition()
    aws.ecs.run_task(cluster="c", taskDefinition="web")
    with pytest.raises(botocore.exceptions.ClientError) as raised:
        aws.ecs.deregister_container_instance(cluster="c", containerInstance=host)
    assert error_code(raised) == "InvalidParameterException"
    aws.ecs.deregister_container_instance(cluster="c", containerInstance=host, force=True)
    aws.world("tick", count=5)
    assert aws.hosts() == []


def test_a_host_has_all_its_resources_back_when_its_task_is_stopped(aws):
    aws.cluster_with_hosts(1)
    aws.definition(cpu=512)
    arn = aws.ecs.run_task(cluster="c", taskDefinition="web")["tasks"][0]["taskArn"]
    assert remaining(aws.hosts(1)[0], "CPU") == 1536
    aws.ecs.stop_task(cluster="c", task=arn)
    aws.until(lambda: remaining(aws.hosts(1)[0], "CPU") == 2048, "the CPU to be free")
