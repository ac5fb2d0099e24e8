//! The guides of the documentation, typed word by word on the local AWS.
//!
//! Rule: nothing is changed of what a page says but the account and the ports, which others on this
//! machine may have. What takes minutes is left out unless `TIDEGATE_TEST_SLOW` is set.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use crate::aws::{REGION, World};
use crate::dataplane::load::{Load, Plan};
use crate::dataplane::{DataPlane, Settings};
use crate::demo::launch;
use crate::guides::{self, Typed};
use crate::harness::eventually;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

fn slow() -> bool {
    std::env::var_os("TIDEGATE_TEST_SLOW").is_some()
}

/// Types the page in a folder with what a copy of the repository has.
async fn follow(page: &str, world: &World, changed: &[(&str, &str)]) {
    let folder = tempfile::tempdir().expect("a folder");
    for name in ["localstack", "cloudformation", "target"] {
        let there = folder.path().join(name);
        std::os::unix::fs::symlink(Path::new(ROOT).join(name), there).expect("a link");
    }
    let change = |typed: Typed| {
        let accounts = [("111111111111", world.account.as_str()), ("222222222222", &world.account)];
        let all = accounts.iter().chain(changed).chain(&[("127.0.0.1:8080", "127.0.0.1:0")]);
        let text = all.fold(typed.text.clone(), |text, (from, to)| text.replace(from, to));
        Typed { text, ..typed }
    };
    let places: &[&str] = if slow() { &["local", "local slow"] } else { &["local"] };
    let typed: Vec<_> = guides::page(page).typed(places).into_iter().map(change).collect();
    let program = Path::new(env!("CARGO_BIN_EXE_tidegate")).parent().expect("its folder");
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap_or_default());
    let port = std::env::var("TIDEGATE_LOCALSTACK_PORT").unwrap_or_else(|_| "4566".to_owned());
    let home = folder.path().display().to_string();
    let run = tokio::task::spawn_blocking(move || {
        let environment =
            [("PATH", path.as_str()), ("HOME", &home), ("TIDEGATE_LOCALSTACK_PORT", &port)];
        guides::run(&typed, folder.path(), &environment);
    });
    run.await.expect("it is followed to its end");
}

/// What a page gives this option of the load.
fn number(page: &str, option: &str) -> u32 {
    let text = guides::page(page).text;
    let after = text.split_once(option).expect("the option").1.split_whitespace().next();
    after.and_then(|number| number.parse().ok()).expect("a number")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quick_start_works_as_it_is_written() {
    let world = World::new().await;
    follow("docs/quick-start.md", &world, &[]).await;
    assert_eq!(world.desired("tidegate-demo-hosts").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monolith_is_broken_as_it_is_written() {
    let world = World::new().await;
    // Free a moment ago; what listens there is the page's load balancer.
    let address = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr());
    let address = address.expect("a port");
    let settings =
        Settings { port_offset: Some(address.port().wrapping_sub(80)), ..Settings::compressed() };
    let plane = DataPlane::start(&world.endpoint, &world.account, REGION, launch(), settings);
    let _plane = plane.expect("a data plane");
    let site = address.to_string();
    let page = "docs/break-a-monolith.md";
    let asked = async {
        let url = format!("http://{site}/api/users");
        eventually("the monolith", async || reqwest::get(&url).await.ok()?.error_for_status().ok())
            .await;
        let at_most = Duration::from_secs(number(page, "--seconds").into());
        let plan = Plan { at_most, ..Plan::tutorial(address, number(page, "--per-second")) };
        Load::start(plan).expect("the page's load")
    };
    let changed = [("127.0.0.1:10080", site.as_str())];
    let ((), load) = tokio::join!(follow(page, &world, &changed), asked);
    let tally = load.stop().await;
    // That none fails is judged where a story has the machine for itself: `monolith`.
    assert!(tally.right > 0);
    let api = world.describe_service("tidegate-demo", "api").await;
    assert_eq!(api.desired_count == 0, slow());
}
