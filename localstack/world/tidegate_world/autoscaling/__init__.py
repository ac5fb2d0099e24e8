"""Auto Scaling groups that move: moto keeps the groups, the world launches and terminates."""
