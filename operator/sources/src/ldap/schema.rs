//! What a server's schema says of attributes that no table knows: their other names, and whether their values are bytes.

use super::config::Scope;
use super::connection::{Connection, Request};
use super::directory::Root;
use super::error::LdapError;
use super::filter;
use super::guard::EntrySink;
use super::syntax::{Learnt, Syntax, Syntaxes};
use directory_sync_core::mapping::{Entry, same_attribute};
use std::collections::HashMap;
use std::sync::Arc;

/// Syntaxes of bytes (RFC 4517, RFC 4523, and RFC 2252 for the older ones): binary, audio, certificates and lists of
/// them, fax, JPEG, octet strings, and the security descriptors of Active Directory.
const BYTES: [&str; 10] = [
    "1.3.6.1.4.1.1466.115.121.1.4",
    "1.3.6.1.4.1.1466.115.121.1.5",
    "1.3.6.1.4.1.1466.115.121.1.8",
    "1.3.6.1.4.1.1466.115.121.1.9",
    "1.3.6.1.4.1.1466.115.121.1.10",
    "1.3.6.1.4.1.1466.115.121.1.23",
    "1.3.6.1.4.1.1466.115.121.1.28",
    "1.3.6.1.4.1.1466.115.121.1.40",
    "1.3.6.1.4.1.1466.115.121.1.49",
    "1.2.840.113556.1.4.907",
];

/// Longest definition that is looked at, in bytes.
const DEFINITION_CAP: usize = 16 * 1024;
/// Most definitions that are kept; large schemas have some thousands.
const DEFINITIONS_CAP: usize = 100_000;
/// How often a type may have the syntax of another one.
const SUPERTYPES: usize = 16;

/// Those of these attributes that the schema knows. Nothing, if the server does not show it: then they are taken for text,
/// and known by the name that the mapping gives them.
pub(super) async fn learn(
    connection: &mut Connection,
    root: &Root,
    attributes: &[&str],
) -> Result<Vec<Learnt>, LdapError> {
    let learnt = match (&root.attribute_schemas, &root.schema) {
        (Some(base), _) => of_active_directory(connection, base, attributes).await,
        (None, Some(entry)) => of_subschema(connection, entry, attributes).await,
        (None, None) => Ok(Vec::new()),
    };
    match learnt {
        Err(error) if error.is_of_this_search_only() => Ok(Vec::new()),
        learnt => learnt,
    }
}

async fn of_subschema(connection: &mut Connection, entry: &str, attributes: &[&str]) -> Result<Vec<Learnt>, LdapError> {
    let mut types = Types { wanted: ["attributeTypes".to_owned()], by_name: HashMap::new() };
    let request =
        Request { base: entry, scope: Scope::Base, filter: "(objectClass=subschema)", page: None, size_limit: 0 };
    connection.search(&request, &mut types).await?;
    Ok(attributes.iter().filter_map(|name| types.learnt(name)).collect())
}

async fn of_active_directory(
    connection: &mut Connection,
    base: &str,
    attributes: &[&str],
) -> Result<Vec<Learnt>, LdapError> {
    let known = Syntaxes::default();
    let tests: String = attributes.iter().filter_map(|name| filter::equals(&known, NAME, name)).collect();
    let mut schemas =
        Schemas { wanted: [NAME.to_owned(), "attributeSyntax".to_owned()], attributes, found: Vec::new() };
    let filter = format!("(|{tests})");
    let request = Request { base, scope: Scope::OneLevel, filter: &filter, page: None, size_limit: 0 };
    connection.search(&request, &mut schemas).await?;
    Ok(schemas.found)
}

/// The name of an attribute in the schema of Active Directory.
const NAME: &str = "lDAPDisplayName";

/// Takes one entry per attribute (MS-ADTS §3.1.1.2.2.2).
struct Schemas<'a> {
    wanted: [String; 2],
    attributes: &'a [&'a str],
    found: Vec<Learnt>,
}

impl EntrySink for Schemas<'_> {
    fn attributes(&self) -> &[String] {
        &self.wanted
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), LdapError> {
        let text = |place: usize| std::str::from_utf8(entry.values.get(place)?.first()?).ok();
        let (Some(name), Some(syntax)) = (text(0), text(1)) else { return Ok(()) };
        let syntax = match syntax {
            // Octet strings and security descriptors.
            "2.5.5.10" | "2.5.5.15" => Syntax::Bytes,
            "2.5.5.17" => Syntax::Sid,
            _ => return Ok(()),
        };
        let asked = self.attributes.iter().find(|known| same_attribute(known, name));
        if let Some(asked) = asked.filter(|_| self.found.len() < self.attributes.len()) {
            // Here an attribute has one name.
            self.found.push(Learnt { attribute: (*asked).to_owned(), names: Vec::new(), syntax });
        }
        Ok(())
    }

    fn reference(&mut self, _: &[&str]) -> Result<(), LdapError> {
        Ok(())
    }
}

/// Takes the definitions of attribute types (RFC 4512 §4.1.2).
struct Types {
    wanted: [String; 1],
    /// By each of their names and by their number, in lower case.
    by_name: HashMap<String, Arc<Definition>>,
}

impl Types {
    /// What the schema says of an attribute; `None`, if it does not know it.
    fn learnt(&self, attribute: &str) -> Option<Learnt> {
        let definition = self.by_name.get(&attribute.to_ascii_lowercase())?;
        let syntax = if self.are_bytes(definition) { Syntax::Bytes } else { Syntax::Text };
        Some(Learnt { attribute: attribute.to_owned(), names: definition.names.clone(), syntax })
    }

    fn are_bytes(&self, definition: &Definition) -> bool {
        let mut definition = definition;
        for _ in 0..SUPERTYPES {
            if let Some(syntax) = &definition.syntax {
                return BYTES.contains(&syntax.as_str());
            }
            let above = definition.supertype.as_ref().and_then(|name| self.by_name.get(name));
            let Some(above) = above else { return false };
            definition = above;
        }
        false
    }
}

impl EntrySink for Types {
    fn attributes(&self) -> &[String] {
        &self.wanted
    }

    fn entry(&mut self, entry: &Entry<'_>) -> Result<(), LdapError> {
        let definitions = entry.values.iter().flatten().filter(|value| value.len() <= DEFINITION_CAP);
        for definition in definitions.filter_map(|value| std::str::from_utf8(value).ok()) {
            let definition = Arc::new(Definition::parse(definition));
            for name in &definition.names {
                if self.by_name.len() < DEFINITIONS_CAP {
                    self.by_name.insert(name.clone(), Arc::clone(&definition));
                }
            }
        }
        Ok(())
    }

    fn reference(&mut self, _: &[&str]) -> Result<(), LdapError> {
        Ok(())
    }
}

/// What a definition says.
#[derive(Debug, Default)]
struct Definition {
    /// The number and the names, in lower case.
    names: Vec<String>,
    /// The number of the syntax.
    syntax: Option<String>,
    /// The type from which it has its syntax otherwise, in lower case.
    supertype: Option<String>,
}

impl Definition {
    /// Reads `( 2.5.4.4 NAME ( 'sn' 'surname' ) SUP name )`.
    fn parse(text: &str) -> Self {
        let mut words = words(text);
        let mut definition = Self::default();
        if words.next() == Some("(") {
            definition.names.extend(words.next().map(str::to_ascii_lowercase));
        }
        while let Some(word) = words.next() {
            match word {
                "NAME" => match words.next() {
                    Some("(") => definition.names.extend(words.by_ref().take_while(|word| *word != ")").map(unquoted)),
                    name => definition.names.extend(name.map(unquoted)),
                },
                "SUP" => definition.supertype = words.next().map(unquoted),
                // A length may follow in braces; servers put quotes around it against the letter of the RFC.
                "SYNTAX" => {
                    let number = words.next().map(unquoted);
                    definition.syntax = number.and_then(|number| number.split('{').next().map(str::to_owned));
                }
                _ => {}
            }
        }
        definition
    }
}

/// The words of a definition: parentheses, texts in quotes with these, and what is between blanks.
fn words(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text.trim_start();
    std::iter::from_fn(move || {
        let first = rest.chars().next()?;
        let end = match first {
            '(' | ')' => 1,
            '\'' => rest.get(1..)?.find('\'').map_or(rest.len(), |end| end + 2),
            _ => rest.find([' ', '\t', '\n', '\r', '(', ')']).unwrap_or(rest.len()),
        };
        let (word, after) = rest.split_at_checked(end)?;
        rest = after.trim_start();
        Some(word)
    })
}

fn unquoted(word: &str) -> String {
    word.trim_matches('\'').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn types(definitions: &[&str]) -> Types {
        let mut types = Types { wanted: [String::new()], by_name: HashMap::new() };
        let values: Vec<Vec<&[u8]>> = vec![definitions.iter().map(|text| text.as_bytes()).collect()];
        types.entry(&Entry { name: "cn=subschema", values: &values }).unwrap();
        types
    }

    #[test]
    fn the_syntax_comes_from_the_definition_or_from_the_type_above() {
        let types = types(&[
            "( 1.2.3 NAME 'badgeToken' DESC 'SYNTAX of (a) token' EQUALITY octetStringMatch \
             SYNTAX 1.3.6.1.4.1.1466.115.121.1.40{64} SINGLE-VALUE )",
            "( 1.2.4 NAME ( 'oldToken' 'legacyToken' ) SUP badgeToken )",
            "( 1.2.5 NAME 'costCenter' SYNTAX '1.3.6.1.4.1.1466.115.121.1.15' )",
            "( 1.2.6 NAME 'circle' SUP circle )",
            "(1.2.7 NAME 'tight' SYNTAX 1.3.6.1.4.1.1466.115.121.1.5)",
        ]);
        for name in ["badgeToken", "BADGETOKEN", "1.2.3", "legacyToken", "1.2.4", "tight"] {
            assert_eq!(types.learnt(name).unwrap().syntax, Syntax::Bytes, "{name}");
        }
        for name in ["costCenter", "circle"] {
            assert_eq!(types.learnt(name).unwrap().syntax, Syntax::Text, "{name}");
        }
        assert_eq!(types.learnt("nothing"), None);
        assert_eq!(types.learnt("1.2.4").unwrap().names, ["1.2.4", "oldtoken", "legacytoken"]);
    }

    proptest! {
        #[test]
        fn no_definition_makes_it_panic(text in "[ ()'{}A-Z0-9.ü]{0,60}") {
            let _ = Definition::parse(&text);
            let _ = Definition::parse(&format!("( 1.2 NAME {text} SUP {text} SYNTAX {text}"));
        }
    }
}
