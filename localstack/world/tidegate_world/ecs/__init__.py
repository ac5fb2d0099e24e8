"""ECS that moves: hosts, tasks and services are the world's; clusters and task definitions are moto's."""
