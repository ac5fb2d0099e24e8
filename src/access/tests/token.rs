//! Tokens: how they are written, and what becomes of them.

use proptest::prelude::*;

use super::*;

#[test]
fn a_token_is_256_bits_that_scanners_find_and_debug_hides() {
    let token = Token::random().unwrap();
    assert!(token.reveal().starts_with("tdg_"));
    assert_eq!(token.reveal().len(), 4 + 64 + 8);
    assert_ne!(token, Token::random().unwrap());
    assert_eq!(format!("{token:?}"), "Token(…)");
    assert_eq!(Token::new(token.reveal()).unwrap(), token);
}

#[test]
fn a_token_from_elsewhere_is_long_and_visible_and_ours_is_whole() {
    let ours = Token::random().unwrap().reveal().to_owned();
    let mistyped = ours.replacen(&ours[10..11], if &ours[10..11] == "0" { "1" } else { "0" }, 1);
    for (text, good) in [
        ("0123456789abcdef", true),
        (" 0123456789abcdef\n", true),
        ("0123456789abcde", false),
        ("with spaces in between", false),
        (ours.as_str(), true),
        (&ours[..75], false),
        (mistyped.as_str(), false),
        ("tdg_0123456789abcdef", false),
    ] {
        assert_eq!(Token::new(text).is_ok(), good, "{text}");
    }
}

/// The record says `edges` one after the other; then `secret` is shown at noon.
async fn shown(edges: &[(i64, Option<TokenEdge>)], secret: &Token) -> Result<String, TokenRefused> {
    let mut ledger = Ledger::in_memory().unwrap();
    for (minutes, edge) in edges {
        let at = noon() + TimeDelta::minutes(*minutes);
        ledger.append(&deed("token"), Verdict::Done, None, edge.clone(), at).await.unwrap();
    }
    ledger.check(secret.reveal(), noon()).await.map(|known| known.name.to_string())
}

#[tokio::test]
async fn a_token_counts_from_its_creation_until_it_expires_or_is_revoked() {
    let secret = Token::random().unwrap();
    let created = |minutes: i64, expires: Option<i64>, secret: &Token| {
        let expires = expires.map(|minutes| noon() + TimeDelta::minutes(minutes));
        let (name, at) = ("ci".parse().unwrap(), noon() + TimeDelta::minutes(minutes));
        let token = Tokens::default().new_token(name, Role::Releaser, expires, secret, at).unwrap();
        (minutes, Some(TokenEdge::Created { token }))
    };
    let revoked = (-1, Some(TokenEdge::Revoked { name: "ci".parse().unwrap() }));
    let other = Token::random().unwrap();
    let good = created(-9, None, &secret);
    assert_eq!(shown(&[], &secret).await, Err(TokenRefused::Unknown));
    assert_eq!(shown(std::slice::from_ref(&good), &secret).await, Ok("ci".to_owned()));
    assert_eq!(shown(std::slice::from_ref(&good), &other).await, Err(TokenRefused::Unknown));
    assert_eq!(shown(&[created(-9, Some(1), &secret)], &secret).await, Ok("ci".to_owned()));
    assert_eq!(shown(&[created(-9, Some(0), &secret)], &secret).await, Err(TokenRefused::Expired));
    assert_eq!(shown(&[good.clone(), revoked.clone()], &secret).await, Err(TokenRefused::Revoked));
    // A revoked name may be given again; the secret of old stays worthless.
    let again = [good, revoked, created(-1, None, &other)];
    assert_eq!(shown(&again, &other).await, Ok("ci".to_owned()));
    assert_eq!(shown(&again, &secret).await, Err(TokenRefused::Unknown));
}

#[test]
fn a_name_is_given_once_while_its_token_is_good() {
    let mut tokens = Tokens::default();
    let secret = Token::random().unwrap();
    let new = |tokens: &Tokens, at| {
        let expires = Some(noon() + TimeDelta::days(1));
        tokens.new_token("ci".parse().unwrap(), Role::Viewer, expires, &secret, at)
    };
    let token = new(&tokens, noon()).unwrap();
    let deed = deed("token_create");
    let row = Row {
        seq: 1,
        at: noon(),
        deed,
        result: Verdict::Done,
        detail: None,
        token: Some(TokenEdge::Created { token }),
        previous: Digest::default(),
    };
    tokens.fold(&row);
    assert!(new(&tokens, noon()).is_err());
    assert!(new(&tokens, noon() + TimeDelta::days(1)).is_ok(), "it has expired");
}

#[tokio::test]
async fn the_last_use_is_known_to_the_minute() {
    let mut ledger = Ledger::in_memory().unwrap();
    let secret = Token::random().unwrap();
    let name: TokenName = "ci".parse().unwrap();
    let token =
        ledger.tokens().new_token(name.clone(), Role::Viewer, None, &secret, noon()).unwrap();
    let edge = Some(TokenEdge::Created { token });
    ledger.append(&deed("token_create"), Verdict::Done, None, edge, noon()).await.unwrap();
    assert_eq!(ledger.last_used(&name).await, None);
    for (seconds, told) in [(0, 0), (59, 0), (61, 61)] {
        let at = noon() + TimeDelta::seconds(seconds);
        ledger.check(secret.reveal(), at).await.unwrap();
        let used = ledger.last_used(&name).await.unwrap();
        assert_eq!((used - noon()).num_seconds(), told);
    }
}

proptest! {
    #[test]
    fn any_text_is_a_token_or_is_not(text in "(tdg_)?\\PC{0,90}") {
        let _ = Token::new(&text);
        let _ = Tokens::default().check(&text, noon());
        let _ = text.parse::<TokenName>();
        let _ = text.parse::<Digest>();
    }

    /// One wrong digit is told without asking anybody.
    #[test]
    fn a_typing_error_is_told_by_the_checksum(at in 4_usize..76, digit in "[0-9a-f]") {
        let text = Token::random().unwrap().reveal().to_owned();
        let mut wrong = text.clone();
        wrong.replace_range(at..=at, &digit);
        prop_assert_eq!(Token::new(&wrong).is_ok(), wrong == text);
    }
}
