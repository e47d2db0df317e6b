//! Delta debugging: makes a set that passes a test smaller, until no member can be left out.
//!
//! After Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing Input" (2002), but it tests only complements: where most of the set is
//! needed, a part by itself rarely passes. Parts are left out one after the other, in rounds with ever smaller parts; a member that was left out
//! stays out. The test need not be monotone: a smaller set may pass where a larger one fails.

use capprof_profile::{Capability, CapabilitySet};
use std::collections::HashMap;

/// A search that ended because a test could not be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stopped<E> {
    /// The smallest set that has passed.
    pub(crate) smallest: CapabilitySet,
    /// The reason why the test was not made.
    pub(crate) error: E,
}

/// A set to be tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Question {
    /// The set.
    pub(crate) set: CapabilitySet,
    /// The largest number of tests that can still come, this one included.
    pub(crate) left: usize,
}

/// The state of a search.
#[derive(Clone, Copy)]
struct Place {
    smallest: CapabilitySet,
    parts: usize,
    /// The beginning of the next part, among the members in kernel order.
    start: usize,
    /// The number of parts in a row that were needed.
    needed: usize,
}

impl Place {
    fn members(&self) -> Vec<Capability> {
        self.smallest.iter().collect()
    }

    /// The set without the next part, and the part's length.
    fn next(&self) -> (CapabilitySet, usize) {
        let members = self.members();
        let part = part_from(&members, self.start, self.parts);
        let left_out = part.iter().copied().collect();
        (self.smallest.difference(left_out), part.len())
    }

    /// The place after the part was left out: the members after it move up.
    fn passed(self) -> Self {
        let (smallest, length) = self.next();
        let is_last = (self.start + length).is_multiple_of(self.smallest.len() as usize);
        let parts = (self.parts - 1).max(2);
        let start = if is_last { 0 } else { self.start };
        Self {
            smallest,
            parts: parts.min(smallest.len() as usize),
            start: aligned(start, smallest.len() as usize, parts),
            needed: 0,
        }
    }

    /// The place after the part turned out to be needed; `None` if no part can be left out.
    fn failed(self) -> Option<Self> {
        let members = self.smallest.len() as usize;
        let (_, length) = self.next();
        let needed = self.needed + 1;
        if needed < self.parts {
            let start = (self.start + length) % members;
            return Some(Self {
                start,
                needed,
                ..self
            });
        }
        (self.parts < members).then_some(Self {
            parts: (2 * self.parts).min(members),
            start: 0,
            needed: 0,
            ..self
        })
    }

    fn bound(&self, bounds: &mut Bounds) -> usize {
        bounds.of(self.smallest.len() as usize, self.parts) - self.needed
    }
}

/// Leaves out the members of a set without which its test passes. The set itself is assumed to pass.
///
/// If a set comes up again, it is tested again.
///
/// # Errors
/// The test was not made; the error has the smallest set until then.
pub(crate) fn shrink<E>(
    set: CapabilitySet,
    mut passes: impl FnMut(Question) -> Result<bool, E>,
) -> Result<CapabilitySet, Stopped<E>> {
    let mut bounds = Bounds::default();
    let mut place = Place {
        smallest: set,
        parts: 2.min(set.len() as usize),
        start: 0,
        needed: 0,
    };
    while !place.smallest.is_empty() {
        let question = Question {
            set: place.next().0,
            left: place.bound(&mut bounds),
        };
        let smallest = place.smallest;
        place = match passes(question).map_err(|error| Stopped { smallest, error })? {
            true => place.passed(),
            false => match place.failed() {
                Some(place) => place,
                None => break,
            },
        };
    }
    Ok(place.smallest)
}

/// The largest number of tests that [`shrink`] makes for a set with this many members.
pub(crate) fn bound(members: usize) -> usize {
    Bounds::default().of(members, 2)
}

/// Returns the part that begins at this member. The set is divided into this number of parts, as equal as possible, the larger ones first.
fn part_from(members: &[Capability], start: usize, parts: usize) -> &[Capability] {
    let mut at = 0;
    for index in 0..parts {
        let length = length_of(index, members.len(), parts);
        if at + length > start {
            return &members[at..at + length];
        }
        at += length;
    }
    members
}

fn length_of(index: usize, members: usize, parts: usize) -> usize {
    members / parts + usize::from(index < members % parts)
}

/// The beginning of the part that contains a member.
fn aligned(member: usize, members: usize, parts: usize) -> usize {
    let parts = parts.min(members);
    let mut at = 0;
    for index in 0..parts {
        let length = length_of(index, members, parts);
        if at + length > member {
            return at;
        }
        at += length;
    }
    0
}

/// The largest number of tests from a state on, by members and parts, if no part is known to be needed.
#[derive(Default)]
struct Bounds(HashMap<(usize, usize), usize>);

impl Bounds {
    fn of(&mut self, members: usize, parts: usize) -> usize {
        if members == 0 {
            return 0;
        }
        let parts = parts.min(members);
        if let Some(known) = self.0.get(&(members, parts)) {
            return *known;
        }
        let all_needed = match parts == members {
            true => 0,
            false => self.of(members, 2 * parts),
        };
        // The worst case: only the last part that is tried is not needed.
        let fewer = (parts - 1).max(2);
        let one_out = [members / parts, members.div_ceil(parts)]
            .into_iter()
            .map(|length| self.of(members - length, fewer))
            .max()
            .unwrap_or(0);
        let bound = parts + all_needed.max(one_out);
        self.0.insert((members, parts), bound);
        bound
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    fn search(
        set: CapabilitySet,
        oracle: impl Fn(CapabilitySet) -> bool,
    ) -> (CapabilitySet, usize) {
        let mut runs = 0;
        let mut before = usize::MAX;
        let found = shrink(set, |question| {
            runs += 1;
            let left = question.left;
            // The promised number never grows, and is kept.
            assert!(left >= 1 && left < before, "{left} after {before}");
            before = left;
            Ok::<bool, Infallible>(oracle(question.set))
        });
        (found.unwrap_or_else(|stopped| match stopped.error {}), runs)
    }

    fn check(set: CapabilitySet, oracle: impl Fn(CapabilitySet) -> bool) -> CapabilitySet {
        let (found, runs) = search(set, &oracle);
        assert!(found.is_subset(set));
        assert!(found == set || oracle(found), "{found} does not pass");
        for member in found.iter() {
            let mut without = found;
            without.remove(member);
            assert!(!oracle(without), "{found} passes without {member}");
        }
        let bound = bound(set.len() as usize);
        assert!(runs <= bound, "{runs} runs, {bound} were promised");
        found
    }

    fn bits(bits: u64) -> CapabilitySet {
        CapabilitySet::from_bits(bits)
    }

    #[test]
    fn few_runs_where_all_is_needed_or_nothing() {
        for count in 1..=12_u32 {
            let set = bits((1 << count) - 1);
            let (found, runs) = search(set, |candidate| candidate == set);
            assert_eq!(found, set);
            assert!(runs <= 3 * count as usize, "{count}: {runs}");
            let (found, runs) = search(set, |_| true);
            assert!(found.is_empty());
            assert!(runs <= count as usize, "{count}: {runs}");
        }
        assert_eq!(bound(0), 0);
        assert_eq!(bound(1), 1);
        assert_eq!(bound(2), 3);
        assert!(bound(41) <= 41 * 41 + 3 * 41);
    }

    #[test]
    fn the_smallest_so_far_survives_an_interruption() {
        let mut runs = 0;
        let stopped = shrink(bits(0xff), |_| {
            runs += 1;
            if runs > 2 {
                Err("enough")
            } else {
                Ok(runs == 1)
            }
        })
        .unwrap_err();
        assert_eq!(stopped.smallest, bits(0xf0));
        assert_eq!(stopped.error, "enough");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        #[test]
        fn monotone(set in 0..1_u64 << 20, ways in proptest::collection::vec(0..1_u64 << 20, 1..4)) {
            // Passes with any one of several subsets, as capabilities with alternatives do.
            let ways: Vec<u64> = ways.iter().map(|way| way & set).collect();
            let found = check(bits(set), |candidate| ways.iter().any(|way| bits(*way).is_subset(candidate)));
            prop_assert!(ways.contains(&found.bits()));
        }

        #[test]
        fn not_monotone(set in 0..1_u64 << 12, seed: u64, share in 1..8_u64) {
            check(bits(set), |candidate| {
                candidate.bits() == set || (candidate.bits() ^ seed).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) % 8 < share
            });
        }

        #[test]
        fn with_any_answers_the_promise_is_kept(set: u64, answers in proptest::collection::vec(any::<bool>(), 5000)) {
            // Here the same set does not even get the same answer.
            let mut made = 0;
            let found = shrink(bits(set), |_| {
                made += 1;
                Ok::<bool, Infallible>(answers.get(made).copied().unwrap_or(false))
            });
            prop_assert!(found.is_ok());
            prop_assert!(made <= bound(bits(set).len() as usize));
        }

        #[test]
        fn a_search_that_is_made_again_with_what_is_known_goes_on(set in 1..1_u64 << 16, way in 0..1_u64 << 16, stop in 0..20_usize) {
            let way = bits(way & set);
            let mut known: BTreeMap<u64, bool> = BTreeMap::new();
            let mut tests = 0;
            let mut go = |limit: usize| {
                shrink(bits(set), |question| {
                    let candidate = question.set;
                    if let Some(answer) = known.get(&candidate.bits()) {
                        return Ok(*answer);
                    }
                    if tests >= limit {
                        return Err(());
                    }
                    tests += 1;
                    known.insert(candidate.bits(), way.is_subset(candidate));
                    Ok(way.is_subset(candidate))
                })
            };
            let _ = go(stop);
            prop_assert_eq!(go(usize::MAX), Ok(way));
            prop_assert!(tests <= bound(bits(set).len() as usize));
        }
    }
}
