"""CloudWatch's metrics of load balancers, made of what a data plane reports."""

import time
from datetime import UTC, datetime, timedelta

from conftest import eventually

BALANCER, GROUP, OTHER = "app/lb/1", "targetgroup/blue/2", "targetgroup/green/3"
EPOCH = int(time.time()) // 60 * 60 - 600


def report(aws, at: float, group: str | None = GROUP, delay: float = 0, **counts) -> None:
    point = {"at": at, "delay": delay, "load-balancer": f"arn:aws:elasticloadbalancing:x:1:loadbalancer/{BALANCER}"}
    if group:
        point["target-group"] = f"arn:aws:elasticloadbalancing:x:1:{group}"
    aws.world("load", body=[{**point, **{key.replace("_", "-"): value for key, value in counts.items()}}])


def query(name: str, stat: str, group: str | None = GROUP, period: int = 60, namespace="AWS/ApplicationELB", **more):
    dimensions = {"LoadBalancer": BALANCER} | ({"TargetGroup": group} if group else {})
    metric = {
        "Namespace": namespace,
        "MetricName": name,
        "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions.items()],
    }
    return {"Id": "q", "MetricStat": {"Metric": metric, "Period": period, "Stat": stat}, **more}


def ask(aws, *queries: dict, start: float = EPOCH, end: float = EPOCH + 600, **more) -> list[list[tuple[int, float]]]:
    """For each query its datapoints, as seconds after EPOCH and value."""
    numbered = [{**each, "Id": f"q{number}"} for number, each in enumerate(queries)]
    times = {"StartTime": datetime.fromtimestamp(start, tz=UTC), "EndTime": datetime.fromtimestamp(end, tz=UTC)}
    told = aws.cloudwatch.get_metric_data(MetricDataQueries=numbered, **times, **more)["MetricDataResults"]
    assert [each["Id"] for each in told] == [each["Id"] for each in numbered]
    return [
        [(int(at.timestamp()) - EPOCH, value) for at, value in zip(each["Timestamps"], each["Values"], strict=True)]
        for each in told
    ]


def test_counts_are_summed_by_period_newest_first(aws):
    for second in (0, 30, 60):
        report(aws, EPOCH + second, requests=10, target_5xx=1)
    counts, errors = ask(aws, query("RequestCount", "Sum"), query("HTTPCode_Target_5XX_Count", "Sum"))
    assert counts == [(60, 10.0), (0, 20.0)]
    assert errors == [(60, 1.0), (0, 2.0)]
    assert ask(aws, query("RequestCount", "Sum", period=30)) == [[(60, 10.0), (30, 10.0), (0, 10.0)]]
    assert ask(aws, query("RequestCount", "Sum"), start=EPOCH + 60) == [[(60, 10.0)]]
    assert ask(aws, query("RequestCount", "Sum"), end=EPOCH + 60, ScanBy="TimestampAscending") == [[(0, 20.0)]]


def test_percentiles_are_those_of_all_requests_of_the_period(aws):
    report(aws, EPOCH, requests=90, seconds=[[0.01, 90]])
    report(aws, EPOCH + 10, requests=10, seconds=[[0.3, 9], [2.0, 1]])
    told = ask(aws, *[query("TargetResponseTime", stat) for stat in ("p50", "p95", "p99", "p100", "Average", "p99.9")])
    assert [points[0][1] for points in told] == [0.01, 0.3, 0.3, 2.0, (0.9 + 2.7 + 2.0) / 100, 2.0]


def test_the_load_balancer_sums_its_groups_and_its_own_errors_have_no_group(aws):
    report(aws, EPOCH, requests=7)
    report(aws, EPOCH, OTHER, requests=5)
    report(aws, EPOCH, None, elb_5xx=3)
    report(aws, EPOCH, unreached=2)
    blue, green, both = ask(aws, *[query("RequestCount", "Sum", group) for group in (GROUP, OTHER, None)])
    assert (blue, green, both) == ([(0, 7.0)], [(0, 5.0)], [(0, 12.0)])
    own, of_group = ask(aws, *[query("HTTPCode_ELB_5XX_Count", "Sum", group) for group in (None, GROUP)])
    assert (own, of_group) == ([(0, 3.0)], [])
    assert ask(aws, query("TargetConnectionErrorCount", "Sum")) == [[(0, 2.0)]]


def test_no_request_is_no_datapoint(aws):
    report(aws, EPOCH, requests=7)
    other, errors = query("RequestCount", "Sum", OTHER), query("HTTPCode_Target_5XX_Count", "Sum")
    assert ask(aws, other, errors, query("TargetResponseTime", "p99")) == [[], [], []]


def test_a_datapoint_is_visible_after_its_delay(aws):
    report(aws, EPOCH, delay=time.time() - EPOCH + 1, requests=1)
    report(aws, EPOCH + 60, delay=3600, requests=2)
    (visible,) = eventually(lambda: ask(aws, query("RequestCount", "Sum"))[0], "the datapoint whose delay passes")
    assert visible == (0, 1.0)


def test_other_metrics_are_localstacks_in_the_same_call(aws):
    report(aws, EPOCH, requests=7)
    at = datetime.fromtimestamp(EPOCH, tz=UTC) + timedelta(seconds=5)
    dimensions = query("Depth", "Sum")["MetricStat"]["Metric"]["Dimensions"]
    aws.cloudwatch.put_metric_data(
        Namespace="Own", MetricData=[{"MetricName": "Depth", "Dimensions": dimensions, "Timestamp": at, "Value": 3}]
    )
    theirs, ours = ask(aws, query("Depth", "Sum", namespace="Own"), query("RequestCount", "Sum"))
    assert ([value for _, value in theirs], ours) == ([3.0], [(0, 7.0)])
