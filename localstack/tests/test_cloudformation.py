"""CloudFormation: the demo cluster is created and deleted with every resource real; unknown types fail."""

import json
from pathlib import Path

import pytest
from conftest import attributes, eventually, new_account

TEMPLATE = Path(__file__).parents[2] / "cloudformation" / "demo-cluster.yaml"


@pytest.fixture
def aws():
    """Its clock runs: LocalStack works on a stack in a time of its own, and waits for what only ticks bring about."""
    return new_account()


def create(aws, template: str, name: str = "demo", **parameters) -> dict:
    """The stack, when it has settled."""
    aws.cloudformation.create_stack(
        StackName=name,
        TemplateBody=template,
        Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
        Capabilities=["CAPABILITY_IAM"],
    )

    def settled():
        stack = aws.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
        return None if stack["StackStatus"].endswith("IN_PROGRESS") else stack

    return eventually(settled, "the stack to settle")


def failures(aws, name: str = "demo") -> list:
    events = aws.cloudformation.describe_stack_events(StackName=name)["StackEvents"]
    failed = [each for each in events if "FAILED" in each["ResourceStatus"]]
    return [(each["LogicalResourceId"], each.get("ResourceStatusReason")) for each in failed]


def outputs(stack: dict) -> dict:
    return {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}


# The tests that only look share one stack, and so must share one worker.
shares_the_demo = pytest.mark.xdist_group("demo")


@pytest.fixture(scope="module")
def demo():
    """The demo cluster with another name than the default, and its outputs."""
    aws = new_account()
    stack = create(aws, TEMPLATE.read_text(), ClusterName="tutorial")
    assert stack["StackStatus"] == "CREATE_COMPLETE", failures(aws)
    return aws, outputs(stack)


@shares_the_demo
def test_the_demo_cluster_is_created_and_its_hosts_register(demo):
    aws, made = demo
    (cluster,) = aws.ecs.describe_clusters(clusters=[made["ClusterName"]])["clusters"]
    assert cluster["status"] == "ACTIVE"
    group = aws.describe_group(made["GroupName"])
    assert (group["MinSize"], group["MaxSize"], group["DesiredCapacity"]) == (0, 6, 0)
    assert group["NewInstancesProtectedFromScaleIn"] is True
    aws.autoscaling.set_desired_capacity(AutoScalingGroupName=made["GroupName"], DesiredCapacity=2)
    hosts = aws.hosts(2, made["ClusterName"])
    assert {attributes(host)["ecs.subnet-id"] for host in hosts} == set(made["SubnetIds"].split(","))


@shares_the_demo
def test_the_demo_cluster_lets_only_the_load_balancer_reach_the_hosts(demo):
    aws, made = demo
    (hosts,) = aws.ec2.describe_security_groups(GroupIds=[made["HostSecurityGroupId"]])["SecurityGroups"]
    (rule,) = hosts["IpPermissions"]
    assert (rule["FromPort"], rule["ToPort"], rule.get("IpRanges")) == (32768, 65535, [])
    assert [pair["GroupId"] for pair in rule["UserIdGroupPairs"]] == [made["LoadBalancerSecurityGroupId"]]


@shares_the_demo
def test_the_demo_listener_answers_404_by_default(demo):
    aws, made = demo
    (listener,) = aws.elbv2.describe_listeners(ListenerArns=[made["ListenerArn"]])["Listeners"]
    assert listener["LoadBalancerArn"] == made["LoadBalancerArn"]
    (action,) = listener["DefaultActions"]
    assert (action["Type"], action["FixedResponseConfig"]["StatusCode"]) == ("fixed-response", "404")


@shares_the_demo
def test_the_demo_hosts_require_imdsv2(demo):
    aws, _ = demo
    versions = aws.ec2.describe_launch_template_versions(LaunchTemplateName="tutorial-hosts")
    (version,) = versions["LaunchTemplateVersions"]
    assert version["LaunchTemplateData"]["MetadataOptions"]["HttpTokens"] == "required"


def test_the_demo_cluster_is_deleted_without_leftovers(aws):
    made = outputs(create(aws, TEMPLATE.read_text(), MinSize="1"))
    aws.hosts(1, made["ClusterName"])
    aws.cloudformation.delete_stack(StackName="demo")

    def deleted():
        return aws.cloudformation.list_stacks(StackStatusFilter=["DELETE_COMPLETE"])["StackSummaries"]

    eventually(deleted, "the stack deleted")
    assert aws.autoscaling.describe_auto_scaling_groups()["AutoScalingGroups"] == []
    assert aws.elbv2.describe_load_balancers()["LoadBalancers"] == []
    assert aws.ecs.list_clusters()["clusterArns"] == []
    assert aws.ec2.describe_launch_templates()["LaunchTemplates"] == []
    assert aws.iam.list_roles()["Roles"] == []


def test_a_resource_type_that_nobody_provides_fails_the_stack(aws):
    template = {"Resources": {"Odd": {"Type": "AWS::Tidegate::Nothing", "Properties": {}}}}
    assert create(aws, json.dumps(template))["StackStatus"] in ("CREATE_FAILED", "ROLLBACK_COMPLETE", "ROLLBACK_FAILED")


def test_the_log_leaves_out_what_cloudformation_calls_itself(aws):
    template = {"Resources": {"Cluster": {"Type": "AWS::ECS::Cluster", "Properties": {"ClusterName": "c"}}}}
    assert create(aws, json.dumps(template))["StackStatus"] == "CREATE_COMPLETE"
    assert {each["service"] for each in aws.requests()} == {"cloudformation"}


def test_scaling_policies_of_both_kinds_are_real(aws):
    aws.group()
    template = {
        "Resources": {
            "OfGroup": {
                "Type": "AWS::AutoScaling::ScalingPolicy",
                "Properties": {
                    "AutoScalingGroupName": "g",
                    "PolicyType": "TargetTrackingScaling",
                    "TargetTrackingConfiguration": {
                        "PredefinedMetricSpecification": {"PredefinedMetricType": "ASGAverageCPUUtilization"},
                        "TargetValue": 50,
                    },
                },
            },
            "Target": {
                "Type": "AWS::ApplicationAutoScaling::ScalableTarget",
                "Properties": {
                    "MinCapacity": 1,
                    "MaxCapacity": 4,
                    "ResourceId": "service/c/web",
                    "ScalableDimension": "ecs:service:DesiredCount",
                    "ServiceNamespace": "ecs",
                },
            },
            "OfService": {
                "Type": "AWS::ApplicationAutoScaling::ScalingPolicy",
                "Properties": {
                    "PolicyName": "cpu",
                    "PolicyType": "TargetTrackingScaling",
                    "ScalingTargetId": {"Ref": "Target"},
                    "TargetTrackingScalingPolicyConfiguration": {
                        "PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"},
                        "TargetValue": 60,
                    },
                },
            },
        }
    }
    aws.cluster()
    aws.definition()
    aws.service(desired=0)
    stack = create(aws, json.dumps(template))
    assert stack["StackStatus"] == "CREATE_COMPLETE", failures(aws)
    assert len(aws.autoscaling.describe_policies(AutoScalingGroupName="g")["ScalingPolicies"]) == 1
    (policy,) = aws.application_autoscaling.describe_scaling_policies(ServiceNamespace="ecs")["ScalingPolicies"]
    assert policy["PolicyName"] == "cpu"


EVENT_PATH = """
Resources:
  Queue: {Type: AWS::SQS::Queue, Properties: {MessageRetentionPeriod: 300}}
  QueuePolicy:
    Type: AWS::SQS::QueuePolicy
    Properties:
      Queues: [!Ref Queue]
      PolicyDocument:
        Statement:
          - Effect: Allow
            Principal: {Service: events.amazonaws.com}
            Action: sqs:SendMessage
            Resource: !GetAtt Queue.Arn
  Rule:
    Type: AWS::Events::Rule
    Properties:
      EventPattern: {source: [aws.ecs], detail-type: [ECS Container Instance State Change]}
      Targets: [{Id: queue, Arn: !GetAtt Queue.Arn}]
  Topic: {Type: AWS::SNS::Topic}
  Subscription:
    Type: AWS::SNS::Subscription
    Properties: {TopicArn: !Ref Topic, Protocol: sqs, Endpoint: !GetAtt Queue.Arn}
  Alarm:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Namespace: Own
      MetricName: Errors
      Statistic: Sum
      Period: 60
      EvaluationPeriods: 1
      Threshold: 1
      ComparisonOperator: GreaterThanThreshold
      AlarmActions: [!Ref Topic]
  Table:
    Type: AWS::DynamoDB::Table
    Properties:
      BillingMode: PAY_PER_REQUEST
      KeySchema: [{AttributeName: k, KeyType: HASH}]
      AttributeDefinitions: [{AttributeName: k, AttributeType: S}]
      TimeToLiveSpecification: {AttributeName: expires, Enabled: true}
  Parameter: {Type: AWS::SSM::Parameter, Properties: {Type: String, Value: one}}
  Secret: {Type: AWS::SecretsManager::Secret, Properties: {GenerateSecretString: {PasswordLength: 32}}}
  LogGroup: {Type: AWS::Logs::LogGroup, Properties: {RetentionInDays: 14}}
Outputs:
  Queue: {Value: !Ref Queue}
  Alarm: {Value: !Ref Alarm}
  Table: {Value: !Ref Table}
  Parameter: {Value: !Ref Parameter}
  Secret: {Value: !Ref Secret}
  LogGroup: {Value: !Ref LogGroup}
"""


def test_a_stack_makes_the_path_of_events_and_what_stands_beside_it(aws):
    stack = create(aws, EVENT_PATH)
    assert stack["StackStatus"] == "CREATE_COMPLETE", failures(aws)
    made = outputs(stack)
    assert aws.ssm.get_parameter(Name=made["Parameter"])["Parameter"]["Value"] == "one"
    assert len(aws.secretsmanager.get_secret_value(SecretId=made["Secret"])["SecretString"]) == 32
    assert aws.dynamodb.describe_time_to_live(TableName=made["Table"])["TimeToLiveDescription"]["AttributeName"]
    (group,) = aws.logs.describe_log_groups(logGroupNamePrefix=made["LogGroup"])["logGroups"]
    assert group["retentionInDays"] == 14
    heard = []

    def arrived(text: str):
        messages = aws.sqs.receive_message(QueueUrl=made["Queue"], MaxNumberOfMessages=10, WaitTimeSeconds=1)
        heard.extend(message["Body"] for message in messages.get("Messages", []))
        return any(text in body for body in heard)

    aws.cluster_with_hosts(1)
    eventually(lambda: arrived("ECS Container Instance State Change"), "the event of the host")
    aws.cloudwatch.set_alarm_state(AlarmName=made["Alarm"], StateValue="ALARM", StateReason="tried")
    eventually(lambda: arrived("tried"), "the alarm by its topic")
