//! Alert rules for Prometheus, over the metrics that are really exported.
//!
//! Rule: every alert is about something a person can do something about, and its runbook says what.

use std::fmt::{self, Write};

use Severity::{Page, Ticket};

/// Where the runbooks are, unless said otherwise.
pub const RUNBOOKS: &str = "docs/runbooks/alerts.md";

/// One rule. Replicas of one cluster say the same, so expressions take them together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alert {
    pub name: &'static str,
    /// In PromQL.
    pub expr: &'static str,
    /// How long the expression must have held, in minutes.
    pub for_minutes: u32,
    pub severity: Severity,
    /// One line, as a template of Prometheus.
    pub summary: &'static str,
}

/// How soon somebody should look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "snake_case")]
pub enum Severity {
    /// At once.
    Page,
    /// On the same working day.
    Ticket,
}

const fn alert(
    name: &'static str,
    severity: Severity,
    for_minutes: u32,
    expr: &'static str,
    summary: &'static str,
) -> Alert {
    Alert { name, expr, for_minutes, severity, summary }
}

/// All alerts, the gravest first.
pub const ALERTS: &[Alert] = &[
    alert(
        "TidegateAbsent",
        Page,
        5,
        "absent(tidegate_build_info)",
        "No Tidegate answers: nothing keeps the fleets at their size.",
    ),
    alert(
        "TidegateBlind",
        Page,
        5,
        "time() - max by (cluster) (tidegate_last_successful_evaluation_timestamp_seconds) > 300 \
         or max by (cluster) (tidegate_epoch) unless on (cluster) \
         tidegate_last_successful_evaluation_timestamp_seconds",
        "No tick of {{ $labels.cluster }} has seen everything for five minutes.",
    ),
    alert(
        "TidegateWithoutLeader",
        Page,
        2,
        "max by (cluster) (tidegate_leads) == 0",
        "No replica may write to {{ $labels.cluster }}.",
    ),
    alert(
        "TidegateTwoLeaders",
        Page,
        2,
        "sum by (cluster) (tidegate_leads) > 1",
        "{{ $value }} processes lead {{ $labels.cluster }}, each with a journal of its own.",
    ),
    alert(
        "TidegateTasksUnplaced",
        Page,
        10,
        "max by (cluster) (tidegate_unplaceable_tasks) > 0",
        "{{ $value }} tasks of {{ $labels.cluster }} are on no host.",
    ),
    alert(
        "TidegateBreakerOpen",
        Page,
        1,
        "max by (cluster, action) (tidegate_breaker_open) == 1",
        "{{ $labels.action }} has failed again and again in {{ $labels.cluster }} and is kept back.",
    ),
    alert(
        "TidegateRequestInDoubt",
        Ticket,
        10,
        "max by (cluster) (tidegate_journal_pending) > 0",
        "What became of {{ $value }} requests in {{ $labels.cluster }} is not known.",
    ),
    alert(
        "TidegateActionsFail",
        Ticket,
        0,
        "sum by (cluster, action, result) \
         (increase(tidegate_decisions_total{result=~\"refused|partly_done|in_doubt\"}[15m])) > 0",
        "{{ $labels.action }} in {{ $labels.cluster }} ended as {{ $labels.result }}.",
    ),
    alert(
        "TidegateReadsFail",
        Ticket,
        10,
        "sum by (cluster, call, failure) (increase(tidegate_aws_failed_reads_total[10m])) > 3",
        "{{ $labels.call }} fails in {{ $labels.cluster }}: {{ $labels.failure }}.",
    ),
    alert(
        "TidegateThrottled",
        Ticket,
        15,
        "sum by (cluster) (increase(tidegate_aws_throttles_total[15m])) > 10",
        "AWS tells {{ $labels.cluster }} to slow down.",
    ),
    alert(
        "TidegateSlow",
        Ticket,
        15,
        "histogram_quantile(0.9, sum by (cluster, le) \
         (rate(tidegate_reconcile_duration_seconds_bucket[15m]))) > 10",
        "One tick in ten of {{ $labels.cluster }} takes longer than ten seconds.",
    ),
    alert(
        "TidegateAgentsLost",
        Ticket,
        15,
        "max by (cluster) (tidegate_hosts{state=\"agent_lost\"}) > 0",
        "{{ $value }} hosts of {{ $labels.cluster }} have lost their agents.",
    ),
    alert(
        "TidegateHostsDoNotArrive",
        Ticket,
        30,
        "max by (cluster) (tidegate_hosts{state=\"launching\"}) > 0 \
         and max by (cluster) (tidegate_unplaceable_tasks) > 0",
        "Hosts of {{ $labels.cluster }} have been ordered, and tasks still wait.",
    ),
    alert(
        "TidegateBudgetSpent",
        Ticket,
        30,
        "min by (cluster, budget) (tidegate_budget_remaining{budget!=\"draining_hosts\"}) == 0",
        "{{ $labels.budget }} of {{ $labels.cluster }} has been used up for half an hour.",
    ),
    alert(
        "TidegateNotificationsLost",
        Ticket,
        0,
        "sum by (target) (increase(tidegate_notifications_total{result=\"lost\"}[1h])) > 0",
        "{{ $labels.target }} could not be told of what happened.",
    ),
    alert(
        "TidegateConfigRefused",
        Ticket,
        5,
        "max by (instance) (tidegate_config_refused) == 1",
        "The configuration of {{ $labels.instance }} is not valid; the last good one is in force.",
    ),
    alert(
        "TidegatePausedLong",
        Ticket,
        24 * 60,
        "max by (cluster) (tidegate_paused) == 1",
        "{{ $labels.cluster }} has been paused for a day.",
    ),
];

/// The rules as a file for Prometheus. `runbooks` is the address of the page with the runbooks.
pub fn rules(runbooks: &str) -> String {
    let mut file =
        "# Made by `tidegate export alerts`.\ngroups:\n  - name: tidegate\n    rules:\n".to_owned();
    for alert in ALERTS {
        // Writing to a string does not fail.
        let _ = write(&mut file, alert, runbooks);
    }
    file
}

fn write(file: &mut String, alert: &Alert, runbooks: &str) -> fmt::Result {
    let Alert { name, expr, for_minutes, severity, summary } = alert;
    let anchor = name.to_lowercase();
    writeln!(file, "      - alert: {name}")?;
    writeln!(file, "        expr: {}", quoted(expr))?;
    writeln!(file, "        for: {for_minutes}m")?;
    writeln!(file, "        labels:\n          severity: {severity}")?;
    writeln!(file, "        annotations:\n          summary: {}", quoted(summary))?;
    writeln!(file, "          runbook_url: {}", quoted(&format!("{runbooks}#{anchor}")))
}

/// In single quotes, in which YAML knows no other escape.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use expect_test::expect_file;

    use super::*;

    #[test]
    fn the_rules_are_the_file_that_is_shipped() {
        expect_file!["../../monitoring/alerts.yaml"].assert_eq(&rules(RUNBOOKS));
    }

    #[test]
    fn every_alert_has_a_runbook() {
        let page = include_str!("../../docs/runbooks/alerts.md");
        for Alert { name, .. } in ALERTS {
            assert!(page.contains(&format!("\n## {name}\n")), "no runbook of {name}");
        }
        let sections = page.lines().filter(|line| line.starts_with("## "));
        assert_eq!(sections.count(), ALERTS.len(), "a runbook of no alert");
    }

    #[test]
    fn the_file_is_yaml_with_the_expressions_as_written() {
        #[derive(serde::Deserialize)]
        struct File {
            groups: Vec<Group>,
        }
        #[derive(serde::Deserialize)]
        struct Group {
            rules: Vec<Rule>,
        }
        #[derive(serde::Deserialize)]
        struct Rule {
            expr: String,
        }
        let file: File = serde_saphyr::from_str(&rules("https://it's.example/#a")).unwrap();
        let read: Vec<_> = file.groups[0].rules.iter().map(|rule| rule.expr.as_str()).collect();
        let written: Vec<_> = ALERTS.iter().map(|alert| alert.expr).collect();
        assert_eq!(read, written);
    }
}
