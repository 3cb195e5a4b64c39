//! Groups within groups: finding those that contain themselves, and making nested members direct ones for targets that
//! know no nesting.

use super::{Member, Memberships, Snapshot};
use std::collections::HashSet;
use std::sync::Arc;

/// What became of the groups within groups of a snapshot.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Nesting {
    /// Rows of groups that contain themselves, directly or through others.
    pub(crate) cyclic: Vec<usize>,
    /// Memberships of groups in groups that were replaced by those of the people in them.
    pub(crate) replaced: u64,
}

impl Snapshot {
    /// The groups that contain themselves.
    pub(crate) fn cyclic_groups(&self) -> Vec<usize> {
        let mut cyclic: Vec<usize> =
            components(&Edges::of(self)).into_iter().flat_map(|component| component.cyclic).collect();
        cyclic.sort_unstable();
        cyclic
    }

    /// Makes everybody who is in a group through other groups a direct member of it, and takes the groups out of the
    /// groups. Groups that contain each other have the same people afterwards. A group of which a part is unknown is
    /// unknown; so is one that would take the memberships over `cap`. Clones keep the memberships as they were read, and
    /// share everything else.
    pub(crate) fn flatten_groups(&mut self, cap: usize) -> Nesting {
        let edges = Edges::of(self);
        if edges.targets.is_empty() {
            return Nesting::default();
        }
        let mut people: Vec<Vec<Member>> = vec![Vec::new(); self.group_count()];
        let mut unknown_members = self.memberships.unknown.clone();
        let mut nesting = Nesting { cyclic: Vec::new(), replaced: edges.targets.len() as u64 };
        let mut total = 0_usize;
        // A component comes after those that its groups contain, so their people are known by then.
        for component in components(&edges) {
            let (mut members, mut unknown) = (Vec::new(), false);
            let mut inner = HashSet::new();
            for &row in &component.rows {
                let group = self.group(row);
                unknown |= unknown_members.get(row) == Some(&true);
                members.extend(group.members().iter().copied().filter(|member| !member.is_group()));
                inner.extend(
                    edges.below(row).iter().map(|&row| row as usize).filter(|row| !component.rows.contains(row)),
                );
            }
            for row in inner {
                unknown |= unknown_members.get(row) == Some(&true);
                members.extend(people.get(row).into_iter().flatten());
            }
            members.sort_unstable();
            members.dedup();
            total = total.saturating_add(members.len().saturating_mul(component.rows.len()));
            if total > cap {
                (members, unknown) = (Vec::new(), true);
            }
            for &row in &component.rows {
                if let Some(known) = unknown_members.get_mut(row) {
                    *known |= unknown;
                }
                if let Some(people) = people.get_mut(row) {
                    people.clone_from(&members);
                }
            }
            nesting.cyclic.extend(component.cyclic);
        }
        nesting.cyclic.sort_unstable();
        // Given back before the new ones take their room, unless a clone holds them.
        self.memberships = Arc::default();
        let (mut ends, mut members) = (Vec::with_capacity(people.len()), Vec::with_capacity(total.min(cap)));
        for people in people {
            members.extend(people);
            ends.push(u32::try_from(members.len()).unwrap_or(u32::MAX));
        }
        self.memberships = Arc::new(Memberships { ends, members, unknown: unknown_members });
        self.nested = Arc::new(edges);
        nesting
    }

    /// The groups that were members of this one before [`Self::flatten_groups`], by row.
    pub(crate) fn groups_flattened_into(&self, row: usize) -> &[u32] {
        self.nested.below(row)
    }

    /// Whether there were groups within groups before [`Self::flatten_groups`].
    pub(crate) fn is_flattened(&self) -> bool {
        !self.nested.targets.is_empty()
    }
}

/// Which groups are members of which, by row of the outer one.
#[derive(Debug, Default)]
pub(super) struct Edges {
    ends: Vec<usize>,
    targets: Vec<u32>,
}

impl Edges {
    fn of(snapshot: &Snapshot) -> Self {
        let mut edges = Self { ends: Vec::with_capacity(snapshot.group_count()), targets: Vec::new() };
        for group in snapshot.groups() {
            edges.targets.extend(group.members().iter().filter(|member| member.is_group()).map(|member| member.row()));
            edges.ends.push(edges.targets.len());
        }
        edges
    }

    fn below(&self, row: usize) -> &[u32] {
        let end = self.ends.get(row).copied().unwrap_or_default();
        let start = row.checked_sub(1).and_then(|before| self.ends.get(before)).copied().unwrap_or_default();
        self.targets.get(start..end).unwrap_or_default()
    }
}

/// Groups that contain each other, or one group.
struct Component {
    rows: Vec<usize>,
    /// The same rows, if they contain themselves.
    cyclic: Vec<usize>,
}

/// The strongly connected components, each after all that it leads to (Tarjan's algorithm, without recursion: groups
/// may be nested as deeply as a directory likes).
fn components(edges: &Edges) -> Vec<Component> {
    const UNSEEN: usize = usize::MAX;
    let count = edges.ends.len();
    let mut order = vec![UNSEEN; count];
    let mut low = vec![UNSEEN; count];
    let mut waiting = vec![false; count];
    let (mut stack, mut found, mut next) = (Vec::new(), Vec::new(), 0);
    for root in 0..count {
        if order[root] != UNSEEN {
            continue;
        }
        let mut path = vec![(root, 0)];
        while let Some((row, at)) = path.pop() {
            if at == 0 {
                order[row] = next;
                low[row] = next;
                next += 1;
                waiting[row] = true;
                stack.push(row);
            }
            if let Some(&inner) = edges.below(row).get(at) {
                let inner = inner as usize;
                path.push((row, at + 1));
                if order.get(inner) == Some(&UNSEEN) {
                    path.push((inner, 0));
                } else if waiting.get(inner) == Some(&true) {
                    low[row] = low[row].min(order[inner]);
                }
                continue;
            }
            if let Some(&(outer, _)) = path.last() {
                low[outer] = low[outer].min(low[row]);
            }
            if low[row] == order[row] {
                let from = stack.iter().rposition(|&on| on == row).unwrap_or_default();
                let rows = stack.split_off(from);
                for &row in &rows {
                    waiting[row] = false;
                }
                let contains_itself = rows.len() > 1 || edges.below(row).iter().any(|&inner| inner as usize == row);
                found.push(Component { cyclic: if contains_itself { rows.clone() } else { Vec::new() }, rows });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::snapshot::{GroupRecord, Member, MemberKind, Snapshot, SnapshotBuilder, UserRecord};
    use proptest::prelude::*;
    use std::collections::BTreeSet;
    use std::sync::Arc;

    /// Groups by what they contain: `u3` is a person, `g1` a group.
    fn snapshot(groups: &[&[&str]]) -> Snapshot {
        let mut builder = SnapshotBuilder::default();
        let name = |builder: &SnapshotBuilder, name: &str| builder.referencer().reference(name.as_bytes());
        for person in 0..4 {
            let reference = name(&builder, &format!("u{person}"));
            builder.user(reference, &UserRecord { id: format!("u{person}"), ..UserRecord::default() }).unwrap();
        }
        for (number, members) in groups.iter().enumerate() {
            let reference = name(&builder, &format!("g{number}"));
            let row = builder.group(reference, &GroupRecord::default()).unwrap();
            for member in *members {
                if *member == "?" {
                    builder.members_unknown(row);
                } else {
                    let member = name(&builder, member);
                    builder.member(row, member).unwrap();
                }
            }
        }
        builder.finish(true)
    }

    fn people(snapshot: &Snapshot, group: usize) -> BTreeSet<usize> {
        let member = |member: &Member| match member.kind() {
            MemberKind::User(row) => row,
            MemberKind::Group(_) => panic!("a group is still there"),
        };
        snapshot.group(group).members().iter().map(member).collect()
    }

    #[test]
    fn nested_members_become_direct_ones() {
        let mut snapshot = snapshot(&[&["u0", "g1"], &["u1", "g2"], &["u2", "u0"]]);
        let nesting = snapshot.flatten_groups(100);
        assert_eq!((nesting.replaced, nesting.cyclic), (2, vec![]));
        assert_eq!(people(&snapshot, 0), [0, 1, 2].into());
        assert_eq!(people(&snapshot, 1), [0, 1, 2].into());
        assert_eq!(people(&snapshot, 2), [0, 2].into());
        assert_eq!(snapshot.groups_flattened_into(0), [1]);
    }

    #[test]
    fn groups_that_contain_each_other_are_named_and_have_the_same_people() {
        let mut snapshot = snapshot(&[&["u0", "g1"], &["u1", "g2"], &["u2", "g0"], &["g3", "u3"], &["g0"]]);
        assert_eq!(snapshot.cyclic_groups(), [0, 1, 2, 3]);
        assert_eq!(snapshot.flatten_groups(100).cyclic, [0, 1, 2, 3]);
        for group in [0, 1, 2, 4] {
            assert_eq!(people(&snapshot, group), [0, 1, 2].into());
        }
        assert_eq!(people(&snapshot, 3), [3].into());
    }

    #[test]
    fn what_is_unknown_within_is_unknown_without() {
        let mut snapshot = snapshot(&[&["u0", "g1"], &["u1", "g2"], &["?"], &["u3"]]);
        snapshot.flatten_groups(100);
        let unknown: Vec<bool> = snapshot.groups().map(super::super::Group::members_unknown).collect();
        assert_eq!(unknown, [true, true, true, false]);
    }

    #[test]
    fn more_memberships_than_the_cap_are_unknown_not_missing() {
        let mut snapshot = snapshot(&[&["u0", "u1"], &["g0", "u2"]]);
        snapshot.flatten_groups(4);
        assert!(!snapshot.group(0).members_unknown() && snapshot.group(1).members_unknown());
    }

    #[test]
    fn a_clone_holds_no_column_twice_and_flattening_replaces_the_memberships_alone() {
        let read = snapshot(&[&["u0", "g1"], &["u1"]]);
        let (as_read, mut flattened) = (read.clone(), read.clone());
        flattened.flatten_groups(100);
        for clone in [&as_read, &flattened] {
            assert!(Arc::ptr_eq(&clone.users, &read.users));
            assert!(Arc::ptr_eq(&clone.groups, &read.groups));
            assert!(Arc::ptr_eq(&clone.references, &read.references));
        }
        assert!(Arc::ptr_eq(&as_read.memberships, &read.memberships));
        assert_eq!(people(&flattened, 0), [0, 1].into());
        let kinds: Vec<bool> = read.group(0).members().iter().map(|member| member.is_group()).collect();
        assert_eq!(kinds, [false, true], "what was read is as it was for the next target");
    }

    #[test]
    fn where_nothing_is_nested_flattening_holds_nothing_twice() {
        let read = snapshot(&[&["u0", "u1"], &["u1"]]);
        let mut flattened = read.clone();
        flattened.flatten_groups(100);
        assert!(Arc::ptr_eq(&flattened.memberships, &read.memberships));
    }

    proptest! {
        #[test]
        fn everybody_who_can_be_reached_is_a_member(
            edges in prop::collection::vec(prop::collection::btree_set(0..6_usize, 0..4), 6)
        ) {
            // Group n holds person n, if there is one, and these groups.
            let names: Vec<Vec<String>> = edges
                .iter()
                .enumerate()
                .map(|(row, inner)| {
                    (row < 4).then(|| format!("u{row}")).into_iter().chain(inner.iter().map(|at| format!("g{at}"))).collect()
                })
                .collect();
            let names: Vec<Vec<&str>> = names.iter().map(|list| list.iter().map(String::as_str).collect()).collect();
            let names: Vec<&[&str]> = names.iter().map(Vec::as_slice).collect();
            let mut snapshot = snapshot(&names);
            snapshot.flatten_groups(1000);
            for row in 0..6 {
                let (mut reached, mut open) = (BTreeSet::from([row]), vec![row]);
                while let Some(at) = open.pop() {
                    open.extend(edges[at].iter().filter(|&&inner| reached.insert(inner)));
                }
                prop_assert_eq!(people(&snapshot, row), reached.into_iter().filter(|&row| row < 4).collect());
            }
        }
    }
}
