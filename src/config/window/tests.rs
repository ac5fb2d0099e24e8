use chrono::{DateTime, TimeDelta, Utc};
use proptest::prelude::*;

use super::super::when;
use super::*;

fn window(text: &str) -> Window {
    let (spans, zone) = when::parse(text).unwrap();
    Window { forbid: BTreeSet::from([ActionKind::ScaleIn]), text: text.to_owned(), spans, zone }
}

fn at(text: &str) -> DateTime<Utc> {
    text.parse().unwrap()
}

/// Each line: window, now, when it is open again (empty: it is open).
fn check(lines: &[(&str, &str, &str)]) {
    for (text, now, end) in lines {
        let end = (!end.is_empty()).then(|| at(end));
        assert_eq!(window(text).ends_at(at(now)), end, "{text} at {now}");
        assert_eq!(window(text).contains(at(now)), end.is_some(), "{text} at {now}");
    }
}

#[test]
fn a_weekly_window_spans_the_week_end() {
    let weekend = "Fri 16:00 - Mon 07:00 Europe/Berlin";
    check(&[
        (weekend, "2026-11-20T14:59:59Z", ""),
        (weekend, "2026-11-20T15:00:00Z", "2026-11-23T06:00:00Z"),
        (weekend, "2026-11-22T23:30:00Z", "2026-11-23T06:00:00Z"),
        (weekend, "2026-11-23T05:59:59Z", "2026-11-23T06:00:00Z"),
        (weekend, "2026-11-23T06:00:00Z", ""),
        (weekend, "2026-11-25T12:00:00Z", ""),
    ]);
}

#[test]
fn a_daily_window_spans_midnight() {
    let night = "daily 22:00 - 06:00 Europe/London";
    check(&[
        (night, "2026-07-01T20:59:00Z", ""),
        (night, "2026-07-01T21:00:00Z", "2026-07-02T05:00:00Z"),
        (night, "2026-07-05T23:59:00Z", "2026-07-06T05:00:00Z"),
        (night, "2026-12-01T21:59:00Z", ""),
        (night, "2026-12-01T22:00:00Z", "2026-12-02T06:00:00Z"),
        (night, "2026-12-02T06:00:00Z", ""),
    ]);
}

#[test]
fn office_hours_leave_the_nights_open() {
    let office = "Mon-Fri 09:00 - 17:00 America/New_York";
    check(&[
        (office, "2026-11-23T14:00:00Z", "2026-11-23T22:00:00Z"),
        (office, "2026-11-23T22:00:00Z", ""),
        (office, "2026-11-28T15:00:00Z", ""),
    ]);
}

#[test]
fn days_that_touch_are_one_span() {
    let weekdays = "Mon-Fri 00:00 - 24:00 UTC";
    check(&[
        (weekdays, "2026-11-23T00:00:00Z", "2026-11-28T00:00:00Z"),
        (weekdays, "2026-11-22T23:59:59Z", ""),
    ]);
}

/// Berlin, 29 March 2026: 02:00 becomes 03:00, at 01:00 UTC.
#[test]
fn a_time_the_clocks_skip_is_the_moment_they_jump() {
    check(&[
        ("Sun 02:30 - 05:00 Europe/Berlin", "2026-03-29T00:59:59Z", ""),
        ("Sun 02:30 - 05:00 Europe/Berlin", "2026-03-29T01:00:00Z", "2026-03-29T03:00:00Z"),
        ("Sun 01:00 - 02:30 Europe/Berlin", "2026-03-29T00:30:00Z", "2026-03-29T01:00:00Z"),
        ("Sun 01:00 - 02:30 Europe/Berlin", "2026-03-29T01:00:00Z", ""),
        // It lies in the gap as a whole: it does not happen that night.
        ("Sun 02:15 - 02:45 Europe/Berlin", "2026-03-29T01:00:00Z", ""),
        ("Sun 02:15 - 02:45 Europe/Berlin", "2026-04-05T00:20:00Z", "2026-04-05T00:45:00Z"),
        // A window over the whole change is an hour shorter.
        ("Fri 16:00 - Mon 07:00 Europe/Berlin", "2026-03-27T15:00:00Z", "2026-03-30T05:00:00Z"),
    ]);
}

/// Berlin, 25 October 2026: 03:00 becomes 02:00, at 01:00 UTC; 02:30 is 00:30 and 01:30 UTC.
#[test]
fn a_time_the_clocks_show_twice_starts_early_and_ends_late() {
    check(&[
        ("Sun 02:30 - 05:00 Europe/Berlin", "2026-10-25T00:29:59Z", ""),
        ("Sun 02:30 - 05:00 Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T04:00:00Z"),
        ("Sun 02:30 - 05:00 Europe/Berlin", "2026-10-25T01:00:00Z", "2026-10-25T04:00:00Z"),
        ("Sun 00:00 - 02:30 Europe/Berlin", "2026-10-25T00:40:00Z", "2026-10-25T01:30:00Z"),
        ("Sun 00:00 - 02:30 Europe/Berlin", "2026-10-25T01:30:00Z", ""),
        ("Fri 16:00 - Mon 07:00 Europe/Berlin", "2026-10-23T14:00:00Z", "2026-10-26T06:00:00Z"),
    ]);
}

/// New York, 8 March and 1 November 2026; Lord Howe moves by half an hour (4 October 2026).
#[test]
fn other_zones_change_at_other_times_and_by_other_amounts() {
    check(&[
        ("daily 01:30 - 02:30 America/New_York", "2026-03-08T06:45:00Z", "2026-03-08T07:00:00Z"),
        ("daily 01:30 - 02:30 America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T07:30:00Z"),
        ("Sun 02:15 - 04:00 Australia/Lord_Howe", "2026-10-03T15:30:00Z", "2026-10-03T17:00:00Z"),
        ("Sun 02:15 - 04:00 Australia/Lord_Howe", "2026-10-03T15:29:00Z", ""),
    ]);
}

#[test]
fn only_voluntary_kinds_are_bound() {
    use strum::IntoEnumIterator;
    let bound: Vec<_> = ActionKind::iter().filter(|kind| Window::binds(*kind)).collect();
    assert_eq!(
        bound,
        [
            ActionKind::ScaleIn,
            ActionKind::Replace,
            ActionKind::Consolidate,
            ActionKind::Services,
            ActionKind::Cutover
        ]
    );
}

proptest! {
    /// The end is open, every moment before it is closed, and it comes within the week.
    #[test]
    fn the_end_is_the_first_open_moment(
        second in 1_700_000_000_i64..2_000_000_000,
        first in 0_u32..7, from in 0_u32..1440, last in 0_u32..7, to in 0_u32..1440,
        zone in prop::sample::select(vec!["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]),
    ) {
        const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];
        prop_assume!((first, from) != (last, to));
        let text = format!(
            "{} {:02}:{:02} - {} {:02}:{:02} {zone}",
            DAYS[first as usize], from / 60, from % 60, DAYS[last as usize], to / 60, to % 60
        );
        let window = window(&text);
        let now = DateTime::from_timestamp(second, 0).unwrap();
        if let Some(end) = window.ends_at(now) {
            prop_assert!(end > now && end < now + TimeDelta::days(8));
            prop_assert!(!window.contains(end));
            prop_assert!(window.contains(end - TimeDelta::seconds(1)));
            prop_assert!(window.contains(now + (end - now) / 2));
        }
    }
}
