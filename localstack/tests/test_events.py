"""EventBridge: what the world tells, of whom and in which shape, how it is delivered, and what Spot announces."""

import base64
import json
from datetime import datetime

import pytest
import requests
from conftest import ENDPOINT, PATIENCE, eventually, new_account, remaining

HOST, TASK = "ECS Container Instance State Change", "ECS Task State Change"
ACTION, DEPLOYMENT = "ECS Service Action", "ECS Deployment State Change"
WARNING, REBALANCE = "EC2 Spot Instance Interruption Warning", "EC2 Instance Rebalance Recommendation"


class Ears:
    """A queue that a rule feeds, and every event that has come out of it."""

    def __init__(self, aws, name: str = "events", **pattern):
        self.aws = aws
        self.url = aws.sqs.create_queue(QueueName=name)["QueueUrl"]
        told = aws.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=["QueueArn"])
        pattern = {key.replace("_", "-"): value for key, value in pattern.items()}
        aws.events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        aws.events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": told["Attributes"]["QueueArn"]}])
        self.heard: list[dict] = []

    def listen(self) -> list[dict]:
        """Takes what is there, and gives all that was ever heard."""
        while messages := self.aws.sqs.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self.heard.append(json.loads(message["Body"]))
                self.aws.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
        return self.heard

    def all(self, kind: str, **detail) -> list[dict]:
        return [
            event
            for event in self.listen()
            if event["detail-type"] == kind and all(event["detail"].get(key) == want for key, want in detail.items())
        ]

    def one(self, kind: str, **detail) -> dict:
        """The first event of the kind with these details; events need not arrive in the order of their sending."""
        return eventually(lambda: self.all(kind, **detail), f"{kind} with {detail}")[0]


def spot_policy(template: str) -> dict:
    named = {"LaunchTemplateId": template, "Version": "$Latest"}
    distribution = {"OnDemandBaseCapacity": 0, "OnDemandPercentageAboveBaseCapacity": 0}
    return {"LaunchTemplate": {"LaunchTemplateSpecification": named}, "InstancesDistribution": distribution}


def spot_group(aws, desired: int, **more) -> list[str]:
    """Group g of spot instances that are hosts of cluster c; the ids of its instances."""
    aws.cluster()
    aws.group(desired=desired, MixedInstancesPolicy=spot_policy(aws.launch_template()), **more)
    aws.in_service(desired)
    return [host["ec2InstanceId"] for host in aws.hosts(desired)]


def refusal(aws, **arguments) -> str:
    answer = requests.post(f"{ENDPOINT}/_world/spot", params={"account": aws.account, **arguments}, timeout=PATIENCE)
    assert answer.status_code == 400
    return answer.json()["error"]


# ---- shapes


def test_an_event_has_the_envelope_of_aws(aws):
    ears = Ears(aws, source=["aws.ecs"])
    host = aws.cluster_with_hosts(1)[0]
    event = ears.one(HOST)
    assert set(event) == {
        "version",
        "id",
        "detail-type",
        "source",
        "account",
        "time",
        "region",
        "resources",
        "detail",
    }
    assert (event["version"], event["source"], event["account"]) == ("0", "aws.ecs", aws.account)
    assert (event["region"], event["resources"]) == ("us-east-1", [host["containerInstanceArn"]])
    assert datetime.strptime(event["time"], "%Y-%m-%dT%H:%M:%SZ")


def test_a_hosts_event_shows_what_it_has_left_and_in_which_version(aws):
    ears = Ears(aws, source=["aws.ecs"], detail_type=[HOST])
    registered = aws.cluster_with_hosts(1)[0]
    aws.definition()
    aws.ecs.run_task(cluster="c", taskDefinition="web")
    host = aws.hosts(1)[0]
    assert host["version"] > registered["version"]
    detail = ears.one(HOST, version=host["version"])["detail"]
    for field in ("containerInstanceArn", "ec2InstanceId", "status", "agentConnected", "attributes", "versionInfo"):
        assert detail[field] == host[field]
    assert detail["clusterArn"].endswith(":cluster/c")
    assert remaining(detail, "CPU") == remaining(host, "CPU") == 2048 - 256
    assert detail["remainingResources"][1] == {"name": "MEMORY", "type": "INTEGER", "integerValue": 7782 - 256}
    assert set(detail["registeredResources"][2]) == {"name", "type", "stringSetValue"}
    assert detail["updatedAt"].endswith("Z")


def test_a_host_tells_when_its_agent_goes_when_it_drains_and_when_it_dies(aws):
    ears = Ears(aws, source=["aws.ecs"], detail_type=[HOST])
    host = aws.cluster_with_hosts(1)[0]
    instance, arn = host["ec2InstanceId"], host["containerInstanceArn"]
    aws.world("agent", instance=instance, connected="false")
    ears.one(HOST, agentConnected=False, status="ACTIVE")
    aws.ecs.update_container_instances_state(cluster="c", containerInstances=[arn], status="DRAINING")
    ears.one(HOST, status="DRAINING", ec2InstanceId=instance)
    aws.ec2.terminate_instances(InstanceIds=[instance])
    aws.world("tick")
    ears.one(HOST, status="INACTIVE", agentConnected=False, ec2InstanceId=instance)


def test_a_task_tells_every_step_of_its_life_and_why_it_ended(aws):
    ears = Ears(aws, source=["aws.ecs"], detail_type=[TASK])
    host = aws.cluster_with_hosts(1)[0]
    aws.definition()
    arn = aws.ecs.run_task(cluster="c", taskDefinition="web", startedBy="someone")["tasks"][0]["taskArn"]
    aws.until(lambda: aws.task(arn)["lastStatus"] == "RUNNING", "the task running")
    running = ears.one(TASK, taskArn=arn, lastStatus="RUNNING")
    assert running["resources"] == [arn]
    detail, shown = running["detail"], aws.task(arn)
    for field in ("taskDefinitionArn", "group", "startedBy", "version", "availabilityZone", "cpu", "memory", "clusterArn"):
        assert detail[field] == shown[field]
    assert detail["containerInstanceArn"] == host["containerInstanceArn"]
    assert [each["lastStatus"] for each in detail["containers"]] == ["RUNNING"]
    assert detail["startedAt"].endswith("Z")
    aws.world("exit", task=arn, code=3)
    detail = ears.one(TASK, taskArn=arn, lastStatus="STOPPED")["detail"]
    assert (detail["stopCode"], detail["desiredStatus"]) == ("EssentialContainerExited", "STOPPED")
    assert (detail["stoppedReason"], detail["containers"][0]["exitCode"]) == ("Essential container in task exited", 3)
    assert {each["detail"]["lastStatus"] for each in ears.all(TASK)} == {"PENDING", "RUNNING", "STOPPED"}


def test_the_versions_of_a_task_put_its_events_in_order(aws):
    ears = Ears(aws, source=["aws.ecs"], detail_type=[TASK])
    aws.cluster_with_hosts(1)
    aws.definition()
    arn = aws.ecs.run_task(cluster="c", taskDefinition="web")["tasks"][0]["taskArn"]
    aws.until(lambda: aws.task(arn)["lastStatus"] == "RUNNING", "the task running")
    aws.ecs.stop_task(cluster="c", task=arn)
    aws.until(lambda: aws.task(arn)["lastStatus"] == "STOPPED", "the task stopped")
    ears.one(TASK, lastStatus="STOPPED")
    heard = eventually(lambda: len(ears.all(TASK)) == 6 and ears.all(TASK), "six events")
    told = sorted((event["detail"] for event in heard), key=lambda detail: detail["version"])
    assert [(each["lastStatus"], each["desiredStatus"]) for each in told] == [
        ("PENDING", "RUNNING"),
        ("RUNNING", "RUNNING"),
        ("RUNNING", "STOPPED"),
        ("DEACTIVATING", "STOPPED"),
        ("STOPPING", "STOPPED"),
        ("STOPPED", "STOPPED"),
    ]
    assert told[-1]["version"] == aws.task(arn)["version"]


def test_a_service_tells_that_it_cannot_place_and_that_it_is_steady(aws):
    ears = Ears(aws, source=["aws.ecs"], detail_type=[ACTION, DEPLOYMENT])
    aws.cluster_with_hosts(1)
    aws.definition(cpu=1500)
    aws.service(desired=2)
    aws.world("tick", count=2)
    failure = ears.one(ACTION, eventName="SERVICE_TASK_PLACEMENT_FAILURE")
    service = aws.describe_service()
    assert failure["resources"] == [service["serviceArn"]]
    assert (failure["detail"]["eventType"], failure["detail"]["reason"]) == ("ERROR", "RESOURCE:CPU")
    assert failure["detail"]["clusterArn"] == service["clusterArn"]
    assert "version" not in failure["detail"]
    assert ears.all(ACTION, eventName="SERVICE_STEADY_STATE") == []
    aws.ecs.update_service(cluster="c", service="web", desiredCount=1)
    aws.steady(1)
    assert ears.one(ACTION, eventName="SERVICE_STEADY_STATE")["detail"]["eventType"] == "INFO"


def test_a_placement_failure_names_the_capacity_provider(aws):
    ears = Ears(aws, source=["aws.ecs"], detail_type=[ACTION])
    aws.cluster_with_hosts(1)
    scaling = {"status": "DISABLED"}
    group = aws.describe_group()["AutoScalingGroupARN"]
    aws.ecs.create_capacity_provider(
        name="p", autoScalingGroupProvider={"autoScalingGroupArn": group, "managedScaling": scaling}
    )
    aws.ecs.put_cluster_capacity_providers(cluster="c", capacityProviders=["p"], defaultCapacityProviderStrategy=[])
    aws.definition(memory=9000)
    aws.service(desired=1, capacityProviderStrategy=[{"capacityProvider": "p", "weight": 1}])
    aws.world("tick")
    detail = ears.one(ACTION, eventName="SERVICE_TASK_PLACEMENT_FAILURE")["detail"]
    assert (detail["reason"], len(detail["capacityProviderArns"])) == ("RESOURCE:MEMORY", 1)
    assert detail["capacityProviderArns"][0].endswith(":capacity-provider/p")


def test_a_deployment_tells_its_begin_and_its_end(aws):
    ears = Ears(aws, source=["aws.ecs"], detail_type=[DEPLOYMENT])
    aws.cluster_with_hosts(1)
    aws.definition()
    aws.service()
    deployment = aws.describe_service()["deployments"][0]["id"]
    begun = ears.one(DEPLOYMENT, eventName="SERVICE_DEPLOYMENT_IN_PROGRESS")
    assert begun["resources"] == [aws.describe_service()["serviceArn"]]
    assert begun["detail"]["deploymentId"] == deployment
    aws.steady(1)
    ended = ears.one(DEPLOYMENT, eventName="SERVICE_DEPLOYMENT_COMPLETED", deploymentId=deployment)
    assert ended["detail"]["reason"] == f"ECS deployment {deployment} completed."


def test_a_group_tells_of_launches_hooks_and_terminations(aws):
    ears = Ears(aws, source=["aws.autoscaling"])
    aws.group()
    aws.autoscaling.put_lifecycle_hook(
        AutoScalingGroupName="g",
        LifecycleHookName="leave",
        LifecycleTransition="autoscaling:EC2_INSTANCE_TERMINATING",
        HeartbeatTimeout=600,
    )
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName="g", DesiredCapacity=1)
    instance = aws.in_service(1)[0]["InstanceId"]
    group = aws.describe_group()["AutoScalingGroupARN"]
    launched = ears.one("EC2 Instance Launch Successful", EC2InstanceId=instance)
    assert launched["resources"][0] == group
    assert launched["resources"][1].endswith(f":instance/{instance}")
    detail = launched["detail"]
    activity = aws.autoscaling.describe_scaling_activities(AutoScalingGroupName="g")["Activities"][0]
    assert (detail["ActivityId"], detail["Cause"]) == (activity["ActivityId"], activity["Cause"])
    assert detail["Details"]["Subnet ID"] in aws.subnets
    assert (detail["Origin"], detail["Destination"]) == ("EC2", "AutoScalingGroup")
    aws.autoscaling.terminate_instance_in_auto_scaling_group(
        InstanceId=instance, ShouldDecrementDesiredCapacity=True
    )
    aws.world("tick")
    held = ears.one("EC2 Instance-terminate Lifecycle Action", LifecycleHookName="leave")["detail"]
    aws.autoscaling.complete_lifecycle_action(
        AutoScalingGroupName="g",
        LifecycleHookName=held["LifecycleHookName"],
        LifecycleActionToken=held["LifecycleActionToken"],
        LifecycleActionResult="CONTINUE",
    )
    aws.world("tick")
    gone = ears.one("EC2 Instance Terminate Successful", EC2InstanceId=instance)["detail"]
    assert (gone["Origin"], gone["Destination"]) == ("AutoScalingGroup", "EC2")
    assert "in response to a user request" in gone["Cause"]


def test_a_group_tells_of_an_instance_that_died(aws):
    ears = Ears(aws, source=["aws.autoscaling", "aws.ec2"])
    aws.group(desired=1)
    instance = aws.in_service(1)[0]["InstanceId"]
    aws.ec2.terminate_instances(InstanceIds=[instance])
    aws.world("tick")
    state = ears.one("EC2 Instance State-change Notification", **{"instance-id": instance, "state": "terminated"})
    assert state["resources"] == [f"arn:aws:ec2:us-east-1:{aws.account}:instance/{instance}"]
    assert "health check" in ears.one("EC2 Instance Terminate Successful", EC2InstanceId=instance)["detail"]["Cause"]


def test_an_alarm_tells_its_old_and_its_new_state(aws):
    ears = Ears(aws, source=["aws.cloudwatch"])
    aws.cloudwatch.put_metric_alarm(
        AlarmName="errors",
        AlarmDescription="too many errors",
        Namespace="Own",
        MetricName="Errors",
        Dimensions=[{"Name": "Service", "Value": "web"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanThreshold",
        ActionsEnabled=False,
    )
    aws.cloudwatch.set_alarm_state(AlarmName="errors", StateValue="ALARM", StateReason="tried")
    event = ears.one("CloudWatch Alarm State Change")
    assert event["resources"][0].endswith(":alarm:errors")
    detail = event["detail"]
    assert (detail["alarmName"], detail["state"]["value"], detail["state"]["reason"]) == ("errors", "ALARM", "tried")
    assert detail["previousState"]["value"] == "INSUFFICIENT_DATA"
    (metric,) = detail["configuration"]["metrics"]
    assert metric["metricStat"]["metric"] == {"namespace": "Own", "name": "Errors", "dimensions": {"Service": "web"}}


# ---- delivery


def test_the_rules_of_an_account_decide_what_its_queues_get(aws):
    ends = Ears(aws, "ends", source=["aws.ecs"], detail_type=[TASK], detail={"lastStatus": ["STOPPED"]})
    every = Ears(aws, "every", source=["aws.ecs"])
    aws.cluster_with_hosts(1)
    aws.definition()
    arn = aws.ecs.run_task(cluster="c", taskDefinition="web")["tasks"][0]["taskArn"]
    aws.until(lambda: aws.task(arn)["lastStatus"] == "RUNNING", "the task running")
    other = new_account()
    other.cluster()
    aws.world("exit", task=arn, code=0)
    every.one(TASK, lastStatus="STOPPED")
    ends.one(TASK, lastStatus="STOPPED")
    assert len(ends.heard) == 1
    assert {event["account"] for event in every.heard} == {aws.account}


def test_a_rule_that_is_gone_or_has_no_target_gets_nothing(aws):
    ears = Ears(aws, source=["aws.ecs"])
    aws.events.put_rule(Name="idle", EventPattern=json.dumps({"source": ["aws.ecs"]}))
    host = aws.cluster_with_hosts(1)[0]
    ears.one(HOST)
    aws.events.remove_targets(Rule="events", Ids=["queue"])
    aws.world("agent", instance=host["ec2InstanceId"], connected="false")
    again = Ears(aws, "again", source=["aws.ecs"])
    aws.world("agent", instance=host["ec2InstanceId"], connected="true")
    again.one(HOST, agentConnected=True)
    assert ears.all(HOST, agentConnected=False) == again.all(HOST, agentConnected=False) == []


def test_a_disabled_rule_gets_nothing_until_it_is_enabled(aws):
    ears, other = Ears(aws, source=["aws.ecs"]), Ears(aws, "other", source=["aws.ecs"])
    aws.events.disable_rule(Name="events")
    host = aws.cluster_with_hosts(1)[0]
    other.one(HOST)
    aws.events.enable_rule(Name="events")
    aws.world("agent", instance=host["ec2InstanceId"], connected="false")
    ears.one(HOST)
    assert [event["detail"]["agentConnected"] for event in ears.heard] == [False]


def test_events_arrive_twice_with_one_id_when_asked_for(aws):
    aws.world("delivery", duplicate="true")
    ears = Ears(aws, source=["aws.ecs"], detail_type=[HOST])
    aws.cluster_with_hosts(1)
    heard = eventually(lambda: len(ears.all(HOST)) == 2 and ears.heard, "the event twice")
    assert heard[0] == heard[1]


def test_events_arrive_late_and_out_of_order_when_asked_for(aws):
    aws.world("delivery", reorder="true", seed=7)
    ears = Ears(aws, source=["aws.ecs"], detail_type=[HOST])
    host = aws.cluster_with_hosts(1)[0]
    for number in range(20):
        aws.world("agent", instance=host["ec2InstanceId"], connected="true" if number % 2 else "false")
        aws.world("tick")
        ears.listen()
    aws.world("tick", count=4)
    heard = eventually(lambda: len(ears.listen()) == 21 and ears.heard, "all events, if late")
    versions = [event["detail"]["version"] for event in heard]
    assert versions != sorted(versions)
    assert sorted(versions) == list(range(min(versions), min(versions) + 21))


def test_events_that_were_held_back_arrive_when_order_returns(aws):
    aws.world("delivery", reorder="true", seed=1)
    ears = Ears(aws, source=["aws.ecs"], detail_type=[HOST])
    host = aws.cluster_with_hosts(1)[0]
    for connected in ("false", "true") * 5:
        aws.world("agent", instance=host["ec2InstanceId"], connected=connected)
    aws.world("delivery", reorder="false")
    eventually(lambda: len(ears.listen()) == 11, "all events, without a tick")


# ---- Spot


def test_a_spot_interruption_warns_and_drains_a_host_that_asked_for_it(aws):
    ears = Ears(aws, source=["aws.ec2"], detail_type=[WARNING])
    aws.cluster()
    data = "ECS_CLUSTER=c\nECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n"
    instance = aws.ec2.run_instances(
        ImageId="ami-12c6146b", InstanceType="m5.large", MinCount=1, MaxCount=1, UserData=data
    )["Instances"][0]["InstanceId"]
    aws.hosts(1)
    assert aws.world("spot-interrupt", instance=instance)["drains"] is True
    assert aws.hosts(1)[0]["status"] == "DRAINING"
    ears.one(WARNING, **{"instance-id": instance})


def test_an_interrupted_instance_ends_two_minutes_after_its_warning_and_its_group_replaces_it(aws):
    instance = spot_group(aws, 1)[0]
    ears = Ears(aws, source=["aws.ec2", "aws.autoscaling", "aws.ecs"])
    told = aws.world("spot", instance=instance, notice="interruption")
    assert told == {"instance": instance, "drains": False, "ticks": 60}
    warning = ears.one(WARNING, **{"instance-id": instance})
    assert warning["detail"]["instance-action"] == "terminate"
    zone = aws.members()[0]["AvailabilityZone"]
    assert warning["resources"] == [f"arn:aws:ec2:{zone}:instance/{instance}"]
    aws.world("tick", count=59)
    assert [(member["InstanceId"], member["LifecycleState"]) for member in aws.members()] == [(instance, "InService")]
    aws.world("tick")
    ended = aws.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    assert ended["State"]["Name"] == "terminated"
    assert ended["StateReason"]["Code"] == "Server.SpotInstanceTermination"
    ears.one(HOST, status="INACTIVE", ec2InstanceId=instance)
    ears.one("EC2 Instance Terminate Successful", EC2InstanceId=instance)
    assert aws.in_service(1)[0]["InstanceId"] != instance


def test_a_fleet_replaces_an_interrupted_instance(aws):
    aws.cluster()
    config = {
        "TargetCapacity": 2,
        "IamFleetRole": f"arn:aws:iam::{aws.account}:role/fleet",
        "LaunchSpecifications": [
            {
                "ImageId": "ami-12c6146b",
                "InstanceType": "m5.large",
                "SubnetId": aws.subnets[0],
                "UserData": base64.b64encode(b"ECS_CLUSTER=c\n").decode(),
            }
        ],
    }
    fleet = aws.ec2.request_spot_fleet(SpotFleetRequestConfig=config)["SpotFleetRequestId"]
    instance = aws.hosts(2)[0]["ec2InstanceId"]
    aws.world("spot", instance=instance, notice="interruption", ticks=1)
    aws.world("tick")
    active = aws.ec2.describe_spot_fleet_instances(SpotFleetRequestId=fleet)["ActiveInstances"]
    assert len(active) == 2
    assert instance not in [each["InstanceId"] for each in active]


def test_a_recommendation_to_rebalance_changes_nothing_by_itself(aws):
    instance = spot_group(aws, 1)[0]
    ears = Ears(aws, source=["aws.ec2"])
    assert aws.world("spot", instance=instance, notice="rebalance")["replaced"] is False
    event = ears.one(REBALANCE)
    assert event["detail"] == {"instance-id": instance}
    assert event["resources"] == [f"arn:aws:ec2:us-east-1:{aws.account}:instance/{instance}"]
    aws.world("tick", count=5)
    assert [member["InstanceId"] for member in aws.members()] == [instance]


def test_a_group_with_capacity_rebalancing_launches_before_it_terminates(aws):
    instance = spot_group(aws, 2, CapacityRebalance=True)[0]
    assert aws.world("spot", instance=instance, notice="rebalance")["replaced"] is True
    aws.world("tick")
    assert sorted(aws.lifecycles()) == ["InService", "InService", "Pending"]
    aws.until(lambda: instance not in [member["InstanceId"] for member in aws.members()], "the instance at risk gone")
    assert aws.lifecycles() == ["InService", "InService"]


def test_a_fleet_with_capacity_rebalancing_launches_a_replacement_beside_the_instance_at_risk(aws):
    aws.cluster()
    named = {"LaunchTemplateId": aws.launch_template(), "Version": "$Latest"}
    config = {
        "TargetCapacity": 1,
        "IamFleetRole": f"arn:aws:iam::{aws.account}:role/fleet",
        "LaunchTemplateConfigs": [{"LaunchTemplateSpecification": named}],
        "SpotMaintenanceStrategies": {"CapacityRebalance": {"ReplacementStrategy": "launch"}},
    }
    aws.ec2.request_spot_fleet(SpotFleetRequestConfig=config)
    instance = aws.hosts(1)[0]["ec2InstanceId"]
    assert aws.world("spot", instance=instance, notice="rebalance")["replaced"] is True
    assert instance in [host["ec2InstanceId"] for host in aws.hosts(2)]


@pytest.mark.parametrize("notice", ["interruption", "rebalance"])
def test_spot_tells_only_of_spot_instances(aws, notice):
    aws.group(desired=1)
    instance = aws.in_service(1)[0]["InstanceId"]
    assert "is not a spot instance" in refusal(aws, instance=instance, notice=notice)
    assert "there is no instance" in refusal(aws, instance="i-0123456789abcdef0", notice=notice)


def test_a_notice_of_another_kind_is_refused(aws):
    instance = spot_group(aws, 1)[0]
    assert "neither interruption nor rebalance" in refusal(aws, instance=instance, notice="stop")
