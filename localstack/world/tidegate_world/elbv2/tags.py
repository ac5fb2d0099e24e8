"""Listener rules among the tagged resources: moto's tagging API leaves them out.

Rule: only this is added; which tags are asked for, and by pages, is as moto does it for target groups.
"""

from moto.resourcegroupstaggingapi.models import ResourceGroupsTaggingAPIBackend

from tidegate_world.elbv2 import rules

TYPES = {"elasticloadbalancing", "elasticloadbalancing:listener-rule", "elasticloadbalancing:listener-rule/app"}


def install() -> None:
    of_moto = ResourceGroupsTaggingAPIBackend._get_resources_generator

    def resources(backend, tag_filters=None, resource_type_filters=None):
        yield from of_moto(backend, tag_filters, resource_type_filters)
        if not resource_type_filters or TYPES & set(resource_type_filters):
            yield from _tagged_rules(backend.elbv2_backend, tag_filters or [])

    ResourceGroupsTaggingAPIBackend._get_resources_generator = resources


def _tagged_rules(elbv2, filters: list[dict]):
    for _, _, rule in rules.all_rules(elbv2):
        tags = elbv2.tagging_service.list_tags_for_resource(rule.arn)["Tags"]
        if tags and all(_has(tags, wanted) for wanted in filters):
            yield {"ResourceARN": rule.arn, "Tags": tags}


def _has(tags: list[dict], wanted: dict) -> bool:
    values = wanted.get("Values")
    return any(tag["Key"] == wanted["Key"] and (not values or tag["Value"] in values) for tag in tags)
