//! Who may come in.

use super::{given, required};
use crate::config::AlbOidc;
use crate::config::error::Problems;
use crate::config::raw::RawConfig;

/// The load balancer that is believed; meaningless if a problem was noted.
pub(in crate::config) fn alb_oidc(raw: &RawConfig, problems: &mut Problems) -> Option<AlbOidc> {
    let written = given(&raw.access)?.alb_oidc.as_ref()?;
    let raw = written.value.as_ref()?;
    let here = (written.place, written.path.as_str());
    let remedy = "add `alb_arn:` with the ARN of the load balancer in front of Tidegate";
    let alb_arn = required(&raw.alb_arn, here, "alb_arn", remedy, problems);
    let remedy = "add `issuer:` as `aws elbv2 describe-listeners` shows it under `Issuer`";
    let issuer = required(&raw.issuer, here, "issuer", remedy, problems);
    let remedy = "add `client_id:` as `aws elbv2 describe-listeners` shows it under `ClientId`";
    let client_id = required(&raw.client_id, here, "client_id", remedy, problems);
    let remedy = "add `roles:` with at least one line such as `ops: operator`";
    let roles = required(&raw.roles, here, "roles", remedy, problems);
    if let (Some([]), Some(written)) = (roles.map(|named| named.0.as_slice()), &raw.roles) {
        written.refuse("gives nobody a role", remedy, problems);
    }
    let roles = roles?.0.iter().filter_map(|(_, group, role)| Some((group.clone(), role.value?)));
    Some(AlbOidc {
        alb_arn: alb_arn?.0.clone(),
        issuer: issuer?.0.clone(),
        client_id: client_id?.0.clone(),
        claim: given(&raw.claim).map_or(AlbOidc::CLAIM.to_owned(), |claim| claim.0.clone()),
        roles: roles.collect(),
    })
}
