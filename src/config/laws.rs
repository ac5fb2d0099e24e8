//! Laws of configuration: what is rendered loads to the same, and no text makes loading panic.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use serde_json::Value as Json;
use strum::IntoEnumIterator;

use super::*;
use crate::model::Role;

mod traffic;

fn kinds(listed: impl Fn(&ActionKind) -> bool) -> impl Strategy<Value = BTreeSet<ActionKind>> {
    let all: Vec<ActionKind> = ActionKind::iter().filter(listed).collect();
    prop::sample::subsequence(all.clone(), 0..=all.len()).prop_map(BTreeSet::from_iter)
}

/// Names that YAML would read as something else are likely.
fn name() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z0-9_-]{1,12}", "[0-9]{1,4}", "(true|null|no|on|1e3|0x1F|-|2026-11-21)"]
}

fn pool() -> impl Strategy<Value = PoolConfig> {
    let id = prop_oneof![
        "[!-9;-~]{1,20}".prop_map(PoolId::AutoScalingGroup),
        "sfr-[a-z0-9-]{1,12}".prop_map(PoolId::SpotFleet),
    ];
    (id, any::<bool>(), prop::option::of(1_u32..), 1_u32..=100).prop_map(
        |(id, retiring, max, price_percent)| PoolConfig { id, retiring, max, price_percent },
    )
}

fn pools() -> impl Strategy<Value = Vec<PoolConfig>> {
    prop::collection::vec(pool(), 1..4).prop_map(|mut pools| {
        pools.sort_by(|one, other| one.id.cmp(&other.id));
        pools.dedup_by(|one, other| one.id == other.id);
        pools
    })
}

fn headroom() -> impl Strategy<Value = Vec<Headroom>> {
    let tasks = prop::collection::btree_map(name(), 1_u64..1000, 0..3);
    (tasks, prop::option::of(1_u64..5)).prop_map(|(tasks, largest)| {
        let largest = largest.map(|count| Headroom { like: Like::LargestTask, count });
        let of = |(name, count): (String, u64)| Headroom {
            like: Like::TasksOf(ServiceName::new(name)),
            count,
        };
        largest.into_iter().chain(tasks.into_iter().map(of)).collect()
    })
}

fn services() -> impl Strategy<Value = BTreeMap<ServiceName, ServiceConfig>> {
    let evict = prop_oneof![Just(Evict::WhenReplaced), Just(Evict::Never)];
    let reached = prop::option::of(traffic::exposure());
    let alarms = prop::collection::btree_set("[a-z]{1,9}-[0-9]", 0..3);
    let service = (evict, reached, prop::option::of(traffic::described()), alarms).prop_map(
        |(evict, exposure, described, alarms)| {
            let mut config =
                ServiceConfig { evict, exposure, described, alarms, ..Default::default() };
            if let (Some(exposure), Some(described)) = (&mut config.exposure, &config.described) {
                exposure.port = described.task.port;
            }
            config
        },
    );
    let named = prop::collection::btree_map(name().prop_map(ServiceName::new), service, 0..3);
    named.prop_map(traffic::without_shared)
}

fn windows() -> impl Strategy<Value = Vec<Window>> {
    let text = prop::sample::select(vec![
        "Fri 16:00 - Mon 07:00 Europe/Berlin",
        "Mon-Fri 09:00 - 17:00 America/New_York",
        "daily 22:00 - 06:00 UTC",
    ]);
    let window = (kinds(|kind| Window::binds(*kind)), text)
        .prop_filter("a window forbids something", |(forbid, _)| !forbid.is_empty())
        .prop_map(|(forbid, text)| {
            let (spans, zone) = when::parse(text).unwrap();
            Window { forbid, text: text.to_owned(), spans, zone }
        });
    prop::collection::vec(window, 0..3)
}

/// Interval, queue, resync and stop switch.
type Rhythm = (TimeDelta, Option<String>, TimeDelta, Option<String>);

fn limits() -> impl Strategy<Value = (ScaleIn, Repair, Releases, Budgets, TimeDelta, Rhythm)> {
    let seconds = |range: std::ops::RangeInclusive<i64>| range.prop_map(TimeDelta::seconds);
    let scale_in = (seconds(300..=86_400), seconds(60..=86_400), seconds(0..=86_400)).prop_map(
        |(stabilization, drain_deadline, host_age_min)| ScaleIn {
            stabilization,
            drain_deadline,
            host_age_min,
        },
    );
    let repair = (seconds(60..=86_400), seconds(60..=86_400), 1_u32..).prop_map(
        |(agent_lost, registration, failures_max)| Repair {
            agent_lost,
            registration,
            failures_max,
        },
    );
    let budgets = (1_u64..1000, 1_u64..1000, 1_u32..).prop_map(
        |(draining_hosts, removed_hosts_per_hour, launched_units_per_hour)| Budgets {
            draining_hosts,
            removed_hosts_per_hour,
            launched_units_per_hour,
        },
    );
    let sometimes_default = prop_oneof![Just(ScaleIn::default()).boxed(), scale_in.boxed(),];
    let releases = (seconds(60..=86_400), seconds(60..=86_400))
        .prop_map(|(room_within, done_within)| Releases { room_within, done_within });
    let retention = seconds(60..=2_592_000);
    let rhythm = (
        seconds(5..=300),
        prop::option::of("https://sqs[.][a-z]{2,5}/[0-9]{2}/[a-z]{2}"),
        seconds(60..=3_600),
        prop::option::of("/tidegate/[a-z]{2,5}/stop"),
    );
    (sometimes_default, repair, releases, budgets, retention, rhythm)
}

fn alb_oidc() -> impl Strategy<Value = AlbOidc> {
    let role = prop::sample::select(Role::iter().collect::<Vec<_>>());
    let groups = prop_oneof![
        name(),
        "[A-Za-z:@. /é-]{1,9}"
            .prop_filter("trimmed", |group| { group.trim() == group && !group.is_empty() })
    ];
    let roles = prop::collection::btree_map(groups, role, 1..4);
    ("[!-~]{1,9}", "[!-~]{1,9}", prop_oneof![Just("groups".to_owned()), "[!-~]{1,9}"], roles)
        .prop_map(|(issuer, client_id, claim, roles)| AlbOidc {
            alb_arn: "arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/a/b".to_owned(),
            issuer: format!("https://{issuer}"),
            client_id,
            claim,
            roles,
        })
}

fn targets() -> impl Strategy<Value = Vec<notify::Target>> {
    use notify::{Receiver, Secret, Target};
    let secret = || {
        prop_oneof![
            "[A-Z_][A-Z0-9_]{0,9}".prop_map(Secret::Env),
            "[!-~]{1,12}".prop_map(Secret::File),
        ]
    };
    let url =
        prop_oneof!["https://[a-z.]{1,9}/[a-zA-Z0-9#?=]{0,9}", Just("http://[::1]:9".to_owned())];
    let to = prop_oneof![
        (url, secret()).prop_map(|(url, secret)| Receiver::Webhook { url, secret }),
        secret().prop_map(|url| Receiver::Slack { url }),
        "arn:aws(-cn)?:sns:eu-west-[1-9]:[0-9]{12}:[a-zA-Z0-9_-]{1,9}"
            .prop_map(|topic| Receiver::Sns { topic }),
    ];
    prop::collection::btree_map(prop_oneof!["[a-z0-9_-]{1,9}", Just("slack".to_owned())], to, 0..3)
        .prop_map(|named| named.into_iter().map(|(name, to)| Target { name, to }).collect())
}

fn cluster() -> impl Strategy<Value = ClusterConfig> {
    let access = (
        prop::option::of("[a-z]{2}-[a-z]{4}-[1-9]"),
        prop::option::of("arn:aws(-cn)?:iam::[0-9]{12}:role/[A-Za-z/+=,.@_-]{1,9}"),
        "[A-Za-z0-9_+=,.@:/-]{2,9}",
        any::<bool>(),
    );
    let mode = prop_oneof![Just(Mode::Observe), Just(Mode::Recommend), Just(Mode::Act)];
    let work = (mode, kinds(|kind| !kind.is_ordered()), pools());
    let rest = (1_u64..=100, 1_u64..=100, headroom(), services(), windows(), limits());
    (name(), access, work, rest, traffic::cutovers()).prop_map(
        |(name, access, work, rest, moves)| {
            let (region, role_arn, external_id, external) = access;
            let (mode, allow, pools) = work;
            let (cpu_percent, memory_percent, headroom, services, windows, limits) = rest;
            let (scale_in, repair, releases, budgets, retention, rhythm) = limits;
            let (interval, queue, resync, stop_parameter) = rhythm;
            ClusterConfig {
                // A listener stands in the Region of its cluster.
                region: region.map(|_| traffic::REGION.to_owned()),
                external_id: Some(external_id).filter(|_| external && role_arn.is_some()),
                role_arn,
                mode,
                allow,
                reservation_ceiling: ReservationCeiling { cpu_percent, memory_percent },
                headroom,
                services,
                cutovers: moves,
                windows,
                scale_in,
                repair,
                releases,
                budgets,
                retention,
                queue,
                stop_parameter,
                resync,
                interval,
                ..ClusterConfig::new(name, pools)
            }
        },
    )
}

proptest! {
    #[test]
    fn what_is_rendered_loads_to_the_same(cluster in cluster()) {
        let text = render(&cluster);
        match load(&text, "t.yaml") {
            Ok(config) => prop_assert_eq!(config.clusters, vec![cluster]),
            Err(errors) => prop_assert!(false, "{}\n{}", errors, text),
        }
    }

    /// The defaults that stand behind a `#`, as against comments, which begin with a space.
    #[test]
    fn the_defaults_that_are_rendered_are_the_defaults(cluster in cluster()) {
        let setting = |line: &str| {
            let tail = line.strip_prefix("    #")?;
            (!tail.starts_with(' ') || tail.starts_with("  ")).then(|| format!("    {tail}"))
        };
        let text: String = render(&cluster)
            .lines()
            .map(|line| setting(line).unwrap_or_else(|| line.to_owned()) + "\n")
            .collect();
        match load(&text, "t.yaml") {
            Ok(config) => prop_assert_eq!(config.clusters, vec![cluster]),
            Err(errors) => prop_assert!(false, "{}\n{}", errors, text),
        }
    }

    #[test]
    fn what_is_shown_loads_to_the_same(
        clusters in prop::collection::vec(cluster(), 1..3),
        alb_oidc in prop::option::of(alb_oidc()),
        notify in targets(),
    ) {
        prop_assume!(clusters.len() < 2 || clusters[0].name != clusters[1].name);
        prop_assume!(clusters.len() < 2 || clusters[0].pools != clusters[1].pools);
        let clusters = traffic::on_own_listeners(clusters);
        let config = Config { clusters, alb_oidc, notify, ..Config::default() };
        for text in [true, false].map(|origins| show(&config).text(origins)) {
            match load(&text, "t.yaml") {
                Ok(loaded) => {
                    prop_assert_eq!(&loaded.clusters, &config.clusters);
                    prop_assert_eq!(&loaded.alb_oidc, &config.alb_oidc);
                    prop_assert_eq!(&loaded.notify, &config.notify);
                }
                Err(errors) => prop_assert!(false, "{}\n{}", errors, text),
            }
        }
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        let _ = load(&text, "t.yaml");
    }

    /// Text with the signs YAML cares for, cut into a file that is right.
    #[test]
    fn any_damage_to_a_file_is_read_or_refused_in_its_lines(
        cluster in cluster(),
        at in any::<prop::sample::Index>(),
        cut in 0_usize..20,
        junk in "[-:#\\[\\]{}&*!|>'\"%@`,? \n\ta0é\u{0}]{0,8}",
    ) {
        let signs: Vec<char> = render(&cluster).chars().collect();
        let at = at.index(signs.len());
        let end = (at + cut).min(signs.len());
        let text: String = signs[..at].iter().copied()
            .chain(junk.chars())
            .chain(signs[end..].iter().copied())
            .collect();
        if let Err(errors) = load(&text, "t.yaml") {
            prop_assert!(!errors.errors().is_empty());
            let lines = text.split(['\n', '\r', '\u{85}', '\u{2028}', '\u{2029}']).count();
            for error in errors.errors() {
                prop_assert!(!error.message.is_empty() && !error.remedy.is_empty());
                prop_assert!((1..=lines).contains(&(error.line as usize)), "{}", error);
            }
        }
    }
}

/// Paths of all keys a schema knows, list items and free names left out of them.
fn keys(schema: &Json, path: &str, into: &mut Vec<String>) {
    for (key, below) in schema["properties"].as_object().into_iter().flatten() {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        keys(below, &path, into);
        into.push(path);
    }
    for below in ["items", "additionalProperties"] {
        if schema[below].is_object() {
            keys(&schema[below], path, into);
        }
    }
    for case in schema["oneOf"].as_array().into_iter().flatten() {
        keys(case, path, into);
    }
}

/// Whether a document has the shape a schema asks for, by the few words the schema uses.
fn fits(schema: &Json, document: &Json) -> Result<(), String> {
    let refuse = || Err(format!("{document} does not fit {schema}"));
    if let Some(cases) = schema["oneOf"].as_array()
        && cases.iter().filter(|case| fits(case, document).is_ok()).count() != 1
    {
        return refuse();
    }
    if schema.get("const").is_some_and(|value| value != document)
        || schema["enum"].as_array().is_some_and(|values| !values.contains(document))
    {
        return refuse();
    }
    for key in schema["required"].as_array().into_iter().flatten() {
        if document.get(key.as_str().unwrap()).is_none() {
            return refuse();
        }
    }
    let kind = match document {
        Json::Null => "null",
        Json::Bool(_) => "boolean",
        Json::Number(_) => "integer",
        Json::String(_) => "string",
        Json::Array(_) => "array",
        Json::Object(_) => "object",
    };
    let number = kind == "integer" && schema["type"] == "number";
    if schema.get("type").is_some_and(|wanted| wanted != kind) && !number {
        return refuse();
    }
    if schema["not"].is_object() && fits(&schema["not"], document).is_ok() {
        return refuse();
    }
    for item in document.as_array().into_iter().flatten() {
        fits(&schema["items"], item)?;
    }
    for (key, value) in document.as_object().into_iter().flatten() {
        match (schema["properties"].get(key), &schema["additionalProperties"]) {
            (Some(below), _) => fits(below, value)?,
            (None, Json::Bool(false)) => return Err(format!("{key} is unknown")),
            (None, below) => fits(below, value)?,
        }
    }
    Ok(())
}

#[test]
fn the_schema_accepts_the_example_and_refuses_what_loading_refuses() {
    let schema: Json = serde_json::from_str(&schema()).unwrap();
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tidegate.example.yaml");
    let example = std::fs::read_to_string(path).unwrap();
    let options = serde_saphyr::options! { strict_booleans: true };
    let example: Json = serde_saphyr::from_str_with_options(&example, options).unwrap();
    fits(&schema, &example).unwrap_or_else(|why| panic!("{why}"));
    for (pointer, wrong) in [
        ("/version", Json::Null),
        ("/clusters/0/mode", serde_json::json!("active")),
        ("/clusters/0/mode", Json::Null),
        ("/clusters/0/allow", serde_json::json!(["handover"])),
        ("/clusters/0/windows/0/forbid", serde_json::json!(["scale_out"])),
        ("/clusters/0/pools/0", serde_json::json!({ "max": 1 })),
        ("/clusters/0/services/checkout/desired_count", serde_json::json!("tidegate")),
        ("/clusters/0/services/users/load_balancing/port", serde_json::json!("3000")),
        ("/clusters/0/services/users/load_balancing/stickiness", serde_json::json!(true)),
        ("/clusters/0/services/users/create/image", Json::Null),
        ("/clusters/0/cutovers/0/rules", serde_json::json!("adopt")),
        ("/clusters/0/cutovers/0/routes/0", serde_json::json!({ "paths": ["/"] })),
        ("/clusters/0/cutovers/0/routes/1/strategy", serde_json::json!("bold")),
        ("/clusters/0/cutovers/0/probe", serde_json::json!(false)),
        ("/clusters/0/cutovers/0/gates/errors_max_percent", serde_json::json!("0.5")),
        ("/clusters/0/cutovers/0/gates/others/1", serde_json::json!({ "name": "none" })),
        ("/clusters/0/cutovers/0/tombstone/redirect", serde_json::json!("https://a.example/")),
        ("/clusters/0/interval", serde_json::json!(15)),
        ("/clusters/0/budgets", serde_json::json!({ "draining": 1 })),
    ] {
        let mut bad = example.clone();
        let (table, key) = pointer.rsplit_once('/').unwrap();
        match bad.pointer_mut(table).unwrap() {
            Json::Object(table) => _ = table.insert(key.to_owned(), wrong),
            list => list[key.parse::<usize>().unwrap()] = wrong,
        }
        assert!(fits(&schema, &bad).is_err(), "{pointer}");
    }
}

#[test]
fn every_key_is_described_and_in_the_example_and_in_the_docs() {
    let schema: Json = serde_json::from_str(&schema()).unwrap();
    let mut all = Vec::new();
    keys(&schema, "", &mut all);
    assert!(all.len() > 30, "{all:?}");
    let root = env!("CARGO_MANIFEST_DIR");
    let example = std::fs::read_to_string(format!("{root}/tidegate.example.yaml")).unwrap();
    let docs = std::fs::read_to_string(format!("{root}/docs/config.md")).unwrap();
    for path in all {
        let key = path.rsplit('.').next().unwrap();
        assert!(example.contains(&format!("{key}:")), "{path} is not in the example");
        assert!(docs.contains(&format!("`{key}`")), "{path} is not in docs/config.md");
    }
}

#[test]
fn the_schema_knows_the_defaults() {
    let schema: Json = serde_json::from_str(&schema()).unwrap();
    let at = |path: &str| {
        schema.pointer(&format!("/properties/clusters/items/properties/{path}/default")).cloned()
    };
    assert_eq!(at("scale_in/properties/drain_deadline"), Some("15m".into()));
    assert_eq!(at("mode"), Some("observe".into()));
    assert_eq!(at("pools/items/properties/price_percent"), Some(100.into()));
    assert_eq!(at("cutovers/items/properties/gates/properties/metric_lag"), Some("2m".into()));
    assert_eq!(at("cutovers/items/properties/probe"), Some("off".into()));
    assert_eq!(at("cutovers/items/properties/routes"), None);
    assert_eq!(at("region"), None);
}
