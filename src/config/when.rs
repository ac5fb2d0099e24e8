//! The text of a window: `Fri 16:00 - Mon 07:00 Europe/Berlin`.
//!
//! Rule: what parses matches some minute of the week and leaves some minute open.

use std::str::FromStr;

use chrono::Weekday;
use chrono_tz::Tz;

use super::suggest;
use super::window::{Span, WeekMinute};

/// Why a text is no window, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct WhenError {
    pub(super) message: String,
    pub(super) remedy: String,
}

const FORMS: &str = "write `Fri 16:00 - Mon 07:00 Europe/Berlin`, \
    `Mon-Fri 09:00 - 17:00 Europe/Berlin` or `daily 22:00 - 06:00 UTC`";

fn refuse<T>(message: impl Into<String>, remedy: impl Into<String>) -> Result<T, WhenError> {
    Err(WhenError { message: message.into(), remedy: remedy.into() })
}

/// The spans and the zone of a window's text.
pub(super) fn parse(text: &str) -> Result<(Vec<Span>, Tz), WhenError> {
    let (spans, zone) = match text.trim().rsplit_once(char::is_whitespace) {
        Some((spans, zone)) if !zone.contains(':') => (spans, parse_zone(zone)?),
        _ => {
            return refuse(
                "the time zone is missing",
                "end with one, such as `Europe/Berlin` or `UTC`",
            );
        }
    };
    let spaced = spans.replace('-', " - ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let closed = match words[..] {
        [first, from, "-", last, to] => {
            vec![week_span(day(first)?, time(from)?, day(last)?, time(to)?)?]
        }
        [one, from, "-", to] if one.eq_ignore_ascii_case("daily") => {
            daily(0..=6, time(from)?, time(to)?)?
        }
        [one, from, "-", to] => {
            let only = day(one)?;
            daily(only..=only, time(from)?, time(to)?)?
        }
        [first, "-", last, from, "-", to] => {
            let (first, last) = (day(first)?, day(last)?);
            let last = if last < first { last + 7 } else { last };
            daily(first..=last, time(from)?, time(to)?)?
        }
        _ => return refuse(format!("`{spans}` is no time span"), FORMS),
    };
    Ok((join(&closed)?, zone))
}

/// Minutes since Monday 00:00, the end may lie beyond the week.
type Minutes = std::ops::Range<u32>;

fn week_span(first: u32, from: u32, last: u32, to: u32) -> Result<Minutes, WhenError> {
    let start = first * WeekMinute::DAY + from;
    let end = last * WeekMinute::DAY + to;
    match end.cmp(&start) {
        std::cmp::Ordering::Greater => Ok(start..end),
        std::cmp::Ordering::Less => Ok(start..end + WeekMinute::WEEK),
        std::cmp::Ordering::Equal => never(),
    }
}

fn daily(
    days: std::ops::RangeInclusive<u32>,
    from: u32,
    to: u32,
) -> Result<Vec<Minutes>, WhenError> {
    if from == to {
        return never();
    }
    let length = if to > from { to - from } else { to + WeekMinute::DAY - from };
    let starts = days.map(|day| day * WeekMinute::DAY + from);
    Ok(starts.map(|start| start..start + length).collect())
}

fn never<T>() -> Result<T, WhenError> {
    refuse(
        "it ends as it starts and would never match",
        "give it an end after its start; a whole day is `00:00 - 24:00`",
    )
}

/// Sorted spans of the minutes that are closed, wherever they overlap or touch.
fn join(closed: &[Minutes]) -> Result<Vec<Span>, WhenError> {
    let minute_of_week = |minute: u32| (minute % WeekMinute::WEEK) as usize;
    let mut is_closed = vec![false; WeekMinute::WEEK as usize];
    for minute in closed.iter().cloned().flatten() {
        is_closed[minute_of_week(minute)] = true;
    }
    let is_closed = |minute: u32| is_closed[minute_of_week(minute)];
    let begins = |minute: &u32| is_closed(*minute) && !is_closed(minute + WeekMinute::WEEK - 1);
    let end = |start: u32| (start..start + WeekMinute::WEEK).find(|minute| !is_closed(*minute));
    let span = |start: u32| {
        let end = WeekMinute(end(start)? % WeekMinute::WEEK);
        let start = WeekMinute(start);
        Some(Span { start, end })
    };
    let starts = (0..WeekMinute::WEEK).filter(begins);
    let spans: Vec<Span> = starts.filter_map(span).collect();
    if spans.is_empty() {
        return refuse(
            "it covers the whole week",
            "leave the kinds out of `allow` instead: what is always forbidden is not allowed",
        );
    }
    Ok(spans)
}

fn day(text: &str) -> Result<u32, WhenError> {
    match Weekday::from_str(text) {
        Ok(day) => Ok(day.num_days_from_monday()),
        Err(_) => refuse(
            format!("`{text}` is no day of the week"),
            "write Mon, Tue, Wed, Thu, Fri, Sat, Sun or daily",
        ),
    }
}

fn time(text: &str) -> Result<u32, WhenError> {
    let parts = text.split_once(':').filter(|(hours, minutes)| {
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        (1..=2).contains(&hours.len()) && minutes.len() == 2 && digits(hours) && digits(minutes)
    });
    let number = |part: &str| part.parse::<u32>().ok();
    match parts.and_then(|(hours, minutes)| Some((number(hours)?, number(minutes)?))) {
        Some((hours, minutes)) if minutes < 60 && hours * 60 + minutes <= WeekMinute::DAY => {
            Ok(hours * 60 + minutes)
        }
        _ => refuse(
            format!("`{text}` is no time of day"),
            "write hours and minutes from 00:00 to 24:00, such as 16:00",
        ),
    }
}

fn parse_zone(text: &str) -> Result<Tz, WhenError> {
    let zones = chrono_tz::TZ_VARIANTS.iter();
    if let Some(zone) = zones.clone().find(|zone| zone.name().eq_ignore_ascii_case(text)) {
        return Ok(*zone);
    }
    let near = suggest::nearest(text, zones.map(|zone| zone.name())).unwrap_or("Europe/Berlin");
    refuse(
        format!("`{text}` is no known time zone"),
        format!("write a name of the IANA time zone database, such as `{near}` or `UTC`"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(text: &str) -> Vec<(u32, u32)> {
        let (spans, _) = parse(text).unwrap();
        spans.iter().map(|span| (span.start.0, span.end.0)).collect()
    }

    const H: u32 = 60;
    const D: u32 = 24 * H;

    #[test]
    fn each_form_is_read() {
        for (text, expected) in [
            ("Fri 16:00 - Mon 07:00 Europe/Berlin", vec![(4 * D + 16 * H, 7 * H)]),
            ("Mon 07:00 - Fri 16:00 UTC", vec![(7 * H, 4 * D + 16 * H)]),
            ("friday 16:00-monday 7:00 europe/berlin", vec![(4 * D + 16 * H, 7 * H)]),
            ("Sat 10:00 - 12:30 UTC", vec![(5 * D + 10 * H, 5 * D + 12 * H + 30)]),
            ("Sun 22:00 - 02:00 UTC", vec![(6 * D + 22 * H, 2 * H)]),
            ("Sun 22:00 - 24:00 UTC", vec![(6 * D + 22 * H, 0)]),
            ("Mon-Tue 09:00 - 17:00 UTC", vec![(9 * H, 17 * H), (D + 9 * H, D + 17 * H)]),
            ("Sun-Mon 09:00 - 17:00 UTC", vec![(9 * H, 17 * H), (6 * D + 9 * H, 6 * D + 17 * H)]),
            ("Mon - Fri 00:00 - 24:00 UTC", vec![(0, 5 * D)]),
            ("Sat-Sun 00:00 - 24:00 UTC", vec![(5 * D, 0)]),
        ] {
            assert_eq!(spans(text), expected, "{text}");
        }
        assert_eq!(spans("daily 22:00 - 06:00 UTC").len(), 7);
    }

    #[test]
    fn what_is_no_window_says_what_to_write() {
        for (text, message) in [
            ("", "the time zone is missing"),
            ("Fri 16:00 - Mon 07:00", "the time zone is missing"),
            ("Fri 16:00 - Mon 07:00 Europe/Berln", "`Europe/Berln` is no known time zone"),
            ("Fry 16:00 - Mon 07:00 UTC", "`Fry` is no day of the week"),
            ("Fri 16 - Mon 07:00 UTC", "`16` is no time of day"),
            ("Fri 24:01 - Mon 07:00 UTC", "`24:01` is no time of day"),
            ("Fri 16:60 - Mon 07:00 UTC", "`16:60` is no time of day"),
            ("Fri 16:00 UTC", "`Fri 16:00` is no time span"),
            ("Mon 07:00 - Mon 07:00 UTC", "it ends as it starts and would never match"),
            ("daily 07:00 - 07:00 UTC", "it ends as it starts and would never match"),
            ("daily 00:00 - 24:00 UTC", "it covers the whole week"),
            ("Sat-Fri 00:00 - 24:00 UTC", "it covers the whole week"),
        ] {
            assert_eq!(parse(text).unwrap_err().message, message, "{text}");
        }
        let near = parse("Fri 16:00 - Mon 07:00 Europe/Berln").unwrap_err().remedy;
        assert!(near.contains("`Europe/Berlin`"), "{near}");
    }
}
