//! What a task needs and a host has, as one vector with arithmetic that never wraps.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Mul, Sub, SubAssign};

use serde::{Deserialize, Serialize};

/// CPU units, memory, GPUs and network interfaces: of a task, or of a host.
///
/// Subtraction stops at zero: a host that AWS reports as over-committed has nothing free.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
pub struct Resources {
    /// 1,024 CPU units are one vCPU.
    pub cpu_units: u64,
    pub memory_mib: u64,
    #[serde(default, skip_serializing_if = "is_zero")]
    pub gpus: u64,
    /// Elastic network interfaces for tasks in `awsvpc` mode.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub enis: u64,
}

/// Above this a count of interfaces stands for "no limit known".
const UNCOUNTED: u64 = u64::MAX / 2;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(n: &u64) -> bool {
    *n == 0
}

impl Resources {
    pub const ZERO: Self = Self { cpu_units: 0, memory_mib: 0, gpus: 0, enis: 0 };

    /// The same with network interfaces not limiting, where nobody counts them.
    pub const fn without_eni_limit(self) -> Self {
        if self.enis == 0 { Self { enis: u64::MAX, ..self } } else { self }
    }

    /// CPU and memory only, which is what most tasks ask for.
    pub const fn new(cpu_units: u64, memory_mib: u64) -> Self {
        Self { cpu_units, memory_mib, gpus: 0, enis: 0 }
    }

    pub fn is_zero(&self) -> bool {
        *self == Self::ZERO
    }

    /// Whether all of it fits into `room`.
    pub fn fits(&self, room: &Self) -> bool {
        self.pairs(room).iter().all(|(need, room)| need <= room)
    }

    /// How many times it fits into `room`; `u64::MAX` when it asks for nothing.
    pub fn times_in(&self, room: &Self) -> u64 {
        self.pairs(room)
            .iter()
            .filter(|(need, _)| *need > 0)
            .map(|(need, room)| room / need)
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Per resource the smaller of the two.
    pub fn each_min(&self, other: &Self) -> Self {
        Self {
            cpu_units: self.cpu_units.min(other.cpu_units),
            memory_mib: self.memory_mib.min(other.memory_mib),
            gpus: self.gpus.min(other.gpus),
            enis: self.enis.min(other.enis),
        }
    }

    /// Per resource the larger of the two.
    pub fn each_max(&self, other: &Self) -> Self {
        Self {
            cpu_units: self.cpu_units.max(other.cpu_units),
            memory_mib: self.memory_mib.max(other.memory_mib),
            gpus: self.gpus.max(other.gpus),
            enis: self.enis.max(other.enis),
        }
    }

    /// The resources of `self` that exceed `room`, by name; empty when it fits.
    pub fn exceeding(&self, room: &Self) -> Vec<&'static str> {
        let names = ["cpu", "memory", "gpu", "eni"];
        let over = self.pairs(room).into_iter().zip(names);
        over.filter(|((need, room), _)| need > room).map(|(_, name)| name).collect()
    }

    fn pairs(&self, other: &Self) -> [(u64, u64); 4] {
        [
            (self.cpu_units, other.cpu_units),
            (self.memory_mib, other.memory_mib),
            (self.gpus, other.gpus),
            (self.enis, other.enis),
        ]
    }
}

impl Add for Resources {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            cpu_units: self.cpu_units.saturating_add(other.cpu_units),
            memory_mib: self.memory_mib.saturating_add(other.memory_mib),
            gpus: self.gpus.saturating_add(other.gpus),
            enis: self.enis.saturating_add(other.enis),
        }
    }
}

impl Sub for Resources {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            cpu_units: self.cpu_units.saturating_sub(other.cpu_units),
            memory_mib: self.memory_mib.saturating_sub(other.memory_mib),
            gpus: self.gpus.saturating_sub(other.gpus),
            enis: self.enis.saturating_sub(other.enis),
        }
    }
}

impl Mul<u64> for Resources {
    type Output = Self;

    fn mul(self, times: u64) -> Self {
        Self {
            cpu_units: self.cpu_units.saturating_mul(times),
            memory_mib: self.memory_mib.saturating_mul(times),
            gpus: self.gpus.saturating_mul(times),
            enis: self.enis.saturating_mul(times),
        }
    }
}

impl AddAssign for Resources {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl SubAssign for Resources {
    fn sub_assign(&mut self, other: Self) {
        *self = *self - other;
    }
}

impl Sum for Resources {
    fn sum<I: Iterator<Item = Self>>(parts: I) -> Self {
        parts.fold(Self::ZERO, Add::add)
    }
}

/// `512 cpu 1024 MiB`, and GPUs and interfaces only where there are any.
impl fmt::Display for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cpu {} MiB", self.cpu_units, self.memory_mib)?;
        if self.gpus > 0 {
            write!(f, " {} gpu", self.gpus)?;
        }
        // A host whose interfaces nobody counts has no limit worth reading.
        if self.enis > 0 && self.enis < UNCOUNTED {
            write!(f, " {} eni", self.enis)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scarcest_resource_says_how_often_it_fits() {
        let task = Resources::new(256, 1024);
        assert_eq!(task.times_in(&Resources::new(2048, 3072)), 3);
        assert_eq!(Resources::ZERO.times_in(&Resources::ZERO), u64::MAX);
        let gpu_task = Resources { gpus: 1, ..task };
        assert_eq!(gpu_task.times_in(&Resources::new(2048, 3072)), 0);
        assert_eq!(gpu_task.exceeding(&Resources::new(128, 3072)), ["cpu", "gpu"]);
    }

    #[test]
    fn an_over_committed_host_has_nothing_free() {
        assert_eq!(Resources::new(1, 1) - Resources::new(2, 0), Resources::new(0, 1));
    }
}
