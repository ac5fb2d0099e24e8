//! What becomes of a configuration that changes while the process runs.
//!
//! Rule: it is good as a whole or changes nothing; what is in force is always a good one.

use super::clock::Clock;
use super::status::ConfigStatus;
use crate::config::{self, ClusterConfig, Config, differences, without_restart};

/// Where it is, what it said when it was last read, and the configuration it was started with.
#[derive(Debug)]
pub struct Watched {
    name: String,
    /// `None`: it could not be read, or has not been since the start.
    text: Option<String>,
    /// Since a part of it waits for a restart, what is in force may differ from what was read last.
    started: Config,
    read: Config,
    shown: ConfigStatus,
}

/// What reading it again came to.
#[derive(Debug)]
pub enum Again {
    /// It says what it said before.
    Same,
    /// It is not valid, or cannot be read.
    Refused,
    TakenUp,
}

impl Watched {
    /// Of a process that was started with `config`, read from what is called `name`.
    pub fn new(name: &str, config: &Config) -> Self {
        Self {
            name: name.to_owned(),
            text: None,
            started: config.clone(),
            read: config.clone(),
            shown: ConfigStatus::default(),
        }
    }

    /// Judges what it says now. A comment that changed changes nothing.
    pub fn judge(&mut self, text: Result<String, String>, clock: &impl Clock) -> Again {
        if text.as_ref().ok() == self.text.as_ref() && text.is_ok() {
            return Again::Same;
        }
        self.text = text.as_ref().ok().cloned();
        let loaded = text.map_err(|error| format!("{}: {error}", self.name));
        let loaded =
            loaded.and_then(|text| config::load(&text, &self.name).map_err(|e| e.to_string()));
        let read = match loaded {
            Ok(read) => read,
            Err(refused) if self.shown.refused.as_ref() == Some(&refused) => return Again::Same,
            Err(refused) => {
                self.shown.refused = Some(refused);
                return Again::Refused;
            }
        };
        let was_refused = self.shown.refused.take().is_some();
        let changed = differences(&self.read, &read);
        let waits = differences(&self.started, &read).into_iter().filter(|it| it.needs_restart);
        self.shown.needs_restart = waits.map(|it| it.path).collect();
        self.read = read;
        if changed.is_empty() {
            return if was_refused { Again::TakenUp } else { Again::Same };
        }
        self.shown.changed = changed.iter().map(ToString::to_string).collect();
        self.shown.taken_up_at = Some(clock.now());
        Again::TakenUp
    }

    /// What people are shown of it.
    pub fn shown(&self) -> &ConfigStatus {
        &self.shown
    }

    /// The configuration of each cluster that runs, as far as it needs no restart.
    pub fn live(&self) -> impl Iterator<Item = ClusterConfig> {
        self.started
            .clusters
            .iter()
            .filter_map(|started| Some(without_restart(started, self.read.cluster(&started.name)?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::SystemClock;

    const GOOD: &str = "
version: 1
clusters:
  - { name: web, mode: act, pools: [{ auto_scaling_group: workers }] }
";

    fn watched() -> Watched {
        Watched::new("none.yaml", &config::load(GOOD, "t.yaml").unwrap())
    }

    fn judge(watched: &mut Watched, text: &str) -> String {
        let again = watched.judge(Ok(text.to_owned()), &SystemClock);
        format!("{again:?}")
    }

    #[test]
    fn a_good_file_is_taken_up_and_told_by_its_difference() {
        let mut watched = watched();
        assert_eq!(judge(&mut watched, GOOD), "Same");
        assert_eq!(judge(&mut watched, &format!("# a comment{GOOD}")), "Same");
        assert_eq!(judge(&mut watched, &GOOD.replace("act", "observe")), "TakenUp");
        assert_eq!(watched.shown.changed, ["web.mode: act -> observe"]);
        let live: Vec<_> = watched.live().map(|config| config.mode).collect();
        assert_eq!(live, [crate::model::Mode::Observe]);
        assert!(watched.shown.needs_restart.is_empty());
    }

    #[test]
    fn a_bad_file_leaves_the_last_good_one_in_force_until_it_is_good_again() {
        let mut watched = watched();
        let lower = GOOD.replace("act", "observe");
        assert_eq!(judge(&mut watched, &lower), "TakenUp");
        assert_eq!(judge(&mut watched, &GOOD.replace("act", "active")), "Refused");
        let refused = watched.shown.refused.clone().unwrap();
        assert!(refused.contains("clusters[0].mode"), "{refused}");
        assert_eq!(watched.live().next().unwrap().mode, crate::model::Mode::Observe);
        assert_eq!(judge(&mut watched, ""), "Refused", "an empty file is no wish for nothing");
        let gone = watched.judge(Err("No such file".to_owned()), &SystemClock);
        assert!(matches!(gone, Again::Refused));
        let still = watched.judge(Err("No such file".to_owned()), &SystemClock);
        assert!(matches!(still, Again::Same), "it is told once");
        assert_eq!(judge(&mut watched, &lower), "TakenUp");
        assert_eq!(watched.shown.refused, None);
    }

    #[test]
    fn what_needs_a_restart_is_named_until_it_is_taken_back() {
        let mut watched = watched();
        let more = GOOD.replace("mode: act", "mode: observe, region: eu-west-1");
        assert_eq!(judge(&mut watched, &more), "TakenUp");
        assert_eq!(watched.shown.needs_restart, ["web.region"]);
        let live = watched.live().next().unwrap();
        assert_eq!((live.region, live.mode), (None, crate::model::Mode::Observe));
        assert_eq!(judge(&mut watched, GOOD), "TakenUp");
        assert!(watched.shown.needs_restart.is_empty());
    }
}
