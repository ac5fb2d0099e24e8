//! `tidegate export`: files for the tools that watch over Tidegate.

use clap::Subcommand;

use super::exit::Exit;
use super::output;
use crate::telemetry::{alerts, grafana};

#[derive(Debug, Subcommand)]
pub(super) enum ExportCommand {
    /// Print alert rules for Prometheus, as YAML.
    Alerts {
        /// Address of the page with the runbooks, which the alerts point to.
        #[arg(long, value_name = "URL", default_value = alerts::RUNBOOKS)]
        runbooks: String,
    },
    /// Print a dashboard for Grafana, as JSON.
    Grafana,
}

pub(super) fn export(command: ExportCommand) -> Exit {
    let file = match command {
        ExportCommand::Alerts { runbooks } => alerts::rules(&runbooks),
        ExportCommand::Grafana => format!("{:#}\n", grafana::dashboard()),
    };
    output::raw(file.as_bytes());
    Exit::Ok
}
