"""ECS services: placement, deployments, draining and load balancers."""

from conftest import remaining


def test_a_service_starts_its_tasks_and_reaches_a_steady_state(aws):
    aws.cluster_with_hosts(2)
    aws.definition()
    aws.service(desired=4)
    service = aws.steady(4)
    aws.until(lambda: "steady state" in aws.describe_service()["events"][0]["message"], "the steady event")
    assert service["deployments"][0]["runningCount"] == 4


def test_tasks_spread_over_the_hosts_and_reserve_their_cpu_and_memory(aws):
    aws.cluster_with_hosts(2)
    aws.definition(cpu=512, memory=1024)
    aws.service(desired=4)
    aws.steady(4)
    assert [(remaining(host, "CPU"), remaining(host, "MEMORY")) for host in aws.hosts(2)] == [(1024, 5734)] * 2


def test_a_host_is_never_over_committed(aws):
    aws.cluster_with_hosts(1)
    aws.definition(cpu=1024)
    aws.service(desired=3)
    aws.until(lambda: aws.describe_service()["runningCount"] == 2, "two tasks running")
    aws.until(lambda: "unable to place" in aws.describe_service()["events"][0]["message"], "the event")
    service = aws.describe_service()
    assert (service["runningCount"], service["pendingCount"]) == (2, 0)


def test_a_static_host_port_is_used_once_on_a_host(aws):
    aws.cluster_with_hosts(2)
    aws.definition(portMappings=[{"containerPort": 80, "hostPort": 8080}])
    aws.service(desired=3)
    aws.until(lambda: aws.describe_service()["runningCount"] == 2, "two tasks running")
    aws.until(lambda: "unable to place" in aws.describe_service()["events"][0]["message"], "the event")
    assert len({task["containerInstanceArn"] for task in aws.tasks()}) == 2


def test_a_new_task_definition_replaces_the_tasks(aws):
    aws.cluster_with_hosts(1)
    aws.definition()
    aws.service(desired=2)
    aws.steady(2)
    second = aws.definition()
    aws.ecs.update_service(cluster="c", service="web", taskDefinition=second)
    assert len(aws.describe_service()["deployments"]) == 2
    aws.steady(2)
    assert {task["taskDefinitionArn"] for task in aws.tasks()} == {second}


def test_a_drained_host_loses_its_service_tasks_and_the_service_never_drops_below_its_minimum(aws):
    first, _ = aws.cluster_with_hosts(2)
    aws.definition()
    aws.service(desired=4)
    aws.steady(4)
    aws.ecs.update_container_instances_state(
        cluster="c", containerInstances=[first["containerInstanceArn"]], status="DRAINING"
    )
    seen = []

    def drained():
        seen.append(aws.describe_service()["runningCount"])
        return not aws.tasks(containerInstance=first["containerInstanceArn"])

    aws.until(drained, "the host to be empty")
    assert min(seen) >= 4


def test_minimum_and_maximum_of_100_percent_cannot_leave_a_draining_host(aws):
    first, _ = aws.cluster_with_hosts(2)
    aws.definition()
    aws.service(desired=2, deploymentConfiguration={"minimumHealthyPercent": 100, "maximumPercent": 100})
    aws.steady(2)
    host = first["containerInstanceArn"]
    aws.ecs.update_container_instances_state(cluster="c", containerInstances=[host], status="DRAINING")
    for _ in range(10):
        aws.world("tick")
    assert len(aws.tasks(containerInstance=host)) == 1
    assert aws.describe_service()["runningCount"] == 2


def test_a_minimum_below_100_percent_stops_first_and_starts_then(aws):
    first, _ = aws.cluster_with_hosts(2)
    aws.definition()
    aws.service(desired=2, deploymentConfiguration={"minimumHealthyPercent": 50, "maximumPercent": 100})
    aws.steady(2)
    host = first["containerInstanceArn"]
    aws.ecs.update_container_instances_state(cluster="c", containerInstances=[host], status="DRAINING")
    aws.until(lambda: not aws.tasks(containerInstance=host), "the host to be empty")
    aws.steady(2)


def test_a_host_that_is_active_again_takes_tasks_again(aws):
    host = aws.cluster_with_hosts(1)[0]["containerInstanceArn"]
    aws.definition()
    aws.ecs.update_container_instances_state(cluster="c", containerInstances=[host], status="DRAINING")
    aws.service()
    aws.until(lambda: aws.describe_service()["events"], "the unplaced event")
    aws.ecs.update_container_instances_state(cluster="c", containerInstances=[host], status="ACTIVE")
    aws.steady(1)


def test_the_death_of_a_host_moves_its_tasks(aws):
    first, second = aws.cluster_with_hosts(2)
    aws.definition()
    aws.service(desired=4)
    aws.steady(4)
    aws.autoscaling.suspend_processes(AutoScalingGroupName="g", ScalingProcesses=["Launch"])
    aws.ec2.terminate_instances(InstanceIds=[first["ec2InstanceId"]])
    aws.hosts(1)
    aws.steady(4)
    assert {task["containerInstanceArn"] for task in aws.tasks()} == {second["containerInstanceArn"]}


def test_a_distinct_instance_constraint_keeps_tasks_apart(aws):
    aws.cluster_with_hosts(2)
    aws.definition()
    aws.service(desired=3, placementConstraints=[{"type": "distinctInstance"}])
    aws.until(lambda: aws.describe_service()["runningCount"] == 2, "two tasks running")
    aws.until(lambda: "unable to place" in aws.describe_service()["events"][0]["message"], "the event")


def test_a_member_of_constraint_picks_hosts_by_attribute(aws):
    first, second = aws.cluster_with_hosts(2)
    aws.ecs.put_attributes(
        cluster="c",
        attributes=[{"name": "role", "value": "web", "targetId": second["containerInstanceArn"]}],
    )
    aws.definition()
    aws.service(desired=2, placementConstraints=[{"type": "memberOf", "expression": "attribute:role == web"}])
    aws.steady(2)
    assert {task["containerInstanceArn"] for task in aws.tasks()} == {second["containerInstanceArn"]}


def test_bin_packing_fills_one_host_before_the_next(aws):
    aws.cluster_with_hosts(2)
    aws.definition()
    aws.service(desired=4, placementStrategy=[{"type": "binpack", "field": "memory"}])
    aws.steady(4)
    assert len({task["containerInstanceArn"] for task in aws.tasks()}) == 1


def test_a_daemon_runs_once_on_each_active_host(aws):
    aws.cluster_with_hosts(2)
    aws.definition()
    aws.ecs.create_service(cluster="c", serviceName="web", taskDefinition="web", schedulingStrategy="DAEMON")
    aws.until(lambda: aws.describe_service()["runningCount"] == 2, "a daemon on each host")
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=3)
    aws.until(lambda: aws.describe_service()["runningCount"] == 3, "a daemon on the new host")


def test_a_deleted_service_stops_its_tasks(aws):
    aws.cluster_with_hosts(1)
    aws.definition()
    aws.service(desired=2)
    aws.steady(2)
    aws.ecs.delete_service(cluster="c", service="web", force=True)
    aws.until(lambda: aws.describe_service()["status"] == "INACTIVE", "the service inactive")
    assert aws.tasks() == []


def test_tasks_behind_a_load_balancer_are_its_targets(aws):
    host = aws.cluster_with_hosts(1)[0]
    arn = aws.target_group()
    aws.listener(arn)
    aws.definition(portMappings=[{"containerPort": 80, "hostPort": 0}])
    aws.service(desired=2, loadBalancers=[{"targetGroupArn": arn, "containerName": "main", "containerPort": 80}])
    aws.steady(2)

    def health():
        return [
            (each["Target"]["Id"], each["TargetHealth"]["State"])
            for each in aws.elbv2.describe_target_health(TargetGroupArn=arn)["TargetHealthDescriptions"]
        ]

    assert health() == [(host["ec2InstanceId"], "healthy")] * 2
    aws.world("health", target_group=arn, target=host["ec2InstanceId"], state="unhealthy")
    assert {state for _, state in health()} == {"unhealthy"}
    aws.ecs.update_service(cluster="c", service="web", desiredCount=0)
    aws.until(lambda: not health(), "the targets to be gone")


def test_list_services_comes_in_pages(aws):
    aws.cluster()
    aws.definition()
    for number in range(5):
        aws.service(f"s{number}", desired=0)
    first = aws.ecs.list_services(cluster="c", maxResults=3)
    second = aws.ecs.list_services(cluster="c", maxResults=3, nextToken=first["nextToken"])
    assert (len(first["serviceArns"]), len(second["serviceArns"]), second.get("nextToken")) == (3, 2, None)


def test_tags_of_a_service_are_told_only_if_asked_for(aws):
    aws.cluster()
    aws.definition()
    aws.service(desired=0, tags=[{"key": "owner", "value": "me"}])
    assert "tags" not in aws.describe_service()
    (service,) = aws.ecs.describe_services(cluster="c", services=["web"], include=["TAGS"])["services"]
    assert service["tags"] == [{"key": "owner", "value": "me"}]
    aws.ecs.tag_resource(resourceArn=service["serviceArn"], tags=[{"key": "owner", "value": "you"}])
    tags = aws.ecs.list_tags_for_resource(resourceArn=service["serviceArn"])["tags"]
    assert tags == [{"key": "owner", "value": "you"}]
