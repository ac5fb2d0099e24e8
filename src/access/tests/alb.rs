//! Tokens as a load balancer makes them, and every kind of forged one.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use expect_test::expect;
use proptest::prelude::*;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair};
use serde_json::{Value, json};

use super::*;
use crate::access::alb::{Claimed, Forged, KeyId, PublicKey, Recognised};
use crate::config::AlbOidc;

pub(crate) const ALB: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/ops/50dc6c495c0c9188";
pub(crate) const KEY_ID: &str = "7d2b9a0c-1c5e-4f5e-9a43-0f5d2b6d7c11";

/// A load balancer's key.
pub(crate) struct Signer(EcdsaKeyPair);

impl Signer {
    pub(crate) fn new() -> Self {
        let random = SystemRandom::new();
        let algorithm = &ECDSA_P256_SHA256_FIXED_SIGNING;
        let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
        Self(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        let mut der = vec![0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02];
        der.extend([0x01, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03]);
        der.extend([0x42, 0x00]);
        der.extend(self.0.public_key().as_ref());
        let text = STANDARD.encode(der);
        let (one, other) = text.split_at(64);
        format!("-----BEGIN PUBLIC KEY-----\n{one}\n{other}\n-----END PUBLIC KEY-----\n")
    }

    /// With the padding that load balancers put there.
    pub(crate) fn token(&self, header: &Value, claims: &Value) -> String {
        let part = |json: &Value| URL_SAFE.encode(json.to_string());
        self.sign(format!("{}.{}", part(header), part(claims)))
    }

    fn sign(&self, signed: String) -> String {
        let signature = self.0.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
        format!("{signed}.{}", URL_SAFE.encode(signature))
    }
}

pub(crate) fn expected() -> AlbOidc {
    AlbOidc {
        alb_arn: ALB.to_owned(),
        issuer: "https://login.example.com".to_owned(),
        client_id: "tidegate".to_owned(),
        claim: "groups".to_owned(),
        roles: BTreeMap::from([
            ("everyone".to_owned(), Role::Viewer),
            ("on-call".to_owned(), Role::Operator),
        ]),
    }
}

pub(crate) fn header(until: DateTime<Utc>) -> Value {
    json!({
        "typ": "JWT", "kid": KEY_ID, "alg": "ES256", "iss": "https://login.example.com",
        "client": "tidegate", "signer": ALB, "exp": until.timestamp(),
    })
}

pub(crate) fn claims(until: DateTime<Utc>) -> Value {
    json!({
        "sub": "0a1b", "email": "ada@example.com", "groups": ["everyone", "on-call", "chess"],
        "exp": until.timestamp(), "iss": "https://login.example.com",
    })
}

fn recognise(token: &str, signer: &Signer) -> Result<Recognised, Forged> {
    let expected = expected();
    let claimed = Claimed::read(token, &expected, noon())?;
    assert_eq!(claimed.key.as_str(), KEY_ID);
    claimed.verify(&PublicKey::from_pem(&signer.pem())?, &expected)
}

fn soon() -> DateTime<Utc> {
    noon() + TimeDelta::minutes(2)
}

#[test]
fn whoever_the_load_balancer_logged_in_has_the_highest_role_of_their_groups() {
    let signer = Signer::new();
    let token = signer.token(&header(soon()), &claims(soon()));
    assert!(token.contains('='), "shaped as load balancers shape it: {token}");
    let ada = Principal {
        name: "ada@example.com".to_owned(),
        role: Role::Operator,
        method: Method::AlbOidc,
        ambient: true,
    };
    assert_eq!(recognise(&token, &signer), Ok(Recognised::Somebody(ada)));
}

#[test]
fn groups_come_as_a_list_or_as_text_and_without_one_there_is_no_role() {
    let signer = Signer::new();
    for (groups, role) in [
        (json!(["everyone"]), Some(Role::Viewer)),
        (json!("chess,on-call"), Some(Role::Operator)),
        (json!("[chess, everyone]"), Some(Role::Viewer)),
        (json!("on-call-not"), None),
        (json!(["chess"]), None),
        (json!([]), None),
        (json!(7), None),
        (json!(null), None),
    ] {
        let mut claims = claims(soon());
        claims["groups"] = groups.clone();
        let known = recognise(&signer.token(&header(soon()), &claims), &signer).unwrap();
        let found = match known {
            Recognised::Somebody(principal) => Some(principal.role),
            Recognised::WithoutRole(_) => None,
        };
        assert_eq!(found, role, "{groups}");
    }
}

/// What a forger may change, and what the token is then.
type Forgery = fn(&mut Value, &mut Value);

#[test]
fn nothing_is_believed_that_is_not_as_expected() {
    let signer = Signer::new();
    let forgeries: [(&str, Forgery); 20] = [
        ("alg none", |header, _| header["alg"] = json!("none")),
        ("alg HS256", |header, _| header["alg"] = json!("HS256")),
        ("alg in lower case", |header, _| header["alg"] = json!("es256")),
        ("no alg", |header, _| _ = header.as_object_mut().unwrap().remove("alg")),
        ("another load balancer", |header, _| {
            header["signer"] = json!(ALB.replace("123456789012", "210987654321"));
        }),
        ("no signer", |header, _| _ = header.as_object_mut().unwrap().remove("signer")),
        ("another issuer", |header, _| header["iss"] = json!("https://evil.example")),
        ("another issuer in the claims", |_, claims| claims["iss"] = json!("https://evil.example")),
        ("issuer in the claims is no text", |_, claims| claims["iss"] = json!(7)),
        ("another client", |header, _| header["client"] = json!("other")),
        ("expired", |header, _| header["exp"] = json!(noon().timestamp())),
        ("expired in the claims", |_, claims| claims["exp"] = json!(noon().timestamp())),
        ("expiry in the claims is text", |_, claims| claims["exp"] = json!("never")),
        ("expiry is text", |header, _| header["exp"] = json!("never")),
        ("key id is a path", |header, _| header["kid"] = json!("../../evil")),
        ("key id is a host", |header, _| header["kid"] = json!("@evil.example/key")),
        ("key id is no UUID", |header, _| {
            header["kid"] = json!("7d2b9a0c1c5e4f5e9a430f5d2b6d7c11")
        }),
        ("nobody", |_, claims| {
            claims.as_object_mut().unwrap().retain(|claim, _| claim == "groups");
        }),
        ("a name with a line break", |_, claims| claims["email"] = json!("ada\nroot")),
        ("claims are a list", |_, claims| *claims = json!([])),
    ];
    let mut told = String::new();
    for (what, forge) in forgeries {
        let (mut header, mut claims) = (header(soon()), claims(soon()));
        forge(&mut header, &mut claims);
        let error = recognise(&signer.token(&header, &claims), &signer).unwrap_err();
        told += &format!("{what}: {error}\n");
    }
    expect![[r#"
        alg none: its algorithm is not ES256
        alg HS256: its algorithm is not ES256
        alg in lower case: its algorithm is not ES256
        no alg: its algorithm is not ES256
        another load balancer: it was signed by another load balancer
        no signer: it cannot be read
        another issuer: it comes from another issuer
        another issuer in the claims: it comes from another issuer
        issuer in the claims is no text: it comes from another issuer
        another client: it was issued for another client
        expired: it has expired
        expired in the claims: it has expired
        expiry in the claims is text: it has expired
        expiry is text: it cannot be read
        key id is a path: its key id is no UUID
        key id is a host: its key id is no UUID
        key id is no UUID: its key id is no UUID
        nobody: it names nobody
        a name with a line break: it names nobody
        claims are a list: it cannot be read
    "#]]
    .assert_eq(&told);
}

#[test]
fn nothing_cut_or_pieced_together_is_believed() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let mut told = String::new();
    let good = signer.token(&header(soon()), &claims(soon()));
    let parts: Vec<&str> = good.split('.').collect();
    let mut admin = claims(soon());
    admin["groups"] = json!(["admins"]);
    let admin = URL_SAFE.encode(admin.to_string());
    let unpadded = good.replace('=', "");
    for (what, token) in [
        ("a stranger's key", stranger.token(&header(soon()), &claims(soon()))),
        ("other claims", format!("{}.{admin}.{}", parts[0], parts[2])),
        ("no signature", format!("{}.{}.", parts[0], parts[1])),
        ("signature over the text without its padding", unpadded),
        ("a part is missing", format!("{}.{}", parts[0], parts[1])),
        ("a part too many", format!("{good}.{}", parts[2])),
        ("no base64", good.replacen("ey", "e*", 1)),
        ("too long", format!("{good}{}", "A".repeat(20_000))),
        ("empty", String::new()),
    ] {
        let error = recognise(&token, &signer).unwrap_err();
        told += &format!("{what}: {error}\n");
    }
    expect![[r#"
        a stranger's key: its signature is wrong
        other claims: its signature is wrong
        no signature: its signature is wrong
        signature over the text without its padding: its signature is wrong
        a part is missing: it cannot be read
        a part too many: it cannot be read
        no base64: it cannot be read
        too long: it cannot be read
        empty: it cannot be read
    "#]]
    .assert_eq(&told);
}

#[test]
fn a_token_without_padding_is_read_as_well() {
    let signer = Signer::new();
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    let signed = format!("{}.{}", part(&header(soon())), part(&claims(soon())));
    assert!(recognise(&signer.sign(signed), &signer).is_ok());
}

#[test]
fn only_keys_for_p256_are_keys() {
    let good = Signer::new().pem();
    assert!(PublicKey::from_pem(&good).is_ok());
    for bad in ["", "<html>", &good[..60], &good.replace("MFk", "MFg"), &good.replace('\n', "*")] {
        assert!(PublicKey::from_pem(bad).is_err(), "{bad}");
    }
}

#[test]
fn keys_come_from_the_region_of_the_load_balancer() {
    let url = |arn: &str| AlbOidc::keys_url(arn).unwrap_or_default();
    let gov = ALB.replace("arn:aws:", "arn:aws-us-gov:").replace("eu-west-1", "us-gov-west-1");
    expect!["https://public-keys.auth.elb.eu-west-1.amazonaws.com"].assert_eq(&url(ALB));
    expect!["https://s3-us-gov-west-1.amazonaws.com/aws-elb-public-keys-prod-us-gov-west-1"]
        .assert_eq(&url(&gov));
    for wrong in [
        "",
        "arn:aws:elasticloadbalancing:eu-west-1",
        &ALB.replace("eu-west-1", "evil.example/"),
        &ALB.replace("eu-west-1", ""),
        &ALB.replace("/app/", "/net/"),
        &ALB.replace("arn:aws:", "arn:other:"),
    ] {
        assert_eq!(url(wrong), "", "{wrong}");
    }
}

proptest! {
    #[test]
    fn any_text_is_a_token_or_is_not(text in "\\PC{0,60}", parts in "[A-Za-z0-9=_.-]{0,120}") {
        for text in [text, parts] {
            let _ = Claimed::read(&text, &expected(), noon());
            let _ = KeyId::new(&text);
            let _ = PublicKey::from_pem(&text);
            let _ = AlbOidc::keys_url(&text);
        }
    }
}
