//! Which resources of the cluster read a directory in the same way, as the watches know them.

use super::Guarded;
use crate::shared_reads::{Directory, Sibling, Siblings};
use kube::runtime::reflector::Store;

/// The resources of every watched scope. What is known may be a little old: that costs a read more, or keeps one for
/// nobody, but nobody uses a read for it.
pub(super) struct Known(pub(super) Vec<Store<Guarded>>);

impl Siblings for Known {
    fn of(&self, directory: &Directory) -> Vec<Sibling> {
        let known = self.0.iter().flat_map(Store::state);
        // One that cannot be decoded makes no runs.
        known
            .filter_map(|known| known.0.as_ref().ok().filter(|sync| directory.is_of(sync)).and_then(Sibling::of))
            .collect()
    }
}
