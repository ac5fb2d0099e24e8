//! A newer version was here: what it wrote and this one cannot read puts its cluster into observe,
//! and nothing else. When it comes back it finishes what it began.

use std::path::Path;

use chrono::TimeDelta;
use rusqlite::{Connection, params};
use tidegate::journal::Sqlite;
use tidegate::model::{Market, Mode, PoolId, TaskShape};
use tidegate::sim::{Faults, ServiceSpec, World};

use crate::capacity::{config, general};
use crate::mortal::Mortal;
use crate::stage::Stage;
use crate::story::start;

const DRAINS: &str = r#""note":"drain_began""#;
/// The same as a version would write it that this one does not know.
const NEWER: &str = r#""note":"drain_announced""#;

fn kept(directory: &Path, cluster: &str) -> Mortal {
    Mortal::over(Sqlite::open(directory, &cluster.into()).expect("it opens"))
}

/// Another version's way to say something, with the checksum it would have.
fn say(directory: &Path, cluster: &str, from: &str, to: &str) -> usize {
    let db = Connection::open(directory.join(format!("{cluster}.journal"))).expect("a journal");
    let mut all = db.prepare("SELECT seq, epoch, at, record FROM entries").expect("SQL");
    let rows = all.query_map([], |row| {
        Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?, row.get::<_, String>(3)?))
    });
    let rows: Vec<(i64, i64, String, String)> =
        rows.expect("rows").collect::<Result<_, _>>().expect("text");
    let said = rows.into_iter().filter(|(.., record)| record.contains(from));
    let said = said.map(|(seq, epoch, at, record)| {
        let record = record.replace(from, to);
        let mut crc = crc32fast::Hasher::new();
        crc.update(&seq.to_le_bytes());
        crc.update(&epoch.to_le_bytes());
        crc.update(at.as_bytes());
        crc.update(record.as_bytes());
        let change = "UPDATE entries SET record = ?1, crc = ?2 WHERE seq = ?3";
        db.execute(change, params![record, crc.finalize(), seq]).expect("it is written");
    });
    said.count()
}

/// Three hosts and tasks for one: the others are drained, one after the other.
fn shrinking(cluster: &str) -> World {
    let mut world = World::new(cluster, start() - TimeDelta::minutes(30), 1);
    world.add_pool(general(3), Market::OnDemand);
    world.add_service(ServiceSpec::new("web", 3, TaskShape::plain(256, 512)));
    world.advance(start());
    world
}

#[tokio::test]
async fn a_record_of_a_newer_version_in_a_drain_makes_its_cluster_observe_and_no_other() {
    let directory = tempfile::tempdir().expect("a directory");
    let directory = directory.path();
    let open = async |name: &str| {
        let mut config = config(&[PoolId::group("general")]);
        config.name = name.into();
        config.scale_in.host_age_min = TimeDelta::zero();
        Stage::open_on(kept(directory, name), shrinking(name), config, Faults::default()).await
    };
    let mut shop = open("shop").await;
    let mut other = open("other").await;
    let drains = |stage: &Stage| !stage.cx.memory.drains.is_empty();
    for stage in [&mut shop, &mut other] {
        let drains = stage.run_until(TimeDelta::minutes(30), drains).await;
        assert!(drains, "{}\n{}", stage.script.tail(20), stage.script.holds());
    }
    let began = shop.cx.memory.drains.clone();

    shop.end();
    assert_eq!(say(directory, "shop", DRAINS, NEWER), began.len());
    shop.begin(kept(directory, "shop")).await;
    let (acts, hosts) = (shop.script.acts, shop.see().hosts.value.len());
    assert_eq!((shop.cx.memory.mode, shop.cx.memory.unknown_record), (Mode::Observe, true));
    for stage in [&mut shop, &mut other] {
        stage.run(TimeDelta::minutes(20)).await;
    }
    assert_eq!((shop.script.acts, shop.see().hosts.value.len()), (acts, hosts));
    let held = shop.script.holds();
    assert!(held.contains("the journal holds a record of a newer version"), "{held}");
    assert_eq!(other.see().hosts.value.len(), 1, "{}", other.script.text());

    shop.end();
    assert_eq!(say(directory, "shop", NEWER, DRAINS), began.len());
    shop.begin(kept(directory, "shop")).await;
    assert_eq!((shop.cx.memory.mode, &shop.cx.memory.drains), (Mode::Act, &began));
    shop.run(TimeDelta::minutes(30)).await;
    assert_eq!(shop.see().hosts.value.len(), 1, "{}", shop.script.text());
    assert_eq!([shop.violations(), other.violations()], [[], []]);
}
