"""What happens when LocalStack starts: the patches, the controls, the request log and the clock.

Rule: this is the only module with effects at start; all others wait to be called.
"""

from localstack.runtime import hooks


@hooks.on_infra_start()
def start_world():
    from tidegate_world import clock, controls, events, request_log
    from tidegate_world.autoscaling import moto_patches as autoscaling_patches
    from tidegate_world.cloudformation import patches as cloudformation_patches
    from tidegate_world.ecs import moto_patches as ecs_patches
    from tidegate_world.elbv2 import tags, targets

    autoscaling_patches.install()
    ecs_patches.install()
    targets.install()
    tags.install()
    request_log.install()
    controls.install()
    cloudformation_patches.install()
    events.start()
    clock.start()
