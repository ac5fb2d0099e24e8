"""Capacity providers: where a strategy sends the next task, and the scaling policy that ECS would attach to a group.

Rule: a task for a provider with managed scaling waits in PROVISIONING until there is room; without it, it fails. The
world never scales a group by itself: POST /_world/managed-scaling-alarm plays the policy.
"""

import uuid

from tidegate_world.ecs.model import ClusterContents
from tidegate_world.places import Place


def scales(place: Place, provider_name: str | None) -> bool:
    provider = place.ecs.capacity_providers.get(provider_name)
    return bool(provider) and provider.auto_scaling_group_provider["managedScaling"]["status"] == "ENABLED"


def strategy_for(place: Place, cluster: ClusterContents, request: dict) -> list[dict]:
    """A launch type rules the cluster's default strategy out."""
    if request.get("capacityProviderStrategy"):
        return request["capacityProviderStrategy"]
    if request.get("launchType"):
        return []
    return place.ecs.clusters[cluster.name].default_capacity_provider_strategy or []


def next_provider(strategy: list[dict], counts: dict[str, int]) -> str | None:
    """Bases first, then the provider that is furthest behind its weight."""
    for item in strategy:
        if counts.get(item["capacityProvider"], 0) < item.get("base", 0):
            return item["capacityProvider"]
    weighted = [item for item in strategy if item.get("weight", 0) > 0] or strategy
    behind = min(
        weighted,
        key=lambda item: (counts.get(item["capacityProvider"], 0) - item.get("base", 0)) / (item.get("weight") or 1),
        default=None,
    )
    return behind and behind["capacityProvider"]


def managed_policies(place: Place) -> list[dict]:
    """What DescribePolicies shows of managed scaling. Computed, so that it cannot outlive its provider."""
    policies = []
    for provider in place.ecs.capacity_providers.values():
        if not scales(place, provider.name):
            continue
        settings = provider.auto_scaling_group_provider
        group = settings["autoScalingGroupArn"].rsplit("autoScalingGroupName/", 1)[-1]
        identifier = uuid.uuid5(uuid.NAMESPACE_URL, provider.capacity_provider_arn)
        name = f"ECSManagedAutoScalingPolicy-{identifier}"
        dimensions = [{"Name": "CapacityProviderName", "Value": provider.name}]
        for cluster in place.ecs.clusters.values():
            if provider.name in (cluster.capacity_providers or []):
                dimensions.append({"Name": "ClusterName", "Value": cluster.name})
        policies.append(
            {
                "AutoScalingGroupName": group,
                "PolicyName": name,
                "PolicyARN": place.arn(
                    "autoscaling", f"scalingPolicy:{identifier}:autoScalingGroupName/{group}:policyName/{name}"
                ),
                "PolicyType": "TargetTrackingScaling",
                "StepAdjustments": [],
                "Alarms": [],
                "TargetTrackingConfiguration": {
                    "CustomizedMetricSpecification": {
                        "MetricName": "CapacityProviderReservation",
                        "Namespace": "AWS/ECS/ManagedScaling",
                        "Dimensions": dimensions,
                        "Statistic": "Average",
                    },
                    "TargetValue": float(settings["managedScaling"]["targetCapacity"]),
                    "DisableScaleIn": False,
                },
                "Enabled": True,
            }
        )
    return policies
