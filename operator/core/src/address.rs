//! Mail addresses, compared as mail systems compare them.
//!
//! RFC 5321 §2.4 leaves the case of the local part to the receiving host; every directory and mail service this
//! operator talks to ignores it, so the key ignores it too. The domain is compared by its A-label
//! (RFC 5890 §2.3.2.1), so that `@müller.example` and `@xn--mller-kva.example` are one domain. For display the
//! address is kept as it was written.

use std::borrow::Cow;

/// Appends the comparison key of `address` to `key`: two addresses are the same mailbox exactly if their keys are
/// equal. A text without `@` is folded as if it were a local part.
pub fn push_key(address: &str, key: &mut String) {
    if address.is_ascii() {
        key.extend(address.chars().map(|c| c.to_ascii_lowercase()));
        return;
    }
    match address.rsplit_once('@') {
        Some((local, domain)) => {
            key.extend(local.chars().flat_map(char::to_lowercase));
            key.push('@');
            key.push_str(&domain_key(domain));
        }
        None => key.extend(address.chars().flat_map(char::to_lowercase)),
    }
}

/// The comparison key of one address; see [`push_key`].
pub fn key(address: &str) -> String {
    let mut key = String::with_capacity(address.len());
    push_key(address, &mut key);
    key
}

/// The address in lower case, with its domain in its own letters, whichever way it was written: what a pattern that
/// speaks of `@müller.example` is compared with.
pub fn letters(address: &str) -> Cow<'_, str> {
    let is_plain = |text: &str| text.is_ascii() && !text.bytes().any(|b| b.is_ascii_uppercase());
    match address.rsplit_once('@') {
        Some((_, domain)) if !domain.is_ascii() || domain.to_ascii_lowercase().contains("xn--") => {
            let local = address.get(..address.len() - domain.len()).unwrap_or_default().to_lowercase();
            // What is no valid domain stays as it is where it is wrong.
            let (domain, _) = idna::domain_to_unicode(domain);
            Cow::Owned(local + &domain)
        }
        _ if is_plain(address) => Cow::Borrowed(address),
        _ => Cow::Owned(address.to_lowercase()),
    }
}

/// Whether two addresses name the same mailbox.
pub fn same(a: &str, b: &str) -> bool {
    if a.is_ascii() && b.is_ascii() { a.eq_ignore_ascii_case(b) } else { key(a) == key(b) }
}

/// The domain of an address as it was written, or `None` where there is no `@` or nothing after it.
pub fn domain(address: &str) -> Option<&str> {
    address.rsplit_once('@').map(|(_, domain)| domain).filter(|domain| !domain.is_empty())
}

/// The comparison key of a domain: its A-label in lower case. What is no valid domain is only lower-cased.
pub fn domain_key(domain: &str) -> Cow<'_, str> {
    if domain.is_ascii() {
        if domain.bytes().any(|b| b.is_ascii_uppercase()) {
            return Cow::Owned(domain.to_ascii_lowercase());
        }
        return Cow::Borrowed(domain);
    }
    Cow::Owned(idna::domain_to_ascii(domain).unwrap_or_else(|_| domain.to_lowercase()))
}

/// Whether `address` looks like one mailbox: one `@` with something on both sides, no blanks, no control
/// characters, no more than 254 octets (RFC 5321 §4.5.3.1.3 less the angle brackets).
pub fn is_plausible(address: &str) -> bool {
    address.len() <= 254
        && !address.chars().any(|c| c.is_whitespace() || c.is_control())
        && address
            .split_once('@')
            .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty() && !domain.contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_case_of_the_whole_address_is_ignored() {
        assert!(same("Ada.Lovelace@Example.COM", "ada.lovelace@example.com"));
        assert!(!same("ada@example.com", "ada@example.org"));
    }

    #[test]
    fn a_domain_is_the_same_as_its_a_label() {
        assert!(same("j@Müller.example", "J@xn--mller-kva.example"));
        assert_eq!(key("ÖZIL@müller.example"), "özil@xn--mller-kva.example");
    }

    #[test]
    fn a_domain_can_be_shown_in_its_letters() {
        for written in ["ÖZIL@Müller.example", "özil@xn--mller-kva.example", "Özil@XN--MLLER-KVA.example"] {
            assert_eq!(letters(written), "özil@müller.example");
        }
        assert_eq!(letters("Ada@Example.com"), "ada@example.com");
        assert_eq!(letters("*@*Müller.example"), "*@*müller.example", "a pattern is no domain");
        assert_eq!(letters("Müller"), "müller");
    }

    #[test]
    fn what_is_no_mailbox_is_told_apart() {
        assert!(is_plausible("a@b"));
        for wrong in ["", "a", "@b", "a@", "a b@c", "a@b@c", "a\n@b"] {
            assert!(!is_plausible(wrong), "{wrong:?}");
        }
    }
}
