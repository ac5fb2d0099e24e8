"""What happens when LocalStack starts: the patches, the controls, the request log and the clock.

Rule: this is the only module with effects at start; all others wait to be called.
"""

from localstack.runtime import hooks


@hooks.on_infra_start()
def start_world():
    from tidegate_world import clock, controls, request_log, targets
    from tidegate_world.autoscaling import moto_patches

    moto_patches.install()
    targets.install()
    request_log.install()
    controls.install()
    _refuse_unknown_resource_types()
    _make_repositories_real()
    clock.start()


def _refuse_unknown_resource_types() -> None:
    """LocalStack answers CREATE_COMPLETE for a type it does not know; then a stack only seems to exist."""
    from localstack.services.cloudformation.engine.v2 import change_set_model_executor

    change_set_model_executor.should_ignore_unsupported_resource_type = lambda **_: False


def _make_repositories_real() -> None:
    """LocalStack's AWS::ECR::Repository makes nothing, since its community edition has no ECR."""
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
