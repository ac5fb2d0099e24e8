"""Listener rules and target groups as a controller writes them: what AWS takes, echoes and refuses."""

import pytest
from botocore.exceptions import ClientError
from conftest import error_code, forward, on_path


def weights(rule: dict) -> list[int]:
    return [each["Weight"] for each in rule["Actions"][0]["ForwardConfig"]["TargetGroups"]]


def refused(call, **request) -> str:
    with pytest.raises(ClientError) as raised:
        call(**request)
    return error_code(raised)


def test_a_weighted_rule_keeps_its_weights_conditions_and_tags(aws):
    blue, green = aws.target_group("blue"), aws.target_group("green")
    listener = aws.listener(blue)
    rule = aws.rule(listener, 7, "/api/*", (blue, 90), (green, 10), Tags=[{"Key": "owner", "Value": "me"}])
    assert (rule["Priority"], weights(rule)) == ("7", [90, 10])
    aws.elbv2.modify_rule(RuleArn=rule["RuleArn"], Actions=[forward((blue, 0), (green, 100))])
    (read,) = aws.elbv2.describe_rules(RuleArns=[rule["RuleArn"]])["Rules"]
    assert weights(read) == [0, 100]
    assert read["Conditions"][0]["PathPatternConfig"]["Values"] == ["/api/*"]
    told = aws.elbv2.describe_tags(ResourceArns=[rule["RuleArn"], blue, green])["TagDescriptions"]
    assert [each["Tags"] for each in told] == [[{"Key": "owner", "Value": "me"}], [], []]


def test_rules_are_found_by_their_tags(aws):
    blue = aws.target_group("blue")
    listener = aws.listener(blue)
    mine = aws.rule(listener, 1, "/a", blue, Tags=[{"Key": "owner", "Value": "me"}])["RuleArn"]
    aws.rule(listener, 2, "/b", blue, Tags=[{"Key": "owner", "Value": "you"}])
    aws.rule(listener, 3, "/c", blue)
    found = aws.resourcegroupstaggingapi.get_resources(
        ResourceTypeFilters=["elasticloadbalancing:listener-rule/app"],
        TagFilters=[{"Key": "owner", "Values": ["me"]}],
    )["ResourceTagMappingList"]
    assert found == [{"ResourceARN": mine, "Tags": [{"Key": "owner", "Value": "me"}]}]


def test_a_priority_is_used_once(aws):
    blue = aws.target_group("blue")
    listener = aws.listener(blue)
    first = aws.rule(listener, 1, "/a", blue)["RuleArn"]
    second = aws.rule(listener, 2, "/b", blue)["RuleArn"]
    again = {"ListenerArn": listener, "Priority": 1, "Conditions": [on_path("/c")], "Actions": [forward(blue)]}
    assert refused(aws.elbv2.create_rule, **again) == "PriorityInUse"
    taken = [{"RuleArn": first, "Priority": 2}]
    assert refused(aws.elbv2.set_rule_priorities, RulePriorities=taken) == "PriorityInUse"
    swapped = [{"RuleArn": first, "Priority": 2}, {"RuleArn": second, "Priority": 1}]
    aws.elbv2.set_rule_priorities(RulePriorities=swapped)
    rules = aws.elbv2.describe_rules(ListenerArn=listener)["Rules"]
    assert {rule["RuleArn"]: rule["Priority"] for rule in rules if not rule["IsDefault"]} == {first: "2", second: "1"}


def test_quotas_of_rules_groups_and_conditions(aws):
    groups = [aws.target_group(f"g{number}") for number in range(6)]
    listener = aws.listener(groups[0])
    for priority in range(1, 101):
        aws.rule(listener, priority, f"/{priority}", groups[0])
    request = {"ListenerArn": listener, "Priority": 101}
    request |= {"Conditions": [on_path("/x")], "Actions": [forward(groups[0])]}
    assert refused(aws.elbv2.create_rule, **request) == "TooManyRules"
    rules = aws.elbv2.get_paginator("describe_rules").paginate(ListenerArn=listener).build_full_result()["Rules"]
    assert len(rules) == 101
    aws.elbv2.delete_rule(RuleArn=next(rule["RuleArn"] for rule in rules if rule["Priority"] == "100"))
    assert refused(aws.elbv2.create_rule, **{**request, "Actions": [forward(*groups)]}) == "TooManyTargetGroups"
    for invalid in (
        {"Conditions": [on_path(*"abcdef")]},
        {"Conditions": [on_path("/a*b*c*", "/d*e*f*")]},
        {"Priority": 0},
        {"Actions": [forward((groups[0], 1000))]},
    ):
        assert refused(aws.elbv2.create_rule, **{**request, **invalid}) == "ValidationError"
    aws.elbv2.create_rule(**request)


def test_what_is_gone_or_default_is_neither_changed_nor_deleted(aws):
    blue = aws.target_group("blue")
    listener = aws.listener(blue)
    rule = aws.rule(listener, 1, "/a", blue)["RuleArn"]
    aws.elbv2.delete_rule(RuleArn=rule)
    assert refused(aws.elbv2.delete_rule, RuleArn=rule) == "RuleNotFound"
    assert refused(aws.elbv2.modify_rule, RuleArn=rule, Actions=[forward(blue)]) == "RuleNotFound"
    assert refused(aws.elbv2.describe_tags, ResourceArns=[rule]) == "RuleNotFound"
    (default,) = aws.elbv2.describe_rules(ListenerArn=listener)["Rules"]
    assert refused(aws.elbv2.delete_rule, RuleArn=default["RuleArn"]) == "OperationNotPermitted"
    assert refused(aws.elbv2.modify_rule, RuleArn=default["RuleArn"], Actions=[forward(blue)]) == "OperationNotPermitted"
    assert refused(aws.elbv2.delete_target_group, TargetGroupArn=blue) == "ResourceInUse"


def test_a_group_belongs_to_the_load_balancer_whose_rules_name_it(aws):
    blue, green = aws.target_group("blue"), aws.target_group("green")

    def balancers(arn: str) -> list[str]:
        return aws.elbv2.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"][0]["LoadBalancerArns"]

    first, second = aws.balancer("first"), aws.balancer("second")
    listener = aws.listener(blue, balancer=first)
    assert (balancers(blue), balancers(green)) == ([first], [])
    rule = aws.rule(listener, 1, "/a", (blue, 1), (green, 0))["RuleArn"]
    assert balancers(green) == [first]
    other = {"LoadBalancerArn": second, "Protocol": "HTTP", "Port": 80, "DefaultActions": [forward(green)]}
    assert refused(aws.elbv2.create_listener, **other) == "TargetGroupAssociationLimit"
    aws.elbv2.modify_rule(RuleArn=rule, Actions=[forward(blue)])
    assert balancers(green) == []
    aws.elbv2.create_listener(**other)


def test_a_group_is_made_once_and_its_settings_can_be_changed(aws):
    settings = {"HealthCheckPath": "/", "HealthCheckIntervalSeconds": 6, "HealthyThresholdCount": 2}
    arn = aws.target_group("blue", HealthCheckEnabled=True, Matcher={"HttpCode": "200"}, **settings)
    assert aws.target_group("blue", **settings) == arn
    with pytest.raises(ClientError) as raised:
        aws.target_group("blue", HealthCheckPath="/other")
    assert error_code(raised) == "DuplicateTargetGroupName"
    changed = aws.elbv2.modify_target_group(
        TargetGroupArn=arn,
        HealthCheckPath="/health",
        HealthCheckIntervalSeconds=10,
        HealthCheckTimeoutSeconds=3,
        HealthyThresholdCount=3,
        UnhealthyThresholdCount=4,
        Matcher={"HttpCode": "200-299"},
    )["TargetGroups"][0]
    (read,) = aws.elbv2.describe_target_groups(Names=["blue"])["TargetGroups"]
    assert changed == read
    assert (read["HealthCheckPath"], read["Matcher"]["HttpCode"]) == ("/health", "200-299")
    assert (read["HealthCheckIntervalSeconds"], read["HealthCheckTimeoutSeconds"]) == (10, 3)
    assert (read["HealthyThresholdCount"], read["UnhealthyThresholdCount"]) == (3, 4)
    wanted = {"deregistration_delay.timeout_seconds": "5", "slow_start.duration_seconds": "30"}
    aws.elbv2.modify_target_group_attributes(
        TargetGroupArn=arn, Attributes=[{"Key": key, "Value": value} for key, value in wanted.items()]
    )
    attributes = aws.elbv2.describe_target_group_attributes(TargetGroupArn=arn)["Attributes"]
    assert wanted.items() <= {each["Key"]: each["Value"] for each in attributes}.items()


def test_tags_of_twenty_resources_are_told_at_once(aws):
    groups = [aws.target_group(f"g{number}", Tags=[{"Key": "n", "Value": str(number)}]) for number in range(21)]
    told = aws.elbv2.describe_tags(ResourceArns=groups[:20])["TagDescriptions"]
    assert {each["Tags"][0]["Value"] for each in told} == {str(number) for number in range(20)}
    assert refused(aws.elbv2.describe_tags, ResourceArns=groups) == "ValidationError"
