//! How much an expression can touch, estimated from its text before it ever runs.
//!
//! Every value given to an expression is capped (see [`super`]), so the largest value that each of its parts can have
//! is known: a concatenation is as long as both its sides, a loop makes as many values as its range has. What all parts
//! touch together is the cost. It bounds memory and time alike: nothing is ever held that was not counted, and the work
//! is in proportion. cel-go estimates costs in the same way, and Kubernetes refuses rules by them.

use super::{ATTRIBUTE_BYTES, MATCHES, VALUE_BYTES, literal};
use crate::mapping::VALUES_LIMIT;
use cel::common::ast::{CallExpr, ComprehensionExpr, EntryExpr, Expr, IdedExpr, LiteralValue, operators};

/// The most that an expression may cost.
pub(super) const COST_LIMIT: u64 = 16 << 20;

/// What every part costs beside its text: a value's own memory, and the step that makes it.
const PART: u64 = 64;

/// The longest text that a number becomes (a double of 309 digits).
const NUMBER: u64 = 320;

/// What a regular expression costs for each byte that it looks at.
const MATCHING: u64 = 32;

/// All values of one attribute.
const ATTRIBUTE: Extent = Extent::of(Bytes::fixed(ATTRIBUTE_BYTES as u64), Bytes::fixed(VALUE_BYTES as u64));

/// A number of bytes that may depend on the element that a loop is at: so much for each byte of it, and so much fixed.
#[derive(Debug, Clone, Copy, Default)]
struct Bytes {
    of_element: u64,
    fixed: u64,
}

impl Bytes {
    const fn fixed(fixed: u64) -> Self {
        Self { of_element: 0, fixed }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            of_element: self.of_element.saturating_add(other.of_element),
            fixed: self.fixed.saturating_add(other.fixed),
        }
    }

    fn times(self, factor: u64) -> Self {
        Self { of_element: self.of_element.saturating_mul(factor), fixed: self.fixed.saturating_mul(factor) }
    }

    fn max(self, other: Self) -> Self {
        Self { of_element: self.of_element.max(other.of_element), fixed: self.fixed.max(other.fixed) }
    }

    /// With the elements filled in: `count` of them with `bytes` together.
    fn over(self, count: u64, bytes: u64) -> u64 {
        self.fixed.saturating_mul(count).saturating_add(self.of_element.saturating_mul(bytes))
    }
}

/// How large a value can be.
#[derive(Debug, Clone, Copy, Default)]
struct Extent {
    /// All of it.
    whole: Bytes,
    /// Its largest item, if it is a list or map.
    item: Bytes,
    /// How many items it has.
    items: u64,
}

impl Extent {
    /// A number or truth value, whose memory every part has anyway.
    const SMALL: Self = Self { whole: Bytes::fixed(0), item: Bytes::fixed(0), items: 0 };

    /// A value of which only the size is known.
    const fn of(whole: Bytes, item: Bytes) -> Self {
        Self { whole, item, items: VALUES_LIMIT as u64 }
    }

    fn joined(self, other: Self) -> Self {
        Self {
            whole: self.whole.plus(other.whole),
            item: self.item.plus(other.item),
            items: self.items.saturating_add(other.items),
        }
    }

    fn either(self, other: Self) -> Self {
        Self { whole: self.whole.max(other.whole), item: self.item.max(other.item), items: self.items.max(other.items) }
    }

    fn an_item(self) -> Self {
        Self { whole: self.item, ..self }
    }
}

/// The cost of an expression that was found to be in order. `entry` is the variable whose members are attributes.
pub(super) fn cost(expression: &IdedExpr, entry: Option<&str>) -> u64 {
    let mut estimate = Estimate { entry, looping: None, touched: Bytes::default() };
    estimate.part(expression);
    estimate.touched.fixed
}

struct Estimate<'e> {
    entry: Option<&'e str>,
    /// The loop around, of which there is one at most.
    looping: Option<&'e ComprehensionExpr>,
    touched: Bytes,
}

impl<'e> Estimate<'e> {
    /// Counts a part with everything in it.
    fn part(&mut self, node: &'e IdedExpr) -> Extent {
        let extent = match &node.expr {
            Expr::Literal(LiteralValue::String(text)) => text_of(text.inner().len()),
            Expr::Literal(LiteralValue::Bytes(bytes)) => text_of(bytes.inner().len()),
            // Messages and empty parts were refused before.
            Expr::Literal(_) | Expr::Unspecified | Expr::Struct(_) => Extent::SMALL,
            Expr::Ident(name) => self.variable(name),
            Expr::Select(select) if self.is_entry(&select.operand) => ATTRIBUTE,
            Expr::Select(select) => self.part(&select.operand).an_item(),
            Expr::Call(call) => self.call(call),
            Expr::List(list) => self.literal_of(list.elements.iter()),
            Expr::Map(map) => self.literal_of(map.entries.iter().flat_map(|entry| {
                match &entry.expr {
                    EntryExpr::StructField(field) => [Some(&field.value), None],
                    EntryExpr::MapEntry(entry) => [Some(&entry.key), Some(&entry.value)],
                }
                .into_iter()
                .flatten()
            })),
            Expr::Comprehension(comprehension) => self.looped(comprehension),
        };
        self.touched = self.touched.plus(extent.whole).plus(Bytes::fixed(PART));
        extent
    }

    fn is_entry(&self, node: &IdedExpr) -> bool {
        let Expr::Ident(name) = &node.expr else { return false };
        self.entry == Some(name) && self.looping.is_none_or(|around| around.iter_var != *name)
    }

    fn variable(&self, name: &str) -> Extent {
        match self.looping {
            // What the loop has gathered so far is counted as what each turn adds to it.
            Some(around) if around.accu_var == name => Extent::SMALL,
            Some(around) if around.iter_var == name || around.iter_var2.as_deref() == Some(name) => {
                let element = Bytes { of_element: 1, fixed: 0 };
                Extent::of(element, element)
            }
            // Beside the entry there are single values; without one, the variable is a person or a group.
            _ if self.entry.is_some() => text_of(VALUE_BYTES),
            _ => Extent::of(Bytes::fixed(ATTRIBUTE_BYTES as u64), Bytes::fixed(ATTRIBUTE_BYTES as u64)),
        }
    }

    fn literal_of(&mut self, parts: impl Iterator<Item = &'e IdedExpr>) -> Extent {
        let mut all = Extent::SMALL;
        for part in parts {
            let part = self.part(part);
            all.whole = all.whole.plus(part.whole).plus(Bytes::fixed(PART));
            all.item = all.item.max(part.whole);
            all.items += 1;
        }
        all
    }

    fn call(&mut self, call: &'e CallExpr) -> Extent {
        if let (operators::INDEX | operators::IN, [a, b]) = (call.func_name.as_str(), call.args.as_slice())
            && [(a, b), (b, a)].iter().any(|(entry, name)| self.is_entry(entry) && literal(name).is_some())
        {
            return if call.func_name == operators::IN { Extent::SMALL } else { ATTRIBUTE };
        }
        let target = call.target.as_deref().map(|target| self.part(target));
        let args: Vec<Extent> = target.into_iter().chain(call.args.iter().map(|part| self.part(part))).collect();
        let all = || args.iter().copied().fold(Extent::SMALL, Extent::joined);
        match (call.func_name.as_str(), args.as_slice()) {
            (operators::INDEX | operators::OPT_INDEX | operators::OPT_SELECT, [from, ..]) => from.an_item(),
            (operators::CONDITIONAL, [_, yes, no]) => yes.either(*no),
            (MATCHES, [text, ..]) => {
                self.touched = self.touched.plus(text.whole.times(MATCHING));
                Extent::SMALL
            }
            (
                operators::EQUALS
                | operators::NOT_EQUALS
                | operators::LESS
                | operators::LESS_EQUALS
                | operators::GREATER
                | operators::GREATER_EQUALS
                | operators::IN
                | operators::LOGICAL_AND
                | operators::LOGICAL_OR
                | operators::LOGICAL_NOT
                | operators::NOT_STRICTLY_FALSE
                | operators::NEGATE
                | operators::SUBSTRACT
                | operators::MULTIPLY
                | operators::DIVIDE
                | operators::MODULO
                | "size"
                | "int"
                | "uint"
                | "double"
                | "bool"
                | "contains"
                | "startsWith"
                | "endsWith"
                | "hasValue",
                _,
            ) => Extent::SMALL,
            (operators::ADD, _) => all(),
            // Whatever else there is returns nothing larger than what it was given, or a number as text.
            _ => all().joined(text_of(usize::try_from(NUMBER).unwrap_or(usize::MAX))),
        }
    }

    fn looped(&mut self, comprehension: &'e ComprehensionExpr) -> Extent {
        let range = self.part(&comprehension.iter_range);
        let begin = self.part(&comprehension.accu_init);
        let before = (std::mem::take(&mut self.touched), self.looping.replace(comprehension));
        self.part(&comprehension.loop_cond);
        let step = self.part(&comprehension.loop_step);
        let turn = self.touched;
        (self.touched, self.looping) = before;
        let (count, bytes) = (range.items, range.whole.fixed);
        self.touched = self.touched.plus(Bytes::fixed(turn.over(count, bytes))).plus(Bytes::fixed(PART));
        if matches!(&comprehension.result.expr, Expr::Ident(name) if *name == comprehension.accu_var) {
            Extent {
                whole: begin.whole.plus(Bytes::fixed(step.whole.over(count, bytes))),
                item: Bytes::fixed(step.item.over(1, range.item.fixed)),
                items: begin.items.saturating_add(count.saturating_mul(step.items)),
            }
        } else {
            Extent::SMALL
        }
    }
}

fn text_of(length: usize) -> Extent {
    let whole = Bytes::fixed(length as u64);
    Extent { whole, item: whole, items: 0 }
}
