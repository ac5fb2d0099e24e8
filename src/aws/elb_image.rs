//! Rules of a load balancer between the SDK's words and ours, both ways.
//!
//! Rule: what is not understood is carried as JSON text. Conditions turn back from it; actions of
//! such a kind do not, so a rule that has one is never written.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_elasticloadbalancingv2::types::{
    Action as SdkAction, ActionTypeEnum, FixedResponseActionConfig, ForwardActionConfig,
    HostHeaderConditionConfig, HttpHeaderConditionConfig, HttpRequestMethodConditionConfig,
    PathPatternConditionConfig, QueryStringConditionConfig, QueryStringKeyValuePair,
    RedirectActionConfig, RedirectActionStatusCodeEnum, RuleCondition, SourceIpConditionConfig,
    TargetGroupStickinessConfig, TargetGroupTuple,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::model::*;

/// The weight by which a forward to one group alone is known.
const ALONE: u32 = 100;

/// Actions as AWS lists them, in their order.
pub(super) fn image(found: &[SdkAction]) -> RuleImage {
    let mut found: Vec<&SdkAction> = found.iter().collect();
    found.sort_by_key(|action| action.order());
    canonical(RuleImage { actions: found.into_iter().map(action).collect() })
}

/// Where one group gets everything, its weight says nothing, and AWS may give another than was
/// written: it is always the same one here.
pub(super) fn canonical(mut image: RuleImage) -> RuleImage {
    for action in &mut image.actions {
        if let RuleAction::Forward { weights, .. } = action
            && weights.len() == 1
        {
            weights.values_mut().filter(|weight| **weight > 0).for_each(|weight| *weight = ALONE);
        }
    }
    image
}

/// Whether it has an action that cannot be written back.
pub(super) fn is_opaque(image: &RuleImage) -> bool {
    image.actions.iter().any(|action| matches!(action, RuleAction::Other { .. }))
}

fn action(found: &SdkAction) -> RuleAction {
    let known = match found.r#type() {
        Some(ActionTypeEnum::Forward) => Some(forward(found)),
        Some(ActionTypeEnum::FixedResponse) => found.fixed_response_config().and_then(fixed),
        Some(ActionTypeEnum::Redirect) => found.redirect_config().and_then(redirect),
        _ => None,
    };
    known.unwrap_or_else(|| opaque(found))
}

fn forward(found: &SdkAction) -> RuleAction {
    let config = found.forward_config();
    let groups = config.map(ForwardActionConfig::target_groups).unwrap_or_default();
    let weight = |group: &TargetGroupTuple| {
        let weight = group.weight().map_or(1, |weight| u32::try_from(weight).unwrap_or_default());
        Some((TargetGroupArn::from(group.target_group_arn()?), weight))
    };
    let mut weights: BTreeMap<_, _> = groups.iter().filter_map(weight).collect();
    if let (true, Some(group)) = (weights.is_empty(), found.target_group_arn()) {
        weights.insert(group.into(), ALONE);
    }
    let sticky = config.and_then(ForwardActionConfig::target_group_stickiness_config);
    let sticky = sticky.filter(|sticky| sticky.enabled() == Some(true));
    let seconds = sticky.and_then(|sticky| u32::try_from(sticky.duration_seconds()?).ok());
    RuleAction::Forward { weights, stickiness_seconds: seconds }
}

fn fixed(found: &FixedResponseActionConfig) -> Option<RuleAction> {
    Some(RuleAction::FixedResponse {
        status: found.status_code()?.parse().ok()?,
        content_type: found.content_type().unwrap_or("text/plain").to_owned(),
        body: found.message_body().unwrap_or_default().to_owned(),
    })
}

fn redirect(found: &RedirectActionConfig) -> Option<RuleAction> {
    let status = match found.status_code()? {
        RedirectActionStatusCodeEnum::Http301 => 301,
        RedirectActionStatusCodeEnum::Http302 => 302,
        _ => return None,
    };
    // What is left out stays as it was in the request (API reference, RedirectActionConfig).
    let location = format!(
        "{}://{}:{}{}?{}",
        found.protocol().unwrap_or("#{protocol}"),
        found.host().unwrap_or("#{host}"),
        found.port().unwrap_or("#{port}"),
        found.path().unwrap_or("/#{path}"),
        found.query().unwrap_or("#{query}"),
    );
    Some(RuleAction::Redirect { status, location })
}

/// Authentication and what is newer than this program: enough to tell one from another.
fn opaque(found: &SdkAction) -> RuleAction {
    let kind = found.r#type().map_or("unknown", |kind| kind.as_str()).to_owned();
    let oidc = found.authenticate_oidc_config().map(|config| {
        json!({
            "issuer": config.issuer(), "client_id": config.client_id(), "scope": config.scope(),
            "token_endpoint": config.token_endpoint(),
        })
    });
    let cognito = found.authenticate_cognito_config().map(|config| {
        json!({
            "user_pool": config.user_pool_arn(), "client_id": config.user_pool_client_id(),
            "domain": config.user_pool_domain(), "scope": config.scope(),
        })
    });
    let jwt = found.jwt_validation_config().map(
        |config| json!({ "issuer": config.issuer(), "jwks_endpoint": config.jwks_endpoint() }),
    );
    let json = oidc.or(cognito).or(jwt).unwrap_or(serde_json::Value::Null);
    RuleAction::Other { kind, json: json.to_string() }
}

/// Actions as `CreateRule` and `ModifyRule` take them.
pub(super) fn actions(image: &RuleImage) -> Result<Vec<SdkAction>, String> {
    if image.actions.is_empty() {
        return Err("a rule needs an action".to_owned());
    }
    let actions = image.actions.iter().enumerate();
    actions.map(|(n, action)| sdk_action(n, action)).collect()
}

fn sdk_action(n: usize, action: &RuleAction) -> Result<SdkAction, String> {
    let order = i32::try_from(n + 1).map_err(|_| "too many actions".to_owned())?;
    let built = SdkAction::builder().order(order);
    let built = match action {
        RuleAction::Forward { weights, stickiness_seconds } => built
            .r#type(ActionTypeEnum::Forward)
            .forward_config(sdk_forward(weights, *stickiness_seconds)?),
        RuleAction::FixedResponse { status, content_type, body } => {
            built.r#type(ActionTypeEnum::FixedResponse).fixed_response_config(
                FixedResponseActionConfig::builder()
                    .status_code(status.to_string())
                    .content_type(content_type)
                    .message_body(body)
                    .build(),
            )
        }
        RuleAction::Redirect { status, location } => {
            built.r#type(ActionTypeEnum::Redirect).redirect_config(sdk_redirect(*status, location)?)
        }
        RuleAction::Other { kind, .. } => {
            return Err(format!("an action `{kind}` cannot be written back"));
        }
    };
    Ok(built.build())
}

fn sdk_forward(
    weights: &BTreeMap<TargetGroupArn, u32>,
    stickiness_seconds: Option<u32>,
) -> Result<ForwardActionConfig, String> {
    let number = |n: u32| i32::try_from(n).map_err(|_| format!("{n} is too large"));
    let mut config = ForwardActionConfig::builder();
    for (group, weight) in weights {
        let tuple = TargetGroupTuple::builder().target_group_arn(group.as_str());
        config = config.target_groups(tuple.weight(number(*weight)?).build());
    }
    if let Some(seconds) = stickiness_seconds {
        let sticky = TargetGroupStickinessConfig::builder().enabled(true);
        let sticky = sticky.duration_seconds(number(seconds)?).build();
        config = config.target_group_stickiness_config(sticky);
    }
    Ok(config.build())
}

fn sdk_redirect(status: u16, location: &str) -> Result<RedirectActionConfig, String> {
    let parts = || {
        let (protocol, rest) = location.split_once("://")?;
        let (address, rest) = rest.split_at(rest.find("/")?);
        let (host, port) = address.rsplit_once(':').unwrap_or((address, "#{port}"));
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        Some((protocol, host, port, path, query))
    };
    let code = match status {
        301 => RedirectActionStatusCodeEnum::Http301,
        302 => RedirectActionStatusCodeEnum::Http302,
        _ => return Err(format!("a redirect answers 301 or 302, not {status}")),
    };
    let unreadable = || format!("`{location}` is not protocol://host:port/path?query");
    let (protocol, host, port, path, query) = parts().ok_or_else(unreadable)?;
    let config = RedirectActionConfig::builder().status_code(code);
    let config = config.protocol(protocol).host(host).port(port);
    Ok(config.path(path).query(query).build())
}

/// A condition that is kept as text.
#[derive(Default, Serialize, Deserialize)]
struct Carried {
    field: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    values: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    regex_values: Vec<String>,
    /// Of a query string: key, if one is asked for, and value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pairs: Vec<(Option<String>, String)>,
}

/// What a request must be, as AWS lists it.
pub(super) fn conditions(found: &[RuleCondition]) -> BTreeSet<Condition> {
    found.iter().map(condition).collect()
}

fn condition(found: &RuleCondition) -> Condition {
    let carried = carried(found);
    let values = || carried.values.iter().cloned().collect();
    let plain = carried.regex_values.is_empty();
    match (carried.field.as_str(), &carried.name) {
        ("path-pattern", _) if plain => Condition::Path { values: values() },
        ("host-header", _) if plain => Condition::Host { values: values() },
        ("http-header", Some(name)) if plain => {
            Condition::Header { name: name.clone(), values: values() }
        }
        ("http-request-method", _) => Condition::Method { values: values() },
        _ => Condition::Other { json: serde_json::to_string(&carried).unwrap_or_default() },
    }
}

fn carried(found: &RuleCondition) -> Carried {
    let mut carried =
        Carried { field: found.field().unwrap_or_default().to_owned(), ..Carried::default() };
    if let Some(config) = found.path_pattern_config() {
        carried.values.extend_from_slice(config.values());
        carried.regex_values.extend_from_slice(config.regex_values());
    } else if let Some(config) = found.host_header_config() {
        carried.values.extend_from_slice(config.values());
        carried.regex_values.extend_from_slice(config.regex_values());
    } else if let Some(config) = found.http_header_config() {
        carried.name = config.http_header_name().map(ToOwned::to_owned);
        carried.values.extend_from_slice(config.values());
        carried.regex_values.extend_from_slice(config.regex_values());
    } else if let Some(config) = found.http_request_method_config() {
        carried.values.extend_from_slice(config.values());
    } else if let Some(config) = found.source_ip_config() {
        carried.values.extend_from_slice(config.values());
    } else if let Some(config) = found.query_string_config() {
        let pairs = config.values().iter();
        let pairs = pairs.map(|pair| {
            (pair.key().map(ToOwned::to_owned), pair.value().unwrap_or_default().to_owned())
        });
        carried.pairs = pairs.collect();
    } else {
        // The older form of a path or a host.
        carried.values.extend_from_slice(found.values());
        carried.regex_values.extend_from_slice(found.regex_values());
    }
    carried
}

/// Conditions as `CreateRule` takes them.
pub(super) fn sdk_conditions(
    conditions: &BTreeSet<Condition>,
) -> Result<Vec<RuleCondition>, String> {
    let carried = |condition: &Condition| -> Result<Carried, String> {
        let plain = |field: &str, values: &BTreeSet<String>| Carried {
            field: field.to_owned(),
            values: values.iter().cloned().collect(),
            ..Carried::default()
        };
        Ok(match condition {
            Condition::Path { values } => plain("path-pattern", values),
            Condition::Host { values } => plain("host-header", values),
            Condition::Method { values } => plain("http-request-method", values),
            Condition::Header { name, values } => {
                Carried { name: Some(name.clone()), ..plain("http-header", values) }
            }
            Condition::Other { json } => {
                serde_json::from_str(json).map_err(|error| format!("{json}: {error}"))?
            }
        })
    };
    conditions.iter().map(|condition| sdk_condition(carried(condition)?)).collect()
}

fn sdk_condition(carried: Carried) -> Result<RuleCondition, String> {
    let Carried { field, name, values, regex_values, pairs } = carried;
    let (values, patterns) = (filled(values), filled(regex_values));
    let built = RuleCondition::builder().field(&field);
    let built = match field.as_str() {
        "path-pattern" => {
            let config = PathPatternConditionConfig::builder().set_values(values);
            built.path_pattern_config(config.set_regex_values(patterns).build())
        }
        "host-header" => {
            let config = HostHeaderConditionConfig::builder().set_values(values);
            built.host_header_config(config.set_regex_values(patterns).build())
        }
        "http-header" => {
            let config = HttpHeaderConditionConfig::builder().set_http_header_name(name);
            let config = config.set_values(values).set_regex_values(patterns);
            built.http_header_config(config.build())
        }
        "http-request-method" => built.http_request_method_config(
            HttpRequestMethodConditionConfig::builder().set_values(values).build(),
        ),
        "source-ip" => {
            built.source_ip_config(SourceIpConditionConfig::builder().set_values(values).build())
        }
        "query-string" => {
            let pairs = pairs.into_iter().map(|(key, value)| {
                QueryStringKeyValuePair::builder().set_key(key).value(value).build()
            });
            let config = QueryStringConditionConfig::builder();
            built.query_string_config(config.set_values(Some(pairs.collect())).build())
        }
        _ => return Err(format!("a condition on `{field}` cannot be written back")),
    };
    Ok(built.build())
}

fn filled(values: Vec<String>) -> Option<Vec<String>> {
    (!values.is_empty()).then_some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(name: &str) -> TargetGroupArn {
        format!("arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/{name}/1").as_str().into()
    }

    #[track_caller]
    fn comes_back(action: RuleAction) {
        let image = RuleImage { actions: vec![action] };
        assert_eq!(super::image(&actions(&image).unwrap()), image);
    }

    #[test]
    fn actions_come_back_as_they_were_written() {
        let weights = BTreeMap::from([(group("blue"), 75), (group("green"), 0)]);
        comes_back(RuleAction::Forward { weights, stickiness_seconds: Some(60) });
        comes_back(RuleAction::Forward {
            weights: BTreeMap::from([(group("blue"), 100)]),
            stickiness_seconds: None,
        });
        comes_back(RuleAction::FixedResponse {
            status: 410,
            content_type: "text/plain".to_owned(),
            body: "gone".to_owned(),
        });
        for location in [
            "#{protocol}://#{host}:#{port}/#{path}?#{query}",
            "https://example.com:443/new/#{path}?a=b",
            "HTTPS://#{host}:443/?",
        ] {
            comes_back(RuleAction::Redirect { status: 301, location: location.to_owned() });
        }
    }

    #[test]
    fn the_weight_of_a_group_that_stands_alone_says_nothing() {
        let alone = |weight| RuleImage::split([(group("blue"), weight)]);
        assert_eq!(canonical(alone(1)), alone(100));
        assert_eq!(canonical(alone(0)), alone(0));
        let both = RuleImage::split([(group("blue"), 1), (group("green"), 0)]);
        assert_eq!(canonical(both.clone()), both);
    }

    #[test]
    fn conditions_come_back_as_they_were_written() {
        let values = |all: &[&str]| all.iter().map(|&v| v.to_owned()).collect::<BTreeSet<_>>();
        let other = |json: &str| Condition::Other { json: json.to_owned() };
        let all = BTreeSet::from([
            Condition::Path { values: values(&["/api/*", "/"]) },
            Condition::Host { values: values(&["*.example.com"]) },
            Condition::Header { name: "x-probe".to_owned(), values: values(&["1"]) },
            Condition::Method { values: values(&["GET"]) },
            other(r#"{"field":"source-ip","values":["10.0.0.0/8"]}"#),
            other(r#"{"field":"query-string","pairs":[["v","1"],[null,"2"]]}"#),
            other(r#"{"field":"path-pattern","regex_values":["^/a$"]}"#),
            other(r#"{"field":"http-header","name":"a","regex_values":["b"]}"#),
        ]);
        assert_eq!(conditions(&sdk_conditions(&all).unwrap()), all);
        let strange = BTreeSet::from([other(r#"{"field":"moon-phase"}"#)]);
        assert!(sdk_conditions(&strange).is_err());
    }

    #[test]
    fn an_authentication_is_told_and_never_written() {
        let found = SdkAction::builder().r#type(ActionTypeEnum::AuthenticateOidc).build();
        let image = image(&[found]);
        assert_eq!(image.to_string(), "authenticate-oidc");
        assert!(is_opaque(&image) && actions(&image).is_err());
    }
}
