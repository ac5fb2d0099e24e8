"""AWS::EC2 types that LocalStack lacks: launch templates, single rules of security groups, and Spot Fleets.

Rule: an update never loses what the template does not mention (see resource.py).
"""

from tidegate_world.cloudformation.resource import name_of, resource


@resource("AWS::EC2::LaunchTemplate", "ec2", "LaunchTemplateId")
class LaunchTemplate:
    @staticmethod
    def create(client, properties, request):
        name = name_of(properties, request, "LaunchTemplateName", 128)
        template = client.create_launch_template(
            LaunchTemplateName=name,
            LaunchTemplateData=properties["LaunchTemplateData"],
            TagSpecifications=properties.get("TagSpecifications", []),
        )["LaunchTemplate"]
        return {
            "LaunchTemplateName": name,
            "LaunchTemplateId": template["LaunchTemplateId"],
            "LatestVersionNumber": str(template["LatestVersionNumber"]),
            "DefaultVersionNumber": str(template["DefaultVersionNumber"]),
        }

    @staticmethod
    def update(client, properties, previous, request):
        version = client.create_launch_template_version(
            LaunchTemplateId=previous["LaunchTemplateId"], LaunchTemplateData=properties["LaunchTemplateData"]
        )["LaunchTemplateVersion"]
        return {"LatestVersionNumber": str(version["VersionNumber"])}

    @staticmethod
    def delete(client, properties, request):
        client.delete_launch_template(LaunchTemplateId=properties["LaunchTemplateId"])


@resource("AWS::EC2::SecurityGroupIngress", "ec2", "Id")
class SecurityGroupIngress:
    @staticmethod
    def create(client, properties, request):
        answer = client.authorize_security_group_ingress(**_ingress(properties))
        return {"Id": answer["SecurityGroupRules"][0]["SecurityGroupRuleId"]}

    @staticmethod
    def delete(client, properties, request):
        client.revoke_security_group_ingress(**_ingress(properties))


def _ingress(properties):
    """The rule as the API names it: from another group, or from a range of addresses."""
    words = {"Description": properties["Description"]} if "Description" in properties else {}
    permission = {name: properties[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in properties}
    if "SourceSecurityGroupId" in properties:
        permission["UserIdGroupPairs"] = [{"GroupId": properties["SourceSecurityGroupId"], **words}]
    if "CidrIp" in properties:
        permission["IpRanges"] = [{"CidrIp": properties["CidrIp"], **words}]
    return {"GroupId": properties["GroupId"], "IpPermissions": [permission]}


@resource("AWS::EC2::SpotFleet", "ec2", "Id")
class SpotFleet:
    @staticmethod
    def create(client, properties, request):
        fleet = client.request_spot_fleet(SpotFleetRequestConfig=properties["SpotFleetRequestConfigData"])
        return {"Id": fleet["SpotFleetRequestId"]}

    @staticmethod
    def update(client, properties, previous, request):
        client.modify_spot_fleet_request(
            SpotFleetRequestId=previous["Id"],
            TargetCapacity=properties["SpotFleetRequestConfigData"]["TargetCapacity"],
        )

    @staticmethod
    def delete(client, properties, request):
        client.cancel_spot_fleet_requests(SpotFleetRequestIds=[properties["Id"]], TerminateInstances=True)
