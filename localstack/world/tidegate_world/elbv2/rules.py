"""What AWS refuses of a rule or a listener, and which load balancer a target group belongs to.

Rule: the association of a group is read off the live rules, never stored, so it cannot disagree with them.
"""

from collections.abc import Iterator

from localstack.aws.api import CommonServiceException

RULES_PER_BALANCER = 100
GROUPS_PER_ACTION = 5
VALUES_PER_RULE = 5
WILDCARDS_PER_RULE = 5
GREATEST_PRIORITY = 50_000
GREATEST_WEIGHT = 999


def refused(code: str, message: str) -> CommonServiceException:
    return CommonServiceException(code, message, status_code=400, sender_fault=True)


def groups_of(action: dict) -> list[dict]:
    """The target groups an action forwards to, with their weights."""
    forward = action.get("ForwardConfig") or {}
    plain = [{"TargetGroupArn": action["TargetGroupArn"]}] if action.get("TargetGroupArn") else []
    return forward.get("TargetGroups") or plain


def all_rules(elbv2) -> Iterator[tuple[object, object, object]]:
    """Every load balancer, listener and rule; the default rule is one of them."""
    for balancer in elbv2.load_balancers.values():
        for listener in balancer.listeners.values():
            for rule in listener.rules.values():
                yield balancer, listener, rule


def balancers_of(elbv2, group_arn: str) -> list[str]:
    """The load balancers with a rule that names the group; AWS allows one."""
    arns = [
        balancer.arn
        for balancer, _, rule in all_rules(elbv2)
        for action in rule.actions
        if any(each["TargetGroupArn"] == group_arn for each in groups_of(action.data))
    ]
    return list(dict.fromkeys(arns))


def rule_of(elbv2, arn: str):
    for _, listener, rule in all_rules(elbv2):
        if rule.arn == arn:
            return listener, rule
    raise refused("RuleNotFound", "One or more rules not found")


def check_actions(elbv2, balancer_arn: str, actions: list[dict]) -> None:
    for action in actions:
        groups = groups_of(action)
        if len(groups) > GROUPS_PER_ACTION:
            raise refused("TooManyTargetGroups", f"A forward action can have at most {GROUPS_PER_ACTION} target groups")
        for group in groups:
            weight, arn = group.get("Weight", 1), group["TargetGroupArn"]
            if not 0 <= weight <= GREATEST_WEIGHT:
                raise refused("ValidationError", f"Weight '{weight}' must be between 0 and {GREATEST_WEIGHT}")
            if any(other != balancer_arn for other in balancers_of(elbv2, arn)):
                raise refused(
                    "TargetGroupAssociationLimit",
                    f"The following target groups cannot be associated with more than one load balancer: {arn}",
                )


def check_conditions(conditions: list[dict]) -> None:
    values = [value for condition in conditions for value in _values(condition)]
    if len(values) > VALUES_PER_RULE:
        raise refused("ValidationError", f"A rule can only have '{VALUES_PER_RULE}' condition values")
    if sum(value.count("*") + value.count("?") for value in values) > WILDCARDS_PER_RULE:
        raise refused("ValidationError", f"A rule can only have '{WILDCARDS_PER_RULE}' condition wildcards")


def _values(condition: dict) -> list[str]:
    configured = [each for key, each in condition.items() if key.endswith("Config") and each]
    values = configured[0].get("Values", []) if configured else condition.get("Values", [])
    return [value if isinstance(value, str) else value.get("Value", "") for value in values]


def check_priority(priority: int) -> None:
    if not 1 <= int(priority) <= GREATEST_PRIORITY:
        raise refused("ValidationError", f"Priority '{priority}' must be between 1 and {GREATEST_PRIORITY}")
