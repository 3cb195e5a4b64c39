//! CEL expressions with bounds, for mappings and for exclusions.
//!
//! An expression comes from whoever may write a resource and runs once per person, so it is bounded when it is
//! compiled: its length, its depth, no loop within a loop, only regular expressions that are known and small, and
//! what it could cost at most. The values it is given are capped for that; whoever evaluates keeps to [`VALUE_BYTES`],
//! [`ATTRIBUTE_BYTES`] and [`super::VALUES_LIMIT`].

mod check;
mod cost;

use cel::common::ast::{CallExpr, Expr, IdedExpr, LiteralValue};
use cel::parser::Macro;
use cel::{Context, Env, ExecutionError, Program, Value};
use check::Check;
use cost::COST_LIMIT;
use regex::Regex;
use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

/// The longest text that an expression is given, in bytes.
pub(crate) const VALUE_BYTES: usize = 4 * 1024;
/// The most text that an expression is given of one attribute, or of one person or group, in bytes.
pub(crate) const ATTRIBUTE_BYTES: usize = 64 * 1024;

/// The longest expression, in bytes.
const LENGTH_LIMIT: usize = 4096;
/// The deepest nesting. Evaluation recurses as deep, on a stack of 2 MiB at worst.
const DEPTH_LIMIT: usize = 48;

/// Stack of the parser, in bytes; only touched pages take memory.
const PARSER_STACK: usize = 256 << 20;

/// The function that `matches` becomes if its pattern is written out. No text can name it.
const MATCHES: &str = "@matches";

/// The standard functions and macros; building them costs more than most evaluations.
static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| {
    let mut environment = Env::stdlib();
    let literal_pattern = |arguments: &[IdedExpr]| arguments.last().is_some_and(|last| literal(last).is_some());
    let call = |args| Expr::Call(CallExpr { func_name: MATCHES.to_owned(), target: None, args });
    let method = Macro::receiver("matches", 1, move |helper, target, arguments| {
        let text = target.take_if(|_| literal_pattern(arguments));
        Ok(text.map(|text| {
            let arguments = std::iter::once(text).chain(std::mem::take(arguments)).collect();
            helper.next_expr(call(arguments))
        }))
    });
    let function = Macro::global("matches", 2, move |helper, _, arguments| {
        Ok(literal_pattern(arguments).then(|| helper.next_expr(call(std::mem::take(arguments)))))
    });
    for one in [method, function] {
        // Nobody else declares it, and without it `matches` is refused.
        let _ = environment.add_macro(one);
    }
    Arc::new(environment)
});

/// Why a CEL expression cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    /// It is no CEL.
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What the parser says.
        message: String,
    },
    /// It is too long.
    #[error("the expression has {length} bytes, more than the {LENGTH_LIMIT} allowed: shorten it")]
    TooLong {
        /// Its length in bytes.
        length: usize,
    },
    /// It is nested too deeply.
    #[error("the expression is nested more than {DEPTH_LIMIT} levels deep: simplify it")]
    TooDeep,
    /// A loop in a loop.
    #[error(
        "line {line}, column {column}: a loop (`map`, `filter`, `all`, `exists`) within another is not allowed: \
         its cost grows with the square of the values"
    )]
    NestedLoop {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// A regular expression that is computed.
    #[error(
        "line {line}, column {column}: `matches` takes a pattern that is written out, as in \
         `entry.mail[0].matches('^a')`: one that is computed could not be checked"
    )]
    PatternNotLiteral {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// A regular expression that is none, or too large.
    #[error("line {line}, column {column}: {message}")]
    Pattern {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// What is wrong with it.
        message: String,
    },
    /// It could take too much time and memory.
    #[error(
        "for one entry with values as long as they may be, the expression could touch {} MiB, more than the {} allowed: \
         name fewer attributes, or use shorter texts within loops", cost >> 20, COST_LIMIT >> 20
    )]
    TooCostly {
        /// What it could touch, in bytes.
        cost: u64,
    },
    /// It is made of something that has no meaning here.
    #[error("line {line}, column {column}: messages and empty parts have no meaning here")]
    Unsupported {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// It names something that there is not.
    #[error("line {line}, column {column}: there is no `{name}` here: an expression may use {known}")]
    UnknownVariable {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
        /// The unknown name.
        name: String,
        /// The known names, for people.
        known: String,
    },
    /// It uses the entry as a whole, so that the attributes it needs are not known beforehand.
    #[error(
        "line {line}, column {column}: name the attribute that is used, as in `entry.mail[0]` or `entry['mail']`, so \
         that it can be asked for"
    )]
    AttributeUnknown {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
}

/// A compiled expression.
#[derive(Debug)]
pub(crate) struct Expression {
    program: Program,
    members: Vec<String>,
    /// The regular expressions that it uses, by how they are written.
    patterns: Arc<HashMap<String, Regex>>,
}

/// The evaluation came to no result: a missing key, an index out of bounds, a wrong type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoResult;

/// The variables of one evaluation.
pub(crate) type Variables = Vec<(&'static str, Value)>;

impl Expression {
    /// Compiles an expression that may use these variables. `entry` is the variable, if any, of which only named
    /// members may be used.
    pub(crate) fn compile(text: &str, variables: &[&str], entry: Option<&str>) -> Result<Self, ExpressionError> {
        if text.len() > LENGTH_LIMIT {
            return Err(ExpressionError::TooLong { length: text.len() });
        }
        // The parser recurses with the text before anything can be checked, so it gets a stack on which no text of
        // the length allowed can overflow. Should it panic, the expression is not usable, and that is all.
        std::thread::scope(|scope| {
            std::thread::Builder::new()
                .stack_size(PARSER_STACK)
                .spawn_scoped(scope, || Self::parse(text, variables, entry))
                .map_or(Err(ExpressionError::TooDeep), |parser| parser.join().unwrap_or(Err(ExpressionError::TooDeep)))
        })
    }

    fn parse(text: &str, variables: &[&str], entry: Option<&str>) -> Result<Self, ExpressionError> {
        let program = STANDARD.compile(text).map_err(|errors| {
            let first = errors.errors.first();
            let place = |at: isize| usize::try_from(at).unwrap_or_default().max(1);
            ExpressionError::Syntax {
                line: first.map_or(1, |error| place(error.pos.0)),
                column: first.map_or(1, |error| place(error.pos.1)),
                message: first.map_or_else(|| "this is not CEL".to_owned(), |error| in_words(&error.msg)),
            }
        })?;
        let (members, patterns) = Check::of(text, &program, variables, entry)?;
        Ok(Self { program, members, patterns: Arc::new(patterns) })
    }

    /// The members of `entry` that it uses, as written, each once.
    pub(crate) fn members(&self) -> &[String] {
        &self.members
    }

    /// The result of one evaluation.
    pub(crate) fn evaluate(&self, variables: Variables) -> Result<Value, NoResult> {
        let mut context = Context::with_env(Arc::clone(&STANDARD));
        if !self.patterns.is_empty() {
            let patterns = Arc::clone(&self.patterns);
            let matches = move |text: Arc<String>, pattern: Arc<String>| {
                let pattern = patterns.get(pattern.as_str());
                let unknown = || ExecutionError::function_error("matches", "its pattern was not checked");
                pattern.map(|pattern| pattern.is_match(&text)).ok_or_else(unknown)
            };
            context.add_function(MATCHES, matches).map_err(|_| NoResult)?;
        }
        for (name, value) in variables {
            context.add_variable_from_value(name, value);
        }
        self.program.execute(&context).map_err(|_| NoResult)
    }
}

/// What the parser says, without its grammar: `missing ']' at the end`.
fn in_words(message: &str) -> String {
    let message = message.strip_prefix("Syntax error: ").unwrap_or(message);
    let message = message.split(" expecting ").next().unwrap_or(message);
    let message = message.replace("mismatched input '<EOF>'", "something is missing at the end");
    message
        .replace("'<EOF>'", "the end")
        .replace("mismatched input", "unexpected")
        .replace("extraneous input", "unexpected")
}

fn literal(node: &IdedExpr) -> Option<&str> {
    match &node.expr {
        Expr::Literal(LiteralValue::String(text)) => Some(text.inner()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(text: &str) -> Result<Expression, ExpressionError> {
        Expression::compile(text, &["entry", "dn"], Some("entry"))
    }

    #[test]
    fn the_attributes_an_expression_needs_are_known_beforehand() {
        let expression = compile("has(entry.ou) && 'mail' in entry ? entry['ms-DS'][0] + dn : entry.ou[0]").unwrap();
        assert_eq!(expression.members(), ["ou", "mail", "ms-DS"]);
    }

    #[test]
    fn the_entry_as_a_whole_is_refused() {
        assert_eq!(
            compile("size(entry) > 1 ? 'a' : 'b'").unwrap_err(),
            ExpressionError::AttributeUnknown { line: 1, column: 6 }
        );
        assert!(matches!(compile("entry[dn]"), Err(ExpressionError::AttributeUnknown { .. })));
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        assert!(matches!(compile("entry.mail[0"), Err(ExpressionError::Syntax { line: 1, .. })));
        let unknown = compile("entry.mail[0] +\n  domain").unwrap_err();
        assert!(matches!(&unknown, ExpressionError::UnknownVariable { line: 2, column: 3, .. }), "{unknown}");
        assert!(unknown.to_string().contains("`domain`"));
    }

    #[test]
    fn a_loop_is_allowed_and_a_loop_within_it_is_not() {
        assert!(compile("entry.mail.filter(m, m.endsWith('.org'))").is_ok());
        assert!(compile("entry.mail.exists(m, m == 'a') || entry.mail.exists(m, m == 'b')").is_ok());
        assert!(compile("entry.mail.filter(m, m.endsWith('.org')).map(m, '/' + m)").is_ok(), "one after the other");
        for nested in ["entry.mail.exists(m, entry.cn.exists(c, c == m))", "entry.mail.map(m, [m].map(n, n))"] {
            let error = compile(nested).unwrap_err();
            assert!(matches!(error, ExpressionError::NestedLoop { .. }), "{error}");
        }
    }

    #[test]
    fn what_could_touch_too_much_is_refused() {
        for usual in [
            "entry.memberOf.exists(m, m.startsWith('cn=admins,') || m.contains('ou=board') || m == dn)",
            "entry.proxyAddresses.filter(a, a.startsWith('SMTP:')).map(a, a + '@example.com')",
            "entry.givenName[0] + ' ' + entry.sn[0] + (has(entry.title) ? ', ' + entry.title[0] : '')",
            "entry.proxyAddresses.map(a, a.matches('(?i)^smtp:') ? a : 'smtp:' + a)",
        ] {
            assert!(compile(usual).is_ok(), "{usual}: {:?}", compile(usual).err());
        }
        let doubling = format!("entry.mail{}", ".map(m, m + m)".repeat(10));
        for costly in [
            doubling.as_str(),
            "entry.mail.exists(m, m in entry.cn)",
            "entry.mail.map(m, entry.cn)",
            "entry.mail.map(m, dn + dn + dn + dn + dn)",
        ] {
            let error = compile(costly).unwrap_err();
            assert!(matches!(error, ExpressionError::TooCostly { .. }), "{costly}: {error}");
        }
    }

    #[test]
    fn a_pattern_is_written_out_and_small() {
        for written in ["entry.mail[0].matches('^a.*z$')", "matches(dn, '^uid=')"] {
            assert!(compile(written).is_ok(), "{written}");
        }
        for computed in ["dn.matches(dn)", "matches(dn, 'a' + 'b')"] {
            let error = compile(computed).unwrap_err();
            assert!(matches!(error, ExpressionError::PatternNotLiteral { .. }), "{error}");
        }
        for wrong in ["dn.matches('(')", "dn.matches('\\\\w{1000}{100}')"] {
            let error = compile(wrong).unwrap_err();
            assert!(matches!(error, ExpressionError::Pattern { line: 1, column: 12, .. }), "{error:?}");
        }
        let evaluate = |text: &str| compile(text).unwrap().evaluate(vec![("dn", Value::from("uid=ada"))]);
        assert_eq!(evaluate("dn.matches('^uid=') && !matches(dn, '^cn=')"), Ok(Value::Bool(true)));
    }

    #[test]
    fn what_has_no_meaning_is_refused() {
        assert!(matches!(compile("google.protobuf.Empty{}"), Err(ExpressionError::Unsupported { .. })));
    }

    #[test]
    fn length_and_depth_are_bounded() {
        assert!(matches!(compile(&"x".repeat(5000)), Err(ExpressionError::TooLong { .. })));
        let deep = format!("{}entry.a[0]{}", "[".repeat(80), "]".repeat(80));
        assert!(compile(&deep).is_err());
        let long = vec!["entry.a[0]"; 300].join(" + ");
        assert_eq!(compile(&long).unwrap_err(), ExpressionError::TooDeep);
    }
}
