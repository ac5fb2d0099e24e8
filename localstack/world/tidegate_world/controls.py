"""The controls under /_world/, by which a test plays the parts of AWS that no API lets a client play.

Rule: every control names its account (and region, us-east-1 if not given), answers JSON, and answers 400 with the
reason if it cannot do what it was asked for.
"""

import json
from datetime import timedelta

from localstack.http import Response, route
from localstack.services.edge import ROUTER

from tidegate_world import clock, events, request_log, settings
from tidegate_world.autoscaling import groups
from tidegate_world.ec2 import spot
from tidegate_world.ecs import announcements, tasks
from tidegate_world.ecs.model import Host
from tidegate_world.elbv2 import load as elbv2_load
from tidegate_world.elbv2 import traffic as elbv2_traffic
from tidegate_world.places import Place, lock_of, place_of, touch


class Refused(Exception):
    """The caller's mistake, told in the answer."""


def answer(content, status: int = 200) -> Response:
    return Response(json.dumps(content, default=str), status, mimetype="application/json")


def control(path: str, method: str = "POST"):
    """Registers function(place, arguments) under /_world/path; a JSON body is the argument `body`."""

    def decorate(function):
        @route(f"/_world/{path}", methods=[method])
        def handle(request) -> Response:
            arguments = dict(request.args)
            if request.content_length:
                arguments["body"] = request.get_json(force=True)
            account = arguments.get("account", "")
            if len(account) != 12 or not account.isdigit():
                return answer({"error": "account must be 12 digits"}, 400)
            place = place_of(account, arguments.get("region", "us-east-1"))
            touch(account)
            try:
                content = function(place, arguments)
            except (Refused, KeyError, ValueError) as refused:
                return answer({"error": f"{type(refused).__name__}: {refused}"}, 400)
            events.send(place)
            return answer(content)

        ROUTES.append(handle)
        return function

    return decorate


ROUTES: list = []


def install() -> None:
    for each in ROUTES:
        ROUTER.add(each)


@route("/_world/ready", methods=["GET"])
def _ready(request) -> Response:
    return answer({"ready": True})


ROUTES.append(_ready)


def _truth(text: str) -> bool:
    if text not in ("true", "false"):
        raise Refused(f"{text!r} is neither true nor false")
    return text == "true"


def _host(place: Place, instance_id: str) -> Host:
    for cluster in place.contents.values():
        for host in cluster.hosts.values():
            if host.instance.id == instance_id:
                return host
    raise Refused(f"{instance_id} is not registered in any cluster")


def _instance(place: Place, instance_id: str):
    instance = place.ec2.get_instance_by_id(instance_id)
    if instance is None:
        raise Refused(f"there is no instance {instance_id}")
    return instance


@control("tick")
def tick(place: Place, arguments) -> dict:
    count = int(arguments.get("count", 1))
    for _ in range(count):
        clock.tick_place(place)
    return {"ticks": count}


@control("clock")
def run_clock(place: Place, arguments) -> dict:
    """Stops the clock or lets it run again; while it stands, only the control tick moves the place."""
    running = _truth(arguments["running"])
    with lock_of(place.account):
        place.clock_runs = running
    return {"running": running}


@control("agent")
def agent(place: Place, arguments) -> dict:
    """Connects or disconnects the agent of one host; while it is away its tasks neither start nor stop."""
    with lock_of(place.account):
        host = _host(place, arguments["instance"])
        connected = _truth(arguments["connected"])
        if host.agent_connected != connected:
            host.agent_connected = connected
            announcements.host(place, host)
    return {"instance": host.instance.id, "agentConnected": connected}


@control("registration")
def registration(place: Place, arguments) -> dict:
    """Whether the instances that a group launches from now on register."""
    works = _truth(arguments["works"])
    with lock_of(place.account):
        if works:
            place.groups_without_agents.discard(arguments["group"])
        else:
            place.groups_without_agents.add(arguments["group"])
    return {"group": arguments["group"], "works": works}


@control("age")
def age(place: Place, arguments) -> dict:
    """Makes an instance, and its registration if it has one, older than it is."""
    older = timedelta(seconds=float(arguments["seconds"]))
    with lock_of(place.account):
        instance = _instance(place, arguments["instance"])
        instance.launch_time -= older
        for cluster in place.contents.values():
            for host in cluster.hosts.values():
                if host.instance is instance:
                    host.registered_at -= older
    return {"instance": instance.id, "launchTime": instance.launch_time}


@control("health")
def health(place: Place, arguments) -> dict:
    """Forces the state of a target (i-... or i-...:port) of a target group; an empty state ends it.

    With a body, a list of {"target-group", "target", "state"}, it is what a data plane's own checks found: from then
    on a target of which nothing was found is initial.
    """
    if "body" in arguments:
        return _found_health(place, arguments["body"])
    key = (arguments["target-group"], arguments["target"])
    with lock_of(place.account):
        place.forced_health.pop(key, None)
        if arguments.get("state"):
            place.forced_health[key] = arguments["state"]
    return {"state": arguments.get("state") or None}


def _found_health(place: Place, found: list[dict]) -> dict:
    with lock_of(place.account):
        place.has_data_plane = True
        for each in found:
            place.found_health[each["target-group"], each["target"]] = each["state"]
    return {"targets": len(found)}


@control("load")
def load(place: Place, arguments) -> dict:
    """What a data plane counted; CloudWatch shows it when its delay has passed."""
    with lock_of(place.account):
        elbv2_load.note(place, arguments["body"])
    return {"points": len(arguments["body"])}


@control("traffic", method="GET")
def traffic(place: Place, arguments) -> dict:
    """The rules, targets and tasks of the account, as a data plane needs them."""
    with lock_of(place.account):
        return elbv2_traffic.show(place)


@control("exit")
def task_exit(place: Place, arguments) -> dict:
    """The process of a task has ended: its essential container is gone, and the task with it."""
    with lock_of(place.account):
        for cluster in place.contents.values():
            task = cluster.tasks.get(arguments["task"].rsplit("/", 1)[-1])
            if task is not None and task.last_status != "STOPPED":
                task.stopped_reason = task.stopped_reason or "Essential container in task exited"
                task.stop_code = task.stop_code or "EssentialContainerExited"
                task.exit_code = int(arguments.get("code", 1))
                tasks.finish(place, cluster, task)
                return {"task": task.arn}
    raise Refused(f"no task {arguments['task']} that lives")


@control("spot-interrupt")
def spot_interrupt(place: Place, arguments) -> dict:
    """Sends the two minute warning. The instance lives on: the test ends it when it wants to."""
    instance = arguments["instance"]
    with lock_of(place.account):
        return {"instance": instance, "drains": spot.warn(place, _instance(place, instance))}


@control("spot")
def spot_notice(place: Place, arguments) -> dict:
    """What Spot tells of an instance: `interruption`, after which it ends in `ticks`, or `rebalance`."""
    notice, ticks = arguments["notice"], int(arguments.get("ticks", settings.SPOT_NOTICE))
    with lock_of(place.account):
        instance = _instance(place, arguments["instance"])
        if instance.lifecycle != "spot":
            raise Refused(f"{instance.id} is not a spot instance")
        if notice == "rebalance":
            return {"instance": instance.id, "replaced": spot.recommend_rebalance(place, instance)}
        if notice != "interruption":
            raise Refused(f"{notice!r} is neither interruption nor rebalance")
        return {"instance": instance.id, "drains": spot.interrupt(place, instance, ticks), "ticks": ticks}


@control("delivery")
def delivery(place: Place, arguments) -> dict:
    """Whether the account's events arrive twice, and out of order and up to three ticks late."""
    duplicates = _truth(arguments.get("duplicate", "false"))
    reorders = _truth(arguments.get("reorder", "false"))
    place.delivery.promise(duplicates, reorders, seed=int(arguments.get("seed", 0)))
    return {"duplicate": duplicates, "reorder": reorders}


@control("managed-scaling-alarm")
def managed_scaling_alarm(place: Place, arguments) -> dict:
    """Plays the target tracking policy of ECS managed scaling: sets the desired capacity, within the bounds."""
    with lock_of(place.account):
        group = place.autoscaling.autoscaling_groups.get(arguments["group"])
        if group is None:
            raise Refused(f"there is no group {arguments['group']}")
        if groups.is_suspended(group, "AlarmNotification"):
            return {"result": "ignored"}
        group.desired_capacity = min(max(int(arguments["desired"]), group.min_size), group.max_size)
        return {"result": "set", "desired": group.desired_capacity}


@control("requests", method="GET")
def requests(place: Place, arguments) -> list[dict]:
    """Every AWS request of the account since `after` (a number), of all regions."""
    after = int(arguments.get("after", 0))
    return [entry for entry in request_log.requests_of(place.account) if entry["number"] > after]
