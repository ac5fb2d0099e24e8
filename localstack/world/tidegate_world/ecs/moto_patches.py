"""What the rest of moto sees of the world's services.

Rule: every change to moto's classes for ECS is in this file. Application Auto Scaling asks moto's ECS whether a service
exists before it takes it as a scalable target.
"""

from moto.ecs.models import EC2ContainerServiceBackend

from tidegate_world.places import place_of


def install() -> None:
    EC2ContainerServiceBackend.describe_services = _describe_services


def _describe_services(backend, cluster: str, names: list[str]):
    contents = place_of(backend.account_id, backend.region_name).contents.get(cluster.rsplit("/", 1)[-1])
    services = contents.services if contents else {}
    known = [services[name.rsplit("/", 1)[-1]] for name in names if name.rsplit("/", 1)[-1] in services]
    return known, []
