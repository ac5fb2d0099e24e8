"""AWS::ElasticLoadBalancingV2 types: load balancers, target groups, listeners and rules.

Rule: there is no data plane behind them; what they describe is real, what they would forward is not.
"""

from tidegate_world.cloudformation.resource import name_of, resource

LONGEST_NAME = 32


@resource("AWS::ElasticLoadBalancingV2::LoadBalancer", "elbv2", "LoadBalancerArn")
class LoadBalancer:
    @staticmethod
    def create(client, properties, request):
        properties["Name"] = name_of(properties, request, "Name", LONGEST_NAME)
        balancer = client.create_load_balancer(**properties)["LoadBalancers"][0]
        arn = balancer["LoadBalancerArn"]
        if properties.get("LoadBalancerAttributes"):
            client.modify_load_balancer_attributes(
                LoadBalancerArn=arn, Attributes=properties["LoadBalancerAttributes"]
            )
        return {
            "LoadBalancerArn": arn,
            "DNSName": balancer["DNSName"],
            "LoadBalancerName": balancer["LoadBalancerName"],
            "CanonicalHostedZoneID": balancer.get("CanonicalHostedZoneId", "Z0"),
            "LoadBalancerFullName": arn.split(":loadbalancer/")[-1],
        }

    @staticmethod
    def delete(client, properties, request):
        client.delete_load_balancer(LoadBalancerArn=properties["LoadBalancerArn"])


@resource("AWS::ElasticLoadBalancingV2::TargetGroup", "elbv2", "TargetGroupArn")
class TargetGroup:
    @staticmethod
    def create(client, properties, request):
        properties["Name"] = name_of(properties, request, "Name", LONGEST_NAME)
        arn = client.create_target_group(**properties)["TargetGroups"][0]["TargetGroupArn"]
        if properties.get("TargetGroupAttributes"):
            client.modify_target_group_attributes(TargetGroupArn=arn, Attributes=properties["TargetGroupAttributes"])
        return {
            "TargetGroupArn": arn,
            "TargetGroupName": properties["Name"],
            "TargetGroupFullName": arn.split(":")[-1],
        }

    @staticmethod
    def delete(client, properties, request):
        client.delete_target_group(TargetGroupArn=properties["TargetGroupArn"])


@resource("AWS::ElasticLoadBalancingV2::Listener", "elbv2", "ListenerArn")
class Listener:
    @staticmethod
    def create(client, properties, request):
        return {"ListenerArn": client.create_listener(**properties)["Listeners"][0]["ListenerArn"]}

    @staticmethod
    def update(client, properties, previous, request):
        changeable = {key: properties[key] for key in ("Port", "Protocol", "DefaultActions") if key in properties}
        client.modify_listener(ListenerArn=previous["ListenerArn"], **changeable)

    @staticmethod
    def delete(client, properties, request):
        client.delete_listener(ListenerArn=properties["ListenerArn"])


@resource("AWS::ElasticLoadBalancingV2::ListenerRule", "elbv2", "RuleArn")
class ListenerRule:
    @staticmethod
    def create(client, properties, request):
        return {"RuleArn": client.create_rule(**properties)["Rules"][0]["RuleArn"]}

    @staticmethod
    def update(client, properties, previous, request):
        client.modify_rule(
            RuleArn=previous["RuleArn"], Conditions=properties["Conditions"], Actions=properties["Actions"]
        )

    @staticmethod
    def delete(client, properties, request):
        client.delete_rule(RuleArn=properties["RuleArn"])
