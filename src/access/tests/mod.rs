use chrono::{DateTime, TimeDelta, Utc};

use super::*;

pub(crate) mod alb;
mod record;
mod shared;
mod token;

pub(crate) fn noon() -> DateTime<Utc> {
    "2026-11-21T12:00:00Z".parse().unwrap()
}

fn ada() -> Principal {
    Principal { name: "ada".into(), role: Role::Admin, method: Method::Token, ambient: false }
}

fn deed(action: &str) -> Deed {
    Deed::new(&ada(), "ada", "r1", action)
}
