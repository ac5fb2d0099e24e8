"""The endpoint itself: isolation, the request log, and the services that only need to answer."""

import subprocess
import time
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


def test_a_parameter_is_read_as_it_was_put(aws):
    aws.ssm.put_parameter(Name="/tidegate/ami", Value="ami-1", Type="String")
    aws.ssm.put_parameter(Name="/tidegate/ami", Value="ami-2", Type="String", Overwrite=True)
    parameter = aws.ssm.get_parameter(Name="/tidegate/ami")["Parameter"]
    assert (parameter["Value"], parameter["Version"]) == ("ami-2", 2)


def test_a_topic_publishes_to_a_queue(aws):
    url = aws.sqs.create_queue(QueueName="told")["QueueUrl"]
    queue = aws.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    topic = aws.sns.create_topic(Name="news")["TopicArn"]
    raw = {"RawMessageDelivery": "true"}
    aws.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue, Attributes=raw)
    aws.sns.publish(TopicArn=topic, Message="a cutover waits")

    def received():
        return aws.sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages")

    (message,) = eventually(received, "the message")
    assert message["Body"] == "a cutover waits"


def test_secrets_and_logs_are_kept(aws):
    aws.secretsmanager.create_secret(Name="token", SecretString="s3cret")
    assert aws.secretsmanager.get_secret_value(SecretId="token")["SecretString"] == "s3cret"
    aws.logs.create_log_group(logGroupName="/tidegate")
    aws.logs.create_log_stream(logGroupName="/tidegate", logStreamName="main")
    events = [{"timestamp": int(time.time() * 1000), "message": "started"}]
    aws.logs.put_log_events(logGroupName="/tidegate", logStreamName="main", logEvents=events)
    kept = aws.logs.get_log_events(logGroupName="/tidegate", logStreamName="main")["events"]
    assert [each["message"] for each in kept] == ["started"]


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
