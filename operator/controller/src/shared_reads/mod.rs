//! One read of a directory for every resource of a namespace that reads it in the same way.
//!
//! Resources with the same source, mapping and Secrets would read the same. So whoever comes while one of them reads
//! waits for that read, and a read that is whole is kept for the others for as long as their `spec.source.freshness`
//! says. The rules, by which every run stays a whole run:
//!
//! - A resource uses a read only if it began after the last one that it used was whole. So no two of its runs use one
//!   read, and a second read that has to agree with the first is one.
//! - If somebody asked for the run, or an approval waits for it: only if it began after that was seen.
//! - How old a read may be is for the one to say who uses it, counted from the end of the read. Whoever says zero
//!   neither takes nor gives.
//! - A failure is told to those who waited for that very read, and to nobody after them.
//! - A read is kept no longer than somebody is left who may use it, and only so many are kept at a time.
//!
//! Whoever waits for a read drives it too, so it goes on for the others when the run that began it is given up, and ends
//! when nobody waits any more. A read never waits for a turn on a target or for room, so those who wait for it while
//! they hold both do not wait for each other.

mod directory;
mod source_read;

pub use directory::{Directory, Sibling, Siblings};
pub use source_read::{ReadFailure, SourceRead};

use crate::connect::Versions;
use crate::metrics::Metrics;
use directory::Key;
use directory_sync_api::DirectorySync;
use directory_sync_sources::Source;
use futures::FutureExt;
use futures::future::{BoxFuture, Shared, WeakShared};
use kube::ResourceExt;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::task::AbortOnDropHandle;

/// A read that several wait for and drive.
type Reading = BoxFuture<'static, Result<SourceRead, ReadFailure>>;

/// Whoever wants to use a read.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'w> {
    /// The resource.
    pub sync: &'w DirectorySync,
    /// What its source refers to, as it is now.
    pub versions: &'w Versions,
    /// How old a read of another may be; zero: none is shared.
    pub freshness: Duration,
    /// When it was seen that somebody asked for the run or approved something; only what began after it counts.
    pub after: Option<Instant>,
}

/// The reads that are under way, and those that are kept for others.
#[derive(Clone)]
pub struct SharedReads(Arc<Registry>);

struct Registry {
    siblings: Box<dyn Siblings>,
    metrics: Arc<Metrics>,
    most: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    /// The number of the last read that was begun.
    number: u64,
    under_way: Vec<UnderWay>,
    /// The oldest first.
    kept: Vec<Kept>,
    /// When the read was whole that a resource used last, by UID.
    last: HashMap<String, Instant>,
}

struct UnderWay {
    number: u64,
    key: Key,
    begun: Instant,
    /// Held by those who wait for it.
    reading: WeakShared<Reading>,
}

struct Kept {
    number: u64,
    key: Key,
    read: SourceRead,
    /// What drops it when nobody may use it any more.
    end: AbortOnDropHandle<()>,
}

impl SharedReads {
    /// Shares reads among these resources, and keeps at most so many for them.
    pub fn new(siblings: impl Siblings + 'static, metrics: Arc<Metrics>, most: usize) -> Self {
        Self(Arc::new(Registry { siblings: Box::new(siblings), metrics, most, held: Mutex::default() }))
    }

    /// The read that a run is to use: that of another resource, if there is one that it may use, else its own by
    /// `source`.
    pub async fn read(&self, wanted: Wanted<'_>, source: Arc<dyn Source>) -> Result<SourceRead, ReadFailure> {
        let read = self.find(&wanted, source).await?;
        self.0.used(wanted.sync, &read);
        let (namespace, name) = (wanted.sync.namespace().unwrap_or_default(), wanted.sync.name_any());
        if read.by != name {
            tracing::info!(namespace, name, read_by = read.by, "the run uses the read of another resource");
            self.0.metrics.shared(read.source.kind());
        }
        Ok(read)
    }

    /// Forgets a resource that is gone. What others may use stays.
    pub fn forget(&self, uid: &str) {
        self.0.lock().last.remove(uid);
    }

    /// One that is kept or under way, or else one that begins.
    fn find(&self, wanted: &Wanted<'_>, source: Arc<dyn Source>) -> Shared<Reading> {
        let key = Key { directory: Directory::of(wanted.sync), versions: wanted.versions.clone() };
        let uid = wanted.sync.uid().unwrap_or_default();
        let shares = !wanted.freshness.is_zero();
        let mut held = self.0.lock();
        if shares {
            let after = wanted.after.max(held.last.get(&uid).copied());
            let is_after = |begun: Instant| after.is_none_or(|after| begun > after);
            let kept = held.kept.iter().find(|kept| {
                kept.key == key && is_after(kept.read.begun) && kept.read.ended.elapsed() < wanted.freshness
            });
            if let Some(kept) = kept {
                return std::future::ready(Ok(kept.read.clone())).boxed().shared();
            }
            let under_way = held.under_way.iter().filter(|under_way| under_way.key == key && is_after(under_way.begun));
            if let Some(reading) = under_way.rev().find_map(|under_way| under_way.reading.upgrade()) {
                return reading;
            }
        }
        held.number += 1;
        let (number, begun) = (held.number, Instant::now());
        let kept_as = shares.then(|| (number, key.clone()));
        let reading = Arc::clone(&self.0).reading(kept_as, wanted.sync.name_any(), uid, source).boxed().shared();
        if let (true, Some(weak)) = (shares, reading.downgrade()) {
            // Those that nobody waits for any more were given up.
            held.under_way.retain(|under_way| under_way.reading.upgrade().is_some());
            held.under_way.push(UnderWay { number, key, begun, reading: weak });
        }
        reading
    }
}

impl Registry {
    /// Reads for a resource; a read that is to be shared is kept for others from the moment it is whole.
    async fn reading(
        self: Arc<Self>,
        kept_as: Option<(u64, Key)>,
        name: String,
        uid: String,
        source: Arc<dyn Source>,
    ) -> Result<SourceRead, ReadFailure> {
        let read = SourceRead::made_by(name, source).await;
        if let Ok(read) = &read {
            self.metrics.source_read(read.source.kind(), read.took);
        }
        if let Some((number, key)) = kept_as {
            self.over(number, key, read.as_ref().ok(), &uid);
        }
        read
    }

    /// A read is over: nobody may wait for it any more, and if it is whole it is kept for everybody but the resource
    /// `reader`, if there is anybody.
    fn over(self: &Arc<Self>, number: u64, key: Key, read: Option<&SourceRead>, reader: &str) {
        let mut siblings = self.siblings.of(&key.directory);
        siblings.retain(|sibling| sibling.uid != reader);
        let mut held = self.lock();
        held.under_way.retain(|under_way| under_way.number != number);
        let Some(read) = read else { return };
        let lasts = lasts(&siblings, &held.last, read);
        // Of two that were under way at once the one that began later serves whomever the other does.
        if lasts.is_zero() || held.kept.iter().any(|kept| kept.key == key && kept.read.begun >= read.begun) {
            return;
        }
        let mut dropped: Vec<Kept> = held.kept.extract_if(.., |kept| kept.key == key).collect();
        held.kept.push(Kept { number, key, read: read.clone(), end: self.end_after(number, lasts) });
        if held.kept.len() > self.most {
            dropped.push(held.kept.remove(0));
        }
        // A directory takes a while to give back, which nobody else should wait for.
        drop(held);
        drop(dropped);
    }

    /// Notes which read a resource uses, and drops what nobody may use any more.
    fn used(self: &Arc<Self>, sync: &DirectorySync, read: &SourceRead) {
        let directory = Directory::of(sync);
        let siblings = self.siblings.of(&directory);
        let mut held = self.lock();
        let Held { kept, last, .. } = &mut *held;
        last.insert(sync.uid().unwrap_or_default(), read.ended);
        let is_over = |kept: &mut Kept| {
            if kept.key.directory != directory {
                return false;
            }
            let lasts = lasts(&siblings, last, &kept.read);
            if !lasts.is_zero() {
                kept.end = self.end_after(kept.number, lasts);
            }
            lasts.is_zero()
        };
        let dropped: Vec<Kept> = kept.extract_if(.., is_over).collect();
        drop(held);
        drop(dropped);
    }

    /// Drops a read after so long.
    fn end_after(self: &Arc<Self>, number: u64, pause: Duration) -> AbortOnDropHandle<()> {
        let registry = Arc::downgrade(self);
        AbortOnDropHandle::new(tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            let Some(registry) = registry.upgrade() else { return };
            let mut held = registry.lock();
            let position = held.kept.iter().position(|kept| kept.number == number);
            let dropped = position.map(|position| held.kept.remove(position));
            drop(held);
            drop(dropped);
        }))
    }

    fn lock(&self) -> MutexGuard<'_, Held> {
        // Every change is made at once, so a panic elsewhere cannot have left half of one.
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For how long from now somebody may use a read.
fn lasts(siblings: &[Sibling], last: &HashMap<String, Instant>, read: &SourceRead) -> Duration {
    let may_use_it = |sibling: &&Sibling| last.get(&sibling.uid).is_none_or(|&last| read.begun > last);
    let longest = siblings.iter().filter(may_use_it).map(|sibling| sibling.freshness).max();
    longest.unwrap_or_default().saturating_sub(read.ended.elapsed())
}

#[cfg(test)]
mod tests;
