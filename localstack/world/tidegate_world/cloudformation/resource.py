"""How a small class becomes a CloudFormation resource provider of LocalStack.

Rule: a resource is made, changed and removed only through the endpoint's own APIs. LocalStack's clients in a provider
fix the casing and the scalar types of every parameter to the API's model, so a class only names the calls and the ids.
"""

import localstack.services.cloudformation.provider_utils as provider_utils
from localstack.services.cloudformation.resource_provider import OperationStatus, ProgressEvent, ResourceProvider
from plux import Plugin, PluginSpec

NAMESPACE = "localstack.cloudformation.resource_providers"


def resource(type_name: str, service: str, identifier: str = "Id"):
    """Class decorator. The class has static methods

    create(client, properties, request) -> properties to add: `identifier` (what Ref gives) and whatever GetAtt reads
    update(client, properties, previous, request) -> the same; without it a change replaces the resource
    delete(client, properties, request)
    """

    def decorate(definition):
        class Provider(ResourceProvider):
            TYPE = type_name
            SCHEMA = {"typeName": type_name, "primaryIdentifier": [f"/properties/{identifier}"]}

            def create(self, request):
                properties = request.desired_state
                properties.update(definition.create(_client(request), properties, request) or {})
                return _success(request, properties)

            def update(self, request):
                if not hasattr(definition, "update"):
                    raise NotImplementedError
                previous = request.previous_state or {}
                properties = {**previous, **request.desired_state}
                properties.update(definition.update(_client(request), properties, previous, request) or {})
                return _success(request, properties)

            def delete(self, request):
                definition.delete(_client(request), request.desired_state, request)
                return _success(request, request.desired_state)

        def _client(request):
            return request.aws_client_factory.get_client(service)

        def _success(request, properties):
            return ProgressEvent(
                OperationStatus.SUCCESS, resource_model=properties, custom_context=request.custom_context
            )

        class ProviderPlugin(Plugin):
            namespace, name = NAMESPACE, type_name

            def load(self):
                self.factory = Provider

        return PluginSpec(NAMESPACE, type_name, ProviderPlugin)

    return decorate


def name_of(properties: dict, request, key: str, longest: int = 255) -> str:
    """The name the template gives, or one made from the stack and the logical id, as CloudFormation does."""
    generated = provider_utils.generate_default_name(request.stack_name, request.logical_resource_id)
    return properties.get(key) or generated[-longest:].strip("-")


def lower_camel(properties: dict) -> dict:
    """ECS spells its parameters in lowerCamelCase; free-form maps keep their keys."""
    return provider_utils.keys_pascalcase_to_lower_camelcase(properties, {"Options", "DockerLabels"})
