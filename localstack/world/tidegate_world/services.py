"""Which AWS APIs the endpoint serves beyond LocalStack's own, and which operations of them are the world's.

Rule: an operation is either moto's, whole, or a function of the world in one of the OPERATIONS tables.
A LocalStack provider is a dispatch table {operation: handler(context, request)}, and LocalStack's moto proxy is such a
handler, so mapping every operation of a service's model to it serves the whole service.
"""

import threading
from collections import defaultdict

from localstack.aws.skeleton import Skeleton
from localstack.aws.spec import load_service
from localstack.services.moto import _proxy_moto
from localstack.services.plugins import Service, aws_provider

from tidegate_world import events
from tidegate_world.places import lock_of, place_of

_turns: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


def locked(handler):
    """One request or one tick at a time: moto is not thread safe, and nobody may see half a tick."""

    def handle(context, request):
        place = place_of(context.account_id, context.region)
        with lock_of(context.account_id):
            response = handler(context, request)
        events.send(place)
        return response

    return handle


def world_operation(function):
    """Turns function(place, request, moto) into a handler; moto() forwards the request to moto."""

    def handle(context, request):
        place = place_of(context.account_id, context.region)
        return function(place, request, lambda: _proxy_moto(context, request))

    return handle


def in_turn(handler):
    """One request of an account at a time: moto takes a refused transaction back by putting back the whole table as it
    was before, without what others have written meanwhile."""

    def handle(context, request):
        with _turns[context.account_id]:
            return handler(context, request)

    return handle


def from_moto(api: str, name: str = "default", world: bool = False, turns: bool = False):
    def create() -> Service:
        model = load_service(api)
        moto = in_turn(_proxy_moto) if turns else _proxy_moto
        table = {operation: moto for operation in model.operation_names}
        if world:
            table = with_world(api, table)
        return Service(name=api, skeleton=Skeleton(model, table))

    create.__name__ = create.__qualname__ = api.replace("-", "_")
    return aws_provider(api=api, name=name)(create)


def with_world(api: str, table: dict) -> dict:
    operations = world_operations(api)
    unknown = operations.keys() - table.keys()
    if unknown:
        raise ValueError(f"{api} has no operations {sorted(unknown)}")
    table.update({name: world_operation(function) for name, function in operations.items()})
    return {name: locked(handler) for name, handler in table.items()}


def world_operations(api: str) -> dict:
    # Imported late: these modules load moto's backends, which is slow.
    if api == "ecs":
        from tidegate_world.ecs import operations
    elif api == "autoscaling":
        from tidegate_world.autoscaling import operations
    elif api == "ec2":
        from tidegate_world.ec2 import operations
    elif api == "elbv2":
        from tidegate_world.elbv2 import operations
    elif api == "application-autoscaling":
        from tidegate_world import scalable_targets as operations
    else:
        return {}
    return operations.OPERATIONS


@aws_provider(api="ec2", name="world")
def ec2() -> Service:
    """LocalStack's own EC2, under the world's lock and with the world's Spot Fleets."""
    from localstack.services.ec2.provider import Ec2Provider
    from localstack.services.moto import MotoFallbackDispatcher

    service = Service.for_provider(Ec2Provider(), dispatch_table_factory=MotoFallbackDispatcher)
    skeleton = service.skeleton
    skeleton.dispatch_table = with_world("ec2", dict(skeleton.dispatch_table))
    return service


@aws_provider(api="cloudwatch", name="world")
def cloudwatch() -> Service:
    """LocalStack's own CloudWatch, which has no metrics of load balancers, refuses percentiles and sends no events."""
    from tidegate_world.alarms import Alarms
    from tidegate_world.elbv2 import load

    service = Service.for_provider(Alarms())
    table = service.skeleton.dispatch_table
    localstack = table["GetMetricData"]

    def get_metric_data(context, request):
        place = place_of(context.account_id, context.region)
        with lock_of(context.account_id):
            return load.get_metric_data(place, request, lambda others: localstack(context, others))

    table["GetMetricData"] = get_metric_data
    return service


@aws_provider(api="events", name="world")
def events_provider() -> Service:
    """LocalStack's own EventBridge, with a way in for the events of AWS services."""
    from tidegate_world import eventbridge

    return Service.for_provider(eventbridge.provider)


ecs = from_moto("ecs", world=True)
elbv2 = from_moto("elbv2", world=True)
autoscaling = from_moto("autoscaling", world=True)
application_autoscaling = from_moto("application-autoscaling", world=True)
servicediscovery = from_moto("servicediscovery")
ecr = from_moto("ecr")
dynamodb = from_moto("dynamodb", name="moto", turns=True)
dynamodbstreams = from_moto("dynamodbstreams", name="moto")
