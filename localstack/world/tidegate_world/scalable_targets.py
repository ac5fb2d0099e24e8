"""Application Auto Scaling: what is suspended of a target is always told, as AWS does.

Rule: each function takes (place, request, moto) and returns the response in the shape of the API.
"""

from moto.applicationautoscaling.models import applicationautoscaling_backends

from tidegate_world.places import Place

NOTHING_SUSPENDED = {
    "DynamicScalingInSuspended": False,
    "DynamicScalingOutSuspended": False,
    "ScheduledScalingSuspended": False,
}


def register(place: Place, request: dict, moto) -> dict:
    response = moto()
    backend = applicationautoscaling_backends[place.account][place.region]
    target = backend.targets[request["ScalableDimension"]][request["ResourceId"]]
    target.suspended_state = {**NOTHING_SUSPENDED, **(target.suspended_state or {})}
    return response


OPERATIONS = {"RegisterScalableTarget": register}
