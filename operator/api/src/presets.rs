//! What common directories call their attributes, and what of them are people and groups.

use crate::{
    mapping::{FieldSource, GroupMapping, Mapping, UserMapping},
    source::{LdapSchema, LdapSource, LockedAccounts},
    sync::DirectorySyncSpec,
};

/// What a schema fills in.
#[derive(Debug, Clone, Default)]
pub(crate) struct Preset {
    /// Fields that are taken from one place.
    mapping: Mapping,
    /// Attributes that hold further addresses of a person.
    pub(crate) aliases: Vec<&'static str>,
    /// Attributes that name the members of a group.
    pub(crate) members: Vec<&'static str>,
}

impl DirectorySyncSpec {
    /// The mapping with the parts that were left out filled in by the source's preset. Of further addresses and
    /// members, which a preset may take from several attributes, the first is shown.
    ///
    /// Org units and further attributes are in no preset: a field that is not mapped is not managed, and managing one
    /// by accident would empty it in the target.
    pub fn effective_mapping(&self) -> Mapping {
        let written = self.mapping.clone().unwrap_or_default();
        let (user, group) = (written.user.unwrap_or_default(), written.group.unwrap_or_default());
        let Preset { mapping, aliases, members } = self.preset();
        let (user_preset, group_preset) = (mapping.user.unwrap_or_default(), mapping.group.unwrap_or_default());
        let first = |attributes: &[&str]| attributes.first().map(|&name| FieldSource::attribute(name));
        Mapping {
            user: Some(UserMapping {
                id: user.id.or(user_preset.id),
                email: user.email.or(user_preset.email),
                aliases: user.aliases.or_else(|| first(&aliases)),
                given_name: user.given_name.or(user_preset.given_name),
                family_name: user.family_name.or(user_preset.family_name),
                display_name: user.display_name.or(user_preset.display_name),
                org_unit: user.org_unit,
                active: user.active.or(user_preset.active),
                attributes: user.attributes,
                password: user.password,
            }),
            group: Some(GroupMapping {
                id: group.id.or(group_preset.id),
                email: group.email.or(group_preset.email),
                name: group.name.or(group_preset.name),
                description: group.description.or(group_preset.description),
                members: group.members.or_else(|| first(&members)),
            }),
        }
    }

    pub(crate) fn preset(&self) -> Preset {
        match (&self.source.ldap, &self.source.google) {
            (Some(ldap), _) => preset(ldap),
            (None, Some(_)) => google_preset(),
            (None, None) => Preset::default(),
        }
    }
}

impl LdapSchema {
    /// Which entries are people where a search names no filter.
    pub fn user_filter(self) -> &'static str {
        match self {
            Self::Custom => "(objectClass=*)",
            Self::OpenLDAP | Self::FreeIPA => "(objectClass=inetOrgPerson)",
            // Computers have the category `computer`. The mailboxes in which Exchange keeps its own things are users;
            // they are told by their names, because servers without Exchange do not know its attributes.
            Self::ActiveDirectory => {
                "(&(objectCategory=person)(|(objectClass=user)(objectClass=contact))(!(cn=SystemMailbox{*))\
                 (!(cn=HealthMailbox*))(!(cn=DiscoverySearchMailbox*))(!(cn=FederatedEmail.*))(!(cn=Migration.*)))"
            }
            // The server's own tools make people of the class nsPerson.
            Self::DirectoryServer389 => "(|(objectClass=person)(objectClass=nsPerson))",
        }
    }

    /// Which entries are groups where a search names no filter.
    pub fn group_filter(self) -> &'static str {
        match self {
            Self::Custom => "(objectClass=*)",
            Self::OpenLDAP | Self::DirectoryServer389 => {
                "(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))"
            }
            Self::FreeIPA => "(objectClass=ipaUserGroup)",
            // The lowest bit marks the groups that the system made for itself (MS-ADTS 2.2.12).
            Self::ActiveDirectory => "(&(objectClass=group)(!(groupType:1.2.840.113556.1.4.803:=1)))",
        }
    }
}

fn google_preset() -> Preset {
    let attribute = |name: &str| Some(FieldSource::attribute(name));
    let mapping = Mapping {
        user: Some(UserMapping {
            id: attribute("id"),
            email: attribute("primaryEmail"),
            given_name: attribute("name.givenName"),
            family_name: attribute("name.familyName"),
            display_name: attribute("name.fullName"),
            // Neither suspended nor archived.
            active: attribute("active"),
            ..UserMapping::default()
        }),
        group: Some(GroupMapping {
            id: attribute("id"),
            email: attribute("email"),
            name: attribute("name"),
            description: attribute("description"),
            members: None,
        }),
    };
    Preset { mapping, aliases: vec!["aliases"], members: vec!["members"] }
}

fn preset(ldap: &LdapSource) -> Preset {
    let attribute = |name: &str| Some(FieldSource::attribute(name));
    let cel = |text: &str| Some(FieldSource { cel: Some(text.to_owned()), ..FieldSource::default() });
    // Where the identity stands, and otherwise what RFC 2798 and RFC 4519 call it.
    let with_identity = |id: &str| Mapping {
        user: Some(UserMapping {
            id: attribute(id),
            email: attribute("mail"),
            given_name: attribute("givenName"),
            family_name: attribute("sn"),
            // RFC 4519 §3.12: every person has one, which is not so of displayName.
            display_name: attribute("cn"),
            ..UserMapping::default()
        }),
        group: Some(GroupMapping {
            id: attribute(id),
            email: attribute("mail"),
            name: attribute("cn"),
            description: attribute("description"),
            members: None,
        }),
    };
    let with_active = |mapping: Mapping, active: Option<FieldSource>| Mapping {
        user: mapping.user.map(|user| UserMapping { active, ..user }),
        ..mapping
    };
    // The virtual attribute of 389 Directory Server for accounts that were inactivated.
    let not_locked = || cel("!has(entry.nsAccountLock) || !(entry.nsAccountLock[0] in ['TRUE', 'true'])");
    match ldap.schema {
        LdapSchema::Custom => Preset::default(),
        LdapSchema::OpenLDAP => Preset {
            // RFC 4530: assigned by the server, and never changed.
            mapping: with_active(
                with_identity("entryUUID"),
                match ldap.locked_accounts {
                    LockedAccounts::Ignored => None,
                    LockedAccounts::Inactive => {
                        cel("!has(entry.pwdAccountLockedTime) || !('000001010000Z' in entry.pwdAccountLockedTime)")
                    }
                },
            ),
            // Of several values of `mail` one is the primary address; the others are further ones.
            aliases: vec!["mailLocalAddress", "mailAlternateAddress", "mail"],
            members: vec!["member", "uniqueMember", "memberUid"],
        },
        LdapSchema::FreeIPA => Preset {
            mapping: with_active(with_identity("ipaUniqueID"), not_locked()),
            aliases: vec!["mailAlternateAddress", "mail"],
            members: vec!["member"],
        },
        LdapSchema::DirectoryServer389 => Preset {
            mapping: with_active(with_identity("nsUniqueId"), not_locked()),
            aliases: vec!["mailAlternateAddress", "mail"],
            members: vec!["member", "uniqueMember", "memberUid"],
        },
        LdapSchema::ActiveDirectory => {
            let names = with_identity("objectGUID");
            Preset {
                mapping: Mapping {
                    user: names.user.map(|user| UserMapping {
                        email: cel(PRIMARY_ADDRESS),
                        display_name: attribute("displayName"),
                        active: cel(ENABLED),
                        ..user
                    }),
                    group: names.group.map(|group| GroupMapping { email: cel(PRIMARY_ADDRESS), ..group }),
                },
                aliases: vec!["proxyAddresses"],
                members: vec!["member"],
            }
        }
    }
}

/// `SMTP:` in capitals marks the primary address among the `proxyAddresses` of Exchange; where there is none, `mail` is.
const PRIMARY_ADDRESS: &str = "has(entry.proxyAddresses) && entry.proxyAddresses.exists(a, a.startsWith('SMTP:')) \
                               ? entry.proxyAddresses.filter(a, a.startsWith('SMTP:')) \
                               : (has(entry.mail) ? entry.mail : [])";

/// Bit 2 of `userAccountControl` disables an account (MS-ADTS 2.2.16). The accounts of shared mailboxes, rooms and
/// equipment are disabled always, here and in the cloud, because nobody signs in to them.
const ENABLED: &str = "!has(entry.userAccountControl) || int(entry.userAccountControl[0]) / 2 % 2 == 0 \
                       || (has(entry.msExchRecipientTypeDetails) && entry.msExchRecipientTypeDetails[0] in \
                       ['4', '16', '32', '8589934592', '17179869184', '34359738368'])";
