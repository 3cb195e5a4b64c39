//! Passwords from a real directory into a real service: read and sent over TLS, remembered by their fingerprints, and
//! shown nowhere.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::sync::Arc;

use directory_sync_core::applied::Applied;
use directory_sync_core::confirm;
use directory_sync_core::disposition::Classified;
use directory_sync_core::gate;
use directory_sync_core::mapping::{UserMapping, UserMappingSpec, Value};
use directory_sync_core::operation::Verb;
use directory_sync_core::password::{FingerprintKey, PasswordScheme, UnusablePassword};
use directory_sync_core::plan::{WarningKind, Warnings, plan};
use directory_sync_core::read::{CompleteRead, SourceSide};
use directory_sync_core::rules::Rules;
use directory_sync_core::state::State;
use directory_sync_sources::ldap::{Bind, LdapConfig, LdapSource, Scope, Search, Tls};
use directory_sync_targets::Target;
use directory_sync_targets::scim::{ScimConfig, ScimTarget};
use directory_sync_tests::peers::company::Company;
use directory_sync_tests::peers::scim2_server::{Scim2Server, Scim2ServerOptions};
use directory_sync_tests::peers::slapd::{ODDITIES_DN, READER_DN, Slapd, SlapdOptions};
use directory_sync_tests::peers::tls::CertificateAuthority;
use directory_sync_tests::tls_proxy::TlsProxy;
use jiff::Timestamp;
use tokio_util::sync::CancellationToken;

const PASSWORD: &str = "correct horse battery staple";
const CLEAR_DN: &str = "uid=password.clear,ou=Passwords,ou=Oddities,dc=example,dc=com";

/// A directory whose reader may see passwords, and a service behind TLS.
struct Scene {
    slapd: Slapd,
    authority: CertificateAuthority,
    service: Scim2Server,
    proxy: TlsProxy,
}

impl Scene {
    async fn start() -> Self {
        let authority = CertificateAuthority::new("test").unwrap();
        let certificate = authority.server_certificate(&["127.0.0.1", "localhost"]).unwrap();
        let options =
            SlapdOptions { oddities: true, certificate: Some(certificate.clone()), ..SlapdOptions::default() };
        let slapd = Slapd::start(&options, &Company::small()).await.unwrap();
        let rule = format!("to attrs=userPassword by dn.exact=\"{READER_DN}\" read by anonymous auth by * none");
        slapd.restrict(&[&rule]).await.unwrap();
        let service = Scim2Server::start(Scim2ServerOptions::default()).await.unwrap();
        let address = service.url().parse::<url::Url>().unwrap();
        let peer = format!("127.0.0.1:{}", address.port().unwrap());
        let proxy = TlsProxy::start(&certificate, &peer).await.unwrap();
        Self { slapd, authority, service, proxy }
    }

    fn source(&self, url: String) -> LdapConfig {
        let attribute = |name: &str| Some(Value::Attribute(name.to_owned()));
        let mapping = UserMapping::compile(&UserMappingSpec {
            id: attribute("entryUUID"),
            email: attribute("mail"),
            family_name: attribute("sn"),
            password: Some("userPassword".to_owned()),
            ..UserMappingSpec::default()
        });
        let bind = Bind::Simple { username: READER_DN.to_owned(), password: self.slapd.reader_password().clone() };
        LdapConfig {
            tls: Tls { ca_bundle: Some(self.authority.certificate_pem().to_owned()), ..Tls::default() },
            users: vec![Search {
                base_dn: format!("ou=Passwords,{ODDITIES_DN}"),
                scope: Scope::OneLevel,
                filter: "(objectClass=inetOrgPerson)".to_owned(),
            }],
            ..LdapConfig::new(vec![url], bind, Arc::new(mapping.unwrap()))
        }
    }

    async fn read(&self) -> CompleteRead<SourceSide> {
        let config = self.source(self.slapd.ldaps_url().unwrap());
        LdapSource::new(config).unwrap().read_all().await.unwrap()
    }

    fn target(&self, url: &str) -> ScimTarget {
        let mut config = ScimConfig::new(url.parse().unwrap(), self.service.token().clone());
        config.requests_per_second = std::num::NonZeroU32::new(500).unwrap();
        if url.starts_with("https://") {
            config.ca_pem = Some(self.authority.certificate_pem().as_bytes().to_vec());
        } else {
            config.allow_plaintext = true;
        }
        ScimTarget::new(config).unwrap()
    }

    /// One run, and what its plan warned of.
    async fn run(&self, target: &ScimTarget, rules: &Rules, state: &mut State) -> (Applied, Warnings) {
        let now = Timestamp::now();
        let (from, to) = (self.read().await, target.read().await.unwrap());
        let capabilities = target.discover().await.unwrap();
        let plan = plan(&from, &to, rules, &capabilities, state, now);
        let warnings = plan.warnings().clone();
        let lookups = confirm::lookups(&plan, 0);
        let mut judgement = gate::judge(confirm::confirm(plan, lookups, Vec::new()), rules, state, None, now);
        let approved = judgement.take_approved();
        let applied = target.send(approved, &|_| {}, &CancellationToken::new()).await;
        *state = state.after(&judgement, &applied, now);
        (applied, warnings)
    }
}

fn rules(key: Option<&[u8]>) -> Rules {
    Rules { apply: true, password_key: key.map(|key| FingerprintKey::new(key).unwrap()), ..Rules::default() }
}

fn verbs(applied: &Applied) -> Vec<Verb> {
    assert_eq!(applied.failed(), 0, "{:?}", applied.outcomes());
    applied.outcomes().iter().map(directory_sync_core::applied::Outcome::verb).collect()
}

#[tokio::test]
async fn what_the_service_takes_is_sent_when_it_is_new_and_the_rest_is_counted() {
    let scene = Scene::start().await;
    let target = scene.target(&format!("{}/v2", scene.proxy.url()));
    let (rules, mut state) = (rules(Some(b"a key for tests alone")), State::new());
    let (applied, warnings) = scene.run(&target, &rules, &mut state).await;
    assert!(verbs(&applied).iter().all(|&verb| verb == Verb::CreateUser));
    // SCIM takes clear text (RFC 7643 §4.1.1); hashes it would take for passwords.
    assert_eq!(scene.proxy.sent().matches(PASSWORD).count(), 1, "one person has it in clear text");
    assert!(!scene.proxy.sent().contains("$6$") && !scene.proxy.sent().contains("q/eq1kOINtvlJqojGr3i0O73TUI="));
    let of = |kind| warnings.of(kind);
    assert_eq!(of(WarningKind::PasswordNotTaken(PasswordScheme::Sha1)), 1);
    assert_eq!(of(WarningKind::PasswordNotTaken(PasswordScheme::Md5)), 1);
    assert_eq!(of(WarningKind::PasswordNotTaken(PasswordScheme::CryptMd5)), 1);
    assert_eq!(of(WarningKind::PasswordNotTaken(PasswordScheme::CryptSha256)), 1);
    assert!(of(WarningKind::PasswordNotTaken(PasswordScheme::CryptSha512)) >= 2);
    assert_eq!(of(WarningKind::PasswordUnusable(UnusablePassword::SaltedSha1)), 1);
    assert_eq!(of(WarningKind::PasswordUnusable(UnusablePassword::SaltedMd5)), 1);
    assert!(of(WarningKind::PasswordUnusable(UnusablePassword::UnknownScheme)) >= 2);

    assert_eq!(verbs(&scene.run(&target, &rules, &mut state).await.0), []);
    scene.slapd.replace(CLEAR_DN, "userPassword", &["another one"]).await.unwrap();
    assert_eq!(verbs(&scene.run(&target, &rules, &mut state).await.0), [Verb::UpdateUser]);
    assert_eq!(scene.proxy.sent().matches("another one").count(), 1);
    assert_eq!(verbs(&scene.run(&target, &rules, &mut state).await.0), []);

    // Nothing tells a password that has been set, and neither do we.
    let shown = format!("{:?} {state:?}", scene.service.all("Users").await.unwrap());
    assert!(!shown.contains(PASSWORD) && !shown.contains("another one"));
}

#[tokio::test]
async fn without_a_key_a_changed_password_is_not_sent() {
    let scene = Scene::start().await;
    let target = scene.target(&format!("{}/v2", scene.proxy.url()));
    let (rules, mut state) = (rules(None), State::new());
    scene.run(&target, &rules, &mut state).await;
    assert_eq!(scene.proxy.sent().matches(PASSWORD).count(), 1);
    scene.slapd.replace(CLEAR_DN, "userPassword", &["another one"]).await.unwrap();
    assert_eq!(verbs(&scene.run(&target, &rules, &mut state).await.0), []);
}

#[tokio::test]
async fn no_password_is_read_or_sent_in_clear_text() {
    let scene = Scene::start().await;
    let mut config = scene.source(scene.slapd.url());
    config.tls = Tls { plaintext: true, ..Tls::default() };
    let error = LdapSource::new(config).unwrap_err();
    assert_eq!(error.reason(), "SourcePlaintextRefused");
    assert!(error.to_string().contains("mapping.user.password"), "{error}");

    let mut config = scene.source(scene.slapd.url());
    config.tls.start_tls = true;
    LdapSource::new(config).unwrap().read_all().await.expect("StartTLS is encrypted");

    // A service without TLS has no place for passwords.
    let target = scene.target(&scene.service.url());
    let (applied, warnings) = scene.run(&target, &rules(None), &mut State::new()).await;
    assert_eq!(applied.failed(), 0);
    assert!(warnings.of(WarningKind::NoPlaceFor(directory_sync_core::capabilities::Field::Password)) > 0);
}
