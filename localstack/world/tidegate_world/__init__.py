"""A test double of ECS, Auto Scaling, ELBv2 and Spot Fleets inside LocalStack; see localstack/README.md."""
