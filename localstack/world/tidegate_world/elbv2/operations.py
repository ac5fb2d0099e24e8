"""Every ELBv2 operation of which the world refuses more, or does more, than moto.

Rule: each function takes (place, request, moto) and returns the response in the shape of the API.
"""

from tidegate_world.elbv2 import rules
from tidegate_world.elbv2.rules import all_rules, check_actions, check_conditions, check_priority, refused, rule_of
from tidegate_world.places import Place

ARNS_PER_DESCRIBE_TAGS = 20


def _listener(place: Place, arn: str):
    for balancer in place.elbv2.load_balancers.values():
        if arn in balancer.listeners:
            return balancer, balancer.listeners[arn]
    raise refused("ListenerNotFound", f"Listener '{arn}' not found")


def create_listener(place: Place, request: dict, moto) -> dict:
    check_actions(place.elbv2, request["LoadBalancerArn"], request.get("DefaultActions") or [])
    return moto()


def modify_listener(place: Place, request: dict, moto) -> dict:
    balancer, _ = _listener(place, request["ListenerArn"])
    check_actions(place.elbv2, balancer.arn, request.get("DefaultActions") or [])
    return moto()


def create_rule(place: Place, request: dict, moto) -> dict:
    balancer, listener = _listener(place, request["ListenerArn"])
    check_priority(request["Priority"])
    if any(rule.priority == request["Priority"] for rule in listener.rules.values()):
        raise refused("PriorityInUse", f"Priority '{request['Priority']}' is currently in use")
    check_conditions(request["Conditions"])
    check_actions(place.elbv2, balancer.arn, request["Actions"])
    held = sum(not rule.is_default for each, _, rule in all_rules(place.elbv2) if each is balancer)
    if held >= rules.RULES_PER_BALANCER:
        raise refused("TooManyRules", f"The maximum number of rules on load balancer '{balancer.arn}' has been reached")
    return moto()


def modify_rule(place: Place, request: dict, moto) -> dict:
    listener, rule = rule_of(place.elbv2, request["RuleArn"])
    if rule.is_default:
        raise refused("OperationNotPermitted", f"Default rule '{rule.arn}' cannot be modified")
    check_conditions(request.get("Conditions") or [])
    check_actions(place.elbv2, listener.load_balancer_arn, request.get("Actions") or [])
    return moto()


def delete_rule(place: Place, request: dict, moto) -> dict:
    _, rule = rule_of(place.elbv2, request["RuleArn"])
    if rule.is_default:
        raise refused("OperationNotPermitted", f"Default rule '{rule.arn}' cannot be deleted")
    return moto()


def set_rule_priorities(place: Place, request: dict, moto) -> dict:
    """All at once: two rules may take each other's place, which moto refuses."""
    wanted = {each["RuleArn"]: each["Priority"] for each in request["RulePriorities"]}
    for arn, priority in wanted.items():
        check_priority(priority)
        listener, rule = rule_of(place.elbv2, arn)
        if rule.is_default:
            raise refused("OperationNotPermitted", f"The priority of default rule '{arn}' cannot be changed")
        after = [wanted.get(each.arn, each.priority) for each in listener.rules.values()]
        if after.count(priority) > 1:
            raise refused("PriorityInUse", f"Priority '{priority}' is currently in use")
    for arn in wanted:
        rule_of(place.elbv2, arn)[1].priority = None  # moto knows only free places
    return moto()


def describe_tags(place: Place, request: dict, moto) -> dict:
    arns = request["ResourceArns"]
    if len(arns) > ARNS_PER_DESCRIBE_TAGS:
        raise refused("ValidationError", f"At most {ARNS_PER_DESCRIBE_TAGS} resources can be described at once")
    for arn in arns:
        if ":listener-rule/" in arn:
            rule_of(place.elbv2, arn)
        elif ":targetgroup/" in arn and arn not in place.elbv2.target_groups:
            raise refused("TargetGroupNotFound", f"Target groups '{arn}' not found")
    return moto()


OPERATIONS = {
    "CreateListener": create_listener,
    "ModifyListener": modify_listener,
    "CreateRule": create_rule,
    "ModifyRule": modify_rule,
    "DeleteRule": delete_rule,
    "SetRulePriorities": set_rule_priorities,
    "DescribeTags": describe_tags,
}
