//! Reading everything, page by page, into columns.

use super::config::{LdapConfig, Search};
use super::connection::{Connection, Request};
use super::dn;
use super::error::{LdapError, excerpt};
use super::guard::EntrySink;
use directory_sync_core::mapping::{Entry, GroupMapping, UserMapping};
use directory_sync_core::read::{CompleteRead, IncompleteRead, Next, Read, Section, SourceSide};
use directory_sync_core::snapshot::{GroupRecord, UserRecord};

/// Reads people, then groups. Only when every search came to the server's own end is there a snapshot.
pub(super) async fn read(
    connection: &mut Connection,
    config: &LdapConfig,
) -> Result<CompleteRead<SourceSide>, LdapError> {
    let mut read = Read::start(config.caps.read);
    let url = connection.url().to_owned();
    for search in &config.users {
        let section = read.open(format!("people below {} on {url}", search.base_dn));
        let mapping = &*config.user_mapping;
        let sink = People { search, url: &url, read: &mut read, section, mapping, record: UserRecord::default() };
        pages(connection, config, search, sink).await?;
    }
    if let Some(mapping) = config.group_mapping.as_deref() {
        for search in &config.groups {
            let section = read.open(format!("groups below {} on {url}", search.base_dn));
            let sink = Groups { search, url: &url, read: &mut read, section, mapping, record: GroupRecord::default() };
            pages(connection, config, search, sink).await?;
        }
    }
    Ok(read.finish()?)
}

/// A sink that can be told of the end of a page.
trait PageSink: EntrySink {
    fn page(&mut self, next: Next<'_>) -> Result<(), IncompleteRead>;
    fn missing_end(&self) -> IncompleteRead;
}

async fn pages(
    connection: &mut Connection,
    config: &LdapConfig,
    search: &Search,
    mut sink: impl PageSink,
) -> Result<(), LdapError> {
    let mut cookie = Vec::new();
    loop {
        let first = cookie.is_empty();
        let request = Request {
            base: &search.base_dn,
            scope: search.scope,
            filter: &search.filter,
            page: Some((config.page_size, cookie)),
            size_limit: 0,
        };
        match connection.search(&request, &mut sink).await?.cookie {
            Some(next) if !next.is_empty() => {
                sink.page(Next::Page(&next))?;
                cookie = next;
            }
            // A server that pages must say which page is the last (RFC 2696 §3); one that does not page sends all.
            None if !first => return Err(sink.missing_end().into()),
            Some(_) | None => return Ok(sink.page(Next::End)?),
        }
    }
}

struct People<'r> {
    search: &'r Search,
    url: &'r str,
    read: &'r mut Read<SourceSide>,
    section: Section,
    mapping: &'r UserMapping,
    record: UserRecord,
}

impl EntrySink for People<'_> {
    fn attributes(&self) -> &[String] {
        self.mapping.attributes()
    }

    fn entry(&mut self, entry: &Entry<'_>, partial: Option<&str>) -> Result<(), LdapError> {
        if let Some(attribute) = partial {
            return Err(LdapError::PartialValues { url: self.url.to_owned(), attribute: attribute.to_owned() });
        }
        if self.mapping.map(entry, &mut self.record, &mut self.read.skipped_mut().malformed_values).is_err() {
            self.read.skipped_mut().users_without_id += 1;
            return Ok(());
        }
        let reference = self.read.referencer().reference(&dn::normal_form(entry.name.as_bytes()));
        self.read.user(self.section, reference, &self.record)?;
        Ok(())
    }

    fn reference(&mut self, target: &str) -> Result<(), LdapError> {
        Err(referral(self.url, self.search, target))
    }
}

impl PageSink for People<'_> {
    fn page(&mut self, next: Next<'_>) -> Result<(), IncompleteRead> {
        self.read.page(self.section, next)
    }

    fn missing_end(&self) -> IncompleteRead {
        IncompleteRead::MissingEnd { section: format!("people below {} on {}", self.search.base_dn, self.url) }
    }
}

struct Groups<'r> {
    search: &'r Search,
    url: &'r str,
    read: &'r mut Read<SourceSide>,
    section: Section,
    mapping: &'r GroupMapping,
    record: GroupRecord,
}

impl EntrySink for Groups<'_> {
    fn attributes(&self) -> &[String] {
        self.mapping.attributes()
    }

    fn entry(&mut self, entry: &Entry<'_>, partial: Option<&str>) -> Result<(), LdapError> {
        if self.mapping.map(entry, &mut self.record, &mut self.read.skipped_mut().malformed_values).is_err() {
            self.read.skipped_mut().groups_without_id += 1;
            return Ok(());
        }
        let reference = self.read.referencer().reference(&dn::normal_form(entry.name.as_bytes()));
        let group = self.read.group(self.section, reference, &self.record)?;
        for member in self.mapping.members(entry).flat_map(|(_, values)| values) {
            let member = self.read.referencer().reference(&dn::member_normal_form(member));
            self.read.member(self.section, group, member)?;
        }
        if partial.is_some() {
            self.read.members_unknown(group);
        }
        Ok(())
    }

    fn reference(&mut self, target: &str) -> Result<(), LdapError> {
        Err(referral(self.url, self.search, target))
    }
}

impl PageSink for Groups<'_> {
    fn page(&mut self, next: Next<'_>) -> Result<(), IncompleteRead> {
        self.read.page(self.section, next)
    }

    fn missing_end(&self) -> IncompleteRead {
        IncompleteRead::MissingEnd { section: format!("groups below {} on {}", self.search.base_dn, self.url) }
    }
}

fn referral(url: &str, search: &Search, target: &str) -> LdapError {
    LdapError::Referral { url: url.to_owned(), base: search.base_dn.clone(), target: excerpt(target) }
}
