"""Scaling activities, for DescribeScalingActivities.

Rule: newest first and bounded, as on AWS, where they fade after six weeks.
"""

import uuid
from datetime import UTC, datetime

KEPT = 200


def note(group, description: str, cause: str = "the difference between desired and actual capacity") -> dict:
    at = datetime.now(tz=UTC)
    activity = {
        "ActivityId": str(uuid.uuid4()),
        "AutoScalingGroupName": group.name,
        "AutoScalingGroupARN": group.arn,
        "Description": description,
        "Cause": f"At {at:%Y-%m-%dT%H:%M:%SZ}: {cause}.",
        "StartTime": at,
        "EndTime": at,
        "StatusCode": "Successful",
        "Progress": 100,
    }
    group.world_activities = [activity, *of(group)][:KEPT]
    return activity


def of(group) -> list[dict]:
    return getattr(group, "world_activities", [])
