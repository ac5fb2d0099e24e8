//! The port to AWS, on a simulated world.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};

use crate::cloud::{Calls, Cloud};
use crate::control::Clock;
use crate::journal::Intent;
use crate::model::{Change, ClusterName, Failure, Need, Outcome, Snapshot, Stop};

use super::clock::SimClock;
use super::faults::{Faults, Wire};
use super::world::World;

/// How often, in virtual time, changes are looked for.
const LOOK: Duration = Duration::from_secs(5);

/// A world behind the port. Clones share it. It reaches the clock's time before each look and act.
#[derive(Clone, Debug)]
pub struct SimCloud {
    world: Arc<Mutex<World>>,
    clock: SimClock,
    wire: Arc<Mutex<Wire>>,
}

impl SimCloud {
    pub fn new(world: World, clock: SimClock, faults: Faults) -> Self {
        Self {
            world: Arc::new(Mutex::new(world)),
            clock,
            wire: Arc::new(Mutex::new(Wire::new(faults))),
        }
    }

    pub fn clock(&self) -> &SimClock {
        &self.clock
    }

    /// Brings the world to the clock's time and looks at it or changes it.
    pub fn with_world<R>(&self, f: impl FnOnce(&mut World) -> R) -> R {
        f(&mut self.world_now())
    }

    fn world_now(&self) -> MutexGuard<'_, World> {
        let mut world = self.world.lock().unwrap_or_else(PoisonError::into_inner);
        world.advance(self.clock.now());
        world
    }

    fn wire(&self) -> MutexGuard<'_, Wire> {
        self.wire.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cloud for SimCloud {
    async fn observe(&self, need: &Need) -> Snapshot {
        let seen = {
            let mut world = self.world_now();
            world.changed.clear();
            world.snapshot(need)
        };
        match need.only_traffic {
            true => self.wire().carry_traffic(seen),
            false => self.wire().carry(seen),
        }
    }

    async fn act(&self, intent: &Intent, _time_limit: Duration) -> Outcome {
        let mut world = self.world_now();
        let action = &intent.planned().action;
        match world.tasks_in_the_way(action) {
            Some(moved) => moved,
            None => self.wire().send(&mut world, action),
        }
    }

    /// A paced world tells what changed; a stepped one is only polled, which keeps it deterministic.
    async fn changes(&self, cluster: &ClusterName) -> Vec<Change> {
        if !self.clock.is_paced() {
            return std::future::pending().await;
        }
        loop {
            self.clock.sleep(LOOK).await;
            let mut world = self.world_now();
            let changes = world.take_changes();
            if world.cluster() == cluster && !changes.is_empty() {
                return changes;
            }
        }
    }

    /// Nobody says whether a simulated world has told everything.
    fn hears_until(&self) -> Option<DateTime<Utc>> {
        None
    }

    async fn stop_switch(&self) -> Result<Option<Stop>, Failure> {
        self.world_now().stop_switch.clone()
    }

    /// A simulated AWS is sent no requests.
    fn calls(&self) -> Calls {
        Calls::new()
    }
}
