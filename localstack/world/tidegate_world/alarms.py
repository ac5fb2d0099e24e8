"""CloudWatch alarms that tell EventBridge: LocalStack keeps and evaluates them, and sends no event of it.

Rule: every change of an alarm's state passes through one method of LocalStack's provider, and that method speaks here.
"""

from datetime import UTC

from localstack.services.cloudwatch.provider_v2 import CloudwatchProvider

from tidegate_world import events
from tidegate_world.places import place_of


class Alarms(CloudwatchProvider):
    def _update_state(self, context, alarm, state_value, state_reason, state_reason_data=None):
        before = _state(alarm.alarm)
        super()._update_state(context, alarm, state_value, state_reason, state_reason_data)
        told, place = alarm.alarm, place_of(context.account_id, context.region)
        detail = {
            "alarmName": told["AlarmName"],
            "state": _state(told),
            "previousState": before,
            "configuration": _configuration(told),
        }
        events.emit(place, "aws.cloudwatch", "CloudWatch Alarm State Change", [told["AlarmArn"]], lambda: detail)
        events.send(place)


def _state(alarm: dict) -> dict:
    at = alarm["StateUpdatedTimestamp"].astimezone(UTC)
    state = {
        "value": str(alarm["StateValue"]),
        "reason": alarm["StateReason"],
        "timestamp": events.iso(at).replace("Z", "+0000"),
    }
    if alarm.get("StateReasonData"):
        state["reasonData"] = alarm["StateReasonData"]
    return state


def _configuration(alarm: dict) -> dict:
    described = {"description": alarm["AlarmDescription"]} if alarm.get("AlarmDescription") else {}
    if "AlarmRule" in alarm:
        return {**described, "alarmRule": alarm["AlarmRule"]}
    return {**described, "metrics": [_metric(each) for each in alarm.get("Metrics") or [_own_query(alarm)]]}


def _own_query(alarm: dict) -> dict:
    """An alarm on a single metric names it itself, and an event shows it as a query all the same."""
    metric = {name: alarm[name] for name in ("Namespace", "MetricName", "Dimensions") if alarm.get(name)}
    stat = alarm.get("Statistic") or alarm.get("ExtendedStatistic")
    return {"Id": alarm["AlarmName"], "MetricStat": {"Metric": metric, "Period": alarm.get("Period"), "Stat": stat}}


def _metric(query: dict) -> dict:
    shown = {"id": query["Id"], "returnData": query.get("ReturnData", True)}
    if query.get("Expression"):
        return {**shown, "expression": query["Expression"]}
    stat = query["MetricStat"]
    metric = stat["Metric"]
    return {
        **shown,
        "metricStat": {
            "metric": {
                "namespace": metric.get("Namespace"),
                "name": metric.get("MetricName"),
                "dimensions": {each["Name"]: each["Value"] for each in metric.get("Dimensions") or []},
            },
            "period": stat["Period"],
            "stat": stat["Stat"],
        },
    }
