"""The endpoint itself: isolation, the request log, events, and the services that only need to answer."""

import json
import subprocess
from pathlib import Path

import pytest
import requests
from conftest import ENDPOINT, PATIENCE, eventually, new_account


def test_accounts_do_not_see_each_other(aws):
    aws.cluster()
    other = new_account()
    assert other.ecs.list_clusters()["clusterArns"] == []
    assert other.sts.get_caller_identity()["Account"] == other.account


def test_the_log_has_every_request_with_its_parameters_and_outcome(aws):
    aws.sts.get_caller_identity()
    aws.cluster()
    with pytest.raises(aws.ecs.exceptions.ClusterNotFoundException):
        aws.ecs.list_services(cluster="nowhere")
    entries = aws.requests()
    assert [(each["service"], each["operation"], each["status"], each["error"]) for each in entries] == [
        ("sts", "GetCallerIdentity", 200, None),
        ("ecs", "CreateCluster", 200, None),
        ("ecs", "ListServices", 400, "ClusterNotFoundException"),
    ]
    assert entries[1]["parameters"] == {"clusterName": "c"}
    assert entries[0]["number"] < entries[1]["number"] < entries[2]["number"]


def test_the_log_also_has_the_services_that_are_localstacks_own(aws):
    aws.ec2.describe_instances()
    aws.iam.list_roles()
    aws.ssm.describe_parameters()
    assert [each["operation"] for each in aws.requests()] == ["DescribeInstances", "ListRoles", "DescribeParameters"]


def test_the_log_can_be_read_from_a_number_on(aws):
    aws.ec2.describe_instances()
    last = aws.requests()[-1]["number"]
    aws.iam.list_roles()
    assert [each["operation"] for each in aws.requests(after=last)] == ["ListRoles"]


def test_a_control_without_an_account_is_refused():
    answer = requests.post(f"{ENDPOINT}/_world/tick", timeout=PATIENCE)
    assert (answer.status_code, answer.json()["error"]) == (400, "account must be 12 digits")


def test_an_account_whose_clock_stands_moves_only_by_a_tick(aws):
    aws.group(desired=1)
    other = new_account()
    other.group(desired=1)
    eventually(lambda: other.lifecycles() == ["InService"], "the instance of an account whose clock runs")
    assert aws.lifecycles() == []
    aws.world("tick")
    assert aws.lifecycles() == ["Pending"]


def test_a_clock_that_runs_again_moves_its_account(aws):
    aws.group(desired=1)
    aws.world("clock", running="true")
    eventually(lambda: aws.lifecycles() == ["InService"], "the instance in service")


def listen(aws, pattern: dict):
    """A function that gives the details of the events received so far."""
    url = aws.sqs.create_queue(QueueName="events")["QueueUrl"]
    arn = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    aws.events.put_rule(Name="all", EventPattern=json.dumps(pattern))
    aws.events.put_targets(Rule="all", Targets=[{"Id": "queue", "Arn": arn}])
    received = []

    def poll() -> list[dict]:
        answer = aws.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        for message in answer.get("Messages", []):
            received.append(json.loads(message["Body"]))
            aws.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return received

    return poll


def test_ecs_events_reach_a_queue(aws):
    poll = listen(aws, {"source": ["aws.ecs"]})
    aws.cluster_with_hosts(1)
    aws.definition()
    arn = aws.ecs.run_task(cluster="c", taskDefinition="web")["tasks"][0]["taskArn"]
    aws.until(lambda: aws.task(arn)["lastStatus"] == "RUNNING", "the task running")

    def arrived() -> bool:
        # Events need not arrive in the order in which they were sent.
        statuses = {each["detail"]["lastStatus"] for each in poll() if each["detail"].get("taskArn") == arn}
        kinds = {each["detail-type"] for each in poll()}
        return "RUNNING" in statuses and kinds == {"ECS Container Instance State Change", "ECS Task State Change"}

    eventually(arrived, "the events of the task and its host")
    assert {each["account"] for each in poll()} == {aws.account}


def test_a_spot_interruption_warns_and_drains_a_host_that_asked_for_it(aws):
    poll = listen(aws, {"source": ["aws.ec2"], "detail-type": ["EC2 Spot Instance Interruption Warning"]})
    aws.cluster()
    aws.group(desired=0)
    data = "ECS_CLUSTER=c\nECS_ENABLE_SPOT_INSTANCE_DRAINING=true\n"
    instance = aws.ec2.run_instances(
        ImageId="ami-12c6146b", InstanceType="m5.large", MinCount=1, MaxCount=1, UserData=data
    )["Instances"][0]["InstanceId"]
    aws.hosts(1)
    assert aws.world("spot-interrupt", instance=instance)["drains"] is True
    assert aws.hosts(1)[0]["status"] == "DRAINING"
    eventually(lambda: [each["detail"]["instance-id"] for each in poll()] == [instance], "the warning")


def test_dynamodb_conditions_hold(aws):
    aws.dynamodb.create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "k", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "k", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    put = {"TableName": "t", "Item": {"k": {"S": "lease"}}, "ConditionExpression": "attribute_not_exists(k)"}
    aws.dynamodb.put_item(**put)
    with pytest.raises(aws.dynamodb.exceptions.ConditionalCheckFailedException):
        aws.dynamodb.put_item(**put)


def test_application_auto_scaling_ecr_and_service_discovery_answer(aws):
    assert aws.application_autoscaling.describe_scalable_targets(ServiceNamespace="ecs")["ScalableTargets"] == []
    assert aws.ecr.describe_repositories()["repositories"] == []
    assert aws.servicediscovery.list_namespaces()["Namespaces"] == []


def test_instances_are_described_by_a_long_list_of_ids(aws):
    aws.group(desired=60, maximum=100)
    ids = [member["InstanceId"] for member in aws.in_service(60)]
    reservations = aws.ec2.describe_instances(InstanceIds=ids)["Reservations"]
    assert sum(len(each["Instances"]) for each in reservations) == 60


def test_the_ecs_image_parameter_exists(aws):
    name = "/aws/service/ecs/optimized-ami/amazon-linux-2023/recommended/image_id"
    assert aws.ssm.get_parameter(Name=name)["Parameter"]["Value"].startswith("ami-")


def test_starting_again_changes_nothing_and_prints_the_endpoint():
    start = Path(__file__).parents[1] / "start"
    again = subprocess.run([start], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert again.stdout.splitlines()[-1] == ENDPOINT
    assert "already running" in again.stderr


def test_only_the_loopback_address_is_bound():
    port = ENDPOINT.rsplit(":", 1)[-1]
    with open("/proc/net/tcp") as sockets:
        listening = [line.split()[1] for line in sockets if line.split()[3] == "0A"]
    wanted = f"{int(port):04X}"
    assert {each.split(":")[0] for each in listening if each.endswith(f":{wanted}")} == {"0100007F"}
