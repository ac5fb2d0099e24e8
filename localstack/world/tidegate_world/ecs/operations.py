"""Every ECS operation that the world answers itself; the others are moto's.

Rule: each function takes (place, request, moto) and returns the response in the shape of the API.
"""

from tidegate_world.ecs import operations_clusters, operations_hosts, operations_services, operations_tasks

OPERATIONS = {
    **operations_clusters.OPERATIONS,
    **operations_hosts.OPERATIONS,
    **operations_services.OPERATIONS,
    **operations_tasks.OPERATIONS,
}
