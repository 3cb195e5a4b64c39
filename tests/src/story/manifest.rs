//! The example, with what belongs to this machine in place of what belongs to nobody.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use secrecy::{ExposeSecret, SecretString};

/// What differs from the example.
#[derive(Debug)]
pub struct Replacements<'a> {
    /// The password of the account that reads the directory.
    pub ldap_password: &'a SecretString,
    /// The token of the service.
    pub scim_token: &'a SecretString,
    /// The certificate of the authority that vouches for the directory's server, as PEM.
    pub certificate_authority: &'a str,
    /// The directory's servers.
    pub ldap_urls: [&'a str; 2],
    /// The base of the service, which is without TLS.
    pub scim_url: &'a str,
}

/// `examples/openldap-to-scim.yaml` of the checkout.
pub fn example() -> Result<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples/openldap-to-scim.yaml");
    std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

impl Replacements<'_> {
    /// The example with the replacements; everything else, comments included, stays as it is. Fails if the example no
    /// longer holds what is to be replaced.
    pub fn apply(&self, example: &str) -> Result<String> {
        let certificate: Vec<_> = self.certificate_authority.lines().map(|line| format!("    {line}\n")).collect();
        let certificate = certificate.concat();
        let scim = format!("url: {}\n      tls:\n        plaintext: AllowTokenInClearText", self.scim_url);
        let password = format!("password: {}", self.ldap_password.expose_secret());
        let token = format!("token: {}", self.scim_token.expose_secret());
        let certificate_example = "    -----BEGIN CERTIFICATE-----\n    replace-me\n    -----END CERTIFICATE-----\n";
        let mut text = example.to_owned();
        for (of_nobody, of_this_machine) in [
            ("password: replace-me", password.as_str()),
            ("token: replace-me", &token),
            (certificate_example, &certificate),
            ("ldaps://ldap1.example.com", self.ldap_urls[0]),
            ("ldaps://ldap2.example.com", self.ldap_urls[1]),
            ("url: https://app.example.com/scim/v2", &scim),
        ] {
            ensure!(text.matches(of_nobody).count() == 1, "the example does not say once: {of_nobody}");
            text = text.replace(of_nobody, of_this_machine);
        }
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_credentials_differ_from_the_example() {
        let example = example().unwrap();
        let adapted = Replacements {
            ldap_password: &"secret".into(),
            scim_token: &"token".into(),
            certificate_authority: "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n",
            ldap_urls: ["ldaps://127.0.0.1:1", "ldaps://localhost:1"],
            scim_url: "http://127.0.0.1:2/v2",
        }
        .apply(&example)
        .unwrap();
        let changed: Vec<_> = adapted.lines().filter(|line| !example.lines().any(|other| other == *line)).collect();
        let expected = [
            "  password: secret",
            "    MII",
            "  token: token",
            "        - ldaps://127.0.0.1:1",
            "        - ldaps://localhost:1",
            "      url: http://127.0.0.1:2/v2",
            "        plaintext: AllowTokenInClearText",
        ];
        assert_eq!(changed, expected);
    }
}
