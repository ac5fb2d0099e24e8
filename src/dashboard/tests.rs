use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use chrono::TimeDelta;
use expect_test::{expect, expect_file};
use tower::ServiceExt;

use super::*;
use crate::access::{Deed, Ledger, Verdict};
use crate::control::status::{ClusterStatus, Publisher, story};
use crate::cutover::listener::Severity;
use crate::cutover::told::FindingTold;
use crate::journal::Holder;
use crate::model::{ClusterName, Epoch, Pause, Role, build};

fn record() -> audit::Record {
    Arc::new(tokio::sync::Mutex::new(Ledger::in_memory().unwrap()))
}

async fn get_from(status: &Shown, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = pages(status.clone(), record()).oneshot(request).await.unwrap();
    let code = response.status();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 24).await;
    (code, String::from_utf8(bytes.unwrap().to_vec()).unwrap())
}

fn shown(clusters: &[ClusterStatus]) -> Shown {
    let (publisher, status) = Publisher::new([ClusterName::new("web")], build::now());
    for cluster in clusters {
        publisher.publish(cluster.clone(), build::now());
    }
    status
}

async fn page_of(cluster: ClusterStatus) -> String {
    let (code, page) = get_from(&shown(&[cluster]), "/clusters/web").await;
    assert_eq!(code, 200);
    page
}

/// What the page says, without its tags.
fn said(page: &str) -> String {
    let mut text = String::new();
    let mut inside = false;
    for c in page.chars() {
        match c {
            '<' => {
                inside = true;
                text.push(' ');
            }
            '>' => inside = false,
            c if !inside => text.push(c),
            _ => {}
        }
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[tokio::test]
async fn the_page_says_what_there_is_what_is_wanted_and_why() {
    let text = said(&page_of(story::status()).await);
    for phrase in [
        "act: scale out",
        "tasks without a host 2 for 44 s",
        "hosts that take tasks 2 of 5",
        "CPU 81.3 % ceiling 85 %",
        "memory 55.9 % ceiling 90 %",
        "list price now $0.4800/h",
        "after this plan $0.5760/h",
        "~ draining 1",
        "! agent lost 1",
        "+ launching 1",
        "scale out workers desired capacity 5 -&#62; 6 shop: 2 tasks fit on no host",
        "repair drain i-0d agent disconnected since 08:54:00Z needs repair in `allow`",
        "scale in i-0b family:&#60;report&#62; is a standalone task",
        "held for 12 min",
        "drains for scale in until 09:09:00.",
        "! workers: scheduled action night may set its size",
        "d-20261121-090003-",
    ] {
        assert!(text.contains(phrase), "`{phrase}` is missing in: {text}");
    }
}

#[tokio::test]
async fn a_cutover_shows_weights_stages_gates_holds_and_the_orders_that_make_sense() {
    let page = page_of(story::cutting()).await;
    let (_, card) = page.split_once("<section class=\"card wide cutover\"").unwrap();
    let (card, _) = card.split_once("</section>").unwrap();
    expect![[r#"aria-labelledby="cutover-break" Cutover break api → users, posts under way » Promote ❚❚ Pause ✕ Abort ↶ Roll back users /api/users /api/users/* shifting, step 2 of 3, watched until 09:24:00 UTC, 5 min left 50 % users, 50 % api ✓ planned , done ✓ attached , done ✓ provisioned , done ✓ healthy , done ✓ probed , done ▶ shifting · shifted · baked · tombstoned · finalized Worst case: if green is wholly broken at 50 %, about 14,625 requests fail before rollback (lag 195 s). Gates of users Gate Verdict Value Limit Lag healthy targets ✓ pass 2 at least 1 0 s requests ✓ pass 15000 at least 100 120 s 5xx share ✓ pass 0.00 % of 15000 1.00 % 120 s latency p95 ✓ pass 20 ms 80 ms 120 s latency p99 ✓ pass 40 ms 110 ms 120 s posts /api/posts /api/posts/* probed 0 % posts, 100 % api ✓ planned , done ✓ attached , done ✓ provisioned , done ✓ healthy , done ▶ probed · shifting · shifted · baked · tombstoned · finalized ◌ break/users comes first Steps and their worst case Steps of break Route Weight Worst case users 5 % if green is wholly broken at 5 %, about 1,463 requests fail before rollback (lag 195 s) users 50 % if green is wholly broken at 50 %, about 14,625 requests fail before rollback (lag 195 s) users 100 % if green is wholly broken at 100 %, about 29,250 requests fail before rollback (lag 195 s) posts 5 % if green is wholly broken at 5 %, about 975 requests fail before rollback (lag 195 s) posts 50 % if green is wholly broken at 50 %, about 9,750 requests fail before rollback (lag 195 s) posts 100 % if green is wholly broken at 100 %, about 19,500 requests fail before rollback (lag 195 s) History 09:13:30 users shifting step 2 every gate has passed 09:03:00 users shifting step 1 everything is ready 09:02:45 users probed 3 good answers in a row 09:02:30 posts probed 3 good answers in a row 09:01:15 users healthy 2 healthy targets 09:01:00 users provisioned 2 tasks of users ordered 09:01:00 posts healthy 2 healthy targets 09:00:45 posts provisioned 2 tasks of posts ordered 09:00:30 users attached the route has a rule with green at 0 09:00:15 posts attached the route has a rule with green at 0 Orders by command line: tidegate cutover --help ."#]].assert_eq(&said(card));
    let orders = |page: &str| -> Vec<String> {
        let buttons = page.split(" data-cutover=\"break\"").skip(1);
        let verbs = buttons.filter_map(|rest| rest.split("data-cli=\"tidegate cutover ").nth(1));
        verbs.filter_map(|rest| rest.split(' ').next()).map(str::to_owned).collect()
    };
    for (status, verbs) in [
        (story::before_cutting(), "start"),
        (story::cutting(), "promote pause abort rollback"),
        (story::stopped(), "resume promote abort rollback"),
        (story::kept_warm(), "finalize pause abort rollback"),
        (story::rolled_back(), "start"),
    ] {
        assert_eq!(orders(&page_of(status).await).join(" "), verbs);
    }
}

#[tokio::test]
async fn advice_on_the_listener_is_a_list_to_open_and_what_misroutes_stays_in_sight() {
    let mut status = story::before_cutting();
    let finding = |severity, explanation: &str| FindingTold {
        severity,
        kind: "too_wide".to_owned(),
        at: None,
        explanation: explanation.to_owned(),
        remedy: "narrow it".to_owned(),
    };
    status.cutovers[0].findings = vec![
        finding(Severity::Misroutes, "`/x` goes astray"),
        finding(Severity::Blocks, "no place is left"),
        finding(Severity::Advice, "`/y` may surprise"),
    ];
    let page = page_of(status).await;
    let (above, list) = page.split_once("-advice\">").unwrap();
    let (list, _) = list.split_once("</details>").unwrap();
    for warning in ["`/x` goes astray", "no place is left"] {
        assert!(above.contains(warning) && !list.contains(warning));
    }
    let list = said(list);
    assert_eq!(list, "Advice on the listener (1) ◌ too wide: `/y` may surprise narrow it");
}

#[tokio::test]
async fn a_stopped_cutover_shows_the_difference_and_how_to_go_on() {
    let text = said(&page_of(story::stopped()).await);
    for phrase in [
        "waits for a person",
        "Stopped since 09:",
        "somebody changed the rule: it said api 50, users 50, now api 100, posts 0",
        "tidegate cutover resume break --cluster web --reason TEXT",
    ] {
        assert!(text.contains(phrase), "`{phrase}` is missing in: {text}");
    }
}

/// The page that the browser tests are shown, since the demo's fleet has no cutover.
#[tokio::test]
async fn the_page_of_a_cutover_is_the_one_the_browser_tests_look_at() {
    let page = page_of(story::cutting()).await;
    expect_file!["../../tests/browser/cutover.html"].assert_eq(&page);
}

#[tokio::test]
async fn nothing_is_inline_and_no_id_is_given_twice() {
    let page = page_of(story::cutting()).await;
    for forbidden in [" style=", "<style", "<script>", " onclick=", "javascript:", "//cdn"] {
        assert!(!page.contains(forbidden), "{forbidden}");
    }
    let ids: Vec<_> = page.split(" id=\"").skip(1).map(|rest| rest.split('"').next()).collect();
    let unique: BTreeSet<_> = ids.iter().collect();
    assert_eq!(ids.len(), unique.len(), "{ids:?}");
    let labels = page.split("aria-labelledby=\"").skip(1);
    for label in labels.filter_map(|rest| rest.split('"').next()) {
        assert!(ids.contains(&Some(label)), "nothing has the id {label}");
    }
}

#[tokio::test]
async fn names_from_aws_cannot_become_markup() {
    let mut cluster = story::status();
    cluster.services[0].name = "<script>alert(1)</script>".into();
    cluster.pause =
        Some(Pause { by: "\"><img src=x>".into(), reason: "<b>".into(), at: build::now() });
    let page = page_of(cluster).await;
    assert!(!page.contains("<script>alert"));
    assert!(!page.contains("<img"));
    assert!(!page.contains("<b>,"));
}

#[tokio::test]
async fn a_pause_and_a_failing_journal_are_told_first() {
    let mut cluster = story::status();
    cluster.pause = Some(Pause {
        by: "ada".into(),
        reason: "incident 7".into(),
        at: build::now() - TimeDelta::minutes(3),
    });
    cluster.journal.trouble = Some("disk full".into());
    let page = page_of(cluster).await;
    let text = said(&page);
    assert!(text.contains("Paused by ada since 08:57:00 UTC: incident 7."), "{text}");
    let failing = "The journal fails , so nothing is written to AWS: disk full";
    assert!(text.contains(failing), "{text}");
    assert!(page.contains("data-order=\"resume\""));
    assert!(!page.contains("data-order=\"pause\""));
}

#[tokio::test]
async fn a_replica_that_stands_by_says_who_leads_and_takes_no_orders() {
    let mut cluster = story::status();
    let (owner, epoch, since) = ("ip-10-0-1-7/1".into(), Epoch(4), build::now());
    cluster.journal.leader = Some(Holder { owner, epoch, since, address: None });
    let page = page_of(cluster).await;
    let text = said(&page);
    let told = "This replica stands by : ip-10-0-1-7/1 leads since 09:00:00 UTC (epoch 4).";
    assert!(text.contains(told), "{text}");
    assert!(!page.contains("data-order="));
}

#[tokio::test]
async fn the_only_cluster_is_shown_at_once_and_several_are_listed() {
    let one = shown(&[story::status()]);
    assert_eq!(get_from(&one, "/").await.0, StatusCode::TEMPORARY_REDIRECT);
    let mut other = story::status();
    other.name = "batch".into();
    let (code, page) = get_from(&shown(&[story::status(), other]), "/").await;
    assert_eq!(code, 200);
    assert!(page.contains("href=\"/clusters/batch\""));
    assert!(page.contains("href=\"/clusters/web\""));
    let (_, none) = get_from(&shown(&[]), "/").await;
    assert!(said(&none).contains("web … not observed yet"));
}

#[tokio::test]
async fn a_cluster_not_seen_yet_is_waited_for_and_an_unknown_one_is_not() {
    let none = shown(&[]);
    let (code, page) = get_from(&none, "/clusters/web").await;
    assert_eq!(code, 503);
    assert!(page.contains("http-equiv=\"refresh\""));
    let (code, page) = get_from(&none, "/clusters/shop").await;
    assert_eq!(code, 404);
    assert!(!page.contains("http-equiv=\"refresh\""));
}

#[tokio::test]
async fn the_fragment_is_the_part_of_the_page_that_changes() {
    let status = shown(&[story::status()]);
    let (_, page) = get_from(&status, "/clusters/web").await;
    let (_, fragment) = get_from(&status, "/clusters/web/fragment").await;
    assert!(page.contains(&fragment));
    assert!(!fragment.contains("<html"));
    assert!(!fragment.contains("<dialog"), "what a person types must stay");
}

#[tokio::test]
async fn a_large_fleet_is_drawn_small_and_bounded() {
    let mut cluster = story::status();
    let host = cluster.hosts[0].clone();
    cluster.hosts = vec![host; 5_000];
    let page = page_of(cluster).await;
    assert_eq!(page.matches("<li class=\"host ").count(), 600);
    assert!(said(&page).contains("and 4400 more"));
    assert!(page.len() < 1_000_000, "{} bytes", page.len());
}

#[tokio::test]
async fn holds_for_one_reason_are_one_row() {
    let mut cluster = story::status();
    let hold = cluster.plan.held[0].clone();
    for n in 1..=8 {
        let mut other = hold.clone();
        other.subject = format!("i-1{n}");
        other.since = None;
        cluster.plan.held.push(other);
    }
    let text = said(&page_of(cluster).await);
    let row = "scale in i-0b, i-11, i-12, i-13, i-14, i-15 and 3 more family:";
    assert!(text.contains(row), "{text}");
    assert_eq!(text.matches("held for 12 min").count(), 1);
}

#[test]
fn the_chart_breaks_where_nothing_is_known() {
    let mut cluster = story::status();
    cluster.history[3].cpu_percent = None;
    let chart = chart::Chart::of(&cluster);
    assert_eq!(chart.cpu.matches('M').count(), 2, "{}", chart.cpu);
    assert_eq!(chart.memory.matches('M').count(), 1);
    cluster.history.clear();
    assert_eq!(chart::Chart::of(&cluster).cpu, "");
}

#[test]
fn durations_are_told_as_people_say_them() {
    for (seconds, text) in [
        (-5, "0 s"),
        (41, "41 s"),
        (119, "119 s"),
        (150, "2 min"),
        (7_500, "2 h 05 min"),
        (400_000, "4 d"),
    ] {
        assert_eq!(view::lasting(TimeDelta::seconds(seconds)), text);
    }
}

/// WCAG 2.2 AA: 4.5 to 1 for text, in both themes.
#[test]
fn text_stands_out_from_its_ground() {
    let css = include_str!("assets/tidegate.css");
    let (light, dark) = css.split_once("prefers-color-scheme: dark").unwrap();
    for theme in [light, dark] {
        let colour = |name: &str| {
            let (_, rest) = theme.split_once(&format!("--{name}: #")).unwrap();
            u32::from_str_radix(&rest[..6], 16).unwrap()
        };
        let pairs = [
            ("text", "card"),
            ("text", "ground"),
            ("text", "warn-soft"),
            ("text", "bad-soft"),
            ("muted", "card"),
            ("muted", "ground"),
            ("tide", "card"),
            ("tide", "tide-soft"),
            ("memory", "card"),
            ("new", "card"),
            ("new", "new-soft"),
            ("good", "card"),
            ("warn", "card"),
            ("bad", "card"),
            ("calm", "card"),
            ("card", "tide"),
        ];
        for (text, ground) in pairs {
            let (a, b) = (luminance(colour(text)), luminance(colour(ground)));
            let contrast = (a.max(b) + 0.05) / (a.min(b) + 0.05);
            assert!(contrast >= 4.5, "{text} on {ground}: {contrast:.2}");
        }
    }
}

fn luminance(rgb: u32) -> f64 {
    let channel = |shift: u32| {
        let c = f64::from(rgb >> shift & 0xff) / 255.0;
        if c <= 0.04045 { c / 12.92 } else { ((c + 0.055) / 1.055).powf(2.4) }
    };
    0.2126 * channel(16) + 0.7152 * channel(8) + 0.0722 * channel(0)
}

/// The card of a release, as text.
async fn release_card(status: ClusterStatus) -> String {
    let page = page_of(status).await;
    let (_, card) = page.split_once("<section class=\"card wide cutover release\"").unwrap();
    said(card.split_once("</section>").unwrap().0)
}

#[tokio::test]
async fn a_release_shows_stages_digests_counts_and_its_verdict() {
    expect![[r#"aria-labelledby="release-mail" Release of mail 123456789012.dkr.ecr.eu-west-1.amazonaws.com/mail:v2 deploying ↶ Abort ✓ ordered , done ✓ resolved , done ✓ registered , done ✓ booked , done ▶ deploying · released 1 of 2 tasks run the new revision, 0 start, 0 failed; 2 run the one from before ◌ 1 of 2 tasks run the new revision; given up at 2026-11-21 09:27:32Z From mail:1 with sha256:111111111111. To mail:2 with sha256:222222222222. Ordered by ann: faster sending. History 08:57:32 deploying ECS brings mail:2 out 08:57:30 booked room for 2 more tasks is there 08:56:16 registered mail:2 has the new image 08:56:15 resolved mail:1 goes to its new image Orders by command line: tidegate release --help ."#]].assert_eq(&release_card(story::releasing()).await);
    expect![[r#"aria-labelledby="release-mail" Release of mail 123456789012.dkr.ecr.eu-west-1.amazonaws.com/mail:v2 rolled back ✓ ordered , done ✓ resolved , done ✓ registered , done ✓ booked , done ✕ deploying · released ↶ crash loop: mail exited with code 1 (3 failed tasks) From mail:1 with sha256:111111111111. To mail:2 with sha256:222222222222. Ordered by ann: faster sending. History 08:59:00 rolled back 2 tasks run mail:1 08:58:30 rolling back crash loop: mail exited with code 1 (3 failed tasks) 08:57:32 deploying ECS brings mail:2 out 08:57:30 booked room for 2 more tasks is there 08:56:16 registered mail:2 has the new image 08:56:15 resolved mail:1 goes to its new image Orders by command line: tidegate release --help ."#]].assert_eq(&release_card(story::gone_back()).await);
    let page = page_of(story::releasing()).await;
    assert!(page.contains("data-order=\"abort\" data-release=\"mail\""));
    let page = page_of(story::gone_back()).await;
    assert!(!page.contains("data-release=\"mail\""), "there is nothing to abort");
    let mut old = story::gone_back();
    old.at += chrono::TimeDelta::hours(2);
    assert!(!page_of(old).await.contains("Release of mail"));
}

/// Whom the door in front of the pages has recognised.
async fn dialog_for(principal: Option<Principal>) -> String {
    let mut request = Request::get("/clusters/web").body(Body::empty()).unwrap();
    if let Some(principal) = principal {
        request.extensions_mut().insert(principal);
    }
    let response = pages(shown(&[story::status()]), record()).oneshot(request).await.unwrap();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
    let page = String::from_utf8(bytes.to_vec()).unwrap();
    said(page.split("<dialog").nth(1).unwrap())
}

#[tokio::test]
async fn an_order_asks_only_what_the_browser_does_not_say() {
    let who = |method, ambient| {
        Some(Principal { name: "ada@example.com".into(), role: Role::Operator, method, ambient })
    };
    for (principal, name, token) in [
        (None, true, true),
        (who(Method::Nobody, true), true, true),
        (who(Method::Token, false), true, true),
        (who(Method::StartToken, true), true, false),
        (who(Method::Token, true), false, false),
        (who(Method::AlbOidc, true), false, false),
    ] {
        let dialog = dialog_for(principal.clone()).await;
        assert_eq!(dialog.contains("Your name"), name, "{principal:?}");
        assert_eq!(dialog.contains("Token"), token, "{principal:?}");
        let told = dialog.contains("You are ada@example.com, operator.");
        assert_eq!(told, !token, "{principal:?}");
    }
}

#[tokio::test]
async fn changes_are_shown_newest_first_and_nothing_in_them_is_markup() {
    let record = record();
    let (name, role) = ("<b>ada</b>".to_owned(), Role::Releaser);
    let ada = Principal { name, role, method: Method::AlbOidc, ambient: true };
    let mut deed = Deed::new(&ada, &ada.name, "r1", "set_mode");
    deed.scope = "web".into();
    deed.reason = "week 3".into();
    deed.after = Some(serde_json::json!({ "mode": "act" }));
    for result in [Verdict::Begun, Verdict::Done] {
        let mut record = record.lock().await;
        record.append(&deed, result, None, None, build::now()).await.unwrap();
    }
    let request = Request::get("/audit").body(Body::empty()).unwrap();
    let response = pages(shown(&[]), record).oneshot(request).await.unwrap();
    let bytes = axum::body::to_bytes(response.into_body(), 1 << 24).await.unwrap();
    let page = String::from_utf8(bytes.to_vec()).unwrap();
    assert!(!page.contains("<b>"), "{page}");
    let told = said(page.split("<tbody>").nth(1).unwrap().split("</tbody>").next().unwrap());
    expect!["2 2026-11-21T09:00:00Z &#60;b&#62;ada&#60;/b&#62; alb_oidc, releaser set_mode web {&#34;mode&#34;:&#34;act&#34;} done week 3 1 2026-11-21T09:00:00Z &#60;b&#62;ada&#60;/b&#62; alb_oidc, releaser set_mode web {&#34;mode&#34;:&#34;act&#34;} begun week 3"].assert_eq(&told);
}

#[tokio::test]
async fn a_configuration_that_is_refused_or_waits_is_said_on_the_page() {
    let (publisher, status) = Publisher::new([ClusterName::new("web")], build::now());
    publisher.publish(story::status(), build::now());
    publisher.configured(crate::control::status::ConfigStatus {
        taken_up_at: Some(build::now()),
        changed: vec!["web.mode: observe -> act".to_owned()],
        needs_restart: vec!["web.region".to_owned()],
        refused: Some("error: clusters[0].mode: `active` is no mode\n --> t.yaml:4:11".to_owned()),
    });
    let text = said(&get_from(&status, "/clusters/web").await.1);
    for line in [
        "The configuration file is not valid ; the last good one is in force: error: \
         clusters[0].mode: `active` is no mode.",
        "In the configuration file, but not in force before a restart: web.region",
        "Configuration changed at 09:00:00 UTC: web.mode: observe -&#62; act",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}
