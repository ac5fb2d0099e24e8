//! What is told of the world, against what is so.

use super::super::faults::Wire;
use super::*;

#[test]
fn a_throttled_part_keeps_its_last_value_and_age() {
    let mut world = world(1);
    let always = Faults { throttled_per_mille: 1000, ..Faults::default() };
    let mut wire = Wire::new(always);
    let first = wire.carry(see(&world));
    assert!(first.hosts.value.is_empty(), "nothing was known before");
    let then = world.now();
    assert_eq!(world.apply(&resize(1, 2)), done());
    minutes(&mut world, 5);
    let second = wire.carry(see(&world));
    assert_eq!((second.hosts.value.len(), second.hosts.as_of), (1, then));
    assert_eq!(second.hosts.gaps[0].failure, Failure::Throttled);
    assert_eq!(second.rivals.as_of, world.now());
}

#[test]
fn partial_and_empty_answers_differ_in_what_they_admit() {
    let world = world(20);
    let partial = Faults { partial_per_mille: 1000, ..Faults::default() };
    let seen = Wire::new(partial).carry(see(&world));
    assert!((1..20).contains(&seen.hosts.value.len()));
    assert_eq!(seen.hosts.gaps.len(), 1);
    let empty = Faults { empty_per_mille: 1000, ..Faults::default() };
    let seen = Wire::new(empty).carry(see(&world));
    assert_eq!((seen.hosts.value.len(), seen.hosts.gaps.len()), (0, 0));
}

#[test]
fn a_lost_answer_may_or_may_not_have_taken_effect() {
    let lost = Faults { lost_per_mille: 1000, ..Faults::default() };
    let mut effects: Vec<u32> = (0..20)
        .map(|seed| {
            let mut world = world(1);
            let outcome = Wire::new(Faults { seed, ..lost }).send(&mut world, &resize(1, 2));
            assert!(matches!(outcome, Outcome::InDoubt { .. }));
            see(&world).pools.value[&workers()].desired.0
        })
        .collect();
    effects.sort_unstable();
    effects.dedup();
    assert_eq!(effects, [1, 2]);
}

#[test]
fn a_refused_write_has_no_effect() {
    let mut world = world(1);
    let refused = Faults { refused_per_mille: 1000, ..Faults::default() };
    let outcome = Wire::new(refused).send(&mut world, &resize(1, 2));
    assert_eq!(kind(&outcome), "throttled by AWS");
    assert_eq!(see(&world).pools.value[&workers()].desired, Units(1));
}

#[test]
fn load_balancers_are_told_late_or_without_metrics_like_everything_else() {
    let mut world = super::traffic::busy();
    minutes(&mut world, 5);
    let full = || {
        let mut seen = Snapshot::empty("demo".into(), world.now());
        seen.traffic.value = super::traffic::look(&world, vec![]);
        seen
    };
    let blind = Faults { no_metrics_per_mille: 1000, ..Faults::default() };
    for quick in [false, true] {
        let mut wire = Wire::new(blind);
        let carry = |wire: &mut Wire| match quick {
            true => wire.carry_traffic(full()),
            false => wire.carry(full()),
        };
        let seen = carry(&mut wire).traffic;
        assert!(seen.value.groups.values().all(|group| group.load.is_empty()));
        assert_eq!(seen.gaps[0].source, "cloudwatch:GetMetricData");
        let throttled = Faults { throttled_per_mille: 1000, ..Faults::default() };
        let mut wire = Wire::new(throttled);
        assert_eq!(carry(&mut wire).traffic.value, Traffic::default(), "nothing was known");
        let second = carry(&mut wire).traffic;
        assert_eq!((second.value, second.gaps.len()), (full().traffic.value, 1));
    }
}
