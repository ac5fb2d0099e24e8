"""AWS::ServiceDiscovery types: private DNS namespaces and services.

Rule: names are registered but nothing resolves them; there is no DNS behind the local AWS.
"""

from tidegate_world.cloudformation.resource import resource


@resource("AWS::ServiceDiscovery::PrivateDnsNamespace", "servicediscovery", "Id")
class PrivateDnsNamespace:
    @staticmethod
    def create(client, properties, request):
        operation = client.create_private_dns_namespace(**properties)["OperationId"]
        identifier = client.get_operation(OperationId=operation)["Operation"]["Targets"]["NAMESPACE"]
        return {"Id": identifier, "Arn": client.get_namespace(Id=identifier)["Namespace"]["Arn"]}

    @staticmethod
    def delete(client, properties, request):
        client.delete_namespace(Id=properties["Id"])


@resource("AWS::ServiceDiscovery::Service", "servicediscovery", "Id")
class Service:
    @staticmethod
    def create(client, properties, request):
        service = client.create_service(**properties)["Service"]
        return {"Id": service["Id"], "Arn": service["Arn"], "Name": service["Name"]}

    @staticmethod
    def delete(client, properties, request):
        client.delete_service(Id=properties["Id"])
