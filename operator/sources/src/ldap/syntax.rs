//! Attributes whose values are bytes, and the text that stands for them. Which they are is a matter of the schema: a
//! value that happens to be text stays what its attribute says.

use directory_sync_core::mapping::same_attribute;
use std::borrow::Cow;
use std::fmt::Write;

/// What the values of an attribute are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Syntax {
    /// Text, or what is asked to be text.
    Text,
    /// A GUID of Active Directory, written as a UUID (MS-DTYP §2.3.4.2: the first three parts are little-endian).
    Guid,
    /// A security identifier of Active Directory, written as `S-1-5-…` (MS-DTYP §2.4.2).
    Sid,
    /// Other bytes, written in hexadecimal digits.
    Bytes,
}

const GUIDS: &[&str] = &[
    "objectGUID",
    "mS-DS-ConsistencyGuid",
    "msExchMailboxGuid",
    "msExchArchiveGUID",
    "schemaIDGUID",
    "attributeSecurityGUID",
];

const SIDS: &[&str] = &["objectSid", "sIDHistory", "securityIdentifier", "msExchMasterAccountSid"];

const BYTES: &[&str] = &[
    "audio",
    "authorityRevocationList",
    "cACertificate",
    "certificateRevocationList",
    "crossCertificatePair",
    "jpegPhoto",
    "logonHours",
    "msExchBlockedSendersHash",
    "msExchSafeSendersHash",
    "nTSecurityDescriptor",
    "photo",
    "thumbnailLogo",
    "thumbnailPhoto",
    "tokenGroups",
    "userCertificate",
    "userParameters",
    "userPKCS12",
    "userSMIMECertificate",
    "x500UniqueIdentifier",
];

/// Attributes that are text, by the standards or by the schemas that are built in. The server is asked for others.
const TEXTS: &[&str] = &[
    "businessCategory",
    "c",
    "cn",
    "co",
    "company",
    "department",
    "departmentNumber",
    "description",
    "displayName",
    "distinguishedName",
    "employeeID",
    "employeeNumber",
    "employeeType",
    "entryUUID",
    "facsimileTelephoneNumber",
    "gidNumber",
    "givenName",
    "homeDirectory",
    "homePhone",
    "homePostalAddress",
    "initials",
    "ipaUniqueID",
    "l",
    "mail",
    "mailAlternateAddress",
    "mailLocalAddress",
    "mailNickname",
    "manager",
    "member",
    "memberOf",
    "memberUid",
    "mobile",
    "msExchHideFromAddressLists",
    "msExchRecipientTypeDetails",
    "name",
    "nsAccountLock",
    "nsUniqueId",
    "o",
    "objectClass",
    "ou",
    "pager",
    "physicalDeliveryOfficeName",
    "postalAddress",
    "postalCode",
    "preferredLanguage",
    "primaryGroupID",
    "proxyAddresses",
    "pwdAccountLockedTime",
    "roomNumber",
    "sAMAccountName",
    "secretary",
    "sn",
    "st",
    "street",
    "streetAddress",
    "telephoneNumber",
    "title",
    "uid",
    "uidNumber",
    "uniqueMember",
    "userAccountControl",
    "userPrincipalName",
    "wWWHomePage",
];

/// What a server says of an attribute that no table knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Learnt {
    /// Its name in the mapping.
    pub(super) attribute: String,
    /// All its names, if the server says them.
    pub(super) names: Vec<String>,
    /// What its values are.
    pub(super) syntax: Syntax,
}

/// What the values of attributes are: by the table of those that are known, and by what a server says of others.
#[derive(Debug, Default)]
pub(super) struct Syntaxes(Vec<Learnt>);

impl Syntaxes {
    /// With what a server says of attributes that are not known.
    pub(super) fn new(learnt: Vec<Learnt>) -> Self {
        Self(learnt)
    }

    /// The syntax of an attribute.
    pub(super) fn of(&self, attribute: &str) -> Syntax {
        match Syntax::of(attribute) {
            Syntax::Text => self.learnt(attribute).map_or(Syntax::Text, |learnt| learnt.syntax),
            known => known,
        }
    }

    /// An attribute by all its names, if the server said them. It takes each of them, and answers with the one that it
    /// knows best.
    pub(super) fn names(&self, attribute: &str) -> Vec<String> {
        let options = attribute.get(type_of(attribute).len()..).unwrap_or_default();
        let learnt = self.learnt(attribute).into_iter().flat_map(|learnt| &learnt.names);
        learnt.map(|name| format!("{name}{options}")).collect()
    }

    fn learnt(&self, attribute: &str) -> Option<&Learnt> {
        let name = type_of(attribute);
        self.0.iter().find(|learnt| same_attribute(&learnt.attribute, name))
    }
}

/// The types of those attributes that the table does not know.
pub(super) fn unknown<'a>(attributes: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let mut unknown: Vec<&str> = Vec::new();
    for name in attributes.filter(|attribute| Syntax::of(attribute) == Syntax::Text).map(type_of) {
        let same = |known: &&str| same_attribute(known, name);
        if !TEXTS.iter().any(same) && !unknown.iter().any(same) {
            unknown.push(name);
        }
    }
    unknown
}

/// An attribute without its options.
fn type_of(attribute: &str) -> &str {
    attribute.split(';').next().unwrap_or_default()
}

impl Syntax {
    /// The syntax of an attribute by its name.
    pub(super) fn of(attribute: &str) -> Self {
        let (name, options) = attribute.split_once(';').unwrap_or((attribute, ""));
        let among = |names: &[&str]| names.iter().any(|known| same_attribute(known, name));
        if among(GUIDS) {
            Self::Guid
        } else if among(SIDS) {
            Self::Sid
        } else if among(BYTES) || options.split(';').any(|option| option.eq_ignore_ascii_case("binary")) {
            Self::Bytes
        } else {
            Self::Text
        }
    }

    /// The text for a value; what is no value of the syntax becomes bytes that no text is made of, so that it is
    /// counted as malformed.
    pub(super) fn text(self, value: &[u8]) -> Cow<'_, [u8]> {
        let text = match self {
            Self::Text => return Cow::Borrowed(value),
            Self::Guid => guid(value),
            Self::Sid => sid(value),
            Self::Bytes => Some(hexadecimal(value)),
        };
        Cow::Owned(text.map_or_else(|| vec![0xff], String::into_bytes))
    }

    /// The bytes that a text stands for, to search for them; `None` if it stands for none.
    pub(super) fn bytes(self, text: &str) -> Option<Vec<u8>> {
        match self {
            Self::Text => Some(text.as_bytes().to_vec()),
            Self::Bytes => from_hexadecimal(text),
            Self::Guid => {
                let mut bytes = from_hexadecimal(&text.replace('-', "")).filter(|bytes| bytes.len() == 16)?;
                swap(&mut bytes);
                Some(bytes)
            }
            Self::Sid => {
                let mut parts = text.strip_prefix("S-1-")?.split('-');
                let authority: u64 = parts.next()?.parse().ok()?;
                let rest = parts.map(|part| part.parse::<u32>().ok()).collect::<Option<Vec<_>>>()?;
                let mut bytes = vec![1, u8::try_from(rest.len()).ok()?];
                bytes.extend(authority.to_be_bytes().get(2..)?);
                for part in rest {
                    bytes.extend(part.to_le_bytes());
                }
                Some(bytes)
            }
        }
    }
}

/// Between the order of bytes in a GUID and that of a UUID, either way.
fn swap(bytes: &mut [u8]) {
    for part in [0..4, 4..6, 6..8] {
        if let Some(part) = bytes.get_mut(part) {
            part.reverse();
        }
    }
}

fn guid(value: &[u8]) -> Option<String> {
    let mut bytes: [u8; 16] = value.try_into().ok()?;
    swap(&mut bytes);
    let digits = hexadecimal(&bytes);
    let part = |range| digits.get(range).unwrap_or_default();
    Some(format!("{}-{}-{}-{}-{}", part(0..8), part(8..12), part(12..16), part(16..20), part(20..32)))
}

fn sid(value: &[u8]) -> Option<String> {
    let (&[revision, count, ref authority @ ..], rest) = value.split_first_chunk::<8>()?;
    if revision != 1 || rest.len() != usize::from(count) * 4 {
        return None;
    }
    let authority = authority.iter().fold(0_u64, |number, &byte| number << 8 | u64::from(byte));
    let mut text = format!("S-1-{authority}");
    for part in rest.chunks_exact(4) {
        write!(text, "-{}", u32::from_le_bytes(part.try_into().ok()?)).ok()?;
    }
    Some(text)
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn from_hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digits = text.as_bytes();
    let pairs = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    });
    pairs.collect()
}

fn nibble(digit: u8) -> Option<u8> {
    u8::try_from(char::from(digit).to_digit(16)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_guid_is_written_as_microsoft_writes_it() {
        let value: Vec<u8> = (0..16).collect();
        let text = Syntax::of("OBJECTGUID").text(&value);
        assert_eq!(&*text, b"03020100-0504-0706-0809-0a0b0c0d0e0f");
        assert_eq!(Syntax::Guid.bytes("03020100-0504-0706-0809-0A0B0C0D0E0F"), Some(value));
    }

    #[test]
    fn a_sid_is_written_as_microsoft_writes_it() {
        let mut value = vec![1, 2, 0, 0, 0, 0, 0, 5];
        value.extend(21_u32.to_le_bytes());
        value.extend(513_u32.to_le_bytes());
        assert_eq!(&*Syntax::Sid.text(&value), b"S-1-5-21-513");
        assert_eq!(Syntax::Sid.bytes("S-1-5-21-513"), Some(value));
    }

    #[test]
    fn bytes_are_bytes_even_if_they_look_like_text() {
        assert_eq!(Syntax::of("jpegPhoto"), Syntax::Bytes);
        assert_eq!(Syntax::of("cn;binary"), Syntax::Bytes);
        assert_eq!(Syntax::of("mail"), Syntax::Text);
        // Sixteen letters are a GUID where a GUID is due, and others are none.
        assert_eq!(&*Syntax::Guid.text(b"abcdefghijklmnop"), b"64636261-6665-6867-696a-6b6c6d6e6f70");
        assert!(std::str::from_utf8(&Syntax::Guid.text(b"too short")).is_err());
        assert!(std::str::from_utf8(&Syntax::Sid.text(b"no identifier")).is_err());
    }

    #[test]
    fn what_the_table_does_not_know_is_as_the_server_says() {
        let wanted = ["mail", "cn;lang-de", "objectGUID", "badgeToken;x-a", "BADGETOKEN", "costCenter", "2.5.4.4"];
        assert_eq!(unknown(wanted.into_iter()), ["badgeToken", "costCenter"]);
        let names = ["1.2.3", "badgetoken", "token"].map(str::to_owned).to_vec();
        let learnt = Learnt { attribute: "badgeToken".to_owned(), names, syntax: Syntax::Bytes };
        let syntaxes = Syntaxes::new(vec![learnt]);
        assert_eq!(syntaxes.of("badgetoken;x-a"), Syntax::Bytes);
        assert_eq!(syntaxes.names("badgeToken;x-a"), ["1.2.3;x-a", "badgetoken;x-a", "token;x-a"]);
        assert_eq!(syntaxes.of("costCenter"), Syntax::Text);
        assert!(syntaxes.names("costCenter").is_empty());
        assert_eq!(syntaxes.of("objectGUID"), Syntax::Guid);
    }

    proptest! {
        #[test]
        fn what_was_written_can_be_searched_for(value in proptest::collection::vec(any::<u8>(), 0..40)) {
            for syntax in [Syntax::Guid, Syntax::Sid, Syntax::Bytes] {
                if let Ok(text) = std::str::from_utf8(&syntax.text(&value)) {
                    prop_assert_eq!(syntax.bytes(text), Some(value.clone()));
                }
            }
        }
    }
}
