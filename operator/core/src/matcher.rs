//! Exclusions and protections: which people and groups a rule names.
//!
//! Text is compared without regard to case; addresses by their key (see [`crate::address`]). `exact` and `glob`
//! speak of the whole value, a regular expression is found anywhere in it. One matching value of several suffices. A
//! pattern may speak of a domain in its own letters (`müller.example`) or by its A-label; either is enough.
//!
//! Being named by a rule means being left alone, so whatever cannot be judged counts as named: a rule about a field that
//! the source could not tell of somebody, or an expression that fails for somebody or would have to look at more text
//! than expressions may, names that person.

use crate::address;
use crate::capabilities::{Field, Fields};
use crate::disposition::{Classified, Disposition};
use crate::mapping::{ATTRIBUTE_BYTES, Expression, ExpressionError, VALUES_LIMIT};
use crate::operation::Kind;
use crate::snapshot::{Group, User};
use cel::objects::{Key, Map};
use regex::{Regex, RegexBuilder};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The most memory a compiled regular expression may take, in bytes.
const REGEX_LIMIT: usize = 1 << 20;

/// One rule, as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MatcherSpec {
    /// [`Kind::User`] or [`Kind::Group`].
    pub kind: Kind,
    /// Which value is compared; without meaning for [`Test::Cel`].
    pub field: Subject,
    /// How it is compared.
    pub test: Test,
}

/// Which value of a person or group is compared.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    /// Immutable id, in the directory that was read or as the mark of the other.
    Id,
    /// A field of the model.
    Field(Field),
    /// A further attribute of a person, by name.
    Attribute(String),
}

impl Subject {
    fn is_in(&self, fields: Fields) -> bool {
        match self {
            Self::Id => false,
            Self::Field(field) => fields.contains(*field),
            Self::Attribute(_) => fields.contains(Field::Attributes),
        }
    }
}

/// How a value is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Test {
    /// The whole value.
    Exact(String),
    /// The whole value, with `*` for any run of characters and `?` for one.
    Glob(String),
    /// A regular expression that is found in the value.
    Regex(String),
    /// A CEL expression over `user` or `group` that is true.
    Cel(String),
}

/// Why a rule cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MatcherError {
    /// The glob has sets or choices, as some tools read them, or is too large.
    #[error("[{index}].glob: {message}")]
    Glob {
        /// Place in the list, from 0.
        index: usize,
        /// What is wrong.
        message: String,
    },
    /// The regular expression is none, or compiles to something too large.
    #[error("[{index}].regex: {message}; correct it, or write glob or exact instead")]
    Regex {
        /// Place in the list, from 0.
        index: usize,
        /// What is wrong.
        message: String,
    },
    /// The CEL expression cannot be used.
    #[error("[{index}].cel: {error}")]
    Cel {
        /// Place in the list, from 0.
        index: usize,
        /// What is wrong, with the place in the expression.
        error: ExpressionError,
    },
}

impl Classified for MatcherError {
    fn disposition(&self) -> Disposition {
        Disposition::Stall
    }

    fn reason(&self) -> &'static str {
        "InvalidExclusion"
    }
}

/// The compiled rules of one list (`exclude.source`, `exclude.target` or `protect`).
#[derive(Debug, Clone, Default)]
pub struct Matchers {
    users: Arc<Rules>,
    groups: Arc<Rules>,
}

/// Rules for one kind.
#[derive(Debug, Default)]
struct Rules {
    count: usize,
    /// Exact values by subject: a thousand of them cost one look-up.
    exact: HashMap<Subject, HashSet<String>>,
    patterns: Vec<(Subject, Pattern)>,
    expressions: Vec<Expression>,
}

#[derive(Debug)]
enum Pattern {
    Glob {
        /// Compared with keys.
        of_key: Regex,
        /// Compared with values in letters: what `*` stands for cannot be part of an A-label.
        of_letters: Regex,
    },
    Regex(Regex),
}

impl Pattern {
    fn matches(&self, value: &str) -> bool {
        let (key, letters) = (folded(value), address::letters(value));
        match self {
            Self::Glob { of_key, of_letters } => of_key.is_match(&key) || of_letters.is_match(&letters),
            Self::Regex(regex) => regex.is_match(&key) || regex.is_match(&letters),
        }
    }
}

impl Matchers {
    /// Compiles a list of rules, or says which one is wrong and why.
    pub fn compile(specs: &[MatcherSpec]) -> Result<Self, MatcherError> {
        let (mut users, mut groups) = (Rules::default(), Rules::default());
        for (index, spec) in specs.iter().enumerate() {
            match spec.kind {
                Kind::Group => groups.add(index, spec, "group")?,
                Kind::User | Kind::Alias | Kind::Membership => users.add(index, spec, "user")?,
            }
        }
        Ok(Self { users: Arc::new(users), groups: Arc::new(groups) })
    }

    /// Whether a rule names this person.
    pub fn matches_user(&self, user: &User<'_>) -> bool {
        self.users.count > 0
            && (self.users.values_match(|subject, found| user_values(*user, subject, found))
                || self.users.expressions_match("user", || user_value(*user)))
    }

    /// Whether a rule names this group.
    pub fn matches_group(&self, group: &Group<'_>) -> bool {
        self.groups.count > 0
            && (self.groups.values_match(|subject, found| group_values(*group, subject, found))
                || self.groups.expressions_match("group", || group_value(*group)))
    }

    /// How many rules there are.
    pub fn len(&self) -> usize {
        self.users.count + self.groups.count
    }

    /// Whether there is no rule.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What is wrong with a regular expression, in one line.
pub(crate) fn pattern_problem(error: &regex::Error) -> String {
    match error {
        // The text of a syntax error shows the place on several lines and says what it is on the last.
        regex::Error::Syntax(text) => {
            let last = text.lines().last().unwrap_or(text);
            format!("it is no regular expression ({})", last.strip_prefix("error: ").unwrap_or(last))
        }
        regex::Error::CompiledTooBig(_) => "the regular expression is too large; repeat less in it".to_owned(),
        other => format!("the regular expression cannot be used ({other})"),
    }
}

/// The bracket or brace of a glob by which other tools begin a set or a choice; none that stands behind a backslash.
fn set_or_choice(glob: &str) -> Option<char> {
    let mut escaped = false;
    glob.chars().find(|&letter| {
        let is_literal = escaped;
        escaped = letter == '\\' && !is_literal;
        !is_literal && matches!(letter, '[' | '{')
    })
}

/// A glob as a regular expression: `*` stands for any run of characters and `?` for one, and what stands behind `\` for
/// itself. (The usual library compares bytes: to it, `ü` is two.)
fn translated(glob: &str) -> String {
    let mut regex = r"\A".to_owned();
    let mut letters = glob.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '*' => regex.push_str(".*"),
            '?' => regex.push('.'),
            letter => {
                let meant = if letter == '\\' { letters.next().unwrap_or(letter) } else { letter };
                regex.push_str(&regex::escape(meant.encode_utf8(&mut [0; 4])));
            }
        }
    }
    regex + r"\z"
}

impl Rules {
    fn add(&mut self, index: usize, spec: &MatcherSpec, variable: &'static str) -> Result<(), MatcherError> {
        self.count += 1;
        match &spec.test {
            Test::Exact(value) => {
                self.exact.entry(spec.field.clone()).or_default().insert(folded(value));
            }
            Test::Glob(glob) => {
                let refused = |message: String| MatcherError::Glob { index, message };
                if let Some(found) = set_or_choice(glob) {
                    let advice = format!("write `\\{found}` if that is meant, else a regex");
                    return Err(refused(format!("`{found}` has no meaning but itself here; {advice}")));
                }
                let compile = |glob: &str| {
                    let built = RegexBuilder::new(&translated(glob)).dot_matches_new_line(true).build();
                    built.map_err(|error| refused(pattern_problem(&error)))
                };
                let pattern =
                    Pattern::Glob { of_key: compile(&folded(glob))?, of_letters: compile(&address::letters(glob))? };
                self.patterns.push((spec.field.clone(), pattern));
            }
            Test::Regex(regex) => {
                let regex = RegexBuilder::new(regex)
                    .case_insensitive(true)
                    .size_limit(REGEX_LIMIT)
                    .build()
                    .map_err(|error| MatcherError::Regex { index, message: pattern_problem(&error) })?;
                self.patterns.push((spec.field.clone(), Pattern::Regex(regex)));
            }
            Test::Cel(text) => {
                let expression =
                    Expression::compile(text, &[variable], None).map_err(|error| MatcherError::Cel { index, error })?;
                self.expressions.push(expression);
            }
        }
        Ok(())
    }

    fn values_match(&self, values: impl Fn(&Subject, &mut dyn FnMut(&str) -> bool) -> bool) -> bool {
        self.exact.iter().any(|(subject, wanted)| values(subject, &mut |value| wanted.contains(&folded(value))))
            || self.patterns.iter().any(|(subject, pattern)| values(subject, &mut |value| pattern.matches(value)))
    }

    fn expressions_match(&self, variable: &'static str, value: impl Fn() -> Option<cel::Value>) -> bool {
        if self.expressions.is_empty() {
            return false;
        }
        let Some(value) = value() else { return true };
        self.expressions.iter().any(|expression| {
            !matches!(expression.evaluate(vec![(variable, value.clone())]), Ok(cel::Value::Bool(false)))
        })
    }
}

/// Folds case as addresses do; other texts are folded by the same rule.
fn folded(value: &str) -> String {
    address::key(value)
}

/// Hands the person's non-empty values of a subject to `found` until it says yes.
fn user_values(user: User<'_>, subject: &Subject, found: &mut dyn FnMut(&str) -> bool) -> bool {
    if subject.is_in(user.unknown()) {
        return true;
    }
    let mut one = |value: &str| !value.is_empty() && found(value);
    match subject {
        Subject::Id => one(user.id()) || one(user.external_id()),
        Subject::Attribute(name) => user.attributes().any(|(known, value)| known == name && one(value)),
        Subject::Field(field) => match field {
            Field::ExternalId => one(user.external_id()),
            Field::Email => one(user.address()),
            Field::Aliases => user.aliases().any(one),
            Field::GivenName => one(user.given_name()),
            Field::FamilyName => one(user.family_name()),
            Field::DisplayName => one(user.display_name()),
            Field::OrgUnit => one(user.org_unit()),
            Field::Active => one(if user.active() { "true" } else { "false" }),
            Field::Attributes => user.attributes().any(|(_, value)| one(value)),
            Field::Password | Field::Name | Field::Description | Field::Members => false,
        },
    }
}

/// Hands the group's non-empty values of a subject to `found` until it says yes.
fn group_values(group: Group<'_>, subject: &Subject, found: &mut dyn FnMut(&str) -> bool) -> bool {
    if subject.is_in(group.unknown()) {
        return true;
    }
    let mut one = |value: &str| !value.is_empty() && found(value);
    match subject {
        Subject::Id => one(group.id()) || one(group.external_id()),
        Subject::Field(Field::ExternalId) => one(group.external_id()),
        Subject::Field(Field::Email) => one(group.address()),
        Subject::Field(Field::Name | Field::DisplayName) => one(group.name()),
        Subject::Field(Field::Description) => one(group.description()),
        Subject::Field(_) | Subject::Attribute(_) => false,
    }
}

/// The variable of an expression. Fields that could not be told are absent, so that an expression about them fails;
/// `None` if there is more text than an expression may be given.
fn variable(
    unknown: Fields,
    texts: &[(&'static str, Field, &str)],
    others: impl IntoIterator<Item = (&'static str, Field, cel::Value, usize)>,
) -> Option<cel::Value> {
    let mut bytes: usize = texts.iter().map(|(_, _, text)| text.len()).sum();
    let mut map: HashMap<Key, cel::Value> = HashMap::new();
    for (name, _, text) in texts.iter().filter(|(_, field, _)| !unknown.contains(*field)) {
        map.insert(Key::from(*name), cel::Value::from(*text));
    }
    for (name, _, value, length) in others.into_iter().filter(|(_, field, ..)| !unknown.contains(*field)) {
        bytes += length;
        map.insert(Key::from(name), value);
    }
    (bytes <= ATTRIBUTE_BYTES).then(|| cel::Value::Map(Map { map: Arc::new(map) }))
}

fn user_value(user: User<'_>) -> Option<cel::Value> {
    if user.aliases().len() > VALUES_LIMIT || user.attributes().len() > VALUES_LIMIT {
        return None;
    }
    let texts = [
        ("id", Field::ExternalId, user.id()),
        ("externalId", Field::ExternalId, user.external_id()),
        ("email", Field::Email, user.address()),
        ("givenName", Field::GivenName, user.given_name()),
        ("familyName", Field::FamilyName, user.family_name()),
        ("displayName", Field::DisplayName, user.display_name()),
        ("orgUnit", Field::OrgUnit, user.org_unit()),
    ];
    let aliases = cel::Value::List(Arc::new(user.aliases().map(cel::Value::from).collect()));
    let attributes = user.attributes().map(|(name, value)| (Key::from(name), cel::Value::from(value))).collect();
    let others = [
        ("aliases", Field::Aliases, aliases, user.aliases().map(str::len).sum()),
        ("active", Field::Active, cel::Value::Bool(user.active()), 0),
        (
            "attributes",
            Field::Attributes,
            cel::Value::Map(Map { map: Arc::new(attributes) }),
            user.attributes().map(|(name, value)| name.len() + value.len()).sum(),
        ),
    ];
    variable(user.unknown(), &texts, others)
}

fn group_value(group: Group<'_>) -> Option<cel::Value> {
    let texts = [
        ("id", Field::ExternalId, group.id()),
        ("externalId", Field::ExternalId, group.external_id()),
        ("email", Field::Email, group.address()),
        ("name", Field::Name, group.name()),
        ("description", Field::Description, group.description()),
    ];
    variable(group.unknown(), &texts, [])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read::{CompleteRead, Next, Read, ReadCaps, SourceSide};
    use crate::snapshot::{GroupRecord, UserRecord};

    fn world() -> CompleteRead<SourceSide> {
        let mut read = Read::start(ReadCaps::default());
        let section = read.open("all");
        let ada = UserRecord {
            id: "1".to_owned(),
            address: "Ada@Müller.example".to_owned(),
            aliases: vec!["countess@example.com".to_owned()],
            org_unit: "/Contractors/Night".to_owned(),
            active: true,
            attributes: vec![("title".to_owned(), "Countess".to_owned())],
            ..UserRecord::default()
        };
        let reference = read.referencer().reference(b"ada");
        read.user(section, reference, &ada).unwrap();
        let reference = read.referencer().reference(b"staff");
        read.group(section, reference, &GroupRecord { name: "Staff".to_owned(), ..GroupRecord::default() }).unwrap();
        read.page(section, Next::End).unwrap();
        read.finish().unwrap()
    }

    fn names_ada(subject: Subject, test: Test) -> bool {
        let rules = Matchers::compile(&[MatcherSpec { kind: Kind::User, field: subject, test }]).unwrap();
        rules.matches_user(&world().snapshot().user(0))
    }

    const EMAIL: Subject = Subject::Field(Field::Email);

    #[test]
    fn an_address_is_compared_as_mail_systems_do() {
        assert!(names_ada(EMAIL, Test::Exact("ADA@xn--mller-kva.example".to_owned())));
        assert!(names_ada(EMAIL, Test::Glob("a*@müller.example".to_owned())));
        assert!(!names_ada(EMAIL, Test::Glob("da@*".to_owned())));
    }

    #[test]
    fn a_pattern_may_name_a_domain_in_its_letters_or_by_its_a_label() {
        for glob in ["*@*müller.example", "*@m*ller.example", "*@*MÜLLER.EXAMPLE", "*@xn--mller-*"] {
            assert!(names_ada(EMAIL, Test::Glob(glob.to_owned())), "{glob}");
        }
        for regex in ["@müller\\.example$", "@MÜLLER", "^ada@xn--mller-kva\\.example$"] {
            assert!(names_ada(EMAIL, Test::Regex(regex.to_owned())), "{regex}");
        }
        assert!(!names_ada(EMAIL, Test::Regex("@muller".to_owned())));
        let written_as_label = |test| {
            let rules = Matchers::compile(&[MatcherSpec { kind: Kind::User, field: EMAIL, test }]).unwrap();
            let mut read = Read::<SourceSide>::start(ReadCaps::default());
            let section = read.open("all");
            let reference = read.referencer().reference(b"ada");
            let address = "ada@xn--mller-kva.example".to_owned();
            read.user(section, reference, &UserRecord { address, ..UserRecord::default() }).unwrap();
            read.page(section, Next::End).unwrap();
            rules.matches_user(&read.finish().unwrap().snapshot().user(0))
        };
        assert!(written_as_label(Test::Regex("@müller\\.example$".to_owned())));
        assert!(written_as_label(Test::Glob("*@*müller.example".to_owned())));
    }

    #[test]
    fn a_glob_stands_for_the_whole_value_and_a_question_mark_for_one_character() {
        let matches = |glob: &str, value: &str| {
            assert_eq!(set_or_choice(glob), None, "{glob}");
            Regex::new(&format!("(?s){}", translated(glob))).unwrap().is_match(value)
        };
        for (glob, value) in [
            ("m?ller", "müller"),
            ("svc-*", "svc-"),
            ("*", "line\nline"),
            (r"\*\?\[a\{", "*?[a{"),
            ("a.b+c", "a.b+c"),
            (r"a\", r"a\"),
        ] {
            assert!(matches(glob, value), "{glob} {value}");
        }
        for (glob, value) in [("m?ller", "mller"), ("svc-*", "a svc-"), (r"\*", "a"), ("a.b", "axb"), ("a", "a\n")] {
            assert!(!matches(glob, value), "{glob} {value}");
        }
    }

    #[test]
    fn every_field_can_be_named() {
        assert!(names_ada(Subject::Field(Field::Aliases), Test::Exact("Countess@example.com".to_owned())));
        assert!(names_ada(Subject::Field(Field::OrgUnit), Test::Glob("/Contractors/*".to_owned())));
        assert!(names_ada(Subject::Attribute("title".to_owned()), Test::Regex("^count".to_owned())));
        assert!(names_ada(Subject::Id, Test::Exact("1".to_owned())));
    }

    #[test]
    fn an_expression_that_fails_names_the_person() {
        assert!(names_ada(EMAIL, Test::Cel("user.orgUnit.startsWith('/Contractors')".to_owned())));
        assert!(!names_ada(EMAIL, Test::Cel("user.active == false".to_owned())));
        assert!(names_ada(EMAIL, Test::Cel("user.attributes.nothing == 'x'".to_owned())));
    }

    #[test]
    fn what_cannot_be_judged_names_the_person() {
        let names = |person: UserRecord, test: Test| {
            let rules =
                Matchers::compile(&[MatcherSpec { kind: Kind::User, field: Subject::Field(Field::OrgUnit), test }]);
            let mut read = Read::<SourceSide>::start(ReadCaps::default());
            let section = read.open("all");
            let reference = read.referencer().reference(b"ada");
            read.user(section, reference, &person).unwrap();
            read.page(section, Next::End).unwrap();
            rules.unwrap().matches_user(&read.finish().unwrap().snapshot().user(0))
        };
        let told = UserRecord { id: "1".to_owned(), active: true, ..UserRecord::default() };
        let untold = UserRecord { unknown: Fields::of([Field::OrgUnit]), ..told.clone() };
        let large = UserRecord { display_name: "x".repeat(ATTRIBUTE_BYTES), ..told.clone() };
        let contractors = || Test::Cel("user.orgUnit == '/Contractors'".to_owned());
        assert!(!names(told, contractors()));
        assert!(names(untold.clone(), contractors()));
        assert!(names(untold.clone(), Test::Exact("/Contractors".to_owned())));
        assert!(!names(untold, Test::Cel("user.id == '2'".to_owned())), "another field can be judged");
        assert!(names(large, contractors()));
    }

    #[test]
    fn rules_for_groups_do_not_name_people() {
        let rule = MatcherSpec {
            kind: Kind::Group,
            field: Subject::Field(Field::Name),
            test: Test::Exact("staff".to_owned()),
        };
        let rules = Matchers::compile(&[rule]).unwrap();
        let world = world();
        assert!(rules.matches_group(&world.snapshot().group(0)));
        assert!(!rules.matches_user(&world.snapshot().user(0)));
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        let rule = |test| MatcherSpec { kind: Kind::User, field: EMAIL, test };
        let error = |test| Matchers::compile(&[rule(Test::Exact("a".to_owned())), rule(test)]).unwrap_err().to_string();
        assert!(error(Test::Regex("(".to_owned())).starts_with("[1].regex: "));
        assert!(error(Test::Glob("svc-[ab]".to_owned())).starts_with("[1].glob: `[` has no meaning"));
        assert!(error(Test::Glob(r"\\{a,b}@example.com".to_owned())).starts_with("[1].glob: `{` has no meaning"));
        assert!(error(Test::Cel("person.id".to_owned())).contains("`user`"));
    }
}
