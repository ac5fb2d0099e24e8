//! The secret that a program shows.
//!
//! Rule: it is shown once and kept nowhere; what is kept is its digest. 256 random bits need no
//! slow hash: there is nothing to guess.

use std::fmt;

use super::Digest;

/// What scanners look for: `tdg_`, 64 hexadecimal digits of secret, 8 of checksum.
const PREFIX: &str = "tdg_";
const SECRET_DIGITS: usize = 64;
const CHECKSUM_DIGITS: usize = 8;

/// A secret. Never printed by `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// Shortest token taken from a configuration, in characters.
    pub const LENGTH_MIN: usize = 16;

    /// 256 random bits of the operating system.
    ///
    /// # Errors
    /// When the operating system gives none.
    pub fn random() -> Result<Self, String> {
        let secret = random_digits::<32>()?;
        Ok(Self(format!("{PREFIX}{secret}{}", checksum(&secret))))
    }

    /// A token that was made here, or any other secret long enough.
    ///
    /// # Errors
    /// When it is shorter than [`Token::LENGTH_MIN`], holds more than visible ASCII, or begins as
    /// one of ours and has lost a character on the way.
    pub fn new(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.len() < Self::LENGTH_MIN || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(format!(
                "a token has at least {} visible ASCII characters",
                Self::LENGTH_MIN
            ));
        }
        if is_ours(text) && !is_whole(text) {
            return Err(format!(
                "the token begins with `{PREFIX}` and its checksum is wrong: copy all {} characters",
                PREFIX.len() + SECRET_DIGITS + CHECKSUM_DIGITS
            ));
        }
        Ok(Self(text.to_owned()))
    }

    /// The secret itself, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What may be kept of it.
    pub fn digest(&self) -> Digest {
        Digest::of(self.0.as_bytes())
    }

    /// Takes the same time wherever the first difference is.
    pub fn matches(&self, given: &str) -> bool {
        self.digest().matches(&Digest::of(given.as_bytes()))
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Whether it claims to have been made here.
pub(super) fn is_ours(text: &str) -> bool {
    text.starts_with(PREFIX)
}

/// Whether this is one of ours as it was made: no more than a typing error can be told.
pub(super) fn is_whole(text: &str) -> bool {
    let Some(rest) = text.strip_prefix(PREFIX) else { return false };
    rest.split_at_checked(SECRET_DIGITS)
        .is_some_and(|(secret, sum)| secret.is_ascii() && sum == checksum(secret))
}

fn checksum(secret: &str) -> String {
    format!("{:08x}", crc32fast::hash(secret.as_bytes()))
}

/// 128 random bits as 32 hexadecimal digits: a name that nobody else has, and no secret to scan for.
///
/// # Errors
/// When the operating system gives none.
pub fn nonce() -> Result<String, String> {
    random_digits::<16>()
}

fn random_digits<const BYTES: usize>() -> Result<String, String> {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).map_err(|e| format!("no randomness for a token: {e}"))?;
    Ok(bytes.iter().map(|b| format!("{b:02x}")).collect())
}
