//! What an expression may be made of.

use super::cost::{COST_LIMIT, cost};
use super::{DEPTH_LIMIT, ExpressionError, MATCHES, literal};
use crate::matcher::pattern_problem;
use cel::Program;
use cel::common::ast::{CallExpr, EntryExpr, Expr, IdedExpr, operators};
use regex::{Regex, RegexBuilder};
use std::collections::HashMap;

/// The most memory that one compiled regular expression may take, in bytes.
const PATTERN_BYTES: usize = 256 * 1024;

/// Walks an expression and refuses what is out of bounds.
pub(super) struct Check<'c> {
    text: &'c str,
    program: &'c Program,
    variables: &'c [&'c str],
    entry: Option<&'c str>,
    /// Variables of the loops around.
    bound: Vec<&'c str>,
    members: Vec<String>,
    patterns: HashMap<String, Regex>,
}

impl<'c> Check<'c> {
    /// Gives the members of `entry` that the expression uses, as written, each once, and its regular expressions.
    pub(super) fn of(
        text: &'c str,
        program: &'c Program,
        variables: &'c [&'c str],
        entry: Option<&'c str>,
    ) -> Result<(Vec<String>, HashMap<String, Regex>), ExpressionError> {
        let (bound, members, patterns) = Default::default();
        let mut check = Self { text, program, variables, entry, bound, members, patterns };
        check.expression(program.expression(), 0, 0)?;
        match cost(program.expression(), entry) {
            cost if cost > COST_LIMIT => Err(ExpressionError::TooCostly { cost }),
            _ => Ok((check.members, check.patterns)),
        }
    }

    fn expression(&mut self, node: &'c IdedExpr, depth: usize, loops: usize) -> Result<(), ExpressionError> {
        if depth > DEPTH_LIMIT {
            return Err(ExpressionError::TooDeep);
        }
        let depth = depth + 1;
        match &node.expr {
            Expr::Unspecified | Expr::Struct(_) => {
                let (line, column) = self.place(node);
                Err(ExpressionError::Unsupported { line, column })
            }
            Expr::Literal(_) => Ok(()),
            Expr::Ident(name) => self.variable(node, name),
            Expr::Select(select) => {
                if self.is_entry(&select.operand) {
                    self.member(&select.field);
                    return Ok(());
                }
                self.expression(&select.operand, depth, loops)
            }
            Expr::Call(call) => self.call(node, call, depth, loops),
            Expr::List(list) => list.elements.iter().try_for_each(|node| self.expression(node, depth, loops)),
            Expr::Map(map) => map.entries.iter().try_for_each(|entry| self.entry(&entry.expr, depth, loops)),
            Expr::Comprehension(comprehension) => {
                if loops > 0 {
                    let (line, column) = self.place(node);
                    return Err(ExpressionError::NestedLoop { line, column });
                }
                // What a loop goes over is computed once: loops may follow each other.
                self.expression(&comprehension.iter_range, depth, loops)?;
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

    fn call(&mut self, node: &IdedExpr, call: &'c CallExpr, depth: usize, loops: usize) -> Result<(), ExpressionError> {
        let named = match (call.func_name.as_str(), call.args.as_slice()) {
            (operators::INDEX, [entry, name]) | (operators::IN, [name, entry]) if self.is_entry(entry) => literal(name),
            _ => None,
        };
        if let Some(name) = named {
            self.member(name);
            return Ok(());
        }
        match (call.func_name.as_str(), call.args.as_slice()) {
            (MATCHES, [_, pattern]) => self.pattern(pattern)?,
            ("matches", _) => {
                let (line, column) = self.place(node);
                return Err(ExpressionError::PatternNotLiteral { line, column });
            }
            _ => {}
        }
        if let Some(target) = &call.target {
            self.expression(target, depth, loops)?;
        }
        call.args.iter().try_for_each(|node| self.expression(node, depth, loops))
    }

    fn pattern(&mut self, node: &IdedExpr) -> Result<(), ExpressionError> {
        let Some(text) = literal(node) else { return Ok(()) };
        let compiled = RegexBuilder::new(text).size_limit(PATTERN_BYTES).dfa_size_limit(PATTERN_BYTES).build();
        let pattern = compiled.map_err(|error| {
            let (line, column) = self.place(node);
            ExpressionError::Pattern { line, column, message: pattern_problem(&error) }
        })?;
        self.patterns.insert(text.to_owned(), pattern);
        Ok(())
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
