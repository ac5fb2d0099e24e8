//! Room that is booked for tasks which do not exist yet.

use chrono::TimeDelta;
use expect_test::{Expect, expect};

use super::*;

fn booked(snapshot: &Snapshot, count: u64, want: Expect) -> Plan {
    let booking = Booking { service: "web".into(), count };
    let plan = capacity(&config(), snapshot, &Memory::default(), &[booking], now());
    let dos = plan.actions.iter().map(|p| format!("do {}\n   {}\n", p.action, p.why));
    let there = Note::Began { subject: Subject::Service("web".into()), what: Fact::RoomThere };
    let there = plan.notes.contains(&there).then(|| "the room is there\n".to_owned());
    want.assert_eq(&dos.chain(there).collect::<String>());
    plan
}

#[test]
fn room_that_is_booked_and_missing_is_ordered_as_for_tasks() {
    booked(
        &two_thirds(),
        4,
        expect![[r#"
            do workers desired capacity 2 -> 3
               web: no room for 2 more tasks of a deployment, each needs 640 cpu 1024 MiB; best free is 128 cpu 4710 MiB: 1 host
        "#]],
    );
}

#[test]
fn room_that_is_booked_and_there_is_a_fact() {
    booked(&two_thirds(), 2, expect!["the room is there\n"]);
    // A host on its way is no room yet.
    let coming =
        two_thirds().with_pool(pool(3)).with_host(launching("i-3", now() - TimeDelta::minutes(1)));
    booked(&coming, 4, expect![""]);
}

#[test]
fn a_host_with_booked_room_does_not_leave() {
    let idle = snapshot()
        .with_pool(pool(2))
        .with_service(service("web", 2, 2), TaskShape::plain(640, 1024))
        .with_host(host("i-1"))
        .with_host(host("i-2"))
        .with_tasks("i-1", "web", 2);
    let memory = unneeded(&["i-2"], 10);
    let holds = |bookings: &[Booking]| {
        let plan = capacity(&config(), &idle, &memory, bookings, now());
        let marks = plan.actions.iter().any(|p| matches!(p.action, Action::MarkHosts { .. }));
        let booked = plan.holds.iter().any(|hold| hold.reason == Reason::RoomBooked);
        (marks, booked)
    };
    assert_eq!(holds(&[]), (true, false));
    assert_eq!(holds(&[Booking { service: "web".into(), count: 2 }]), (false, true));
}
