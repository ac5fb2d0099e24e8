//! Which orders make sense: said to a person before anything is journalled.
//!
//! Rule: the journal takes any order, and folding one that no longer applies changes nothing; this
//! is only so that nobody believes an order to stand that does not.

use crate::config::ClusterConfig;
use crate::model::{CutoverName, Memory, Refusal, ReleaseOrder, ReleaseStage, ServiceName};

/// What is known of a service when an order comes.
#[derive(Clone, Debug)]
pub struct Known {
    pub service: ServiceName,
    /// The services that were seen; `None`: nobody has looked.
    pub services: Option<Vec<ServiceName>>,
    /// Where its last release stands; `None`: there was none.
    pub stage: Option<ReleaseStage>,
    /// An open cutover that is moving its requests.
    pub shifting: Option<CutoverName>,
}

impl Known {
    /// From a journal that no server uses; the cutovers are those of the configuration, if given.
    pub fn of_memory(
        service: &ServiceName,
        memory: &Memory,
        config: Option<&ClusterConfig>,
    ) -> Self {
        let shifting = config.and_then(|config| super::view::shifting(config, memory, service));
        Self {
            service: service.clone(),
            services: None,
            stage: memory.releases.get(service).map(|release| release.stage),
            shifting: shifting.cloned(),
        }
    }

    fn refuse(&self, code: &'static str, detail: &str, remedy: impl Into<String>) -> Refusal {
        let detail = format!("service `{}` {detail}", self.service);
        Refusal { code, detail, remedy: remedy.into() }
    }
}

/// Whether the order would do something.
///
/// # Errors
/// A refusal with what to do instead.
pub fn check(known: &Known, order: &ReleaseOrder) -> Result<(), Refusal> {
    let open = known.stage.filter(|stage| !stage.is_final());
    match (order, open) {
        (ReleaseOrder::Start { .. }, Some(stage)) => {
            let detail = format!("has a release under way, which is {stage}");
            let remedy = "wait for its end, or `tidegate release SERVICE --abort` leads it back";
            Err(known.refuse("already_releasing", &detail, remedy))
        }
        (ReleaseOrder::Start { image, .. }, None) => start(known, image),
        (ReleaseOrder::Abort, Some(ReleaseStage::RollingBack)) => {
            Err(known.refuse("rolling_back", "goes back already", "nothing has to be done"))
        }
        (ReleaseOrder::Abort, Some(_)) => Ok(()),
        (ReleaseOrder::Abort, None) => {
            let remedy = "`tidegate releases` lists them; to go back from one that is over, release \
                          the image from before";
            Err(known.refuse("not_releasing", "has no release under way", remedy))
        }
    }
}

fn start(known: &Known, image: &crate::model::ImageName) -> Result<(), Refusal> {
    if let Some(fault) = image.fault() {
        let (detail, remedy) = (
            format!("`{image}` is no image: {fault}"),
            "write it as Docker pulls it: `ACCOUNT.dkr.ecr.REGION.amazonaws.com/NAME:TAG`",
        );
        return Err(Refusal { code: "bad_image", detail, remedy: remedy.to_owned() });
    }
    if let Some(seen) = known.services.as_ref().filter(|seen| !seen.contains(&known.service)) {
        let names: Vec<_> = seen.iter().map(ServiceName::as_str).collect();
        let remedy = format!("services seen: {}", names.join(", "));
        return Err(known.refuse("unknown_service", "does not exist in this cluster", remedy));
    }
    if let Some(cutover) = &known.shifting {
        let detail = format!("is part of cutover `{cutover}`, which is moving requests");
        let remedy = "wait until its route is baked or back; `tidegate cutover status` shows it";
        return Err(known.refuse("shifting", &detail, remedy));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_order(stage: Option<ReleaseStage>, change: impl FnOnce(&mut Known), want: [&str; 2]) {
        let services = Some(vec!["web".into()]);
        let mut known = Known { service: "web".into(), services, stage, shifting: None };
        change(&mut known);
        let start = ReleaseOrder::Start { image: "web:v2".into(), container: None };
        let said = [start, ReleaseOrder::Abort]
            .map(|order| check(&known, &order).map_or_else(|refusal| refusal.code, |()| "yes"));
        assert_eq!(said, want, "{stage:?}");
    }

    #[test]
    fn an_order_that_would_do_nothing_is_refused() {
        let nothing = |_: &mut Known| {};
        check_order(None, nothing, ["yes", "not_releasing"]);
        for stage in [ReleaseStage::Ordered, ReleaseStage::Booked, ReleaseStage::Deploying] {
            check_order(Some(stage), nothing, ["already_releasing", "yes"]);
        }
        check_order(
            Some(ReleaseStage::RollingBack),
            nothing,
            ["already_releasing", "rolling_back"],
        );
        for stage in [ReleaseStage::Released, ReleaseStage::RolledBack, ReleaseStage::Refused] {
            check_order(Some(stage), nothing, ["yes", "not_releasing"]);
        }
        let gone = |known: &mut Known| known.services = Some(vec!["api".into()]);
        check_order(None, gone, ["unknown_service", "not_releasing"]);
        let shifting = |known: &mut Known| known.shifting = Some("break".into());
        check_order(None, shifting, ["shifting", "not_releasing"]);
    }
}
