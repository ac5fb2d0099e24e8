"""AWS::Logs::MetricFilter: the filter is kept and can be read back; nothing is counted.

Rule: an alarm on its metric therefore never sees a datapoint here.
"""

from tidegate_world.cloudformation.resource import lower_camel, name_of, resource


@resource("AWS::Logs::MetricFilter", "logs", "FilterName")
class MetricFilter:
    @staticmethod
    def create(client, properties, request):
        properties["FilterName"] = name_of(properties, request, "FilterName")
        client.put_metric_filter(**lower_camel(properties))

    @staticmethod
    def update(client, properties, previous, request):
        client.put_metric_filter(**lower_camel(properties))

    @staticmethod
    def delete(client, properties, request):
        client.delete_metric_filter(logGroupName=properties["LogGroupName"], filterName=properties["FilterName"])
