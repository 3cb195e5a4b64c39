//! What can go wrong with an LDAP directory, in one sentence each: what, where, and how to mend it.

use directory_sync_core::Disposition;
use directory_sync_core::disposition::Classified;
use directory_sync_core::read::IncompleteRead;
use std::time::Duration;
use std::{fmt, io};

/// Why a directory could not be read. Servers are named by their URL; text from a server is cut to a few words.
#[derive(Debug, thiserror::Error)]
pub enum LdapError {
    /// The servers of a domain are not known.
    #[error(
        "the servers of {domain} cannot be found ({problem}); check the domain and the cluster's DNS, or name the \
         servers in urls"
    )]
    DomainUnknown {
        /// The domain.
        domain: String,
        /// What the resolver said.
        problem: String,
    },
    /// The records of a domain name a server outside it.
    #[error(
        "the SRV records of {domain} lead to {host}, which is outside the domain, so nothing was sent to it; mend the \
         records, or name the servers in urls"
    )]
    DomainLeads {
        /// The domain.
        domain: String,
        /// Where they lead.
        host: String,
    },
    /// The server does not know whose certificate this is.
    #[error(
        "{url} does not accept the client certificate ({result}); check the certificate in the Secret that \
         bind.external.secretRef names, and what the server maps it to"
    )]
    ClientCertificateRefused {
        /// The server.
        url: String,
        /// What the server said.
        result: ResultCode,
    },
    /// A group whose members are to be synchronised is not there, or its members cannot be read.
    #[error(
        "{url}: the members of {group}, named in onlyGroups, cannot be read whole; correct its name, or grant the \
         account the right to read it"
    )]
    GroupUnreadable {
        /// The server.
        url: String,
        /// The group.
        group: String,
    },
    /// A group whose members are to be synchronised shows none, and it cannot be told whether it has none.
    #[error(
        "{url} shows no member of {}, on which onlyGroups depends, and does not tell by memberOf either whether it has \
         none; grant the account the right to read its members, or take it out of onlyGroups or of the group it is in",
        excerpt(group)
    )]
    GroupShowsNobody {
        /// The server.
        url: String,
        /// The group.
        group: String,
    },
    /// A member of a group whose members are to be synchronised is not shown, and may be a group itself.
    #[error(
        "{url} does not show an entry below {} that is a member of {}, on which onlyGroups depends; if it is a group, its \
         people would look like leavers: grant the account the right to read it, or remove it from the group if it is \
         gone",
        excerpt(above),
        excerpt(group)
    )]
    MemberHidden {
        /// The server.
        url: String,
        /// The group.
        group: String,
        /// The entry above the member, whose own name may be that of a person.
        above: String,
    },
    /// Too many members of the groups whose members are to be synchronised are found by no search.
    #[error(
        "{url}: more than {cap} members of the groups in onlyGroups are found neither by users nor by groups, too many to \
         be looked up one by one; widen these searches, or name smaller groups"
    )]
    MembersElsewhere {
        /// The server.
        url: String,
        /// How many are looked up.
        cap: usize,
    },
    /// A setting that cannot work.
    #[error("spec.source.ldap.{field}: {problem}")]
    Config {
        /// Path of the field below `spec.source.ldap`.
        field: String,
        /// What is wrong and what to write instead.
        problem: String,
    },
    /// A filter that RFC 4515 does not allow.
    #[error(
        "spec.source.ldap.{field}: the filter {filter} cannot be read; write it as in RFC 4515, for instance \
         (objectClass=inetOrgPerson)"
    )]
    FilterInvalid {
        /// Path of the field below `spec.source.ldap`.
        field: String,
        /// The filter as written.
        filter: String,
    },
    /// A password would have gone over an unencrypted connection.
    #[error(
        "{url} is not encrypted, so no password was sent to it; use ldaps:// or StartTLS, or accept it with \
         tls.plaintext: AllowPasswordsInClearText"
    )]
    PlaintextRefused {
        /// The server.
        url: String,
    },
    /// People's passwords would come over an unencrypted connection.
    #[error(
        "mapping.user.password is read over TLS only, and the connection is not encrypted; use ldaps:// or \
         tls.startTLS, or remove it"
    )]
    PasswordsInClearText,
    /// The name of the server has no address.
    #[error("the host of {url} cannot be found ({}); check the name in urls and the cluster's DNS", words(source))]
    HostUnknown {
        /// The server.
        url: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// No connection came about.
    #[error("{url} cannot be reached ({}); check the port, the server and the network policies", words(source))]
    Unreachable {
        /// The server.
        url: String,
        /// What the network said.
        source: io::Error,
    },
    /// Nothing came in time.
    #[error("{url} did not {what} within {} s; look at the server, or raise timeout", after.as_secs_f32())]
    TimedOut {
        /// The server.
        url: String,
        /// What was waited for.
        what: &'static str,
        /// How long.
        after: Duration,
    },
    /// The server does not upgrade the connection.
    #[error("{url} refuses StartTLS ({result}); enable TLS on the server, or use ldaps://")]
    StartTlsRefused {
        /// The server.
        url: String,
        /// What the server said.
        result: ResultCode,
    },
    /// TLS did not come about, for another reason than the certificate.
    #[error("TLS with {url} failed ({problem}); check that the port speaks TLS 1.2 or later")]
    TlsFailed {
        /// The server.
        url: String,
        /// What TLS said.
        problem: String,
    },
    /// The certificate is out of date.
    #[error("the certificate of {url} is outside its period of validity; renew it on the server")]
    CertificateExpired {
        /// The server.
        url: String,
    },
    /// The certificate cannot be trusted.
    #[error(
        "the certificate of {url} is not trusted ({problem}); put the authority that signed it into tls.caBundle, and \
         use a host name that it covers"
    )]
    CertificateUntrusted {
        /// The server.
        url: String,
        /// What the check said.
        problem: String,
    },
    /// The server does not accept the account.
    #[error(
        "{url} refuses the account ({result}); correct the Secret that bind.simple.secretRef names, or, if the account \
         was mended in the directory, ask for a run with the annotation directorysync.dev/requestedAt"
    )]
    AuthFailed {
        /// The server.
        url: String,
        /// What the server said.
        result: ResultCode,
    },
    /// The server wants encryption or another kind of bind.
    #[error("{url} demands an encrypted connection (result code {code}); use ldaps:// or StartTLS")]
    EncryptionRequired {
        /// The server.
        url: String,
        /// Result code.
        code: u32,
    },
    /// The server cannot answer now.
    #[error("{url} is not available at present ({result}); look at the server if this lasts")]
    Unavailable {
        /// The server.
        url: String,
        /// What the server said.
        result: ResultCode,
    },
    /// The connection ended before the answer did.
    #[error("{url} closed the connection before its answer was complete ({problem}); look at its log if this lasts")]
    ConnectionLost {
        /// The server.
        url: String,
        /// How it ended.
        problem: String,
    },
    /// Bytes that are no LDAP, or no answer to what was asked.
    #[error("{url} sent {problem}; what answers there is no LDAP server that can be trusted")]
    Malformed {
        /// The server.
        url: String,
        /// What came.
        problem: String,
    },
    /// An answer over a cap.
    #[error("{url} sent {problem}; narrow the search, or lower pageSize")]
    CapExceeded {
        /// The server.
        url: String,
        /// What came, and the cap.
        problem: String,
    },
    /// The LDAP library gave up.
    #[error("the answer of {url} could not be processed ({problem}); look at the server's log if this lasts")]
    ClientFailed {
        /// The server.
        url: String,
        /// What happened.
        problem: String,
    },
    /// The base of a search is no distinguished name.
    #[error("{url} does not take {base} for a distinguished name; write baseDN as in ou=people,dc=example,dc=com")]
    BaseInvalid {
        /// The server.
        url: String,
        /// What was written.
        base: String,
    },
    /// The base of a search does not exist, or is hidden from the account.
    #[error(
        "{url} has no entry {base}, or hides it from this account; correct baseDN, or grant the account the right to \
         read it"
    )]
    BaseNotFound {
        /// The server.
        url: String,
        /// The base DN.
        base: String,
    },
    /// The server stopped at a limit of its own.
    #[error(
        "{url} stopped the search below {base} at its {limit} limit; raise that limit for the account, or lower \
         pageSize"
    )]
    LimitExceeded {
        /// The server.
        url: String,
        /// The base DN.
        base: String,
        /// Which limit.
        limit: &'static str,
    },
    /// Part of the answer is on another server.
    #[error(
        "{url} refers the search below {base} to {}, which is not followed; search below the entries that this server \
         holds, or add the host to followReferrals.hosts if the account may be shown to it",
        excerpt(&targets.join(" or "))
    )]
    Referral {
        /// The server.
        url: String,
        /// The base DN.
        base: String,
        /// Where it points: servers any of which may be asked.
        targets: Vec<String>,
    },
    /// Referrals lead in circles or too far.
    #[error(
        "referrals of the search below {base} lead in circles or over more than {cap} servers, last to {target}; mend \
         the referrals"
    )]
    ReferralLoop {
        /// The base DN.
        base: String,
        /// Where the last one points.
        target: String,
        /// How many are followed.
        cap: usize,
    },
    /// The account may not search there.
    #[error("{url} does not let this account search below {base}; grant it the right to read")]
    AccessDenied {
        /// The server.
        url: String,
        /// The base DN.
        base: String,
    },
    /// Another result code than success.
    #[error("{url} refuses the search below {base} ({result}); look at the server's log for more")]
    Refused {
        /// The server.
        url: String,
        /// The base DN.
        base: String,
        /// What the server said.
        result: ResultCode,
    },
    /// The read did not come to its end.
    #[error(transparent)]
    Incomplete(#[from] IncompleteRead),
    /// No server of several could be used.
    #[error("none of the servers can be used: {}", numbered(attempts))]
    NoServer {
        /// What went wrong with each, in the order of `urls`.
        attempts: Vec<LdapError>,
    },
}

impl LdapError {
    /// Whether the next URL is worth a try: the server could not be spoken to at all.
    pub(super) fn is_of_this_server_only(&self) -> bool {
        self.failed_server().is_some()
    }

    /// The server that could not be spoken to.
    pub(super) fn failed_server(&self) -> Option<&str> {
        match self {
            Self::HostUnknown { url, .. }
            | Self::Unreachable { url, .. }
            | Self::TimedOut { url, .. }
            | Self::StartTlsRefused { url, .. }
            | Self::TlsFailed { url, .. }
            | Self::CertificateExpired { url, .. }
            | Self::CertificateUntrusted { url, .. }
            | Self::Unavailable { url, .. }
            | Self::ConnectionLost { url, .. } => Some(url),
            _ => None,
        }
    }

    /// Whether the connection is as good as before, so that other searches may go on.
    pub(super) fn is_of_this_search_only(&self) -> bool {
        matches!(
            self,
            Self::BaseNotFound { .. }
                | Self::LimitExceeded { .. }
                | Self::Referral { .. }
                | Self::AccessDenied { .. }
                | Self::Refused { .. }
        )
    }
}

impl Classified for LdapError {
    fn disposition(&self) -> Disposition {
        match self {
            // Mended in the resource or its Secret; another try with a wrong password may lock the account. What the
            // server, the domain or the directory may mend as well is tried again: nobody tells the operator of it.
            Self::Config { .. }
            | Self::FilterInvalid { .. }
            | Self::BaseInvalid { .. }
            | Self::PlaintextRefused { .. }
            | Self::PasswordsInClearText
            | Self::AuthFailed { .. } => Disposition::Stall,
            Self::Incomplete(error) => error.disposition(),
            Self::NoServer { attempts } => attempts.first().map_or(Disposition::Retry, Classified::disposition),
            _ => Disposition::Retry,
        }
    }

    fn reason(&self) -> &'static str {
        match self {
            Self::Config { .. } | Self::BaseInvalid { .. } => "SourceInvalid",
            Self::FilterInvalid { .. } => "SourceFilterInvalid",
            Self::PlaintextRefused { .. } | Self::PasswordsInClearText => "SourcePlaintextRefused",
            Self::HostUnknown { .. } | Self::DomainUnknown { .. } => "SourceHostUnknown",
            Self::DomainLeads { .. } => "SourceDomainLeadsAway",
            Self::GroupUnreadable { .. }
            | Self::GroupShowsNobody { .. }
            | Self::MemberHidden { .. }
            | Self::MembersElsewhere { .. } => "SourceGroupUnreadable",
            Self::Unreachable { .. } | Self::Unavailable { .. } => "SourceUnavailable",
            Self::TimedOut { .. } => "SourceTimedOut",
            Self::StartTlsRefused { .. } | Self::TlsFailed { .. } => "SourceTlsFailed",
            Self::CertificateExpired { .. } => "SourceCertificateExpired",
            Self::CertificateUntrusted { .. } => "SourceCertificateUntrusted",
            Self::AuthFailed { .. } | Self::ClientCertificateRefused { .. } => "SourceAuthFailed",
            Self::EncryptionRequired { .. } => "SourceEncryptionRequired",
            Self::ConnectionLost { .. } | Self::ClientFailed { .. } => "SourceReadIncomplete",
            Self::Malformed { .. } => "SourceMalformedAnswer",
            Self::CapExceeded { .. } | Self::LimitExceeded { .. } => "SourceLimitExceeded",
            Self::BaseNotFound { .. } => "SourceBaseNotFound",
            Self::Referral { .. } | Self::ReferralLoop { .. } => "SourceReferral",
            Self::AccessDenied { .. } => "SourceAccessDenied",
            Self::Refused { .. } => "SourceSearchRefused",
            Self::Incomplete(error) => error.reason(),
            Self::NoServer { attempts } => attempts.first().map_or("SourceUnavailable", Classified::reason),
        }
    }

    fn quoted(&self) -> Vec<&str> {
        match self {
            Self::ClientCertificateRefused { result, .. }
            | Self::StartTlsRefused { result, .. }
            | Self::AuthFailed { result, .. }
            | Self::Unavailable { result, .. }
            | Self::Refused { result, .. } => vec![&result.explanation],
            Self::Referral { targets, .. } => targets.iter().map(String::as_str).collect(),
            Self::ReferralLoop { target, .. } => vec![target],
            Self::NoServer { attempts } => attempts.iter().flat_map(Classified::quoted).collect(),
            _ => Vec::new(),
        }
    }
}

/// How a server ended an operation that did not succeed (RFC 4511 §4.1.9).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultCode {
    code: u32,
    explanation: String,
}

impl ResultCode {
    pub(super) fn new(code: u32, explanation: &str) -> Self {
        Self { code, explanation: excerpt(explanation) }
    }
}

impl fmt::Display for ResultCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // RFC 4511 appendix A; those that people meet.
        let name = match self.code {
            1 => " operationsError",
            2 => " protocolError",
            7 => " authMethodNotSupported",
            12 => " unavailableCriticalExtension",
            48 => " inappropriateAuthentication",
            49 => " invalidCredentials",
            51 => " busy",
            52 => " unavailable",
            53 => " unwillingToPerform",
            80 => " other",
            _ => "",
        };
        write!(formatter, "result code {}{name}", self.code)?;
        if self.explanation.is_empty() { Ok(()) } else { write!(formatter, ": {}", self.explanation) }
    }
}

/// Text of a server, fit for a message: one line, at most 200 characters.
pub(super) fn excerpt(text: &str) -> String {
    let text: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(200).collect();
    text.trim().to_owned()
}

/// An error of the system without its number, which tells people nothing.
pub(super) fn words(error: &io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

fn numbered(attempts: &[LdapError]) -> String {
    let numbered: Vec<_> = (1..).zip(attempts).map(|(number, error)| format!("({number}) {error}")).collect();
    numbered.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_other_side_may_mend_is_tried_again_and_a_refused_password_is_not() {
        let url = || "ldaps://ldap.example.com".to_owned();
        let result = || ResultCode::new(49, "");
        let retried = [
            LdapError::DomainLeads { domain: "example.com".to_owned(), host: "example.org".to_owned() },
            LdapError::ClientCertificateRefused { url: url(), result: result() },
            LdapError::EncryptionRequired { url: url(), code: 13 },
            LdapError::CapExceeded { url: url(), problem: "too much".to_owned() },
        ];
        for error in retried {
            assert_eq!(error.disposition(), Disposition::Retry, "{error}");
        }
        let refused = LdapError::AuthFailed { url: url(), result: result() };
        assert_eq!(refused.disposition(), Disposition::Stall, "every try may lock the account");
        assert!(refused.to_string().ends_with("ask for a run with the annotation directorysync.dev/requestedAt"));
    }

    #[test]
    fn the_words_of_a_server_can_be_left_out() {
        let result = ResultCode::new(53, "ada@example.com may not");
        let refused = LdapError::Unavailable { url: "ldaps://ldap.example.com".to_owned(), result };
        assert!(refused.to_string().contains("ada@"));
        let several = LdapError::NoServer { attempts: vec![refused] };
        assert!(!several.unquoted().contains("ada@"), "{}", several.unquoted());
        assert!(several.unquoted().contains("(result code 53 unwillingToPerform: …)"), "{}", several.unquoted());
    }
}
