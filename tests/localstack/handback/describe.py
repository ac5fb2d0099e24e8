"""Prints everything an account has of clusters, groups, fleets, load balancers and scaling, as JSON.

Rule: left out are times, capacities, counts, and who a host or task is: nothing else. What is equal is said once.
"""

import json
import re
from datetime import datetime

import boto3

# Capacities, counts, and what a host has left besides its tasks.
COUNTS = {
    "DesiredCapacity", "TargetCapacity", "FulfilledCapacity", "OnDemandFulfilledCapacity", "desiredCount",
    "runningCount", "pendingCount", "runningTasksCount", "pendingTasksCount", "failedTasks",
    "registeredContainerInstancesCount", "activeServicesCount", "computedDesiredCount", "statistics",
    "remainingResources", "ActivityStatus",
}  # fmt: skip
# What changes by itself: a host's or a deployment's identity, and what services say of themselves.
IDENTITIES = {
    "containerInstanceArn", "ec2InstanceId", "version", "InstanceId", "AvailabilityZone", "id", "events",
    "ResponseMetadata", "rolloutStateReason",
}  # fmt: skip
ZONES = re.compile(r"^ecs\.(availability-zone|subnet-id)$")


def plain(value):
    """Without what is left out, and with lists in order."""
    if isinstance(value, dict):
        fields = {key: plain(of) for key, of in value.items() if key not in COUNTS | IDENTITIES}
        return {key: of for key, of in fields.items() if of is not None}
    if isinstance(value, list):
        kept = [plain(of) for of in value if not (isinstance(of, dict) and ZONES.match(str(of.get("name", ""))))]
        return distinct(kept)
    return None if isinstance(value, datetime) else value


def distinct(values):
    return [json.loads(text) for text in sorted({json.dumps(value, sort_keys=True) for value in values})]


def all_of(client, operation, key, **request):
    if not client.can_paginate(operation):
        return getattr(client, operation)(**request)[key]
    return [each for page in client.get_paginator(operation).paginate(**request) for each in page[key]]


def clusters():
    ecs = boto3.client("ecs")
    include = ["ATTACHMENTS", "CONFIGURATIONS", "SETTINGS", "TAGS"]
    for arn in all_of(ecs, "list_clusters", "clusterArns"):
        hosts = all_of(ecs, "list_container_instances", "containerInstanceArns", cluster=arn)
        services = all_of(ecs, "list_services", "serviceArns", cluster=arn)
        described = ecs.describe_services(cluster=arn, services=services, include=["TAGS"])["services"]
        definitions = {service["taskDefinition"] for service in described}
        (cluster,) = ecs.describe_clusters(clusters=[arn], include=include)["clusters"]
        providers = cluster["capacityProviders"]
        yield {
            "cluster": cluster,
            "providers": ecs.describe_capacity_providers(capacityProviders=providers)["capacityProviders"],
            "hosts": ecs.describe_container_instances(cluster=arn, containerInstances=hosts, include=["TAGS"])[
                "containerInstances"
            ],
            "services": described,
            "definitions": [
                ecs.describe_task_definition(taskDefinition=each, include=["TAGS"]) for each in sorted(definitions)
            ],
        }


def groups():
    autoscaling = boto3.client("autoscaling")
    for group in all_of(autoscaling, "describe_auto_scaling_groups", "AutoScalingGroups"):
        name = group["AutoScalingGroupName"]
        yield group
        yield autoscaling.describe_lifecycle_hooks(AutoScalingGroupName=name)["LifecycleHooks"]
    for operation, key in [
        ("describe_policies", "ScalingPolicies"),
        ("describe_scheduled_actions", "ScheduledUpdateGroupActions"),
        ("describe_tags", "Tags"),
    ]:
        yield all_of(autoscaling, operation, key)


def fleets():
    ec2 = boto3.client("ec2")
    yield all_of(ec2, "describe_spot_fleet_requests", "SpotFleetRequestConfigs")
    yield all_of(ec2, "describe_launch_templates", "LaunchTemplates")


def scaling():
    client = boto3.client("application-autoscaling")
    for operation, key in [
        ("describe_scalable_targets", "ScalableTargets"),
        ("describe_scaling_policies", "ScalingPolicies"),
        ("describe_scheduled_actions", "ScheduledActions"),
    ]:
        yield all_of(client, operation, key, ServiceNamespace="ecs")


def balancers():
    elb = boto3.client("elbv2")

    def with_tags(of, arn):
        return {**of, "tags": elb.describe_tags(ResourceArns=[arn])["TagDescriptions"]}

    for balancer in all_of(elb, "describe_load_balancers", "LoadBalancers"):
        arn = balancer["LoadBalancerArn"]
        attributes = elb.describe_load_balancer_attributes(LoadBalancerArn=arn)["Attributes"]
        yield with_tags({"balancer": balancer, "attributes": attributes}, arn)
        for listener in all_of(elb, "describe_listeners", "Listeners", LoadBalancerArn=arn):
            arn = listener["ListenerArn"]
            yield with_tags(listener, arn)
            for rule in all_of(elb, "describe_rules", "Rules", ListenerArn=arn):
                yield with_tags(rule, rule["RuleArn"])
    for group in all_of(elb, "describe_target_groups", "TargetGroups"):
        arn = group["TargetGroupArn"]
        attributes = elb.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
        yield with_tags({"group": group, "attributes": attributes}, arn)


account = {of.__name__: plain(list(of())) for of in [clusters, groups, fleets, scaling, balancers]}
print(json.dumps(account, indent=1, sort_keys=True))
