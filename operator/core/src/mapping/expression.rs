//! CEL expressions with bounds, for mappings and for exclusions.
//!
//! An expression comes from whoever may write a resource and runs once per person, so it is bounded when it is
//! compiled: its length, its depth, and no loop within a loop. What it may return is bounded by the caller.

use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};
use cel::{Context, Env, Program, Value};
use std::sync::{Arc, LazyLock};

/// The longest expression, in bytes.
const LENGTH_LIMIT: usize = 4096;
/// The deepest nesting. Evaluation recurses as deep, on a stack of 2 MiB at worst.
const DEPTH_LIMIT: usize = 48;

/// Stack of the parser, in bytes; only touched pages take memory.
const PARSER_STACK: usize = 256 << 20;

/// The standard functions and macros; building them costs more than most evaluations.
static STANDARD: LazyLock<Arc<Env>> = LazyLock::new(|| Arc::new(Env::stdlib()));

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
}

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
        let program = Program::compile(text).map_err(|errors| {
            let first = errors.errors.first();
            let place = |at: isize| usize::try_from(at).unwrap_or_default().max(1);
            ExpressionError::Syntax {
                line: first.map_or(1, |error| place(error.pos.0)),
                column: first.map_or(1, |error| place(error.pos.1)),
                message: first.map_or_else(|| "this is not CEL".to_owned(), |error| error.msg.clone()),
            }
        })?;
        let mut check = Check { text, program: &program, variables, entry, bound: Vec::new(), members: Vec::new() };
        check.expression(program.expression(), 0, 0)?;
        let members = check.members;
        Ok(Self { program, members })
    }

    /// The members of `entry` that it uses, as written, each once.
    pub(crate) fn members(&self) -> &[String] {
        &self.members
    }

    /// The result, or `None` if the evaluation failed (a missing key, an index out of bounds, a wrong type).
    pub(crate) fn evaluate(&self, variables: Variables) -> Option<Value> {
        let mut context = Context::with_env(Arc::clone(&STANDARD));
        for (name, value) in variables {
            context.add_variable_from_value(name, value);
        }
        self.program.execute(&context).ok()
    }
}

/// Walks an expression and refuses what is out of bounds.
struct Check<'c> {
    text: &'c str,
    program: &'c Program,
    variables: &'c [&'c str],
    entry: Option<&'c str>,
    /// Variables of the loops around.
    bound: Vec<&'c str>,
    members: Vec<String>,
}

impl<'c> Check<'c> {
    fn expression(&mut self, node: &'c IdedExpr, depth: usize, loops: usize) -> Result<(), ExpressionError> {
        if depth > DEPTH_LIMIT {
            return Err(ExpressionError::TooDeep);
        }
        let depth = depth + 1;
        match &node.expr {
            Expr::Unspecified | Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.variable(node, name),
            Expr::Select(select) => {
                if self.is_entry(&select.operand) {
                    self.member(&select.field);
                    return Ok(());
                }
                self.expression(&select.operand, depth, loops)
            }
            Expr::Call(call) => self.call(call, depth, loops),
            Expr::List(list) => list.elements.iter().try_for_each(|node| self.expression(node, depth, loops)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| self.entry(&entry.expr, depth, loops)),
            Expr::Struct(fields) => fields.entries.iter().try_for_each(|entry| self.entry(&entry.expr, depth, loops)),
            Expr::Comprehension(comprehension) => {
                if loops > 0 {
                    let (line, column) = self.place(node);
                    return Err(ExpressionError::NestedLoop { line, column });
                }
                self.expression(&comprehension.iter_range, depth, loops + 1)?;
                self.expression(&comprehension.accu_init, depth, loops)?;
                let before = self.bound.len();
                self.bound.push(&comprehension.iter_var);
                self.bound.push(&comprehension.accu_var);
                self.bound.extend(comprehension.iter_var2.as_deref());
                for node in [&comprehension.loop_cond, &comprehension.loop_step, &comprehension.result] {
                    self.expression(node, depth, loops + 1)?;
                }
                self.bound.truncate(before);
                Ok(())
            }
        }
    }

    fn entry(&mut self, entry: &'c EntryExpr, depth: usize, loops: usize) -> Result<(), ExpressionError> {
        match entry {
            EntryExpr::StructField(field) => self.expression(&field.value, depth, loops),
            EntryExpr::MapEntry(entry) => {
                self.expression(&entry.key, depth, loops)?;
                self.expression(&entry.value, depth, loops)
            }
        }
    }

    fn call(&mut self, call: &'c CallExpr, depth: usize, loops: usize) -> Result<(), ExpressionError> {
        let named = match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::INDEX, [entry, name]) | (operators::IN, [name, entry]) if self.is_entry(entry) => literal(name),
            _ => None,
        };
        if let Some(name) = named {
            self.member(name);
            return Ok(());
        }
        if let Some(target) = &call.target {
            self.expression(target, depth, loops)?;
        }
        call.args.iter().try_for_each(|node| self.expression(node, depth, loops))
    }

    fn variable(&self, node: &IdedExpr, name: &str) -> Result<(), ExpressionError> {
        let (line, column) = self.place(node);
        if self.bound.contains(&name) {
            return Ok(());
        }
        if self.entry == Some(name) {
            return Err(ExpressionError::AttributeUnknown { line, column });
        }
        if self.variables.contains(&name) {
            return Ok(());
        }
        let known = self.variables.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" and ");
        Err(ExpressionError::UnknownVariable { line, column, name: name.to_owned(), known })
    }

    fn is_entry(&self, node: &IdedExpr) -> bool {
        matches!(&node.expr, Expr::Ident(name) if self.entry == Some(name) && !self.bound.contains(&name.as_str()))
    }

    fn member(&mut self, name: &str) {
        if !self.members.iter().any(|known| known == name) {
            self.members.push(name.to_owned());
        }
    }

    /// Line and column of a node, from 1. Offsets count characters.
    fn place(&self, node: &IdedExpr) -> (usize, usize) {
        let offset = self.program.source_info().offset_for(node.id).map_or(0, |(start, _)| start as usize);
        let (mut line, mut column) = (1, 1);
        for character in self.text.chars().take(offset) {
            if character == '\n' {
                (line, column) = (line + 1, 1);
            } else {
                column += 1;
            }
        }
        (line, column)
    }
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
        let nested = compile("entry.mail.exists(m, entry.cn.exists(c, c == m))").unwrap_err();
        assert!(matches!(nested, ExpressionError::NestedLoop { .. }), "{nested}");
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
