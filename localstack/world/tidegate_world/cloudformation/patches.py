"""Where LocalStack's own CloudFormation says that something exists which does not.

Rule: every change to LocalStack's CloudFormation is in this file, and each makes it stricter or more real.
"""


def install() -> None:
    _refuse_unknown_types()
    _make_repositories_real()
    _make_security_group_rules_real()
    _make_log_retention_real()


def _refuse_unknown_types() -> None:
    """LocalStack answers CREATE_COMPLETE for a type it does not know; then a stack only seems to exist."""
    from localstack.services.cloudformation.engine.v2 import change_set_model_executor

    change_set_model_executor.should_ignore_unsupported_resource_type = lambda **_: False


def _make_repositories_real() -> None:
    """AWS::ECR::Repository makes nothing, since LocalStack's community edition has no ECR."""
    from localstack.services.ecr.resource_providers.aws_ecr_repository import ECRRepositoryProvider

    create, delete = ECRRepositoryProvider.create, ECRRepositoryProvider.delete

    def create_really(self, request):
        event = create(self, request)
        repository = request.aws_client_factory.ecr.create_repository(
            repositoryName=event.resource_model["RepositoryName"]
        )["repository"]
        event.resource_model.update(Arn=repository["repositoryArn"], RepositoryUri=repository["repositoryUri"])
        return event

    def delete_really(self, request):
        request.aws_client_factory.ecr.delete_repository(
            repositoryName=request.desired_state["RepositoryName"], force=True
        )
        return delete(self, request)

    ECRRepositoryProvider.create, ECRRepositoryProvider.delete = create_really, delete_really


def _make_security_group_rules_real() -> None:
    """AWS::EC2::SecurityGroup makes the group and forgets its rules."""
    from localstack.services.ec2.resource_providers.aws_ec2_securitygroup import EC2SecurityGroupProvider

    create = EC2SecurityGroupProvider.create

    def create_with_rules(self, request):
        event = create(self, request)
        ec2, group = request.aws_client_factory.ec2, event.resource_model["GroupId"]
        for rule in request.desired_state.get("SecurityGroupIngress") or []:
            ec2.authorize_security_group_ingress(GroupId=group, IpPermissions=[_permission(rule)])
        for rule in request.desired_state.get("SecurityGroupEgress") or []:
            ec2.authorize_security_group_egress(GroupId=group, IpPermissions=[_permission(rule)])
        return event

    EC2SecurityGroupProvider.create = create_with_rules


def _permission(rule: dict) -> dict:
    permission = {"IpProtocol": str(rule["IpProtocol"])}
    for key in ("FromPort", "ToPort"):
        if key in rule:
            permission[key] = int(rule[key])
    described = {"Description": rule["Description"]} if rule.get("Description") else {}
    if "CidrIp" in rule:
        permission["IpRanges"] = [{"CidrIp": rule["CidrIp"], **described}]
    if "CidrIpv6" in rule:
        permission["Ipv6Ranges"] = [{"CidrIpv6": rule["CidrIpv6"], **described}]
    peer = rule.get("SourceSecurityGroupId") or rule.get("DestinationSecurityGroupId")
    if peer:
        permission["UserIdGroupPairs"] = [{"GroupId": peer, **described}]
    return permission


def _make_log_retention_real() -> None:
    """AWS::Logs::LogGroup makes the group and keeps its logs for ever."""
    from localstack.services.logs.resource_providers.aws_logs_loggroup import LogsLogGroupProvider

    create = LogsLogGroupProvider.create

    def create_with_retention(self, request):
        event = create(self, request)
        days = request.desired_state.get("RetentionInDays")
        if days:
            name = event.resource_model["LogGroupName"]
            request.aws_client_factory.logs.put_retention_policy(logGroupName=name, retentionInDays=int(days))
        return event

    LogsLogGroupProvider.create = create_with_retention
