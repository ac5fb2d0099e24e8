"""Spot Fleets that are maintained; the rest of EC2 is LocalStack's."""
