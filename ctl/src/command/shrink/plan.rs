//! Plans a search: the run that it needs next, and runs that are worth making before it needs them.
//!
//! The results of its runs determine a search, and nothing else does. So it is replayed from its beginning with the known results, up to the
//! first run whose result is not known. The same replay, with an assumed result of that run, finds the runs that would follow.

use crate::delta_debugging::{self, Stopped};
use capprof_profile::CapabilitySet;
use std::collections::{HashMap, HashSet};

/// A run that a search asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Ask {
    /// The container's capabilities.
    pub(super) set: CapabilitySet,
    /// True if the run repeats another, to see if the result is the same.
    pub(super) again: bool,
}

impl Ask {
    fn once(set: CapabilitySet) -> Self {
        Self { set, again: false }
    }
}

/// The result of a search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SearchOutcome {
    /// This set has passed twice, and no smaller set that was tried has passed.
    Found(CapabilitySet),
    /// Even the full set fails.
    FullFails,
    /// It passes without any capability.
    EmptyPasses,
    /// This set has passed once and failed once.
    Unstable(CapabilitySet),
}

/// The next run of a search.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Next {
    pub(super) ask: Ask,
    /// Its purpose, in words.
    pub(super) what: String,
    /// The largest number of runs that can still come, this one included.
    pub(super) left: usize,
    /// The smallest set that has passed.
    pub(super) smallest: CapabilitySet,
    /// The estimated probability that it passes.
    chance: f64,
}

/// The state of a search.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    Run(Next),
    Done(SearchOutcome),
}

/// The sets with which a search begins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Course {
    /// The profile's set.
    pub(super) minimized: CapabilitySet,
    /// Its blind spots, which are added if that set does not pass.
    pub(super) unseen: CapabilitySet,
    /// Members that programs can often do without.
    pub(super) unclear: CapabilitySet,
    /// True if the search first makes sure that the workload fails without any capability.
    pub(super) empty_fails: bool,
}

/// The probability that a set fails if a larger set has failed.
const SURE: f64 = 0.97;

/// The probability that an unclear member is not needed.
const OFTEN_DONE_WITHOUT: f64 = 0.7;

/// The least probability at which a run is begun before the search asks for it: each run takes processor time from the others.
const WORTH: f64 = 0.1;

/// The number of outcomes that a plan looks at for each run in progress.
const OUTCOMES: usize = 16;

impl Course {
    /// The largest possible number of runs: the profile's set; if that fails, the set with the blind spots; the empty set, if asked for; the
    /// search; and its result once more.
    pub(super) fn promise(&self) -> usize {
        let count = |set: CapabilitySet| set.len() as usize;
        let plain = 1 + delta_debugging::bound(count(self.minimized));
        let with_unseen = match self.unseen.is_empty() {
            true => 0,
            false => 2 + delta_debugging::bound(count(self.minimized.union(self.unseen))),
        };
        plain.max(with_unseen) + usize::from(self.empty_fails) + 1
    }

    /// Returns the next step of the search after these results, known or assumed.
    pub(super) fn step(&self, known: &HashMap<Ask, bool>) -> Step {
        let passes = |set: CapabilitySet| known.get(&Ask::once(set)).copied();
        let run = |set: CapabilitySet, what: String, left: usize, chance: f64| {
            Step::Run(Next {
                ask: Ask::once(set),
                what,
                left,
                smallest: self.minimized,
                chance,
            })
        };
        let whole = self.promise();
        let mut full = self.minimized;
        match passes(full) {
            None => return run(full, "the profile's set".to_owned(), whole, 0.9),
            Some(true) => {}
            Some(false) if self.unseen.is_empty() => return Step::Done(SearchOutcome::FullFails),
            Some(false) => {
                full = full.union(self.unseen);
                let what = format!("with its blind spots {}", self.unseen);
                match passes(full) {
                    None => return run(full, what, whole - 1, 0.5),
                    Some(true) => {}
                    Some(false) => return Step::Done(SearchOutcome::FullFails),
                }
            }
        }
        if self.empty_fails {
            let left = 2 + delta_debugging::bound(full.len() as usize);
            match passes(CapabilitySet::EMPTY) {
                None => {
                    let what = "no capability at all".to_owned();
                    return run(CapabilitySet::EMPTY, what, left, 0.1);
                }
                Some(true) => return Step::Done(SearchOutcome::EmptyPasses),
                Some(false) => {}
            }
        }
        self.search(full, known)
    }

    /// The same from the point where the whole set is known to pass.
    fn search(&self, full: CapabilitySet, known: &HashMap<Ask, bool>) -> Step {
        let passes = |set: CapabilitySet| known.get(&Ask::once(set)).copied();
        let searched =
            delta_debugging::shrink(full, |question| passes(question.set).ok_or(question));
        match searched {
            Ok(set) => {
                let ask = Ask { set, again: true };
                match known.get(&ask) {
                    None => Step::Run(Next {
                        ask,
                        what: format!("{set} once more"),
                        left: 1,
                        smallest: set,
                        chance: 0.95,
                    }),
                    Some(true) => Step::Done(SearchOutcome::Found(set)),
                    Some(false) => Step::Done(SearchOutcome::Unstable(set)),
                }
            }
            Err(Stopped { smallest, error }) => {
                let set = error.set;
                Step::Run(Next {
                    ask: Ask::once(set),
                    what: format!("without {}", full.difference(set)),
                    left: error.left + 1,
                    smallest,
                    chance: self.chance(set, smallest, full.difference(smallest), known),
                })
            }
        }
    }

    /// Estimates the probability that a set passes. A subset of a set that failed mostly fails, and a superset of a set that passed mostly passes. For
    /// any other, a member is assumed to be needed as often as the members of which that is known (Laplace's rule of succession).
    fn chance(
        &self,
        set: CapabilitySet,
        smallest: CapabilitySet,
        left_out: CapabilitySet,
        known: &HashMap<Ask, bool>,
    ) -> f64 {
        let has = |outcome: bool, holds: &dyn Fn(CapabilitySet) -> bool| {
            known
                .iter()
                .any(|(ask, passed)| *passed == outcome && holds(ask.set))
        };
        if has(false, &|failed| set.is_subset(failed)) {
            return 1.0 - SURE;
        }
        if has(true, &|passed| passed.is_subset(set)) {
            return SURE;
        }
        let fails = |set: CapabilitySet| known.get(&Ask::once(set)) == Some(&false);
        let alone = |member| smallest.difference([member].into_iter().collect());
        let needed = smallest.iter().filter(|member| fails(alone(*member)));
        let mut not_needed = f64::from(left_out.len()) + 1.0;
        let mut all = not_needed + 1.0 + needed.map(|_| 1.0).sum::<f64>();
        let mut chance = 1.0;
        for member in smallest.difference(set).iter() {
            if self.unclear.contains(member) {
                chance *= OFTEN_DONE_WITHOUT;
            } else {
                chance *= not_needed / all;
                not_needed += 1.0;
                all += 1.0;
            }
        }
        chance
    }

    /// Returns the runs that are worth making now. The run that the search waits for comes first; then the likeliest of those that it may ask for next,
    /// as many as there is room for, whatever the results will be.
    pub(super) fn plan(
        &self,
        known: &HashMap<Ask, bool>,
        running: &HashSet<Ask>,
        room: Room,
    ) -> Plan {
        let tree = Tree::grow(self, known, OUTCOMES * room.jobs);
        let mut begun = running.clone();
        let mut begin: Vec<Next> = Vec::new();
        for (next, chance) in tree.likeliest() {
            if chance < WORTH {
                break;
            }
            if begun.contains(&next.ask) {
                continue;
            }
            if begun.len() + room.ending >= room.jobs {
                break;
            }
            begun.insert(next.ask);
            let most = match tree.awaits(next.ask) {
                true => 0,
                false => tree.most(0, &begun),
            };
            match begun.len() + most <= room.runs {
                true => begin.push(next.clone()),
                false => {
                    begun.remove(&next.ask);
                }
            }
        }
        Plan {
            begin,
            useful: tree.likeliest().map(|(next, _)| next.ask).collect(),
        }
    }
}

/// The room for further runs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    /// The number of runs that may go on at the same time.
    pub(super) jobs: usize,
    /// The number of these containers that are being removed.
    pub(super) ending: usize,
    /// The number of runs that may still come, with those in progress.
    pub(super) runs: usize,
}

/// The next actions.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    /// Runs to be begun.
    pub(super) begin: Vec<Next>,
    /// The runs that the search may still need. Other runs in progress are useless.
    pub(super) useful: HashSet<Ask>,
}

/// The possible ends of a search, with the ways to each.
struct Tree {
    nodes: Vec<Node>,
}

struct Node {
    step: Step,
    /// The probability that the search gets here.
    chance: f64,
    assumed: HashMap<Ask, bool>,
    /// The next nodes: if the run fails, and if it passes.
    follow: Option<[usize; 2]>,
}

impl Tree {
    /// Grows the tree along the likeliest branches first, up to this number of nodes.
    fn grow(course: &Course, known: &HashMap<Ask, bool>, nodes: usize) -> Self {
        let root = Node {
            step: course.step(known),
            chance: 1.0,
            assumed: known.clone(),
            follow: None,
        };
        let mut tree = Self { nodes: vec![root] };
        while tree.nodes.len() < nodes {
            let open = tree.nodes.iter().enumerate().filter_map(|(at, node)| {
                let Step::Run(next) = &node.step else {
                    return None;
                };
                node.follow.is_none().then_some((at, node.chance, next))
            });
            let likeliest = open.max_by(|(_, one, _), (_, other, _)| one.total_cmp(other));
            let Some((at, chance, next)) = likeliest else {
                break;
            };
            let (ask, passes) = (next.ask, next.chance);
            let first = tree.nodes.len();
            for (passed, share) in [(false, 1.0 - passes), (true, passes)] {
                let mut assumed = tree.nodes[at].assumed.clone();
                assumed.insert(ask, passed);
                tree.nodes.push(Node {
                    step: course.step(&assumed),
                    chance: chance * share,
                    assumed,
                    follow: None,
                });
            }
            tree.nodes[at].follow = Some([first, first + 1]);
        }
        tree
    }

    /// The runs that the search may ask for with their probabilities, the likeliest first.
    fn likeliest(&self) -> impl Iterator<Item = (&Next, f64)> {
        let mut nodes: Vec<&Node> = self.nodes.iter().collect();
        nodes.sort_by(|one, other| other.chance.total_cmp(&one.chance));
        nodes.into_iter().filter_map(|node| match &node.step {
            Step::Run(next) => Some((next, node.chance)),
            Step::Done(_) => None,
        })
    }

    /// Returns true if the search waits for this run.
    fn awaits(&self, ask: Ask) -> bool {
        matches!(&self.nodes[0].step, Step::Run(next) if next.ask == ask)
    }

    /// The number of runs that can still begin from a node on.
    fn most(&self, at: usize, begun: &HashSet<Ask>) -> usize {
        let node = &self.nodes[at];
        let Step::Run(next) = &node.step else {
            return 0;
        };
        match node.follow {
            None => next.left,
            Some([fails, passes]) => {
                let after = self.most(fails, begun).max(self.most(passes, begun));
                usize::from(!begun.contains(&next.ask)) + after
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bits(bits: u64) -> CapabilitySet {
        CapabilitySet::from_bits(bits)
    }

    fn course(minimized: u64, unseen: u64, empty_fails: bool) -> Course {
        Course {
            minimized: bits(minimized),
            unseen: bits(unseen & !minimized),
            unclear: bits(minimized & 0x2a),
            empty_fails,
        }
    }

    /// The result of a search, and the number of its runs.
    struct Made {
        outcome: SearchOutcome,
        runs: usize,
    }

    /// Makes a search with this many parallel runs; `ends` chooses the run that ends next.
    fn search(
        course: &Course,
        jobs: usize,
        passes: impl Fn(Ask) -> bool,
        mut ends: impl FnMut(usize) -> usize,
    ) -> Made {
        let promise = course.promise();
        let mut known = HashMap::new();
        let mut running: Vec<Ask> = Vec::new();
        let mut made = 0;
        loop {
            if let Step::Done(outcome) = course.step(&known) {
                let runs = made + running.len();
                return Made { outcome, runs };
            }
            let room = Room {
                jobs,
                ending: 0,
                runs: promise - made,
            };
            let plan = course.plan(&known, &running.iter().copied().collect(), room);
            // A run that is no longer needed is stopped, and still counts.
            let before = running.len();
            running.retain(|ask| plan.useful.contains(ask));
            made += before - running.len();
            for next in plan.begin {
                assert!(!known.contains_key(&next.ask), "made twice");
                running.push(next.ask);
            }
            assert!(!running.is_empty() && running.len() <= jobs);
            assert!(
                made + running.len() <= promise,
                "{promise} runs were promised"
            );
            let ended = running.swap_remove(ends(running.len()) % running.len());
            known.insert(ended, passes(ended));
            made += 1;
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        /// The order in which runs end does not matter, nor if a smaller set passes where a larger one fails.
        #[test]
        fn several_at_a_time_come_to_the_same_within_the_same_promise(
            minimized in 0..1_u64 << 7,
            unseen in 0..1_u64 << 9,
            empty_fails: bool,
            jobs in 2..=8_usize,
            needed in proptest::option::of(0..1_u64 << 9),
            seed: u64,
            order in proptest::collection::vec(any::<usize>(), 1..50),
        ) {
            let course = course(minimized, unseen, empty_fails);
            let passes = |ask: Ask| match needed {
                Some(needed) => bits(needed & (minimized | unseen)).is_subset(ask.set),
                None => {
                    (ask.set.bits() ^ seed ^ u64::from(ask.again)).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(23) % 4 < 2
                }
            };
            let alone = search(&course, 1, passes, |_| 0);
            let mut turn = 0;
            let together = search(&course, jobs, passes, |_| {
                turn += 1;
                order[turn % order.len()]
            });
            prop_assert_eq!(alone.outcome, together.outcome);
            prop_assert!(together.runs <= course.promise());
        }
    }

    /// Runs that take equally long end in the order in which they were begun, all of a round together.
    fn rounds(course: &Course, jobs: usize, needed: u64) -> (usize, usize) {
        let promise = course.promise();
        let (mut known, mut made, mut rounds) = (HashMap::new(), 0, 0);
        while let Step::Run(_) = course.step(&known) {
            let room = Room {
                jobs,
                ending: 0,
                runs: promise - made,
            };
            for next in course.plan(&known, &HashSet::new(), room).begin {
                known.insert(next.ask, bits(needed).is_subset(next.ask.set));
                made += 1;
            }
            rounds += 1;
        }
        (rounds, made)
    }

    #[test]
    fn four_at_a_time_need_at_most_half_of_the_rounds() {
        // Of eight seven are needed, of six five, of five all, of nine seven.
        for (minimized, needed) in [(0xff, 0xef), (0x3f, 0x2f), (0x1f, 0x1f), (0x1ff, 0x177)] {
            let course = course(minimized, 0, false);
            let (one, _) = rounds(&course, 1, needed);
            let (four, made) = rounds(&course, 4, needed);
            assert!(
                2 * four <= one && made <= course.promise(),
                "{minimized:x}, {needed:x}: {four} rounds of {made} runs, {one} one at a time"
            );
        }
    }
}
