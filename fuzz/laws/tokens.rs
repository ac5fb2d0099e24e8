//! The text of a token, and the rows that say which tokens there are.
//!
//! The first line is what is shown as a token. The others are rows of the record, which are chained
//! as their writer would have done it.

use serde_json::{Value, json};
use tidegate::access::{
    Deed, Digest, Head, Method, Principal, Row, Sealed, Token, TokenName, Tokens, Verdict, verify,
};
use tidegate::model::{CutoverOrder, Mode, Order, Role};

pub(super) fn law(data: &[u8]) {
    let Some(text) = super::text(data) else { return };
    made_here_is_whole();
    let (shown, rows) = text.split_once('\n').unwrap_or((text, ""));
    name_comes_back(shown);
    digest_comes_back(shown);
    rows.lines().for_each(order_is_recorded);
    if let Ok(token) = Token::new(shown) {
        only_itself_opens(&token, shown);
    }
    let (sealed, head) = chained(rows);
    if let Ok(rows) = verify(Head::default(), &sealed, head) {
        tokens_are_their_fold(&rows, shown);
        no_change_goes_unseen(&sealed, head);
    }
}

fn made_here_is_whole() {
    let token = Token::random().unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(Token::new(token.reveal()).as_ref(), Ok(&token));
}

fn name_comes_back(text: &str) {
    if let Ok(name) = text.parse::<TokenName>() {
        assert_eq!(name.as_str(), text);
        assert!(!text.contains(|sign: char| sign.is_control() || sign.is_whitespace()));
    }
}

/// A line that is an order stands in the record as it was given, but for its secret.
fn order_is_recorded(line: &str) {
    let Ok(order) = serde_json::from_str::<Order>(line) else { return };
    let (name, method) = ("ada".to_owned(), Method::Token);
    let ada = Principal { name, role: Role::Operator, method, ambient: false };
    let deed = Deed::new(&ada, "ada", "00ff", "").of(&order, &"web".into(), Mode::Observe, "why");
    assert!(deed.scope.starts_with("web") && !deed.action.is_empty(), "{deed:?}");
    let (seq, at, result, previous) = (1, super::at(0), Verdict::Done, Digest::default());
    let sealed = Row { seq, at, deed, result, detail: None, token: None, previous }.seal();
    let secret = matches!(&order, Order::Cutover { steer: CutoverOrder::Start { token, .. }, .. }
        if token.len() > 8 && sealed.text.contains(token.as_str()));
    assert!(!secret, "the random value of a start is recorded: {}", sealed.text);
    let head = Head { seq, digest: sealed.digest };
    assert!(verify(Head::default(), &[sealed], head).is_ok(), "{line}");
}

fn digest_comes_back(text: &str) {
    if let Ok(digest) = text.parse::<Digest>() {
        assert_eq!(digest.to_string(), text.to_ascii_lowercase());
    }
}

fn only_itself_opens(token: &Token, shown: &str) {
    assert_eq!(token.reveal(), shown.trim());
    assert!(token.matches(token.reveal()));
    assert!(!token.matches(&format!("{}x", token.reveal())));
    assert!(!format!("{token:?}").contains(token.reveal()));
    let mut tokens = Tokens::default();
    assert!(tokens.check(token.reveal(), super::at(0)).is_err(), "nobody handed it out");
    let name: TokenName = "ci".parse().unwrap_or_else(|error| panic!("{error}"));
    let until = Some(super::at(10));
    let known = tokens.new_token(name, Role::Viewer, until, token, super::at(0));
    let known = known.unwrap_or_else(|error| panic!("{error}"));
    let created = json!({
        "seq": 1, "at": super::at(0), "actor": "a", "method": "state", "role": "admin",
        "request": "r", "action": "token_create", "scope": "", "reason": "", "result": "done",
        "token": with(json!(known), "edge", json!("created")), "previous": Digest::default(),
    });
    let created: Row = serde_json::from_value(created).unwrap_or_else(|error| panic!("{error}"));
    tokens.fold(&created);
    assert!(tokens.check(token.reveal(), super::at(9)).is_ok());
    assert!(tokens.check(token.reveal(), super::at(10)).is_err(), "it has expired");
}

fn with(mut object: Value, key: &str, value: Value) -> Value {
    object[key] = value;
    object
}

/// Each line as a row that follows the one before it; what is no object stays as it is.
fn chained(rows: &str) -> (Vec<Sealed>, Head) {
    let (mut sealed, mut head) = (Vec::new(), Head::default());
    for (line, seq) in rows.lines().zip(1..) {
        let text = match serde_json::from_str(line) {
            Ok(row @ Value::Object(_)) => {
                let row = with(row, "seq", json!(seq));
                with(row, "previous", json!(head.digest)).to_string()
            }
            _ => line.to_owned(),
        };
        head = Head { seq, digest: Digest::of(text.as_bytes()) };
        sealed.push(Sealed { seq, text, digest: head.digest });
    }
    (sealed, head)
}

fn tokens_are_their_fold(rows: &[Row], shown: &str) {
    let mut tokens = Tokens::default();
    for row in rows {
        tokens.fold(row);
        if !super::is_plain(&json!(row), super::DEPTH_MAX) {
            continue;
        }
        let again: Row = serde_json::from_str(&row.seal().text).unwrap_or_else(|e| panic!("{e}"));
        assert_eq!(&again, row);
    }
    let now = super::at(0);
    if let Ok(known) = tokens.check(shown, now) {
        assert_eq!(known.digest, Digest::of(shown.as_bytes()));
        assert!(known.is_live(now) && tokens.get(&known.name) == Some(known));
    }
    for known in tokens.all() {
        assert_eq!(tokens.get(&known.name), Some(known));
    }
}

/// A row taken out, two that changed places, or a letter of one.
fn no_change_goes_unseen(sealed: &[Sealed], head: Head) {
    for place in 0..sealed.len() {
        let mut without = sealed.to_vec();
        without.remove(place);
        assert!(verify(Head::default(), &without, head).is_err(), "row {place} was taken out");
        let mut changed = sealed.to_vec();
        changed[place].text.push(' ');
        assert!(verify(Head::default(), &changed, head).is_err(), "row {place} was changed");
        changed[place].digest = Digest::of(changed[place].text.as_bytes());
        assert!(
            verify(Head::default(), &changed, head).is_err(),
            "row {place} was changed and sealed anew"
        );
        if place > 0 {
            let mut moved = sealed.to_vec();
            moved.swap(place, place - 1);
            assert!(verify(Head::default(), &moved, head).is_err(), "row {place} was moved");
        }
    }
}
