"""AWS::ECS types: clusters, capacity providers, task definitions and services.

Rule: deleting a service does not wait for its tasks; the world stops them.
"""

import time

from tidegate_world.cloudformation.resource import lower_camel, name_of, resource

# Far more than a tick takes, even on a loaded machine.
LONGEST_DEREGISTRATION_SECONDS = 120


@resource("AWS::ECS::Cluster", "ecs", "ClusterName")
class Cluster:
    @staticmethod
    def create(client, properties, request):
        properties["ClusterName"] = name_of(properties, request, "ClusterName")
        return {"Arn": client.create_cluster(**lower_camel(properties))["cluster"]["clusterArn"]}

    @staticmethod
    def delete(client, properties, request):
        # The hosts of a group that has just been deleted deregister in the world's next tick.
        deadline = time.monotonic() + LONGEST_DEREGISTRATION_SECONDS
        while True:
            try:
                client.delete_cluster(cluster=properties["ClusterName"])
                return
            except client.exceptions.ClusterContainsContainerInstancesException:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)


@resource("AWS::ECS::CapacityProvider", "ecs", "Name")
class CapacityProvider:
    @staticmethod
    def create(client, properties, request):
        properties["Name"] = name_of(properties, request, "Name")
        parameters = lower_camel(properties)
        provider = parameters["autoScalingGroupProvider"]
        # The property is named an ARN, and CloudFormation takes the group's name too.
        if not provider["autoScalingGroupArn"].startswith("arn:"):
            groups = request.aws_client_factory.autoscaling.describe_auto_scaling_groups(
                AutoScalingGroupNames=[provider["autoScalingGroupArn"]]
            )["AutoScalingGroups"]
            provider["autoScalingGroupArn"] = groups[0]["AutoScalingGroupARN"]
        client.create_capacity_provider(**parameters)

    @staticmethod
    def delete(client, properties, request):
        client.delete_capacity_provider(capacityProvider=properties["Name"])


@resource("AWS::ECS::ClusterCapacityProviderAssociations", "ecs", "Cluster")
class ClusterCapacityProviderAssociations:
    @staticmethod
    def create(client, properties, request):
        client.put_cluster_capacity_providers(**lower_camel(properties))

    @staticmethod
    def update(client, properties, previous, request):
        client.put_cluster_capacity_providers(**lower_camel(properties))

    @staticmethod
    def delete(client, properties, request):
        client.put_cluster_capacity_providers(
            cluster=properties["Cluster"], capacityProviders=[], defaultCapacityProviderStrategy=[]
        )


def register(client, properties):
    definition = client.register_task_definition(**lower_camel(properties))["taskDefinition"]
    return {"TaskDefinitionArn": definition["taskDefinitionArn"]}


@resource("AWS::ECS::TaskDefinition", "ecs", "TaskDefinitionArn")
class TaskDefinition:
    @staticmethod
    def create(client, properties, request):
        properties["Family"] = name_of(properties, request, "Family")
        return register(client, properties)

    @staticmethod
    def update(client, properties, previous, request):
        return register(client, properties)

    @staticmethod
    def delete(client, properties, request):
        client.deregister_task_definition(taskDefinition=properties["TaskDefinitionArn"])


@resource("AWS::ECS::Service", "ecs", "ServiceArn")
class Service:
    @staticmethod
    def create(client, properties, request):
        properties["ServiceName"] = name_of(properties, request, "ServiceName")
        parameters = lower_camel(properties)
        if properties.get("SchedulingStrategy") != "DAEMON":
            # CloudFormation's own default, only when the service is made.
            parameters.setdefault("desiredCount", 1)
        service = client.create_service(**parameters)["service"]
        return {"ServiceArn": service["serviceArn"], "Name": service["serviceName"]}

    @staticmethod
    def update(client, properties, previous, request):
        parameters = lower_camel(properties)
        client.update_service(service=parameters.pop("serviceName"), **parameters)

    @staticmethod
    def delete(client, properties, request):
        client.delete_service(
            cluster=properties.get("Cluster", "default"), service=properties["ServiceName"], force=True
        )
