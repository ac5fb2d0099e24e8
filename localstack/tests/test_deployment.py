"""CloudFormation: Tidegate and the demo's services come, change and go as stacks, and leave what they should."""

import json
from pathlib import Path

import pytest
import yaml
from conftest import eventually, new_account
from test_cloudformation import create, failures, outputs

ROOT = Path(__file__).parents[2]
CLUSTER, SERVICES, TABLE, TIDEGATE = (
    (ROOT / "cloudformation" / f"{name}.yaml").read_text()
    for name in ("demo-cluster", "demo-services", "journal-table", "tidegate")
)

LOGIN = {
    "HostName": "tidegate.example.com",
    "OidcIssuer": "https://login.example.com",
    "OidcAuthorizationEndpoint": "https://login.example.com/authorize",
    "OidcTokenEndpoint": "https://login.example.com/token",
    "OidcUserInfoEndpoint": "https://login.example.com/userinfo",
    "OidcClientId": "tidegate",
    "OidcRoles": "everyone: viewer, on-call: operator",
}


@pytest.fixture
def aws():
    """Its clock runs, as stacks need it."""
    return new_account()


def made(aws, template: str, name: str, **parameters) -> dict:
    stack = create(aws, template, name, **parameters)
    assert stack["StackStatus"] == "CREATE_COMPLETE", failures(aws, name)
    return outputs(stack)


def deploy(aws, **parameters) -> tuple[dict, dict]:
    """The demo cluster and Tidegate beside it: the parameters it was given, and its outputs."""
    demo = made(aws, CLUSTER, "demo", MinSize="1")
    given = {
        "ClusterName": demo["ClusterName"],
        "GroupNames": demo["GroupName"],
        "Image": "tidegate:1",
        "VpcId": demo["VpcId"],
        "SubnetIds": demo["SubnetIds"],
        "ClientCidr": "10.0.0.0/16",
        **parameters,
    }
    return given, made(aws, TIDEGATE, "tidegate", **given)


def update(aws, template: str, name: str, **parameters) -> dict:
    aws.cloudformation.update_stack(
        StackName=name,
        TemplateBody=template,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )

    def settled():
        stack = aws.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

    stack = eventually(settled, "the stack to settle")
    assert stack["StackStatus"] == "UPDATE_COMPLETE", failures(aws, name)
    return outputs(stack)


def delete(aws, name: str) -> None:
    aws.cloudformation.delete_stack(StackName=name)

    def deleted():
        stacks = aws.cloudformation.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"]
        return [stack for stack in stacks if stack["StackName"] == name]

    eventually(deleted, "the stack deleted")


def container(aws, service: str, cluster: str = "tidegate-demo") -> dict:
    (found,) = aws.ecs.describe_services(cluster=cluster, services=[service])["services"]
    definition = aws.ecs.describe_task_definition(taskDefinition=found["taskDefinition"])["taskDefinition"]
    return definition["containerDefinitions"][0]


def configuration(aws, service: str) -> dict:
    environment = {each["name"]: each["value"] for each in container(aws, service)["environment"]}
    return yaml.safe_load(environment["TIDEGATE_CONFIG_TEXT"])


# The tests that only look share one stack, and so must share one worker.
shares_tidegate = pytest.mark.xdist_group("tidegate")


@pytest.fixture(scope="module")
def tidegate():
    aws = new_account()
    return aws, deploy(aws)[1]


@shares_tidegate
def test_tidegate_runs_as_two_replicas_that_own_nothing_of_their_container(tidegate):
    aws, out = tidegate
    (service,) = aws.ecs.describe_services(cluster="tidegate-demo", services=[out["ServiceName"]])["services"]
    assert (service["desiredCount"], service["launchType"]) == (2, "FARGATE")
    runs = container(aws, out["ServiceName"])
    assert (runs["user"], runs["readonlyRootFilesystem"], runs["stopTimeout"]) == ("65532:65532", True, 90)
    assert runs["linuxParameters"]["capabilities"]["drop"] == ["ALL"]
    assert runs["healthCheck"]["command"] == ["CMD", "/tidegate", "health"]
    assert runs["secrets"] == [{"name": "TIDEGATE_TOKEN", "valueFrom": out["TokenArn"]}]
    assert len(aws.secretsmanager.get_secret_value(SecretId=out["TokenArn"])["SecretString"]) == 64


@shares_tidegate
def test_its_configuration_only_looks_and_names_queue_and_table(tidegate):
    aws, out = tidegate
    read = configuration(aws, out["ServiceName"])
    assert read["journal"] == {"dynamodb": {"table": out["TableName"], "region": "us-east-1"}}
    assert read["clusters"] == [
        {
            "name": "tidegate-demo",
            "region": "us-east-1",
            "mode": "observe",
            "allow": ["scale_out"],
            "pools": [{"auto_scaling_group": "tidegate-demo-hosts"}],
            "queue": out["QueueUrl"],
            "stop_parameter": "/tidegate/tidegate-demo/stop",
        }
    ]


@shares_tidegate
def test_what_happens_in_the_cluster_arrives_and_what_happens_in_another_does_not(tidegate):
    aws, out = tidegate
    aws.ecs.create_cluster(clusterName="other")
    aws.ecs.register_task_definition(
        family="web", containerDefinitions=[{"name": "web", "image": "web", "cpu": 64, "memory": 64}]
    )
    for cluster in ("other", "tidegate-demo"):
        aws.ecs.create_service(cluster=cluster, serviceName=f"in-{cluster}", taskDefinition="web", desiredCount=1)
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName="tidegate-demo-hosts", DesiredCapacity=2)
    heard = {}

    def told(*kinds: str) -> bool:
        answer = aws.sqs.receive_message(QueueUrl=out["QueueUrl"], MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", []):
            event = json.loads(message["Body"])
            heard.setdefault(event["detail-type"], []).append(message["Body"])
        return set(kinds) <= set(heard)

    eventually(
        lambda: told(
            "ECS Container Instance State Change",
            "ECS Task State Change",
            "ECS Service Action",
            "ECS Deployment State Change",
            "EC2 Instance Launch Successful",
        ),
        "every kind of event",
    )
    assert not [body for bodies in heard.values() for body in bodies if "in-other" in body]


@shares_tidegate
def test_its_role_may_look_as_the_policy_for_looking_says(tidegate):
    aws, out = tidegate
    role = out["TaskRoleArn"].rsplit("/", 1)[-1]
    assert aws.iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"] == []
    given = aws.iam.get_role_policy(RoleName=role, PolicyName="look")["PolicyDocument"]["Statement"]
    (definition,) = aws.ecs.describe_clusters(clusters=["tidegate-demo"])["clusters"]
    _, _, _, region, account, _ = definition["clusterArn"].split(":")
    text = (ROOT / "policies" / "observe.json").read_text()
    known = {"Partition": "aws", "Region": region, "Account": account, "Cluster": "tidegate-demo"}
    for name, value in known.items():
        text = text.replace(f"${{{name}}}", value)
    assert [listed(each) for each in given] == [listed(each) for each in json.loads(text)["Statement"]]


def listed(value):
    """IAM takes one value for a list of one."""
    if isinstance(value, dict):
        return {key: listed(each) if isinstance(each, dict) else as_list(each) for key, each in value.items()}
    return value


def as_list(value) -> list:
    return value if isinstance(value, list) else [value]


def test_a_person_lets_it_act_by_an_update_that_keeps_journal_and_queue(aws):
    given, before = deploy(aws)
    policy = aws.iam.create_policy(
        PolicyName="scale-out",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": "autoscaling:SetDesiredCapacity", "Resource": "*"}],
            }
        ),
    )["Policy"]["Arn"]
    after = update(aws, TIDEGATE, "tidegate", **given, Mode="act", Allow="scale_out, repair", PolicyArns=policy)
    kept = ("TableName", "QueueUrl", "TokenArn", "ServiceName")
    assert {name: after[name] for name in kept} == {name: before[name] for name in kept}
    (cluster,) = configuration(aws, after["ServiceName"])["clusters"]
    assert (cluster["mode"], cluster["allow"]) == ("act", ["scale_out", "repair"])
    attached = aws.iam.list_attached_role_policies(RoleName=after["TaskRoleArn"].rsplit("/", 1)[-1])
    assert [each["PolicyArn"] for each in attached["AttachedPolicies"]] == [policy]


def test_on_the_hosts_it_sizes_no_host_of_its_own_is_removed_to_save_capacity(aws):
    _, out = deploy(aws, LaunchType="EC2")
    (cluster,) = configuration(aws, out["ServiceName"])["clusters"]
    assert cluster["services"] == {out["ServiceName"]: {"evict": "never"}}
    (service,) = aws.ecs.describe_services(cluster="tidegate-demo", services=[out["ServiceName"]])["services"]
    assert service["placementConstraints"] == [{"type": "distinctInstance"}]


def test_with_a_certificate_a_load_balancer_logs_people_in_and_lets_programs_pass(aws):
    certificate = aws.acm.request_certificate(DomainName="tidegate.example.com")["CertificateArn"]
    secret = aws.secretsmanager.create_secret(Name="client", SecretString="hidden")["ARN"]
    _, out = deploy(aws, CertificateArn=certificate, OidcClientSecretArn=secret, **LOGIN)
    assert out["Address"] == "https://tidegate.example.com"
    believed = configuration(aws, out["ServiceName"])["access"]["alb_oidc"]
    assert believed == {
        "alb_arn": out["LoadBalancerArn"],
        "issuer": "https://login.example.com",
        "client_id": "tidegate",
        "roles": {"everyone": "viewer", "on-call": "operator"},
    }
    (listener,) = aws.elbv2.describe_listeners(LoadBalancerArn=out["LoadBalancerArn"])["Listeners"]
    assert [action["Type"] for action in listener["DefaultActions"]] == ["authenticate-oidc", "forward"]
    rules = aws.elbv2.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
    assert [action["Type"] for rule in rules if rule["Priority"] == "1" for action in rule["Actions"]] == ["forward"]


def test_a_deleted_stack_leaves_the_journal_and_the_log_and_nothing_else(aws):
    _, out = deploy(aws)
    delete(aws, "tidegate")
    assert aws.dynamodb.list_tables()["TableNames"] == [out["TableName"]]
    assert [group["logGroupName"] for group in aws.logs.describe_log_groups()["logGroups"]] == [out["LogGroupName"]]
    assert aws.sqs.list_queues().get("QueueUrls", []) == []
    assert aws.events.list_rules()["Rules"] == []
    assert [role for role in aws.iam.list_roles()["Roles"] if role["RoleName"].startswith("tidegate-Task")] == []
    assert aws.servicediscovery.list_namespaces()["Namespaces"] == []
    assert aws.cloudwatch.describe_alarms()["MetricAlarms"] == []
    delete(aws, "demo")


def test_a_new_stack_takes_up_the_table_that_another_left(aws):
    given, before = deploy(aws)
    delete(aws, "tidegate")
    after = made(aws, TIDEGATE, "again", **given, JournalTable=before["TableName"])
    assert after["TableName"] == before["TableName"]
    assert aws.dynamodb.list_tables()["TableNames"] == [before["TableName"]]


def test_the_demos_services_run_and_nobody_is_led_to_them_before_a_cutover(aws):
    demo = made(aws, CLUSTER, "demo", MinSize="2")
    given = {key: demo[key] for key in ("ClusterName", "ListenerArn", "VpcId", "TaskExecutionRoleArn")}
    made(aws, SERVICES, "services", **given, ImagePrefix="demo")
    rules = aws.elbv2.describe_rules(ListenerArn=demo["ListenerArn"])["Rules"]
    asks = {rule["Priority"]: sorted(each["Field"] for each in rule["Conditions"]) for rule in rules}
    both = ["http-header", "path-pattern"]
    assert asks == {"1": both, "2": both, "3": both, "99": ["path-pattern"], "default": []}
    names = ["api", "users", "threads", "posts"]

    def running():
        services = aws.ecs.describe_services(cluster=demo["ClusterName"], services=names)["services"]
        return all(service["runningCount"] == service["desiredCount"] == 1 for service in services)

    eventually(running, "a task of each")
    update(aws, SERVICES, "services", **given, ImagePrefix="demo", ImageTag="v2")
    assert container(aws, "users")["image"] == "demo/users:v2"
    delete(aws, "services")
    assert aws.elbv2.describe_target_groups()["TargetGroups"] == []
    delete(aws, "demo")


def test_a_new_maximum_of_the_demo_cluster_leaves_the_capacity_that_is_tidegates(aws):
    demo = made(aws, CLUSTER, "demo")
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=demo["GroupName"], DesiredCapacity=3)
    update(aws, CLUSTER, "demo", MaxSize="8")
    group = aws.describe_group(demo["GroupName"])
    assert (group["MaxSize"], group["DesiredCapacity"]) == (8, 3)


def test_the_table_of_journals_outlives_the_stack_that_made_it(aws):
    made(aws, TABLE, "journal", TableName="journals")
    delete(aws, "journal")
    assert aws.dynamodb.list_tables()["TableNames"] == ["journals"]
