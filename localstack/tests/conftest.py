"""What every test of the local AWS stands on: an account of its own, clients, and a clock that only the test moves.

Rule: one behaviour a test, one account a test; nothing is cleaned up, because nobody else sees it. The account moves
when the test ticks, so a state lasts until the test has looked; only what is not the world's time waits for a clock.
"""

import base64
import os
import random
import time

import boto3
import botocore.loaders
import botocore.session
import pytest
import requests
from botocore.config import Config

ENDPOINT = f"http://127.0.0.1:{os.environ.get('TIDEGATE_LOCALSTACK_PORT', '4566')}"
REGION = "us-east-1"

# Reading the models of the services takes longer than most tests: once for all accounts.
_loader = botocore.loaders.Loader()

# Seconds that a loaded machine may take for an answer or a stack; they are spent only by a test that fails.
PATIENCE = 120


def eventually(condition, what: str):
    """Polls until the condition gives something true, and gives it back; for what ticks do not move."""
    deadline = time.monotonic() + PATIENCE
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} did not come true in {PATIENCE} s")
        time.sleep(0.1)


class Aws:
    """One account of the local AWS, with the few things that most tests need made in a line."""

    def __init__(self, account: str):
        self.account = account
        bare = botocore.session.Session()
        bare.register_component("data_loader", _loader)
        self.session = boto3.Session(account, "secret", region_name=REGION, botocore_session=bare)
        self._clients = {}
        self._subnets = None

    def __getattr__(self, service: str):
        name = service.replace("_", "-")
        if name not in self._clients:
            # No retries and no validation on this side: an error must be the endpoint's.
            config = Config(
                retries={"total_max_attempts": 1},
                parameter_validation=False,
                connect_timeout=PATIENCE,
                read_timeout=PATIENCE,
            )
            self._clients[name] = self.session.client(name, endpoint_url=ENDPOINT, config=config)
        return self._clients[name]

    def world(self, control: str, body=None, **arguments):
        parameters = {key.replace("_", "-"): value for key, value in arguments.items()}
        parameters["account"] = self.account
        answer = requests.post(f"{ENDPOINT}/_world/{control}", params=parameters, json=body, timeout=PATIENCE)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def requests(self, after: int = 0) -> list[dict]:
        parameters = {"account": self.account, "after": after}
        return requests.get(f"{ENDPOINT}/_world/requests", params=parameters, timeout=PATIENCE).json()

    def until(self, condition, what: str, ticks: int = 100):
        """Ticks until the condition gives something true, looking between any two ticks, and gives it back."""
        for _ in range(ticks):
            value = condition()
            if value:
                return value
            self.world("tick")
        raise AssertionError(f"{what} did not come true in {ticks} ticks")

    # ---- things to stand on

    @property
    def subnets(self) -> list[str]:
        """Two subnets in two zones."""
        if self._subnets is None:
            vpc = self.ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
            self._subnets = [
                self.ec2.create_subnet(VpcId=vpc, CidrBlock=f"10.0.{index}.0/24", AvailabilityZone=f"{REGION}{zone}")[
                    "Subnet"
                ]["SubnetId"]
                for index, zone in enumerate("ab")
            ]
        return self._subnets

    def balancer(self, name: str = "lb") -> str:
        """A load balancer without listeners; its ARN."""
        made = self.elbv2.create_load_balancer(Name=name, Subnets=self.subnets)
        return made["LoadBalancers"][0]["LoadBalancerArn"]

    def target_group(self, name: str = "web", **more) -> str:
        vpc = self.ec2.describe_subnets(SubnetIds=self.subnets)["Subnets"][0]["VpcId"]
        made = self.elbv2.create_target_group(Name=name, Protocol="HTTP", Port=80, VpcId=vpc, **more)
        return made["TargetGroups"][0]["TargetGroupArn"]

    def listener(self, *groups: str, balancer: str | None = None) -> str:
        """On port 80, with a default action that forwards to the first group, or 404 without one."""
        action = {"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}
        if groups:
            action = forward(*groups)
        made = self.elbv2.create_listener(
            LoadBalancerArn=balancer or self.balancer(), Protocol="HTTP", Port=80, DefaultActions=[action]
        )
        return made["Listeners"][0]["ListenerArn"]

    def rule(self, listener: str, priority: int, path: str, *groups: str, **more) -> dict:
        made = self.elbv2.create_rule(
            ListenerArn=listener, Priority=priority, Conditions=[on_path(path)], Actions=[forward(*groups)], **more
        )
        return made["Rules"][0]

    def launch_template(self, name: str = "hosts", cluster: str = "c", instance_type: str = "m5.large") -> str:
        data = base64.b64encode(f"#!/bin/bash\necho ECS_CLUSTER={cluster} >> /etc/ecs/ecs.config\n".encode()).decode()
        return self.ec2.create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData={"ImageId": "ami-12c6146b", "InstanceType": instance_type, "UserData": data},
        )["LaunchTemplate"]["LaunchTemplateId"]

    def group(self, name: str = "g", desired: int = 0, minimum: int = 0, maximum: int = 10, **more) -> None:
        if "MixedInstancesPolicy" not in more:
            template = more.pop("template", None) or self.launch_template(f"{name}-hosts")
            more["LaunchTemplate"] = {"LaunchTemplateId": template, "Version": "$Latest"}
        self.autoscaling.create_auto_scaling_group(
            AutoScalingGroupName=name,
            MinSize=minimum,
            MaxSize=maximum,
            DesiredCapacity=desired,
            VPCZoneIdentifier=",".join(self.subnets),
            **more,
        )

    def describe_group(self, name: str = "g") -> dict:
        return self.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]

    def members(self, name: str = "g") -> list[dict]:
        return self.describe_group(name)["Instances"]

    def lifecycles(self, name: str = "g") -> list[str]:
        return [member["LifecycleState"] for member in self.members(name)]

    def in_service(self, count: int, name: str = "g") -> list[dict]:
        def ready():
            members = self.members(name)
            return len(members) == count and all(each["LifecycleState"] == "InService" for each in members) and members

        return self.until(ready, f"{count} instances of {name} in service") if count else []

    def cluster(self, name: str = "c", **more) -> None:
        self.ecs.create_cluster(clusterName=name, **more)

    def hosts(self, count: int | None = None, cluster: str = "c") -> list[dict]:
        def found():
            arns = self.ecs.list_container_instances(cluster=cluster)["containerInstanceArns"]
            if count is not None and len(arns) != count:
                return None
            if not arns:
                return []
            return self.ecs.describe_container_instances(cluster=cluster, containerInstances=arns)["containerInstances"]

        return self.until(found, f"{count} hosts") if count else found() or []

    def cluster_with_hosts(self, hosts: int = 1, **more) -> list[dict]:
        """Cluster c with hosts (m5.large: 2048 CPU units, 7782 MiB) of group g."""
        self.cluster()
        self.group(desired=hosts, **more)
        return self.hosts(hosts)

    def definition(self, family: str = "web", cpu: int = 256, memory: int = 256, **container) -> str:
        main = {"name": "main", "image": "busybox", "cpu": cpu, "memory": memory, "essential": True, **container}
        registered = self.ecs.register_task_definition(family=family, containerDefinitions=[main])
        return registered["taskDefinition"]["taskDefinitionArn"]

    def service(self, name: str = "web", desired: int = 1, definition: str = "web", **more) -> None:
        self.ecs.create_service(
            cluster="c", serviceName=name, taskDefinition=definition, desiredCount=desired, **more
        )

    def describe_service(self, name: str = "web") -> dict:
        return self.ecs.describe_services(cluster="c", services=[name])["services"][0]

    def steady(self, running: int, name: str = "web") -> dict:
        def settled():
            service = self.describe_service(name)
            done = service["runningCount"] == running == service["desiredCount"] and len(service["deployments"]) == 1
            return done and not service["pendingCount"] and service

        return self.until(settled, f"{name} steady at {running}")

    def tasks(self, **filters) -> list[dict]:
        arns = self.ecs.list_tasks(cluster="c", **filters)["taskArns"]
        return self.ecs.describe_tasks(cluster="c", tasks=arns)["tasks"] if arns else []

    def task(self, arn: str) -> dict:
        return self.ecs.describe_tasks(cluster="c", tasks=[arn])["tasks"][0]


def new_account() -> Aws:
    """An account that nobody has used, whose clock runs."""
    # Random, since tests run in parallel and the endpoint may outlive a run.
    return Aws(str(random.randrange(10**11, 10**12)))


@pytest.fixture
def aws() -> Aws:
    """A new account whose clock stands."""
    account = new_account()
    account.world("clock", running="false")
    return account


def forward(*groups) -> dict:
    """A forward action: ARNs alone weigh 1, pairs (ARN, weight) as they say."""
    pairs = [(each, 1) if isinstance(each, str) else each for each in groups]
    return {
        "Type": "forward",
        "ForwardConfig": {"TargetGroups": [{"TargetGroupArn": arn, "Weight": weight} for arn, weight in pairs]},
    }


def on_path(*patterns: str) -> dict:
    return {"Field": "path-pattern", "PathPatternConfig": {"Values": list(patterns)}}


def error_code(raised) -> str:
    return raised.value.response["Error"]["Code"]


def remaining(host: dict, name: str) -> int:
    return next(each["integerValue"] for each in host["remainingResources"] if each["name"] == name)


def attributes(host: dict) -> dict:
    return {each["name"]: each.get("value") for each in host["attributes"]}
