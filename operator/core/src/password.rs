//! Passwords of people: taken from a directory, given to a target, and shown to nobody.
//!
//! What a target holds cannot be read back, so that a password is compared by what is remembered of it: a fingerprint
//! under a key of the user's ([`FingerprintKey`]). Without the key nothing is remembered, and a password is sent only
//! together with the creation of its person.

use hmac::{Hmac, KeyInit, Mac};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;
use std::fmt;

/// Longest value that is taken, in bytes. The longest hash of a known scheme has less than two hundred.
const LENGTH_LIMIT: usize = 1024;

/// How a password is written. The order is that of preference where an entry has several: what more targets take comes
/// first.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, strum::IntoStaticStr,
)]
pub enum PasswordScheme {
    /// As it is typed.
    #[strum(serialize = "clear text")]
    Clear,
    /// `{CRYPT}$6$`: crypt(3) with SHA-512.
    #[strum(serialize = "{CRYPT}$6$")]
    CryptSha512,
    /// `{CRYPT}$5$`: crypt(3) with SHA-256.
    #[strum(serialize = "{CRYPT}$5$")]
    CryptSha256,
    /// `{CRYPT}$1$`: crypt(3) with MD5.
    #[strum(serialize = "{CRYPT}$1$")]
    CryptMd5,
    /// `{SHA}`: SHA-1 without salt, in base64 (RFC 2307 §5.3).
    #[strum(serialize = "{SHA}")]
    Sha1,
    /// `{MD5}`: MD5 without salt, in base64 (RFC 2307 §5.3).
    #[strum(serialize = "{MD5}")]
    Md5,
}

impl fmt::Display for PasswordScheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.into())
    }
}

/// Why a value is no password that any target could be given.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize, strum::IntoStaticStr,
)]
pub enum UnusablePassword {
    /// `{SSHA}`: SHA-1 with a salt, which no target of today takes.
    #[strum(serialize = "{SSHA}")]
    SaltedSha1,
    /// `{SMD5}`: MD5 with a salt.
    #[strum(serialize = "{SMD5}")]
    SaltedMd5,
    /// Another scheme: `{PBKDF2}`, `{CRYPT}` with an algorithm that is not known, and the like.
    #[strum(serialize = "an unknown scheme")]
    UnknownScheme,
    /// A value that does not have the form of its scheme, or is no text, empty or too long.
    #[strum(serialize = "a malformed value")]
    Malformed,
}

impl fmt::Display for UnusablePassword {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.into())
    }
}

/// One password, as the directory wrote it but for the name of its scheme.
#[derive(Clone)]
pub struct Password {
    scheme: PasswordScheme,
    text: SecretString,
}

impl fmt::Debug for Password {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Password({}, hidden)", self.scheme)
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.scheme == other.scheme && self.text() == other.text()
    }
}

impl Eq for Password {}

impl Password {
    /// Takes a value of `userPassword`: `{SCHEME}text`, or clear text (RFC 2307 §5.3, RFC 4519 §2.41). What begins with
    /// a scheme that is not known is never taken for clear text.
    pub fn parse(value: &[u8]) -> Result<Self, UnusablePassword> {
        let value = std::str::from_utf8(value).map_err(|_| UnusablePassword::Malformed)?;
        if value.is_empty() || value.len() > LENGTH_LIMIT || value.contains(['\0', '\n', '\r']) {
            return Err(UnusablePassword::Malformed);
        }
        let Some((name, text)) = value.strip_prefix('{').and_then(|rest| rest.split_once('}')) else {
            // A hash without the name of its scheme, set as a password, could be used by whoever reads the hash.
            let is_hash = crypt(value).is_ok() || value.starts_with("$2");
            return if is_hash {
                Err(UnusablePassword::UnknownScheme)
            } else {
                Ok(Self::new(PasswordScheme::Clear, value))
            };
        };
        let is = |scheme: &str| name.eq_ignore_ascii_case(scheme);
        if is("SHA") {
            digest(text, 20).then(|| Self::new(PasswordScheme::Sha1, text)).ok_or(UnusablePassword::Malformed)
        } else if is("MD5") {
            digest(text, 16).then(|| Self::new(PasswordScheme::Md5, text)).ok_or(UnusablePassword::Malformed)
        } else if is("CRYPT") {
            let scheme = crypt(text)?;
            Ok(Self::new(scheme, text))
        } else if is("SSHA") {
            Err(UnusablePassword::SaltedSha1)
        } else if is("SMD5") {
            Err(UnusablePassword::SaltedMd5)
        } else {
            Err(UnusablePassword::UnknownScheme)
        }
    }

    /// The one of several values that is used: of the scheme that most targets take and, of one scheme, the smallest,
    /// so that it does not depend on the order of values.
    pub fn choose<'v>(values: impl IntoIterator<Item = &'v [u8]>) -> Option<Result<Self, UnusablePassword>> {
        values.into_iter().map(Self::parse).reduce(|one, other| match (one, other) {
            (Ok(one), Ok(other)) => {
                let is_first = (one.scheme, one.text()) <= (other.scheme, other.text());
                Ok(if is_first { one } else { other })
            }
            (Err(one), Err(other)) => Err(one.min(other)),
            (Ok(usable), Err(_)) | (Err(_), Ok(usable)) => Ok(usable),
        })
    }

    fn new(scheme: PasswordScheme, text: &str) -> Self {
        Self { scheme, text: SecretString::from(text) }
    }

    /// How it is written.
    pub fn scheme(&self) -> PasswordScheme {
        self.scheme
    }

    /// The password or hash itself, without the name of the scheme. Only for the request that sets it.
    pub fn expose(&self) -> &str {
        self.text()
    }

    fn text(&self) -> &str {
        self.text.expose_secret()
    }
}

/// Whether a text is the base64 of so many bytes, with its padding.
fn digest(text: &str, bytes: usize) -> bool {
    let padding = (3 - bytes % 3) % 3;
    let (digits, end) = text.split_at_checked(text.len().saturating_sub(padding)).unwrap_or_default();
    text.len() == bytes.div_ceil(3) * 4
        && digits.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'))
        && end.bytes().all(|byte| byte == b'=')
}

/// The algorithm of a crypt(3) hash: `$id$[rounds=N$]salt$hash`, each part of the alphabet `./0-9A-Za-z`.
fn crypt(text: &str) -> Result<PasswordScheme, UnusablePassword> {
    let (scheme, length) = match text.as_bytes() {
        [b'$', b'6', b'$', ..] => (PasswordScheme::CryptSha512, 86),
        [b'$', b'5', b'$', ..] => (PasswordScheme::CryptSha256, 43),
        [b'$', b'1', b'$', ..] => (PasswordScheme::CryptMd5, 22),
        _ => return Err(UnusablePassword::UnknownScheme),
    };
    let mut parts = text.split('$').skip(2).peekable();
    let rounds = parts.peek().and_then(|part| part.strip_prefix("rounds="));
    let has_rounds =
        rounds.is_some_and(|rounds| !rounds.is_empty() && rounds.bytes().all(|byte| byte.is_ascii_digit()));
    if has_rounds && scheme != PasswordScheme::CryptMd5 {
        parts.next();
    }
    let in_alphabet = |part: &str| part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'/'));
    match (parts.next(), parts.next(), parts.next()) {
        (Some(salt), Some(hash), None) if in_alphabet(salt) && in_alphabet(hash) && hash.len() == length => Ok(scheme),
        // A lock (`!`) before the hash leaves no hash of this form.
        _ => Err(UnusablePassword::Malformed),
    }
}

/// What is remembered of a password, and what stands for it in digests: HMAC-SHA-256 under the user's key, of which
/// half is kept (RFC 2104 §5).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint([u8; 16]);

impl fmt::Debug for Fingerprint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Fingerprint(hidden)")
    }
}

impl Fingerprint {
    /// Thirty-two hexadecimal digits.
    pub(crate) fn digits(self) -> String {
        let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).unwrap_or_default();
        self.0.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }

    /// What [`Self::digits`] wrote.
    pub(crate) fn of_digits(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let mut fingerprint = [0; 16];
        if bytes.len() != 32 || !bytes.iter().all(u8::is_ascii_hexdigit) {
            return None;
        }
        for (byte, pair) in fingerprint.iter_mut().zip(bytes.chunks(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
        }
        Some(Self(fingerprint))
    }
}

/// The key is too short to keep anybody from trying passwords against a fingerprint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "it has {found} bytes and needs at least {}; make one with `openssl rand -base64 32`",
    FingerprintKey::SHORTEST
)]
pub struct KeyTooShort {
    /// How many bytes it has.
    pub found: usize,
}

/// The key under which fingerprints are made. Another key makes every password count as changed.
#[derive(Clone)]
pub struct FingerprintKey(Hmac<Sha256>);

impl fmt::Debug for FingerprintKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FingerprintKey(hidden)")
    }
}

impl FingerprintKey {
    /// Fewest bytes of a key.
    pub const SHORTEST: usize = 16;

    /// A key of these bytes.
    pub fn new(key: &[u8]) -> Result<Self, KeyTooShort> {
        let too_short = KeyTooShort { found: key.len() };
        if key.len() < Self::SHORTEST {
            return Err(too_short);
        }
        Hmac::new_from_slice(key).map(Self).map_err(|_| too_short)
    }

    /// The fingerprint of somebody's password. Two people with one password have different ones.
    pub(crate) fn fingerprint(&self, id: &str, password: &Password) -> Fingerprint {
        let mut mac = self.0.clone();
        let scheme = password.scheme.to_string();
        for text in [id, &scheme, password.text()] {
            mac.update(&(text.len() as u64).to_be_bytes());
            mac.update(text.as_bytes());
        }
        let mac: [u8; 32] = mac.finalize().into_bytes().into();
        let mut half = [0; 16];
        half.iter_mut().zip(mac).for_each(|(to, from)| *to = from);
        Fingerprint(half)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scheme(value: &str) -> Result<PasswordScheme, UnusablePassword> {
        Password::parse(value.as_bytes()).map(|password| password.scheme())
    }

    #[test]
    fn the_scheme_tells_how_a_password_is_written() {
        let sha512 = format!("{{CRYPT}}$6$rounds=5000$salt$./{}", "a".repeat(84));
        for (value, expected) in [
            ("hunter2", PasswordScheme::Clear),
            ("pass{word}", PasswordScheme::Clear),
            ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", PasswordScheme::Sha1),
            ("{sha}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", PasswordScheme::Sha1),
            ("{MD5}X03MO1qnZdYdgyfeuILPmQ==", PasswordScheme::Md5),
            ("{CRYPT}$1$salt$qJH7.N4xYta3aEG/dfqo/0", PasswordScheme::CryptMd5),
            (&format!("{{crypt}}$5$salt${}", "b".repeat(43)), PasswordScheme::CryptSha256),
            (&sha512, PasswordScheme::CryptSha512),
        ] {
            assert_eq!(scheme(value), Ok(expected), "{value}");
        }
    }

    #[test]
    fn what_no_target_takes_is_told_apart_and_never_taken_for_clear_text() {
        for (value, expected) in [
            ("{SSHA}0c0blFTXXNuAMHECS4uxrj3ZieMoWImr", UnusablePassword::SaltedSha1),
            ("{SMD5}4QWGWZpj9GCmfuqEvm8HtZhZS6E=", UnusablePassword::SaltedMd5),
            ("{PBKDF2_SHA256}AAAgAJ", UnusablePassword::UnknownScheme),
            ("{CRYPT}$2y$10$abcdefghijklmnopqrstuv", UnusablePassword::UnknownScheme),
            ("$1$salt$qJH7.N4xYta3aEG/dfqo/0", UnusablePassword::UnknownScheme),
            ("{CRYPT}*", UnusablePassword::UnknownScheme),
            ("{CRYPT}!$6$salt$hash", UnusablePassword::UnknownScheme),
            ("{CRYPT}$6$salt$short", UnusablePassword::Malformed),
            ("{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g", UnusablePassword::Malformed),
            ("{MD5}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", UnusablePassword::Malformed),
            ("{}", UnusablePassword::UnknownScheme),
            ("", UnusablePassword::Malformed),
            ("two\nlines", UnusablePassword::Malformed),
        ] {
            assert_eq!(scheme(value), Err(expected), "{value}");
        }
        assert_eq!(Password::parse(b"\xff").unwrap_err(), UnusablePassword::Malformed);
        assert_eq!(Password::parse("x".repeat(5000).as_bytes()).unwrap_err(), UnusablePassword::Malformed);
    }

    #[test]
    fn of_several_values_the_same_is_chosen_in_any_order() {
        let values: [&[u8]; 4] = [b"{SSHA}x", b"{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=", b"zebra", b"apple"];
        let chosen = Password::choose(values).unwrap().unwrap();
        assert_eq!((chosen.scheme(), chosen.expose()), (PasswordScheme::Clear, "apple"));
        assert_eq!(Password::choose(values.into_iter().rev()).unwrap().unwrap(), chosen);
        assert_eq!(Password::choose([&b"{SMD5}x"[..], b"{SSHA}x"]), Some(Err(UnusablePassword::SaltedSha1)));
        assert_eq!(Password::choose([]), None);
    }

    #[test]
    fn nothing_shows_a_password_or_what_is_made_of_it() {
        let key = FingerprintKey::new(b"0123456789abcdef").unwrap();
        let password = Password::parse(b"hunter2").unwrap();
        let fingerprint = key.fingerprint("1", &password);
        let shown = format!("{key:?} {password:?} {fingerprint:?}");
        assert!(!shown.contains("hunter2") && !shown.contains(&fingerprint.digits()), "{shown}");
    }

    #[test]
    fn a_fingerprint_is_of_one_person_one_password_and_one_key() {
        let keys = [b"0123456789abcdef", b"0123456789abcdeF"].map(|key| FingerprintKey::new(key).unwrap());
        let passwords = ["hunter2", "hunter3", "{MD5}X03MO1qnZdYdgyfeuILPmQ=="];
        let passwords = passwords.map(|text| Password::parse(text.as_bytes()).unwrap());
        let mut all = std::collections::HashSet::new();
        for key in &keys {
            for id in ["1", "2"] {
                all.extend(passwords.iter().map(|password| key.fingerprint(id, password)));
            }
        }
        assert_eq!(all.len(), 12);
        assert!(all.iter().all(|one| Fingerprint::of_digits(&one.digits()) == Some(*one)));
        assert_eq!(Fingerprint::of_digits("00"), None);
        assert_eq!(FingerprintKey::new(b"short").unwrap_err(), KeyTooShort { found: 5 });
    }
}
