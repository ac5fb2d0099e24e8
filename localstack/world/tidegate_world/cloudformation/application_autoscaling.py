"""AWS::ApplicationAutoScaling types: scalable targets and scaling policies.

Rule: they are kept and described, and never scale anything by themselves.
"""

from tidegate_world.cloudformation.resource import name_of, resource

TARGET_KEYS = ("ServiceNamespace", "ResourceId", "ScalableDimension")


def target_of(properties: dict) -> dict:
    """A policy names its target by these three, or by ScalingTargetId, which joins them."""
    if "ScalingTargetId" in properties:
        resource_id, dimension, namespace = properties["ScalingTargetId"].split("|")
        return {"ServiceNamespace": namespace, "ResourceId": resource_id, "ScalableDimension": dimension}
    return {key: properties[key] for key in TARGET_KEYS}


@resource("AWS::ApplicationAutoScaling::ScalableTarget", "application-autoscaling", "Id")
class ScalableTarget:
    @staticmethod
    def create(client, properties, request):
        client.register_scalable_target(**properties)
        return {
            "Id": "|".join((properties["ResourceId"], properties["ScalableDimension"], properties["ServiceNamespace"]))
        }

    @staticmethod
    def update(client, properties, previous, request):
        client.register_scalable_target(**properties)

    @staticmethod
    def delete(client, properties, request):
        client.deregister_scalable_target(**target_of(properties))


def put_policy(client, properties):
    configuration = {key: value for key, value in properties.items() if key.endswith("Configuration")}
    return client.put_scaling_policy(
        PolicyName=properties["PolicyName"],
        PolicyType=properties.get("PolicyType", "StepScaling"),
        **target_of(properties),
        **configuration,
    )["PolicyARN"]


@resource("AWS::ApplicationAutoScaling::ScalingPolicy", "application-autoscaling", "Arn")
class ScalingPolicy:
    @staticmethod
    def create(client, properties, request):
        properties["PolicyName"] = name_of(properties, request, "PolicyName")
        return {"Arn": put_policy(client, properties)}

    @staticmethod
    def update(client, properties, previous, request):
        put_policy(client, properties)

    @staticmethod
    def delete(client, properties, request):
        client.delete_scaling_policy(PolicyName=properties["PolicyName"], **target_of(properties))
