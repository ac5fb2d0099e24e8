"""AWS::AutoScaling types: groups, lifecycle hooks and scaling policies.

Rule: a group without DesiredCapacity keeps the capacity it has when the stack is updated, as on AWS.
"""

from tidegate_world.cloudformation.resource import name_of, resource

OTHER_CALLS = ("LifecycleHookSpecificationList", "NotificationConfigurations", "MetricsCollection")


def group_parameters(properties: dict) -> dict:
    parameters = {key: value for key, value in properties.items() if key not in OTHER_CALLS}
    if isinstance(parameters.get("VPCZoneIdentifier"), list):
        parameters["VPCZoneIdentifier"] = ",".join(parameters["VPCZoneIdentifier"])
    name = properties["AutoScalingGroupName"]
    parameters["Tags"] = [
        {**tag, "ResourceId": name, "ResourceType": "auto-scaling-group"} for tag in parameters.get("Tags", [])
    ]
    return parameters


@resource("AWS::AutoScaling::AutoScalingGroup", "autoscaling", "AutoScalingGroupName")
class AutoScalingGroup:
    @staticmethod
    def create(client, properties, request):
        name = properties["AutoScalingGroupName"] = name_of(properties, request, "AutoScalingGroupName")
        client.create_auto_scaling_group(**group_parameters(properties))
        for hook in properties.get("LifecycleHookSpecificationList", []):
            client.put_lifecycle_hook(AutoScalingGroupName=name, **hook)
        group = client.describe_auto_scaling_groups(AutoScalingGroupNames=[name])["AutoScalingGroups"][0]
        return {"AutoScalingGroupARN": group["AutoScalingGroupARN"]}

    @staticmethod
    def update(client, properties, previous, request):
        parameters = group_parameters(properties)
        tags = parameters.pop("Tags")
        client.update_auto_scaling_group(**parameters)
        if tags:
            client.create_or_update_tags(Tags=tags)

    @staticmethod
    def delete(client, properties, request):
        client.delete_auto_scaling_group(AutoScalingGroupName=properties["AutoScalingGroupName"], ForceDelete=True)


@resource("AWS::AutoScaling::LifecycleHook", "autoscaling", "LifecycleHookName")
class LifecycleHook:
    @staticmethod
    def create(client, properties, request):
        properties["LifecycleHookName"] = name_of(properties, request, "LifecycleHookName")
        client.put_lifecycle_hook(**properties)

    @staticmethod
    def update(client, properties, previous, request):
        client.put_lifecycle_hook(**properties)

    @staticmethod
    def delete(client, properties, request):
        client.delete_lifecycle_hook(
            AutoScalingGroupName=properties["AutoScalingGroupName"],
            LifecycleHookName=properties["LifecycleHookName"],
        )


@resource("AWS::AutoScaling::ScalingPolicy", "autoscaling", "Arn")
class ScalingPolicy:
    @staticmethod
    def create(client, properties, request):
        name = properties["PolicyName"] = name_of(properties, request, "PolicyName")
        return {"Arn": client.put_scaling_policy(**properties)["PolicyARN"], "PolicyName": name}

    @staticmethod
    def update(client, properties, previous, request):
        client.put_scaling_policy(**properties)

    @staticmethod
    def delete(client, properties, request):
        client.delete_policy(
            AutoScalingGroupName=properties["AutoScalingGroupName"], PolicyName=properties["PolicyName"]
        )
