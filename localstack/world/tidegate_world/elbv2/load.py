"""What a data plane reports of requests, and CloudWatch's answers made of it (namespace AWS/ApplicationELB).

Rule: a metric exists under the dimensions AWS gives it, and only for periods in which there was something to count: no
request is no datapoint, not zero. Response times are kept as a histogram, so a percentile over several reports is one
of all their requests.
"""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from tidegate_world.places import Place

NAMESPACE = "AWS/ApplicationELB"
# CloudWatch keeps one-second data for three hours; a test needs less.
KEPT_SECONDS = 3 * 60 * 60


@dataclass(frozen=True)
class Report:
    """The requests of one load balancer, or of one of its target groups, that ended in some interval."""

    at: float  # when the interval began, in seconds since 1970
    visible_at: float
    balancer: str  # as the dimension says it: app/NAME/ID
    group: str | None  # targetgroup/NAME/ID; None is what the load balancer answered itself
    requests: int
    target_5xx: int
    elb_5xx: int
    unreached: int  # connections to targets that could not be made
    seconds: dict[float, int]  # response time of targets, to how often


def note(place: Place, points: list[dict]) -> None:
    for point in points:
        report = Report(
            at=float(point["at"]),
            visible_at=float(point["at"]) + float(point["delay"]),
            balancer=point["load-balancer"].split(":loadbalancer/")[-1],
            group=point["target-group"].split(":")[-1] if point.get("target-group") else None,
            requests=int(point.get("requests", 0)),
            target_5xx=int(point.get("target-5xx", 0)),
            elb_5xx=int(point.get("elb-5xx", 0)),
            unreached=int(point.get("unreached", 0)),
            seconds={float(value): int(count) for value, count in point.get("seconds", [])},
        )
        place.load.append(report)
    oldest = time.time() - KEPT_SECONDS
    place.load[:] = [report for report in place.load if report.at >= oldest]


def get_metric_data(place: Place, request: dict, localstack: Callable[[dict], dict]) -> dict:
    """Ours are answered here, the others by LocalStack, in the order of the queries."""
    queries = request["MetricDataQueries"]
    others = [query for query in queries if not _is_ours(query)]
    response = localstack({**request, "MetricDataQueries": others}) if others else {}
    theirs = {each["Id"]: each for each in response.get("MetricDataResults", [])}
    results = [_result(place, query, request) if _is_ours(query) else theirs.get(query["Id"]) for query in queries]
    shown = [each for each, query in zip(results, queries, strict=True) if each and query.get("ReturnData", True)]
    return {"Messages": [], **response, "MetricDataResults": shown}


def _is_ours(query: dict) -> bool:
    return query.get("MetricStat", {}).get("Metric", {}).get("Namespace") == NAMESPACE


def _result(place: Place, query: dict, request: dict) -> dict:
    stat = query["MetricStat"]
    name, period = stat["Metric"]["MetricName"], int(stat["Period"])
    points = []
    for start, reports in _by_period(place, stat["Metric"], period, request).items():
        value = _value(name, stat["Stat"], reports)
        if value is not None:
            points.append((start, value))
    points.sort(reverse=request.get("ScanBy") != "TimestampAscending")
    return {
        "Id": query["Id"],
        "Label": query.get("Label") or name,
        "Timestamps": [datetime.fromtimestamp(start, tz=UTC) for start, _ in points],
        "Values": [value for _, value in points],
        "StatusCode": "Complete",
    }


def _by_period(place: Place, metric: dict, period: int, request: dict) -> dict[int, list[Report]]:
    """The visible reports of a metric's dimensions, by the start of their period."""
    dimensions = {each["Name"]: each["Value"] for each in metric.get("Dimensions") or []}
    if "LoadBalancer" not in dimensions or dimensions.keys() - {"LoadBalancer", "TargetGroup"}:
        return {}
    if metric["MetricName"] == "HTTPCode_ELB_5XX_Count" and "TargetGroup" in dimensions:
        return {}
    # CloudWatch rounds the start down to the period, and the end is exclusive.
    first, end, now = request["StartTime"].timestamp() // period * period, request["EndTime"].timestamp(), time.time()
    found: dict[int, list[Report]] = {}
    for report in place.load:
        if report.balancer != dimensions["LoadBalancer"] or dimensions.get("TargetGroup", report.group) != report.group:
            continue
        start = int(report.at // period * period)
        if first <= start < end and report.visible_at <= now:
            found.setdefault(start, []).append(report)
    return found


COUNTS = {
    "RequestCount": lambda report: report.requests,
    "HTTPCode_Target_5XX_Count": lambda report: report.target_5xx,
    "HTTPCode_ELB_5XX_Count": lambda report: report.elb_5xx,
    "TargetConnectionErrorCount": lambda report: report.unreached,
}


def _value(name: str, stat: str, reports: list[Report]) -> float | None:
    if name == "TargetResponseTime":
        seconds = sum((Counter(report.seconds) for report in reports), Counter())
        return _of_seconds(stat, seconds) if seconds else None
    count = COUNTS.get(name)
    total = sum(count(report) for report in reports) if count and stat == "Sum" else 0
    return float(total) if total else None


def _of_seconds(stat: str, seconds: Counter) -> float | None:
    total = seconds.total()
    if stat == "Average":
        return sum(value * count for value, count in seconds.items()) / total
    if stat == "SampleCount":
        return float(total)
    if stat in ("Minimum", "Maximum"):
        return min(seconds) if stat == "Minimum" else max(seconds)
    if not stat.startswith("p"):
        return None
    rank = float(stat[1:]) / 100 * total
    for value in sorted(seconds):
        rank -= seconds[value]
        if rank <= 1e-9:
            return value
    return max(seconds)
