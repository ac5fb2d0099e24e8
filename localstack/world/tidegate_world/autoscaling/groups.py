"""What an Auto Scaling group does in a tick: it replaces the dead, launches, scales in, and honours lifecycle hooks.

Rule: a request only states a wish (the desired capacity, a termination); the group follows in later ticks. A suspended
process does nothing, and an instance protected from scale-in never leaves because the desired capacity fell.
"""

import math
import time

from tidegate_world.autoscaling import activities, announcements, launching
from tidegate_world.places import Place

SERVICE_HOOK_SECONDS = 3600


def tick(place: Place) -> None:
    for group in list(place.autoscaling.autoscaling_groups.values()):
        _drop_dead(place, group)
        for member in list(group.instance_states):
            _advance(place, group, member)
        _replace_unhealthy(place, group)
        _follow_desired(place, group)
        _retire_at_risk(group)


def is_suspended(group, process: str) -> bool:
    return process in group._suspended_processes


def hook_for(place: Place, group, transition: str):
    for hook in place.autoscaling.lifecycle_hooks.values():
        if hook.auto_scaling_group_name == group.name and hook.lifecycle_transition.endswith(transition):
            return hook
    return None


def _drop_dead(place: Place, group) -> None:
    dead = [member for member in group.instance_states if member.instance.state in ("shutting-down", "terminated")]
    if dead:
        group.instance_states = [member for member in group.instance_states if member not in dead]
        for member in dead:
            if not member.lifecycle_state.startswith("Terminating"):
                _note_termination(group, member, _DIED)
            announcements.terminated(place, group, member)
        _refresh_targets(place, group)


_DIED = (
    "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped"
)


def _advance(place: Place, group, member) -> None:
    state = member.lifecycle_state
    if state == "Pending" and launching.is_booted(member):
        hook = hook_for(place, group, "LAUNCHING")
        if hook:
            _hold(place, group, member, hook, "Pending:Wait")
        else:
            _enter_service(place, group, member)
    elif state.endswith(":Wait") and time.time() > getattr(member, "world_until", math.inf):
        proceed(place, group, member, member.world_hook.default_result == "CONTINUE")
    elif state == "Terminating":
        hook = None if getattr(member, "world_hook_done", False) else hook_for(place, group, "TERMINATING")
        if hook:
            _hold(place, group, member, hook, "Terminating:Wait")
        else:
            _terminate(place, group, member)


def _enter_service(place: Place, group, member) -> None:
    member.lifecycle_state = "InService"
    announcements.launched(place, group, member)
    _refresh_targets(place, group)


def _hold(place: Place, group, member, hook, state: str) -> None:
    member.lifecycle_state, member.world_hook = state, hook
    member.world_until = time.time() + (hook.heartbeat_timeout or SERVICE_HOOK_SECONDS)
    announcements.lifecycle_action(place, group, member, hook)


def proceed(place: Place, group, member, carry_on: bool) -> None:
    """The hook was answered, or its time is over. Abandoning a launch ends the instance; a termination goes on."""
    member.world_hook_done = True
    if member.lifecycle_state == "Pending:Wait" and carry_on:
        member.world_hook_done = False  # the terminating hook is still to come
        _enter_service(place, group, member)
    else:
        member.lifecycle_state = "Terminating"


def begin_termination(group, member, cause: str) -> dict:
    member.lifecycle_state = "Terminating"
    return _note_termination(group, member, cause)


def _note_termination(group, member, cause: str) -> dict:
    member.world_activity = activities.note(group, f"Terminating EC2 instance: {member.instance.id}", cause)
    return member.world_activity


def _terminate(place: Place, group, member) -> None:
    place.ec2.terminate_instances([member.instance.id])
    group.instance_states = [each for each in group.instance_states if each is not member]
    announcements.terminated(place, group, member)


def _replace_unhealthy(place: Place, group) -> None:
    if is_suspended(group, "ReplaceUnhealthy") or is_suspended(group, "Terminate"):
        return
    for member in group.instance_states:
        stopped = member.instance.state in ("stopping", "stopped")
        if member.lifecycle_state == "InService" and (member.health_status == "Unhealthy" or stopped):
            begin_termination(group, member, "an instance was taken out of service in response to a health check")


def _follow_desired(place: Place, group) -> None:
    desired = group.desired_capacity or 0
    while launching.fulfilled(group) < desired and not is_suspended(group, "Launch"):
        launching.launch(place, group)
    if is_suspended(group, "Terminate"):
        return
    while True:
        victim = _scale_in_victim(group, launching.fulfilled(group) - desired)
        if victim is None:
            return
        begin_termination(group, victim, "a change of the desired capacity shrank the group")


def _retire_at_risk(group) -> None:
    """Capacity rebalancing: an instance at risk leaves once others serve what is desired."""
    if is_suspended(group, "Terminate"):
        return
    for member in group.instance_states:
        if launching.is_at_risk(member) and member.lifecycle_state == "InService":
            if launching.serving(group) >= (group.desired_capacity or 0):
                begin_termination(group, member, "an instance was at elevated risk of a Spot interruption")


def _scale_in_victim(group, surplus: int):
    """Unprotected, from the zone with most instances, the oldest; never below the desired capacity."""
    members = launching.counted(group)
    zones = [member.instance.placement.zone for member in members]
    free = [
        member
        for member in members
        if not member.protected_from_scale_in
        and not member.lifecycle_state.endswith(":Wait")
        and launching.weight_of(group, member.instance.instance_type) <= surplus
    ]
    if surplus <= 0 or not free:
        return None
    return max(free, key=lambda member: (zones.count(member.instance.placement.zone), -members.index(member)))


def _refresh_targets(place: Place, group) -> None:
    """Groups attached to a target group themselves; ECS services register their tasks, not the hosts."""
    if group.name in place.autoscaling.autoscaling_groups and group.target_group_arns:
        place.autoscaling.update_attached_target_groups(group.name)
