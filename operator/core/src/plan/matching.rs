//! Which object of the target belongs to which object of the source.
//!
//! Remembered objects come first, then those that bear the source's id, then (for adoption by address) those with the
//! same address. People and groups are matched by the same rules.

use super::index::IdIndex;
use crate::operation::NO_ROW;
use crate::state::Bindings;
use std::collections::HashMap;

/// What an object of the target is to this synchronisation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Nothing of ours.
    #[default]
    Unmanaged,
    /// Ours.
    Managed,
    /// It bears the id of an object of the source, and is not remembered as ours.
    Marked,
    /// Not remembered, no mark, same address.
    Addressed,
}

/// One side as the matching sees it.
#[derive(Clone, Copy)]
pub(super) struct Rows<'f> {
    pub(super) count: usize,
    pub(super) id: &'f dyn Fn(u32) -> &'f str,
    /// The mark; empty in a source.
    pub(super) external_id: &'f dyn Fn(u32) -> &'f str,
}

/// The pairs, and what has none.
#[derive(Debug, Default)]
pub(crate) struct Matches {
    /// Row of the target by row of the source.
    pub(crate) target_of: Vec<u32>,
    /// Row of the source by row of the target.
    pub(crate) source_of: Vec<u32>,
    /// By row of the target.
    pub(crate) standing: Vec<Standing>,
    /// By row of the target: known to bear the id of the source object it is matched with.
    marked: Vec<bool>,
    /// Objects of ours whose source object was not read: row of the target, position in the state.
    pub(crate) missing: Vec<(u32, usize)>,
    /// Rows of the source whose id another row has too.
    pub(crate) shared_ids: Vec<u32>,
    /// Rows of the target whose external id another row bears too.
    pub(crate) shared_marks: Vec<u32>,
}

impl Matches {
    pub(crate) fn target(&self, source: u32) -> Option<u32> {
        self.target_of.get(source as usize).copied().filter(|&row| row != NO_ROW)
    }

    pub(crate) fn source(&self, target: u32) -> Option<u32> {
        self.source_of.get(target as usize).copied().filter(|&row| row != NO_ROW)
    }

    pub(crate) fn standing(&self, target: u32) -> Standing {
        self.standing.get(target as usize).copied().unwrap_or_default()
    }

    /// Whether the pair is known to have one id, so that it need not be compared. `false` says nothing.
    pub(super) fn is_marked(&self, target: u32) -> bool {
        self.marked.get(target as usize).copied().unwrap_or_default()
    }

    pub(super) fn pair(&mut self, source: u32, target: u32, standing: Standing) {
        if let (Some(to), Some(from)) =
            (self.target_of.get_mut(source as usize), self.source_of.get_mut(target as usize))
        {
            *to = target;
            *from = source;
        }
        self.stand(target, standing);
    }

    fn stand(&mut self, target: u32, standing: Standing) {
        if let Some(slot) = self.standing.get_mut(target as usize) {
            *slot = standing;
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "snapshots have fewer than 2^31 rows")]
pub(super) fn rows(count: usize) -> std::ops::Range<u32> {
    0..count as u32
}

/// Sources by id: those that the state remembers by their position there, the others in an index of their own.
struct Sources<'f> {
    remembered: Vec<u32>,
    others: IdIndex,
    source: Rows<'f>,
}

/// Names one identity: a position of the state, or (behind those) a row of the source.
type Identity = usize;

impl<'f> Sources<'f> {
    fn read(source: Rows<'f>, state: &'f Bindings, shared: &mut Vec<u32>) -> Self {
        let mut remembered = vec![NO_ROW; state.len()];
        let others = source.count.saturating_sub(if state.is_empty() { 0 } else { state.len() });
        let mut others = IdIndex::with_capacity(others);
        let mut row = 0;
        state.find_each(rows(source.count).map(source.id), |position| {
            let seen = match position.and_then(|position| remembered.get_mut(position)) {
                Some(slot) if *slot == NO_ROW => {
                    *slot = row;
                    None
                }
                Some(slot) => Some(*slot),
                None => others.insert(row, source.id),
            };
            if let Some(first) = seen {
                shared.extend([first, row]);
            }
            row += 1;
        });
        shared.sort_unstable();
        shared.dedup();
        Self { remembered, others, source }
    }

    /// The identity of an id that is not remembered.
    fn other(&self, id: &str) -> Option<Identity> {
        self.others.find(id, self.source.id).map(|row| self.remembered.len() + row as usize)
    }

    fn row(&self, identity: Identity) -> Option<u32> {
        match self.remembered.get(identity) {
            Some(&row) => Some(row).filter(|&row| row != NO_ROW),
            None => u32::try_from(identity - self.remembered.len()).ok(),
        }
    }
}

/// Matches by the state and by external ids.
pub(super) fn by_identity<'f>(source: Rows<'f>, target: Rows<'f>, state: &'f Bindings, is_new: bool) -> Matches {
    let mut matches = Matches {
        target_of: vec![NO_ROW; source.count],
        source_of: vec![NO_ROW; target.count],
        standing: vec![Standing::Unmanaged; target.count],
        marked: vec![false; target.count],
        ..Matches::default()
    };
    let sources = Sources::read(source, state, &mut matches.shared_ids);
    // Who sits where: by position of the state the remembered object, by identity the (first) bearer of the mark.
    let mut seated = vec![NO_ROW; state.len()];
    let mut bearer = vec![NO_ROW; state.len() + source.count];
    let mut unseated = Vec::new();
    let mut next = 0;
    let pairs = rows(target.count).map(|row| ((target.external_id)(row), (target.id)(row)));
    state.find_each_pair(pairs, |position, is_bound| {
        let row = next;
        next += 1;
        let mark = || Some((target.external_id)(row)).filter(|mark| !mark.is_empty());
        let identity = position.or_else(|| sources.other(mark()?));
        if let Some(slot) = identity.and_then(|identity| bearer.get_mut(identity)) {
            if *slot == NO_ROW {
                *slot = row;
            } else {
                matches.shared_marks.extend([*slot, row]);
            }
        }
        match position.and_then(|position| seated.get_mut(position)) {
            Some(slot) if is_bound => {
                *slot = row;
                if let Some(marked) = matches.marked.get_mut(row as usize) {
                    *marked = true;
                }
            }
            _ => unseated.push(row),
        }
    });
    seat_by_target_id(&mut seated, &unseated, target, state);
    drop(unseated);

    for (position, &row) in seated.iter().enumerate() {
        let bearer = bearer.get(position).copied().filter(|&row| row != NO_ROW);
        let remembered = Some(row).filter(|&row| row != NO_ROW);
        if let (Some(remembered), Some(bearer)) = (remembered, bearer)
            && remembered != bearer
        {
            // Marking the remembered one would make two that bear one id.
            matches.shared_marks.extend([remembered, bearer]);
        }
        let source = sources.row(position);
        // A claim is ours as soon as somebody bears its mark.
        let ours = remembered.or(bearer.filter(|_| state.is_claim(position)));
        match (ours, bearer, source) {
            (Some(target), _, Some(source)) => matches.pair(source, target, Standing::Managed),
            (Some(target), _, None) => {
                matches.stand(target, Standing::Managed);
                matches.missing.push((target, position));
            }
            (None, Some(target), Some(source)) => matches.pair(source, target, Standing::Marked),
            (None, ..) => {}
        }
    }
    for (row, &target) in rows(source.count).zip(bearer.get(state.len()..).unwrap_or_default()) {
        if target != NO_ROW {
            matches.pair(row, target, if is_new { Standing::Managed } else { Standing::Marked });
        }
    }
    matches.shared_marks.sort_unstable();
    matches.shared_marks.dedup();
    matches
}

/// Finds remembered objects that no longer bear the mark by their own id.
fn seat_by_target_id(seated: &mut [u32], unseated: &[u32], target: Rows<'_>, state: &Bindings) {
    let wanted = seated.iter().enumerate().filter(|&(position, &row)| row == NO_ROW && !state.is_claim(position));
    let wanted: HashMap<String, usize> =
        wanted.filter_map(|(position, _)| Some((state.target(position)?, position))).collect();
    if wanted.is_empty() {
        return;
    }
    for &row in unseated {
        if let Some(slot) = wanted.get((target.id)(row)).and_then(|&position| seated.get_mut(position)) {
            *slot = row;
        }
    }
}
