//! Reading everything, page by page, into columns.

use super::config::LdapConfig;
use super::directory::{Collector, Directory, Ranged, References};
use super::dn;
use super::error::LdapError;
use super::guard::EntrySink;
use super::names::{self, MemberName, Names, PersonAttributes};
use super::ranges;
use super::selection::Selection;
use directory_sync_core::address;
use directory_sync_core::mapping::{Entry, GroupMapping, UserMapping, same_attribute};
use directory_sync_core::operation::Kind;
use directory_sync_core::plan::WarningKind;
use directory_sync_core::read::{CompleteRead, IncompleteRead, Next, Read, Section, SourceSide};
use directory_sync_core::snapshot::{GroupRecord, GroupRow, UserRecord};

/// Reads people, then groups. Only when every search came to the server's own end is there a snapshot. With it comes by
/// what groups know the people.
pub(super) async fn read(
    directory: &mut Directory<'_>,
    has_several_servers: bool,
) -> Result<(CompleteRead<SourceSide>, Names), LdapError> {
    let config = directory.config;
    let mut read = Read::start(config.caps.read);
    if has_several_servers {
        read.served_by(directory.connection.url());
    }
    for place in config.filters_on_mapped() {
        read.warn(WarningKind::FilterOnMapped, Kind::User, &place);
    }
    let groups = config.group_mapping.as_deref();
    let selection = match groups {
        Some(groups) if !config.only.groups.is_empty() => {
            Some(Selection::read(directory, groups, &read.referencer().clone()).await?)
        }
        _ => None,
    };
    let mut people = People {
        url: String::new(),
        attributes: PersonAttributes::new(&config.user_mapping, groups, config.primary_groups),
        read: &mut read,
        section: Section::NONE,
        mapping: &config.user_mapping,
        config,
        selection: selection.as_ref(),
        names: Names::default(),
        record: UserRecord::default(),
        references: References::default(),
    };
    for search in &config.users {
        directory.search(search, &mut people).await?;
    }
    let names = people.names;
    if let Some(mapping) = groups {
        let mut attributes = mapping.attributes().to_vec();
        let sid = config.primary_groups.then(|| names::place(&mut attributes, names::SID));
        let mut groups = Groups {
            url: String::new(),
            attributes,
            sid,
            read: &mut read,
            section: Section::NONE,
            mapping,
            config,
            names: &names,
            record: GroupRecord::default(),
            partial: Vec::new(),
            rows: Vec::new(),
            ranged: Vec::new(),
            references: References::default(),
        };
        for search in &config.groups {
            directory.search(search, &mut groups).await?;
        }
    }
    Ok((read.finish()?, names))
}

/// Whether an address is in one of the domains to which the source is limited.
pub(super) fn is_in_domains(config: &LdapConfig, address: &str) -> bool {
    let domains = &config.only.mail_domains;
    let domain = address::domain(address).map(address::domain_key);
    domains.is_empty()
        || domain.is_some_and(|domain| domains.iter().any(|allowed| address::domain_key(allowed) == domain))
}

struct People<'r> {
    url: String,
    attributes: PersonAttributes,
    read: &'r mut Read<SourceSide>,
    section: Section,
    mapping: &'r UserMapping,
    config: &'r LdapConfig,
    selection: Option<&'r Selection>,
    names: Names,
    record: UserRecord,
    references: References,
}

impl EntrySink for People<'_> {
    fn attributes(&self) -> &[String] {
        &self.attributes.all
    }

    fn entry(&mut self, entry: &Entry<'_>, partial: Option<&str>) -> Result<(), LdapError> {
        if let Some(attribute) = partial {
            return Err(LdapError::PartialValues { url: self.url.clone(), attribute: attribute.to_owned() });
        }
        let reference = self.read.referencer().reference(&dn::normal_form(entry.name.as_bytes()));
        self.read.saw(self.section, reference);
        if self.mapping.map(entry, &mut self.record, &mut self.read.skipped_mut().malformed_values).is_err() {
            self.read.skipped_mut().users_without_id += 1;
            return Ok(());
        }
        // Whoever has no address stays, to be reported as such.
        if !self.record.address.is_empty() && !is_in_domains(self.config, &self.record.address) {
            return Ok(());
        }
        let logins = self.attributes.logins(self.read.referencer(), entry);
        let primary_group = self.attributes.primary_group(self.read.referencer(), entry);
        if let Some(selection) = self.selection
            && !selection.holds(logins.iter().copied().chain([reference]).chain(primary_group))
        {
            return Ok(());
        }
        self.names.add(reference, logins, primary_group);
        self.read.user(self.section, reference, &self.record)?;
        Ok(())
    }

    fn reference(&mut self, targets: &[&str]) -> Result<(), LdapError> {
        self.references.add(targets);
        Ok(())
    }
}

impl Collector for People<'_> {
    fn begin(&mut self, base: &str, url: &str) {
        url.clone_into(&mut self.url);
        self.section = self.read.open(format!("people below {base} on {url}"));
    }

    fn page(&mut self, next: Next<'_>) -> Result<(), IncompleteRead> {
        self.read.page(self.section, next)
    }

    fn references(&mut self) -> &mut References {
        &mut self.references
    }
}

struct Groups<'r> {
    url: String,
    attributes: Vec<String>,
    /// Where the security identifier stands, if primary groups count.
    sid: Option<usize>,
    read: &'r mut Read<SourceSide>,
    section: Section,
    mapping: &'r GroupMapping,
    config: &'r LdapConfig,
    names: &'r Names,
    record: GroupRecord,
    /// Attributes of the next entry of which only a range came.
    partial: Vec<String>,
    rows: Vec<GroupRow>,
    ranged: Vec<Ranged>,
    references: References,
}

impl EntrySink for Groups<'_> {
    fn attributes(&self) -> &[String] {
        &self.attributes
    }

    fn range(&mut self, description: &str, _: &[&[u8]]) {
        self.partial.extend(ranges::bounds(description).map(|(attribute, _)| attribute.to_owned()));
    }

    fn entry(&mut self, entry: &Entry<'_>, _: Option<&str>) -> Result<(), LdapError> {
        let partial = std::mem::take(&mut self.partial);
        let reference = self.read.referencer().reference(&dn::normal_form(entry.name.as_bytes()));
        self.read.saw(self.section, reference);
        if self.mapping.map(entry, &mut self.record, &mut self.read.skipped_mut().malformed_values).is_err() {
            self.read.skipped_mut().groups_without_id += 1;
            return Ok(());
        }
        if !is_in_domains(self.config, &self.record.address) {
            return Ok(());
        }
        let group = self.read.group(self.section, reference, &self.record)?;
        for (attribute, values) in self.mapping.members(entry) {
            for value in values {
                let member = self.names.resolve(names::member(self.read.referencer(), attribute, value));
                self.read.member(self.section, group, member)?;
            }
        }
        let sid = self.sid.and_then(|place| std::str::from_utf8(entry.values.get(place)?.first()?).ok());
        if let Some(sid) = sid {
            let identifier = names::identifier(self.read.referencer(), sid);
            for &member in self.names.with_primary_group(identifier) {
                self.read.member(self.section, group, member)?;
            }
        }
        for attribute in partial {
            if !self.mapping.member_attributes().any(|known| same_attribute(known, &attribute)) {
                return Err(LdapError::PartialValues { url: self.url.clone(), attribute });
            }
            self.ranged.push(Ranged {
                entry: entry.name.to_owned(),
                attribute,
                referencer: self.read.referencer().clone(),
                place: self.rows.len(),
            });
            self.rows.push(group);
        }
        Ok(())
    }

    fn reference(&mut self, targets: &[&str]) -> Result<(), LdapError> {
        self.references.add(targets);
        Ok(())
    }
}

impl Collector for Groups<'_> {
    fn begin(&mut self, base: &str, url: &str) {
        url.clone_into(&mut self.url);
        self.section = self.read.open(format!("groups below {base} on {url}"));
    }

    fn page(&mut self, next: Next<'_>) -> Result<(), IncompleteRead> {
        self.read.page(self.section, next)
    }

    fn references(&mut self) -> &mut References {
        &mut self.references
    }

    fn take_ranged(&mut self) -> Vec<Ranged> {
        std::mem::take(&mut self.ranged)
    }

    fn ranged(&mut self, ranged: &Ranged, members: Option<Vec<MemberName>>) -> Result<(), LdapError> {
        let Some(&group) = self.rows.get(ranged.place) else { return Ok(()) };
        match members {
            Some(members) => {
                for member in members {
                    self.read.member(self.section, group, self.names.resolve(member))?;
                }
            }
            None => self.read.members_unknown(group),
        }
        Ok(())
    }
}
