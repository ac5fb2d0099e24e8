//! Whom the server takes for whom.

use std::collections::BTreeMap;

use crate::model::Role;

/// People whom an Application Load Balancer has logged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AlbOidc {
    /// The only load balancer that is believed.
    pub alb_arn: String,
    pub issuer: String,
    pub client_id: String,
    /// The claim that lists a person's groups.
    pub claim: String,
    /// By group; of several the highest counts.
    pub roles: BTreeMap<String, Role>,
}

impl AlbOidc {
    /// The claim that most identity providers list groups in.
    pub const CLAIM: &str = "groups";

    /// Where the load balancers of its Region publish their keys, without the key's id.
    ///
    /// `None`: the ARN is none of a load balancer. Source:
    /// <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/listener-authenticate-users.html>.
    pub fn keys_url(alb_arn: &str) -> Option<String> {
        let mut parts = alb_arn.splitn(6, ':');
        let ("arn", partition, "elasticloadbalancing", region, _account, rest) = (
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next()?,
            parts.next()?,
        ) else {
            return None;
        };
        let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        if region.is_empty() || !region.bytes().all(good) || !rest.starts_with("loadbalancer/app/")
        {
            return None;
        }
        match partition {
            "aws" => Some(format!("https://public-keys.auth.elb.{region}.amazonaws.com")),
            "aws-us-gov" => {
                Some(format!("https://s3-{region}.amazonaws.com/aws-elb-public-keys-prod-{region}"))
            }
            _ => None,
        }
    }
}
