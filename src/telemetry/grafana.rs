//! A dashboard for Grafana, over the metrics that are really exported.
//!
//! Rule: the data source is a variable and the dashboard has no id, so that any Grafana takes it.

use serde_json::{Value, json};

use Look::{Now, Time};

/// One panel.
#[derive(Clone, Copy, Debug)]
pub struct Panel {
    pub title: &'static str,
    pub about: &'static str,
    look: Look,
    /// As Grafana names units.
    unit: &'static str,
    /// In PromQL, each with the name of its lines.
    pub queries: &'static [(&'static str, &'static str)],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Look {
    /// The last value.
    Now,
    /// A chart.
    Time,
}

/// Rows of panels, from top to bottom. `$cluster` is what was chosen above the dashboard.
pub const ROWS: &[(&str, &[Panel])] =
    &[("Judgement", JUDGEMENT), ("Fleet", FLEET), ("Actions and limits", LIMITS), ("AWS", AWS)];

const JUDGEMENT: &[Panel] = &[
    Panel {
        title: "Mode",
        about: "The mode in force.",
        look: Now,
        unit: "none",
        queries: &[(
            "max by (cluster, mode) (tidegate_mode{cluster=~\"$cluster\"}) == 1",
            "{{cluster}} {{mode}}",
        )],
    },
    Panel {
        title: "Since the last whole look",
        about: "Seconds since a tick saw everything and could write its journal.",
        look: Now,
        unit: "s",
        queries: &[(
            "time() - max by (cluster) \
             (tidegate_last_successful_evaluation_timestamp_seconds{cluster=~\"$cluster\"})",
            "{{cluster}}",
        )],
    },
    Panel {
        title: "Paused",
        about: "1 while a person has paused the cluster.",
        look: Now,
        unit: "none",
        queries: &[("max by (cluster) (tidegate_paused{cluster=~\"$cluster\"})", "{{cluster}}")],
    },
    Panel {
        title: "Configuration refused, or waiting for a restart",
        about: "Both should be 0.",
        look: Now,
        unit: "none",
        queries: &[
            ("max by (instance) (tidegate_config_refused)", "{{instance}} refused"),
            ("max by (instance) (tidegate_config_needs_restart)", "{{instance}} restart"),
        ],
    },
    Panel {
        title: "Replicas that lead",
        about: "Should be 1 of each cluster.",
        look: Now,
        unit: "none",
        queries: &[("sum by (cluster) (tidegate_leads{cluster=~\"$cluster\"})", "{{cluster}}")],
    },
];

const FLEET: &[Panel] = &[
    Panel {
        title: "Hosts",
        about: "Hosts by state.",
        look: Time,
        unit: "none",
        queries: &[(
            "max by (cluster, state) (tidegate_hosts{cluster=~\"$cluster\"})",
            "{{cluster}} {{state}}",
        )],
    },
    Panel {
        title: "Tasks without a host",
        about: "Should come back to 0 within minutes.",
        look: Time,
        unit: "none",
        queries: &[(
            "max by (cluster) (tidegate_unplaceable_tasks{cluster=~\"$cluster\"})",
            "{{cluster}}",
        )],
    },
    Panel {
        title: "Reservation",
        about: "Reserved share of the hosts that take tasks.",
        look: Time,
        unit: "percent",
        queries: &[(
            "max by (cluster, resource) (tidegate_reservation_percent{cluster=~\"$cluster\"})",
            "{{cluster}} {{resource}}",
        )],
    },
    Panel {
        title: "Capacity of pools",
        about: "Units ordered, and hosts that take tasks.",
        look: Time,
        unit: "none",
        queries: &[
            (
                "max by (cluster, pool) (tidegate_desired_capacity{cluster=~\"$cluster\"})",
                "{{pool}} desired",
            ),
            (
                "max by (cluster, pool) (tidegate_ready_hosts{cluster=~\"$cluster\"})",
                "{{pool}} ready",
            ),
        ],
    },
    Panel {
        title: "Cost an hour",
        about: "List price of all hosts, now and once the plan has taken effect.",
        look: Time,
        unit: "currencyUSD",
        queries: &[(
            "max by (cluster, when) (tidegate_cost_dollars_per_hour{cluster=~\"$cluster\"})",
            "{{cluster}} {{when}}",
        )],
    },
];

const LIMITS: &[Panel] = &[
    Panel {
        title: "Actions",
        about: "Planned actions by what became of them.",
        look: Time,
        unit: "none",
        queries: &[(
            "sum by (action, result) (increase(tidegate_decisions_total\
             {cluster=~\"$cluster\", result!~\"held|not_reached\"}[$__rate_interval]))",
            "{{action}} {{result}}",
        )],
    },
    Panel {
        title: "Refused by the guard",
        about: "Actions that were planned and not let through, by reason.",
        look: Time,
        unit: "none",
        queries: &[(
            "sum by (reason) \
             (increase(tidegate_guard_rejections_total{cluster=~\"$cluster\"}[$__rate_interval]))",
            "{{reason}}",
        )],
    },
    Panel {
        title: "Left of the budgets",
        about: "At 0 an action waits.",
        look: Time,
        unit: "none",
        queries: &[(
            "min by (cluster, budget) (tidegate_budget_remaining{cluster=~\"$cluster\"})",
            "{{cluster}} {{budget}}",
        )],
    },
    Panel {
        title: "Notifications",
        about: "Delivered and lost, by target.",
        look: Time,
        unit: "none",
        queries: &[(
            "sum by (target, result) (increase(tidegate_notifications_total[$__rate_interval]))",
            "{{target}} {{result}}",
        )],
    },
    Panel {
        title: "Open breakers and requests in doubt",
        about: "Both should be 0.",
        look: Time,
        unit: "none",
        queries: &[
            (
                "max by (cluster, action) (tidegate_breaker_open{cluster=~\"$cluster\"})",
                "{{cluster}} {{action}}",
            ),
            (
                "max by (cluster) (tidegate_journal_pending{cluster=~\"$cluster\"})",
                "{{cluster}} in doubt",
            ),
        ],
    },
];

const AWS: &[Panel] = &[
    Panel {
        title: "Requests a second",
        about: "Requests to AWS, retries included.",
        look: Time,
        unit: "reqps",
        queries: &[(
            "sum by (service, operation) \
             (rate(tidegate_aws_requests_total{cluster=~\"$cluster\"}[$__rate_interval]))",
            "{{service}} {{operation}}",
        )],
    },
    Panel {
        title: "Failed reads and throttles",
        about: "What could not be read removes nothing; what is throttled is late.",
        look: Time,
        unit: "none",
        queries: &[
            (
                "sum by (call, failure) \
                 (increase(tidegate_aws_failed_reads_total{cluster=~\"$cluster\"}[$__rate_interval]))",
                "{{call}} {{failure}}",
            ),
            (
                "sum by (cluster) \
                 (increase(tidegate_aws_throttles_total{cluster=~\"$cluster\"}[$__rate_interval]))",
                "{{cluster}} throttles",
            ),
        ],
    },
    Panel {
        title: "How long a tick takes",
        about: "Nine ticks in ten are quicker than this.",
        look: Time,
        unit: "s",
        queries: &[(
            "histogram_quantile(0.9, sum by (cluster, le) (rate(\
             tidegate_reconcile_duration_seconds_bucket{cluster=~\"$cluster\"}[$__rate_interval])))",
            "{{cluster}}",
        )],
    },
    Panel {
        title: "Age of the observation",
        about: "Of its oldest part, when the last tick ended.",
        look: Time,
        unit: "s",
        queries: &[(
            "max by (cluster) (tidegate_observation_age_seconds{cluster=~\"$cluster\"})",
            "{{cluster}}",
        )],
    },
];

/// Columns of Grafana's grid.
const COLUMNS: usize = 24;

/// The dashboard as Grafana imports it.
pub fn dashboard() -> Value {
    let mut panels = Vec::new();
    let mut top = 0;
    for (row, of_row) in ROWS {
        panels.push(json!({
            "id": panels.len() + 1, "type": "row", "title": row, "collapsed": false, "panels": [],
            "gridPos": { "x": 0, "y": top, "w": COLUMNS, "h": 1 },
        }));
        top += 1;
        let mut left = 0;
        for one in *of_row {
            let (width, height) = one.look.size();
            if left + width > COLUMNS {
                (left, top) = (0, top + height);
            }
            let place = json!({ "x": left, "y": top, "w": width, "h": height });
            panels.push(panel(one, panels.len() + 1, &place));
            left += width;
        }
        top += of_row.last().map_or(0, |last| last.look.size().1);
    }
    json!({
        "title": "Tidegate",
        "tags": ["tidegate", "ecs"],
        "editable": true,
        "graphTooltip": 1,
        "schemaVersion": 39,
        "refresh": "30s",
        "time": { "from": "now-6h", "to": "now" },
        "templating": { "list": [
            { "name": "datasource", "label": "Data source", "type": "datasource",
              "query": "prometheus" },
            { "name": "cluster", "label": "Cluster", "type": "query", "datasource": source(),
              "query": "label_values(tidegate_epoch, cluster)", "refresh": 2, "sort": 1,
              "multi": true, "includeAll": true, "allValue": ".*",
              "current": { "text": "All", "value": "$__all" } },
        ] },
        "panels": panels,
    })
}

impl Look {
    /// Width and height.
    fn size(self) -> (usize, usize) {
        match self {
            Now => (6, 4),
            Time => (12, 8),
        }
    }
}

fn source() -> Value {
    json!({ "type": "prometheus", "uid": "${datasource}" })
}

fn panel(panel: &Panel, id: usize, place: &Value) -> Value {
    let queries = panel.queries.iter().zip(["A", "B", "C"]);
    let targets: Vec<_> = queries
        .map(|((expr, legend), id)| {
            json!({
                "refId": id, "datasource": source(), "expr": expr, "legendFormat": legend,
                "instant": panel.look == Now, "range": panel.look == Time,
            })
        })
        .collect();
    let (kind, options) = match panel.look {
        Now => ("stat", json!({ "textMode": "value_and_name", "colorMode": "none" })),
        Time => ("timeseries", json!({ "tooltip": { "mode": "multi", "sort": "desc" } })),
    };
    json!({
        "id": id, "type": kind, "title": panel.title, "description": panel.about,
        "datasource": source(), "gridPos": place, "targets": targets, "options": options,
        "fieldConfig": { "defaults": { "unit": panel.unit }, "overrides": [] },
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use expect_test::expect_file;

    use super::*;
    use crate::control::status::{Publisher, story};
    use crate::model::build;
    use crate::telemetry::alerts::ALERTS;
    use crate::telemetry::metrics;

    #[test]
    fn the_dashboard_is_the_file_that_is_shipped() {
        let text = serde_json::to_string_pretty(&dashboard()).unwrap() + "\n";
        expect_file!["../../monitoring/grafana.json"].assert_eq(&text);
    }

    /// Names, and names of labels, that a scrape has.
    fn scraped() -> (BTreeSet<String>, BTreeSet<String>) {
        let (publisher, status) = Publisher::new(["web".into()], build::now());
        let mut shown = story::status();
        let mut blind = build::snapshot();
        blind.hosts.gaps.push(story::gap());
        shown.counters.tick(&blind, true, std::time::Duration::ZERO, build::now());
        publisher.publish(shown, build::now());
        publisher.count_deliveries("ops");
        let text = metrics::text(&status.borrow());
        let (mut names, mut labels) = (BTreeSet::new(), BTreeSet::new());
        for line in text.lines() {
            let told = line.strip_prefix("# TYPE ").unwrap_or(line);
            let end = told.find(['{', ' ']).unwrap_or(told.len());
            names.insert(told[..end].to_owned());
            if line.starts_with("# TYPE ") && line.ends_with(" counter") {
                names.insert(format!("{}_total", &told[..end]));
            }
            for label in line.split("=\"").filter_map(|before| before.rsplit(['{', ',']).next()) {
                labels.insert(label.to_owned());
            }
        }
        (names, labels)
    }

    fn words(expr: &str) -> impl Iterator<Item = &str> {
        expr.split(|sign: char| !(sign.is_ascii_alphanumeric() || sign == '_'))
    }

    #[test]
    fn every_rule_and_panel_is_about_metrics_that_are_exported() {
        let alerts = ALERTS.iter().map(|alert| (alert.name, alert.expr));
        let panels = ROWS.iter().flat_map(|(_, panels)| *panels);
        let queries = panels.flat_map(|one| one.queries.iter().map(|(expr, _)| (one.title, *expr)));
        let (names, labels) = scraped();
        for (of, expr) in alerts.chain(queries) {
            let metrics: Vec<_> = words(expr).filter(|w| w.starts_with("tidegate_")).collect();
            assert!(!metrics.is_empty(), "{of} is about no metric of ours");
            for name in metrics {
                assert!(names.contains(name), "{of}: no scrape has {name}");
            }
            for after in expr.split("by (").skip(1) {
                for label in words(after.split(')').next().unwrap()).filter(|w| !w.is_empty()) {
                    // Every scrape gets one from Prometheus.
                    let known = label == "instance" || labels.contains(label);
                    assert!(known, "{of}: no metric has the label {label}");
                }
            }
        }
    }

    /// Names of all metrics, without the parts of histograms.
    fn metrics_by_name() -> impl Iterator<Item = String> {
        let ours = scraped().0.into_iter().filter(|name| name.starts_with("tidegate_"));
        ours.filter(|name| !["_bucket", "_sum", "_count"].iter().any(|part| name.ends_with(part)))
    }

    #[test]
    fn every_metric_is_in_a_rule_or_a_panel() {
        let panels = ROWS.iter().flat_map(|(_, panels)| *panels);
        let queries = panels.flat_map(|one| one.queries.iter().map(|(expr, _)| *expr));
        let all: Vec<_> = ALERTS.iter().map(|alert| alert.expr).chain(queries).collect();
        for name in metrics_by_name() {
            assert!(all.iter().any(|expr| expr.contains(&name)), "{name} is nowhere to be seen");
        }
    }

    #[test]
    fn every_metric_is_explained_to_operators() {
        let page = include_str!("../../docs/operations.md");
        for name in metrics_by_name() {
            assert!(page.contains(&format!("`{name}")), "docs/operations.md is silent on {name}");
        }
    }
}
