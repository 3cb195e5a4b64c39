//! Answers of Google that are damaged on the way: an error, or everybody, and never a crash.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "google/mod.rs"]
mod google;

use std::sync::atomic::{AtomicU64, Ordering};

use directory_sync_core::confirm::{Finding, Lookup};
use directory_sync_core::disposition::Classified;
use directory_sync_sources::Source;
use directory_sync_sources::google::GoogleSource;
use directory_sync_tests::google_directory::{Damage, Fault, GoogleDirectory};
use google::{company, config};
use serde_json::Value;

/// A linear congruential generator, so that a failure can be repeated.
struct Chance(u64);

impl Chance {
    fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % below
    }

    /// The answer with a few bytes changed, taken away or put in, or cut off.
    fn damage(&mut self, good: &Value) -> Vec<u8> {
        let mut body = good.to_string().into_bytes();
        for _ in 0..=self.below(3) {
            let at = self.below(body.len());
            match self.below(8) {
                0..3 => body[at] = u8::try_from(self.below(256)).unwrap(),
                3..5 => drop(body.remove(at)),
                5..7 => body.insert(at, b"[]{}\",:0ntf\\"[self.below(12)]),
                _ => body.truncate(at.max(8)),
            }
        }
        body
    }
}

/// Damages one in so many of the answers about some paths, each anew.
fn damaging(directory: &GoogleDirectory, is_meant: impl Fn(&str) -> bool + Send + Sync + 'static, one_in: u64) {
    let times = AtomicU64::new(0);
    directory.fail(move |request| {
        let time = is_meant(&request.path).then(|| times.fetch_add(1, Ordering::Relaxed))?;
        time.is_multiple_of(one_in).then(|| Fault::Damaged(Damage::new(move |good| Chance(time).damage(good))))
    });
}

#[tokio::test]
async fn damaged_answers_are_an_error_or_a_read_of_everybody_and_nothing_else() {
    for (path, one_in) in [("/users", 1), ("/groups", 1), ("/members", 3), ("/token", 2), ("", 4)] {
        let (directory, ..) = company().await;
        directory.page_by(500);
        damaging(&directory, move |asked| asked.ends_with(path), one_in);
        let mut config = config(&directory);
        config.backoff.times = 0;
        let sizes = [5, 1, 0];
        let (mut read, mut failed) = (0, 0);
        for _ in 0..100 {
            // Each read with a customer of its own, because the first one that is seen is the only one.
            match GoogleSource::new(config.clone()).unwrap().read_all().await {
                Ok(world) => {
                    let snapshot = world.snapshot();
                    assert_eq!((snapshot.user_count(), snapshot.group_count()), (7, 3), "{path}");
                    for group in snapshot.groups() {
                        // Members whose id was damaged are nobody here, which is counted and keeps them in the group.
                        let told = group.members().len() + usize::try_from(group.unresolved_members()).unwrap();
                        let whole = sizes.contains(&told);
                        assert!(whole || group.members_unknown(), "{path}: {told} in {}", group.id());
                    }
                    read += 1;
                }
                Err(error) => {
                    assert!(!error.reason().is_empty() && error.to_string().len() < 2_000, "{error}");
                    assert!(!format!("{error} {error:?}").contains("canary"), "{error}");
                    failed += 1;
                }
            }
        }
        assert!(read > 5 && failed > 10, "{path}: {read} were read and {failed} failed");
    }
}

#[tokio::test]
async fn damaged_answers_to_look_ups_never_make_anybody_gone() {
    let (directory, _, groups) = company().await;
    let source = GoogleSource::new(config(&directory)).unwrap();
    let world = source.read_all().await.unwrap();
    let id = world.snapshot().users().next().unwrap().id().to_owned();
    let lookups = [Lookup::User { id }, Lookup::Group { id: groups[0].clone() }];
    damaging(&directory, |asked| asked.contains("/users/") || asked.contains("/groups/"), 1);
    let mut told = 0;
    for _ in 0..500 {
        let mut config = config(&directory);
        config.backoff.times = 0;
        let source = GoogleSource::new(config).unwrap();
        for finding in source.confirm(&lookups, world.snapshot().referencer()).await {
            assert!(!matches!(finding, Finding::Gone), "{finding:?}");
            told += usize::from(matches!(finding, Finding::StillThere { .. }));
        }
    }
    assert!(told > 20, "{told} were found");
}
