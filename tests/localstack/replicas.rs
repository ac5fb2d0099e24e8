//! Two real processes on one table: killed, stopped for longer than the lease, cut off from the
//! table or from everything, and one of them always goes on.
//!
//! Rule: who wrote under which epoch is read from the endpoint's own record of requests.
//!
//! `TIDEGATE_ROUNDS=50` strikes so often, each blow once and then at random, instead of five times.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use tidegate::aws::AwsTable;
use tidegate::journal::table::{Condition, Field, Item, Key, Table, TableError, Write};

use crate::aws::{Request, World};
use crate::footing::{LEASE_SECONDS, TABLE, config};
use crate::harness::{Tidegate, eventually};
use crate::proxy::{Cut, Fault, Proxy};

/// What a journal relies on, asked of the endpoint through the adapter.
#[tokio::test(flavor = "multi_thread")]
async fn the_table_keeps_what_the_port_promises() {
    let world = World::new().await;
    let table = AwsTable::with_config(&world.sdk, TABLE);
    let key = |sort: &str| Key { partition: "c".to_owned(), sort: sort.to_owned() };
    let missing = AwsTable::with_config(&world.sdk, "another").get(&key("lease")).await;
    assert_eq!(missing, Err(TableError::Missing("another".to_owned())));
    let item = |sort: &str, number| {
        let text = Field::Text("fünf\n".to_owned());
        let fields = [("epoch", Field::Number(number)), ("text", text)];
        Item::new(key(sort), fields.into_iter().chain([("released", Field::Flag(false))]))
    };
    let put = |item: &Item, only_if| Write::Put { item: item.clone(), only_if };
    let (first, second) = (item("lease", u64::MAX), item("lease", 2));
    table.write("a-1", vec![put(&first, Some(Condition::Absent))]).await.expect("nothing there");
    assert_eq!(table.get(&key("lease")).await, Ok(Some(first.clone())));
    let refused = table.write("a-2", vec![put(&second, Some(Condition::Absent))]).await;
    assert_eq!(refused, Err(TableError::Refused(Some(first.clone()))), "with what is there");

    let is = |value| Condition::Is { field: "epoch", value: Field::Number(value) };
    let check = |epoch| Write::Check { key: key("lease"), only_if: is(epoch) };
    let entry = item("first", 1);
    let both = |epoch| vec![check(epoch), put(&entry, Some(Condition::Absent))];
    let refused = table.write("a-3", both(7)).await;
    assert!(matches!(refused, Err(TableError::Refused(_))), "{refused:?}");
    assert_eq!(table.get(&entry.key).await, Ok(None), "nothing of it was written");
    table.write("a-4", both(u64::MAX)).await.expect("the epoch is right");

    for number in 2..=60 {
        let mut large = item(&format!("entry#{number:02}"), number);
        large.fields.insert("records".to_owned(), Field::Text("x".repeat(100_000)));
        table.write(&format!("b-{number}"), vec![put(&large, None)]).await.expect("it fits");
    }
    let (mut seen, mut pages) = (Vec::new(), 0);
    loop {
        let from = format!("entry#{:02}", seen.len() + 2);
        let page = table.page("c", &from, "entry#59").await.expect("a page");
        seen.extend(page.items.into_iter().map(|item| item.key.sort));
        pages += 1;
        if !page.more {
            break;
        }
    }
    let all: Vec<_> = (2..=59).map(|number| format!("entry#{number:02}")).collect();
    assert_eq!(seen, all, "in order, bounds included");
    assert!(pages > 1);
    let deletes = vec![check(u64::MAX), Write::Delete { key: entry.key.clone() }];
    table.write("a-5", deletes).await.expect("it is deleted");
    assert_eq!(table.get(&entry.key).await, Ok(None));
}

/// One process with its own way to AWS.
struct Replica {
    name: &'static str,
    proxy: Proxy,
    tidegate: Tidegate,
}

impl Replica {
    async fn new(world: &World, name: &'static str) -> Self {
        let proxy = Proxy::start(&world.endpoint).await;
        let config = config(world, "c", &["auto_scaling_group: g"], "allow: [scale_out]");
        let mut tidegate = Tidegate::new(&proxy.url(), world, "c", &config).await;
        tidegate.call_it(name);
        Self { name, proxy, tidegate }
    }

    async fn leader(&self) -> Option<String> {
        let status = self.tidegate.status().await?;
        Some(status["journal"]["leader"]["owner"].as_str().unwrap_or("itself").to_owned())
    }

    async fn stands_by(&self) {
        let what = format!("{} to stand by", self.name);
        eventually(&what, async || self.leader().await.filter(|by| by != "itself")).await;
    }

    fn signal(&self, signal: &str) {
        let pid = self.tidegate.pid().expect("it runs").to_string();
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.expect("kill runs").success());
    }
}

#[derive(Clone, Copy, Debug)]
enum Blow {
    /// Its request has been carried out, and it dies before it hears of that.
    KilledInFlight,
    /// Its request is on the way, and it sleeps for longer than the lease.
    StoppedInFlight,
    CutOffFromTheTable,
    Stopped,
    CutOffFromAll,
}

const BLOWS: [Blow; 5] = [
    Blow::KilledInFlight,
    Blow::StoppedInFlight,
    Blow::CutOffFromTheTable,
    Blow::Stopped,
    Blow::CutOffFromAll,
];

/// Each once, and any of them after that.
fn blow(round: i32) -> Blow {
    let mut random = [0];
    getrandom::fill(&mut random).expect("randomness");
    let round = usize::try_from(round).expect("a count") - 1;
    *BLOWS.get(round).unwrap_or(&BLOWS[usize::from(random[0]) % BLOWS.len()])
}

/// Each time the leader is struck a task waits for a host; the other replica orders it, once.
#[tokio::test(flavor = "multi_thread")]
async fn of_two_replicas_one_always_goes_on_and_never_both_write() {
    let rounds = std::env::var("TIDEGATE_ROUNDS").ok();
    let rounds = rounds.map_or(5, |rounds| rounds.parse().expect("a count of rounds"));
    let world = World::new().await;
    world.cluster().await;
    world.group("g", "m5.large", 0, rounds).await;
    world.service("web", 1536, 512, 0).await;
    let (mut leads, mut waits) =
        (Replica::new(&world, "replica-a").await, Replica::new(&world, "replica-b").await);
    leads.tidegate.act().await;
    waits.tidegate.start().await;
    waits.stands_by().await;
    orders_reach_the_leader(&leads, &waits).await;
    let mut after = world.mark().await;
    let (mut strikes, mut record) = (Vec::new(), Vec::new());
    for count in 1..=rounds {
        let blow = blow(count);
        strikes.push((blow, strike(&world, &mut leads, blow, count).await));
        let what = format!("{blow:?}: the other replica to order host {count}");
        eventually(&what, async || (world.desired("g").await == count).then_some(())).await;
        eventually("the other replica to lead", async || {
            waits.leader().await.filter(|leader| leader == "itself")
        })
        .await;
        heal(&mut leads, blow).await;
        leads.stands_by().await;
        world.steady("web").await;
        waits.tidegate.ticks(2).await;
        (leads, waits) = (waits, leads);
        // Round by round, since the endpoint forgets.
        record.extend(world.requests(after).await);
        after = record.last().map_or(after, |last: &Request| last.number);
    }
    let epochs = prove_turns(&record, &strikes);
    report(&strikes, &record, epochs);
}

/// A token that the waiting replica hands out counts at the leader, to which that replica passes
/// orders on; a command that finds no server goes to the leader by itself. All of it is one record.
async fn orders_reach_the_leader(leads: &Replica, waits: &Replica) {
    let made = ["token", "create", "ci", "--role", "releaser", "--output", "json"];
    let made: serde_json::Value =
        serde_json::from_str(&waits.tidegate.tell(&made).await).expect("JSON");
    let token = made["token"].as_str().expect("a token");
    let by_token = ["--cluster", "c", "--token", token, "--reason", "a story"];
    waits.tidegate.tell(&[&["pause"], &by_token[..]].concat()).await;
    leads.tidegate.status_when("it is paused", |status| status["pause"]["by"] == "ci").await;

    let (config, nowhere) = (waits.tidegate.config_path(), waits.tidegate.state().join("nowhere"));
    let (config, nowhere) = (config.display().to_string(), nowhere.display().to_string());
    let alone = ["--config", config.as_str(), "--state", nowhere.as_str()];
    waits.tidegate.tell(&[&["resume"], &by_token[..], &alone[..]].concat()).await;
    leads.tidegate.status_when("it goes on", |status| status["pause"].is_null()).await;
    let show = [&["mode", "show", "--cluster", "c"], &alone[..]].concat();
    assert!(waits.tidegate.tell(&show).await.contains("stored mode act"));
    let audit = waits.tidegate.tell(&[&["audit", "list"], &alone[..]].concat()).await;
    for order in ["pause c  done", "resume c  done"] {
        let who = format!("ci (token, releaser)  {order}");
        assert!(audit.contains(&who), "{who}: {audit}");
    }
    let whole = waits.tidegate.tell(&[&["audit", "verify"], &alone[..]].concat()).await;
    assert!(whole.starts_with("intact"), "{whole}");
    leads.tidegate.tell(&["token", "revoke", "ci"]).await;
    eventually("the token to count for nothing at the other", async || {
        let asked = waits.tidegate.run(&["audit", "list", "--token", token]).await;
        String::from_utf8_lossy(&asked.stderr).contains("the token was revoked").then_some(())
    })
    .await;
}

/// Asks for one more task than there are hosts, and strikes the leader; when, in seconds since
/// 1970.
async fn strike(world: &World, leads: &mut Replica, blow: Blow, count: i32) -> f64 {
    const RAISE: &str = "autoscaling:SetDesiredCapacity";
    const PATIENCE: Duration = Duration::from_secs(120);
    let cut = match blow {
        Blow::KilledInFlight => Some(Cut::Reply),
        Blow::StoppedInFlight => Some(Cut::Request),
        _ => None,
    };
    if let Some(cut) = cut {
        leads.proxy.hold(RAISE, cut);
        world.set_count("web", count).await;
        leads.proxy.held(PATIENCE).await.expect("the leader orders a host");
    }
    match blow {
        Blow::KilledInFlight => leads.tidegate.kill(),
        Blow::StoppedInFlight | Blow::Stopped => leads.signal("-STOP"),
        Blow::CutOffFromTheTable => leads.proxy.fail("dynamodb:*", Fault::Silence),
        Blow::CutOffFromAll => leads.proxy.fail("*", Fault::Silence),
    }
    let at = crate::dataplane::wall_clock().duration_since(std::time::UNIX_EPOCH);
    if cut.is_none() {
        world.set_count("web", count).await;
    }
    at.expect("after 1970").as_secs_f64()
}

async fn heal(struck: &mut Replica, blow: Blow) {
    struck.proxy.heal();
    match blow {
        Blow::KilledInFlight => struck.tidegate.start().await,
        Blow::StoppedInFlight | Blow::Stopped => struck.signal("-CONT"),
        Blow::CutOffFromTheTable | Blow::CutOffFromAll => {}
    }
}

/// Epochs only grow, each belongs to one process, and each raise was made once. How many epochs
/// have written.
fn prove_turns(record: &[Request], strikes: &[(Blow, f64)]) -> usize {
    let ours = |request: &&Request| request.writes() && request.agent.contains("app/tidegate");
    let mut writers: BTreeMap<u64, &str> = BTreeMap::new();
    let mut last = 0;
    for request in record.iter().filter(ours) {
        let epoch = stamped(&request.agent, "tidegate-epoch#").expect("each write has its epoch");
        let epoch: u64 = epoch.parse().expect("a number");
        let writer = stamped(&request.agent, "exec-env/").expect("each process has its name");
        assert!(epoch >= last, "epoch {epoch} wrote after epoch {last}: {request:?}");
        last = epoch;
        assert_eq!(*writers.entry(epoch).or_insert(writer), writer, "two wrote in epoch {epoch}");
    }
    // What is carried out for one that dies of it, nobody else does again.
    let others = strikes.iter().filter(|(blow, _)| !matches!(blow, Blow::KilledInFlight)).count();
    assert!(writers.len() > others, "each other turn has an epoch: {writers:?}");
    let raises = record.iter().filter(|request| request.operation == "SetDesiredCapacity");
    let raises = raises.map(|request| request.parameters["DesiredCapacity"].as_i64());
    let each = (1..=i64::try_from(strikes.len()).expect("a count")).map(Some);
    assert!(raises.eq(each), "each once, by one of them");
    writers.len()
}

/// How long it took from each strike until somebody else had the lease.
#[expect(clippy::print_stderr, reason = "a figure for whoever reads the run")]
fn report(strikes: &[(Blow, f64)], record: &[Request], epochs: usize) {
    let takes = |request: &&Request| {
        let item = &request.parameters["TransactItems"][0]["Put"]["Item"];
        item["sk"]["S"] == "lease" && item["released"]["BOOL"] == false
    };
    let mut writer = None;
    let mut taken = Vec::new();
    for request in record.iter().filter(takes) {
        let by = stamped(&request.agent, "exec-env/");
        if writer.is_some_and(|writer| writer != by) {
            taken.push(request.time);
        }
        writer = Some(by);
    }
    let mut longest: BTreeMap<String, f64> = BTreeMap::new();
    for (blow, at) in strikes {
        let takeover = taken.iter().find(|taken| *taken > at).map_or(f64::NAN, |taken| taken - at);
        let longest = longest.entry(format!("{blow:?}")).or_default();
        *longest = longest.max(takeover / LEASE_SECONDS);
    }
    eprintln!(
        "{} rounds, {} takeovers, {epochs} epochs that wrote, each by one process; longest \
         takeover in lease times: {longest:.2?}",
        strikes.len(),
        taken.len(),
    );
}

fn stamped<'a>(agent: &'a str, what: &str) -> Option<&'a str> {
    agent.split_once(what)?.1.split(' ').next()
}
