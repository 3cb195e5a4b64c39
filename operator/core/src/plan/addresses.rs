//! Who has which address in the target, and what keeps somebody else from getting it.
//!
//! An address is given only to somebody whom nobody in the target stands in the way of. Whoever is about to get another
//! address still has the old one in this plan: services check uniqueness at every request, and a part of a plan may be
//! held while the rest is sent. So a chain of people who follow each other moves on by one with every plan, and a circle
//! of them does not move at all.

use super::draft::World;
use super::index::AddressIndex;
use super::matching::{Standing, rows};
use super::users::{People, is_set, set};
use super::warning::WarningKind;
use crate::address;
use crate::rules::Adoption;
use std::cell::OnceCell;
use std::collections::HashSet;

/// The people of the target by address.
pub(super) struct Addresses<'p, 'w> {
    world: World<'p, 'w>,
    /// Built when somebody is first looked for: not in a run in which nobody comes or gets another address.
    index: OnceCell<AddressIndex>,
    circles: OnceCell<HashSet<u32>>,
}

impl<'p, 'w> Addresses<'p, 'w> {
    pub(super) fn new(world: World<'p, 'w>) -> Self {
        Self { world, index: OnceCell::new(), circles: OnceCell::new() }
    }

    /// The person of the target who has this address.
    pub(super) fn find(&self, address: &str) -> Option<u32> {
        let target = self.world.target;
        let text = |row: u32| target.user(row as usize).address();
        let index = self.index.get_or_init(|| {
            let mut index = AddressIndex::with_capacity(target.user_count());
            for row in rows(target.user_count()) {
                if !text(row).is_empty() {
                    index.insert(row, text);
                }
            }
            index
        });
        index.find(address, text)
    }

    /// Why nobody but `except` (a row of the target) can be given this address yet; `None`: it is free.
    pub(super) fn obstacle(&self, wanted: &str, except: u32, people: &People) -> Option<WarningKind> {
        let holder = self.find(wanted).filter(|&holder| holder != except)?;
        let moves = self.next_of(holder, people).is_some();
        Some(if moves { WarningKind::AddressNotYetFree } else { WarningKind::AddressTaken })
    }

    /// Whether this person of the target waits for an address whose holder waits, directly or through others, for this
    /// person's own.
    pub(super) fn is_in_circle(&self, target: u32, people: &People) -> bool {
        self.circles.get_or_init(|| self.circles(people)).contains(&target)
    }

    fn circles(&self, people: &People) -> HashSet<u32> {
        let count = self.world.target.user_count();
        let (mut seen, mut circles, mut path) = (vec![false; count], HashSet::new(), Vec::new());
        for start in rows(count) {
            path.clear();
            let mut at = Some(start);
            while let Some(row) = at.filter(|&row| !is_set(&seen, row)) {
                set(&mut seen, row);
                path.push(row);
                at = self.next_of(row, people).and_then(|wanted| self.find(wanted)).filter(|&holder| holder != row);
            }
            if let Some(begin) = path.iter().position(|&row| Some(row) == at) {
                circles.extend(path.drain(begin..));
            }
        }
        circles
    }

    /// The address that somebody of the target is to get in place of the present one.
    fn next_of(&self, target: u32, people: &People) -> Option<&'w str> {
        let stays = people.matches.standing(target) == Standing::Marked && self.world.rules.adoption == Adoption::None;
        let source = people.matches.source(target).filter(|&source| !stays && !is_set(&people.frozen, source))?;
        let next = self.world.source.user(source as usize).address();
        let present = self.world.target.user(target as usize).address();
        (!next.is_empty() && !address::same(next, present)).then_some(next)
    }
}
