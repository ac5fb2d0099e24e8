//! How a service is reached and made, as lines.

use chrono::TimeDelta;

use super::{Block, Value, list, optional, quoted, text, time};
use crate::config::cutover::{Described, Exposure};
use crate::config::{Evict, ServiceConfig};
use crate::model::{GroupSettings, ServiceName};

pub(super) fn service(name: &ServiceName, service: &ServiceConfig, block: &mut Block) {
    block.set("desired_count", text(service.desired_count), false);
    block.set("evict", text(service.evict), service.evict == Evict::default());
    block.set("alarms", list(&service.alarms), service.alarms.is_empty());
    let port_elsewhere = block.path("create.port");
    if let Some(exposure) = &service.exposure {
        let mut block = block.table("load_balancing", false);
        load_balancing(name, exposure, &mut block, port_elsewhere);
    }
    if let Some(described) = &service.described {
        create(described, &mut block.table("create", false));
    }
}

fn load_balancing(
    service: &ServiceName,
    exposure: &Exposure,
    block: &mut Block,
    port_elsewhere: String,
) {
    block.set("listener", text(&exposure.listener), false);
    let group = exposure.target_group.as_ref();
    block.set("target_group", optional(group), group.is_none());
    let container = &exposure.container;
    block.set("container", text(container), container == service.as_str());
    block.set("port", Value::Number(exposure.port.into()), false).or_at([port_elsewhere]);
    match &exposure.settings {
        Some(kept) => settings(kept, block),
        None => {
            for key in ["health_check", "deregistration_delay", "slow_start", "stickiness"] {
                block.set(key, Value::Unset, true);
            }
        }
    }
    block.set("paths", list(&exposure.paths), exposure.paths.is_empty());
    block.set("hosts", list(&exposure.hosts), exposure.hosts.is_empty());
    let priority = exposure.priority;
    block.set("priority", super::number(priority), priority.is_none());
}

/// All of them are kept once one is written, so none is left to a default.
fn settings(kept: &GroupSettings, block: &mut Block) {
    let seconds = |seconds: u32| time(TimeDelta::seconds(seconds.into()));
    let check = &kept.health_check;
    let mut below = block.table("health_check", false);
    below.set("path", text(&check.path), false);
    below.set("expect", text(&check.expect), false);
    below.set("interval", seconds(check.interval_seconds), false);
    below.set("timeout", seconds(check.timeout_seconds), false);
    below.set("healthy_after", Value::Number(check.healthy_after.into()), false);
    below.set("unhealthy_after", Value::Number(check.unhealthy_after.into()), false);
    block.set("deregistration_delay", seconds(kept.deregistration_delay_seconds), false);
    block.set("slow_start", seconds(kept.slow_start_seconds), false);
    block.set("stickiness", kept.stickiness_seconds.map_or(text("off"), seconds), false);
}

fn create(described: &Described, block: &mut Block) {
    let task = &described.task;
    block.set("image", text(&task.image), false);
    block.set("cpu_units", Value::Number(task.cpu_units), false);
    block.set("memory_mib", Value::Number(task.memory_mib), false);
    block.set("port", Value::Number(task.port.into()), false);
    block.set("count", Value::Number(described.count), described.count == 1);
    if !task.environment.is_empty() {
        let mut block = block.table("environment", false);
        for (name, value) in &task.environment {
            block.set(name, text(value), false).key = quoted(name);
        }
    }
}
