//! Sizes and list prices of EC2 instance types, embedded: what to expect of a type before a host
//! of it was seen.
//!
//! Rule: a guess for planning and for cost figures, never the truth about a running host. The
//! origin of the data is in `data/SOURCE.md`.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::id::InstanceType;
use super::resources::Resources;

/// Share of the nominal memory a host registers in ECS; kernel and agent keep the rest.
const REGISTERED_MEMORY_PERCENT: u64 = 93;

/// What is known of an instance type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TypeInfo {
    /// The nominal size: 1,024 CPU units a vCPU, memory as sold, GPUs, and the network interfaces
    /// tasks may have (all but the host's own, without ENI trunking).
    pub resources: Resources,
    /// On-demand, Linux, us-east-1.
    pub list_price_micro_usd_per_hour: Option<u64>,
    /// How much less Spot costs, in percent of the list price.
    pub spot_saving_percent: Option<u64>,
}

impl TypeInfo {
    /// A type of this nominal size, as `DescribeInstanceTypes` gives it, price unknown.
    pub fn of_size(vcpus: u64, memory_mib: u64, gpus: u64, interfaces: u64) -> Self {
        Self {
            resources: Resources {
                cpu_units: vcpus.saturating_mul(1024),
                memory_mib,
                gpus,
                enis: interfaces.saturating_sub(1),
            },
            list_price_micro_usd_per_hour: None,
            spot_saving_percent: None,
        }
    }

    /// What a host of it will probably register in ECS: the size less what kernel and agent keep.
    pub fn estimated_registration(&self) -> Resources {
        Resources {
            memory_mib: self.resources.memory_mib.saturating_mul(REGISTERED_MEMORY_PERCENT) / 100,
            ..self.resources
        }
    }

    /// What an hour of it costs on the Spot market, going by the usual saving.
    pub fn spot_price_micro_usd_per_hour(&self) -> Option<u64> {
        let saving = self.spot_saving_percent?.min(100);
        Some(self.list_price_micro_usd_per_hour? * (100 - saving) / 100)
    }
}

/// Looks a type up.
pub fn find(instance_type: &InstanceType) -> Option<TypeInfo> {
    TYPES.get(instance_type.as_str()).copied()
}

static TYPES: LazyLock<BTreeMap<&'static str, TypeInfo>> =
    LazyLock::new(|| TABLE.lines().skip(1).filter_map(row).collect());

static TABLE: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/data/instance_types.csv"));

fn row(line: &'static str) -> Option<(&'static str, TypeInfo)> {
    let mut cells = line.split(',');
    let name = cells.next()?;
    let mut number = || cells.next().and_then(|cell| cell.parse::<u64>().ok());
    let (vcpus, memory_mib, gpus, interfaces) = (number()?, number()?, number()?, number()?);
    let info = TypeInfo {
        list_price_micro_usd_per_hour: number(),
        spot_saving_percent: number(),
        ..TypeInfo::of_size(vcpus, memory_mib, gpus, interfaces)
    };
    Some((name, info))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_the_table_is_a_type() {
        assert_eq!(TYPES.len(), TABLE.lines().count() - 1);
    }

    #[test]
    fn a_type_is_known_by_size_and_price() {
        let m5 = find(&"m5.large".into()).unwrap();
        let size = Resources { enis: 2, ..Resources::new(2048, 8192) };
        assert_eq!(m5.resources, size);
        assert_eq!(m5.list_price_micro_usd_per_hour, Some(96_000));
        assert_eq!(m5.spot_price_micro_usd_per_hour(), Some(32_640));
        assert_eq!(m5.estimated_registration().memory_mib, 7618);
        assert_eq!(find(&"g5.xlarge".into()).unwrap().resources.gpus, 1);
        assert_eq!(find(&"m5.tiny".into()), None);
    }
}
