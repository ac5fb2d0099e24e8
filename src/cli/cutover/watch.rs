//! Following a cutover: a bar for each route at a terminal, else a line for each change.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::text;
use crate::cli::exit::{Exit, Failure};
use crate::cli::output::say;
use crate::cli::remote::Remote;
use crate::control::{Clock, SystemClock};
use crate::cutover::told::CutoverTold;
use crate::model::ServiceName;

/// Time between two looks.
const EVERY: Duration = Duration::from_secs(2);

/// Follows it until it is over; a server that is away for a while is waited for.
pub(super) async fn watch(
    remote: &Remote,
    path: &str,
    mut told: CutoverTold,
) -> Result<CutoverTold, Failure> {
    let mut screen = Screen::new();
    while told.open {
        screen.show(&told);
        SystemClock.sleep(EVERY).await;
        told = match remote.get(path).await {
            Ok(told) => told,
            Err(lost) if matches!(lost.exit, Exit::Unreachable | Exit::RetryLater) => {
                screen.lost(&lost.message);
                continue;
            }
            Err(failure) => return Err(failure),
        };
    }
    screen.show(&told);
    screen.end();
    Ok(told)
}

struct Screen {
    bars: Option<MultiProgress>,
    routes: BTreeMap<ServiceName, ProgressBar>,
    said: BTreeMap<ServiceName, String>,
    lost: bool,
}

impl Screen {
    fn new() -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self {
            bars: terminal.then(MultiProgress::new),
            routes: BTreeMap::new(),
            said: BTreeMap::new(),
            lost: false,
        }
    }

    fn show(&mut self, told: &CutoverTold) {
        self.lost = false;
        for route in &told.routes {
            let line = text::standing(told, route);
            let Some(bars) = &self.bars else {
                if self.said.get(&route.to) != Some(&line) {
                    let percent = route.percent.unwrap_or_default();
                    say(&format!("{:<16} {percent:>3} %  {line}", route.to));
                    self.said.insert(route.to.clone(), line);
                }
                continue;
            };
            let new = || bars.add(bar(&route.to));
            let bar = self.routes.entry(route.to.clone()).or_insert_with(new);
            bar.set_position(route.percent.unwrap_or_default().into());
            bar.set_message(line);
        }
    }

    fn lost(&mut self, why: &str) {
        if !self.lost {
            say(&format!("waiting for the server: {why}"));
        }
        self.lost = true;
    }

    fn end(&self) {
        for bar in self.routes.values() {
            bar.finish_and_clear();
        }
    }
}

fn bar(to: &ServiceName) -> ProgressBar {
    let style = ProgressStyle::with_template("{prefix:<16} {bar:24} {pos:>3} %  {wide_msg}");
    let bar = ProgressBar::new(100).with_prefix(to.to_string());
    match style {
        Ok(style) => bar.with_style(style.progress_chars("█▌░")),
        Err(_) => bar,
    }
}
