//! From everything that the recorders brought home to the minimized set, with the reason for each member.
//!
//! Pure. Each check that counts is a *demand*: a set of capabilities of which any one would have satisfied the kernel. The
//! minimized set satisfies all demands. A demand that only one capability satisfies decides itself; the others take what is
//! there already, else what [`Preference`] says. More evidence therefore never takes a capability out of the set, unless
//! another one has come in that satisfies the same demand.

use crate::alternative::alternatives;
use crate::classify::{self, Context, Outcome, Rule, classify};
use crate::configuration::Preference;
use crate::observation::{BlindSpot, Capset, Evidence, Execution, Observation, Recorder};
use crate::recording::ProcessSets;
use crate::result::{Dismissed, Need, Reason, RecorderReport};
use crate::{Capability, CapabilitySet};
use std::collections::{BTreeMap, BTreeSet};

/// All that the result depends on.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The container.
    pub context: Context,
    /// What the engine had asked for.
    pub original: &'a ProcessSets,
    /// What the container had while it was profiled.
    pub granted: &'a ProcessSets,
    /// What is chosen where several capabilities would do.
    pub preference: Preference,
    /// What became of each recorder.
    pub reports: &'a [RecorderReport],
    /// What they brought home.
    pub evidence: &'a [(Recorder, Evidence)],
}

/// The parts of a [`crate::result::Profile`] that follow from evidence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Minimized {
    /// See [`crate::result::Profile::minimized`].
    pub set: CapabilitySet,
    /// See [`crate::result::Profile::minimized_sets`].
    pub sets: ProcessSets,
    /// See [`crate::result::Profile::needed`].
    pub needed: Vec<Need>,
    /// See [`crate::result::Profile::silent`].
    pub silent: Vec<Dismissed>,
    /// See [`crate::result::Profile::denied`].
    pub denied: Vec<Dismissed>,
    /// See [`crate::result::Profile::blind_spots`].
    pub blind_spots: Vec<BlindSpot>,
    /// See [`crate::result::Profile::incomplete_because`].
    pub incomplete_because: Vec<String>,
    /// See [`crate::result::Profile::notes`].
    pub notes: Vec<String>,
}

/// One reason to have a capability.
struct Demand<'a> {
    /// What the kernel asked for, or what a program listed.
    asked: Capability,
    /// That, and what would have done instead.
    options: CapabilitySet,
    reason: Reason,
    source: Source<'a>,
}

enum Source<'a> {
    Check(&'a Observation),
    File(Recorder, &'a Execution),
    List(Recorder, &'a Capset),
}

impl Source<'_> {
    fn recorder(&self) -> Recorder {
        match self {
            Self::Check(check) => check.recorder,
            Self::File(recorder, _) | Self::List(recorder, _) => *recorder,
        }
    }
}

/// Makes the minimized set. The order of observations does not matter.
pub fn minimize(input: &Input<'_>) -> Minimized {
    let mut classified: Vec<(&Observation, Outcome, &Rule)> = input
        .evidence
        .iter()
        .flat_map(|(_, evidence)| &evidence.observations)
        .map(|check| {
            let class = classify(check, &input.context);
            (check, class.outcome, class.rule)
        })
        .collect();
    let seen_through = dismiss_what_the_other_recorder_saw_through(input, &mut classified);

    let mut result = Minimized::default();
    let demands = demands(input, &classified, &mut result.notes);
    result.set = choose(&demands, input);
    result.needed = result
        .set
        .iter()
        .map(|capability| need(capability, result.set, &demands, input))
        .collect();
    result.sets = sets(input, &demands, result.set);
    result.silent = summary(&classified, |outcome| {
        matches!(outcome, Outcome::Dismissed | Outcome::Optional)
    });
    result.denied = summary(&classified, |outcome| outcome == Outcome::Denied);
    result.blind_spots = blind_spots(input, &classified, result.set);
    result.incomplete_because = losses(input);
    result.notes.extend(seen_through);
    result.notes.sort();
    result.notes.dedup();
    result
}

/// SELinux sees neither the kernel's call site nor system call arguments. Where eBPF, with nothing lost, saw a capability asked for only
/// in ways that do not count, SELinux saw the same checks.
fn dismiss_what_the_other_recorder_saw_through(
    input: &Input<'_>,
    classified: &mut [(&Observation, Outcome, &Rule)],
) -> Vec<String> {
    if !recorded_completely(input, Recorder::Ebpf) {
        return Vec::new();
    }
    let mut needed = CapabilitySet::EMPTY;
    let mut dismissed: BTreeMap<Capability, (&Rule, Outcome)> = BTreeMap::new();
    for (check, outcome, rule) in classified.iter() {
        if check.recorder != Recorder::Ebpf {
            continue;
        }
        match outcome {
            Outcome::Needed(_) => needed.insert(check.capability),
            Outcome::Dismissed | Outcome::Optional if !classify::silent(check) => {
                let entry = dismissed
                    .entry(check.capability)
                    .or_insert((*rule, *outcome));
                if rule.name < entry.0.name {
                    *entry = (*rule, *outcome);
                }
            }
            _ => {}
        }
    }
    let mut notes = BTreeSet::new();
    for (check, outcome, rule) in classified.iter_mut() {
        if check.recorder == Recorder::Selinux
            && matches!(outcome, Outcome::Needed(_))
            && !needed.contains(check.capability)
            && let Some((known, what)) = dismissed.get(&check.capability)
        {
            *outcome = *what;
            *rule = *known;
            notes.insert(format!(
                "{}: recorded by SELinux, which cannot see why the kernel asked; eBPF saw it asked in this way only: {}",
                check.capability, known.explanation
            ));
        }
    }
    notes.into_iter().collect()
}

fn evidence_of<'a>(input: &Input<'a>, recorder: Recorder) -> Option<&'a Evidence> {
    input
        .evidence
        .iter()
        .find(|(of, _)| *of == recorder)
        .map(|(_, evidence)| evidence)
}

fn recorded_completely(input: &Input<'_>, recorder: Recorder) -> bool {
    evidence_of(input, recorder).is_some_and(|evidence| evidence.losses.is_empty())
}

fn demands<'a>(
    input: &Input<'a>,
    classified: &[(&'a Observation, Outcome, &'static Rule)],
    notes: &mut Vec<String>,
) -> Vec<Demand<'a>> {
    let mut demands: Vec<Demand<'a>> = classified
        .iter()
        .filter_map(|(check, outcome, _)| match outcome {
            Outcome::Needed(reason) => Some(Demand {
                asked: check.capability,
                options: alternatives(check).union([check.capability].into_iter().collect()),
                reason: *reason,
                source: Source::Check(check),
            }),
            _ => None,
        })
        .collect();
    for (recorder, evidence) in input.evidence {
        for execution in &evidence.executions {
            // Without the effective bit the program starts with what there is, and what it uses of that is seen.
            let Some(capabilities) = execution.file_capabilities.filter(|file| file.effective)
            else {
                continue;
            };
            demands.extend(capabilities.permitted.iter().map(|capability| Demand {
                asked: capability,
                options: [capability].into_iter().collect(),
                reason: Reason::FileCapability,
                source: Source::File(*recorder, execution),
            }));
        }
        for capset in &evidence.capsets {
            let listed = listed(capset, input.context.granted);
            demands.extend(listed.iter().map(|capability| Demand {
                asked: capability,
                options: [capability].into_iter().collect(),
                reason: Reason::CapsetCompatibility,
                source: Source::List(*recorder, capset),
            }));
            let kept = capset
                .permitted
                .difference(listed)
                .intersection(capset.held);
            if capset.permitted != capset.held && !kept.is_empty() {
                notes.push(format!(
                    "{} set its capabilities to what it held but for {}: taken for dropping these, not for needing the rest",
                    capset.program,
                    capset.held.difference(capset.permitted)
                ));
            }
        }
    }
    demands
}

/// The capabilities that a program asked to keep by name.
///
/// capset(2) fails with EPERM for a capability that is not held, so a program that sets a fixed list needs all of it whether it uses it or
/// not. A program that starts from what it holds and takes something away needs nothing of the kind. The two are told apart by size: a set
/// with more than half of what was held, where that was as much as the recording had granted, is no list.
fn listed(capset: &Capset, granted: CapabilitySet) -> CapabilitySet {
    let all_held = capset.held.len() * 2 >= granted.len();
    [capset.permitted, capset.effective, capset.inheritable]
        .into_iter()
        .filter(|set| !(all_held && set.len() * 2 > capset.held.len()))
        .fold(CapabilitySet::EMPTY, CapabilitySet::union)
}

/// A set that satisfies all demands.
fn choose(demands: &[Demand<'_>], input: &Input<'_>) -> CapabilitySet {
    let only = |demand: &&Demand<'_>| demand.options.len() == 1;
    let forced: CapabilitySet = demands
        .iter()
        .filter(only)
        .map(|demand| demand.asked)
        .collect();
    let open: BTreeSet<(Capability, u64)> = demands
        .iter()
        .filter(|demand| demand.options.intersection(forced).is_empty())
        .map(|demand| (demand.asked, demand.options.bits()))
        .collect();
    let mut set = forced;
    for (asked, options) in &open {
        set.insert(preferred(*asked, CapabilitySet::from_bits(*options), input));
    }
    // What was chosen for one demand may be superfluous by what was chosen for another.
    for capability in set.difference(forced).iter() {
        let mut without = set;
        without.remove(capability);
        if open.iter().all(|(_, options)| {
            !CapabilitySet::from_bits(*options)
                .intersection(without)
                .is_empty()
        }) {
            set = without;
        }
    }
    set
}

/// The one to take where several would do: what was asked for, but never CAP_SYS_ADMIN if anything less would do; and by
/// [`Preference::Default`] one that the engine had given to this container rather than one that it had not.
fn preferred(asked: Capability, options: CapabilitySet, input: &Input<'_>) -> Capability {
    let mut weaker = options;
    weaker.remove(Capability::SYS_ADMIN);
    let first = if asked == Capability::SYS_ADMIN {
        weaker.iter().next().unwrap_or(asked)
    } else {
        asked
    };
    let given = input.original.bounding;
    if input.preference == Preference::Default && !given.contains(first) {
        return weaker.intersection(given).iter().next().unwrap_or(first);
    }
    first
}

fn need(
    capability: Capability,
    set: CapabilitySet,
    demands: &[Demand<'_>],
    input: &Input<'_>,
) -> Need {
    let own: Vec<&Demand<'_>> = demands
        .iter()
        .filter(|demand| demand.asked == capability)
        .collect();
    let taken_over: Vec<&Demand<'_>> = demands
        .iter()
        .filter(|demand| {
            demand.asked != capability
                && demand.options.contains(capability)
                && !set.contains(demand.asked)
        })
        .collect();
    let evidence = if own.is_empty() { &taken_over } else { &own };
    let mut notes = Vec::new();
    let reason = evidence
        .iter()
        .map(|demand| demand.reason)
        .min()
        .unwrap_or(Reason::Used);
    for other in evidence
        .iter()
        .map(|demand| demand.reason)
        .collect::<BTreeSet<_>>()
    {
        if other != reason {
            notes.push(format!("also {}", describe(other)));
        }
    }
    let files: BTreeSet<String> = evidence
        .iter()
        .filter_map(|demand| match demand.source {
            Source::File(_, execution) => Some(execution.path.display().to_string()),
            _ => None,
        })
        .collect();
    if !files.is_empty() {
        notes.push(format!(
            "file capability of {}, which cannot be executed without",
            files.into_iter().collect::<Vec<_>>().join(", ")
        ));
    }
    let asked: CapabilitySet = taken_over.iter().map(|demand| demand.asked).collect();
    for asked in asked.iter() {
        notes.push(if own.is_empty() {
            format!(
                "the kernel asked for {asked} first; {capability} does as well and {}",
                if asked == Capability::SYS_ADMIN {
                    "gives less"
                } else {
                    "the engine grants it"
                }
            )
        } else {
            format!("{asked} was asked for too, where {capability} does as well")
        });
    }
    if !evidence.is_empty()
        && evidence
            .iter()
            .all(|demand| matches!(demand.source, Source::Check(check) if check.joined))
    {
        notes.push("used only by processes that joined the container (exec)".to_owned());
    }
    if evidence.iter().all(
        |demand| matches!(demand.source, Source::Check(check) if classify(check, &input.context).rule.name == "silent-unknown-site"),
    ) {
        notes.push("asked silently at a place that capprof has no rule for: may not be needed".to_owned());
    }
    notes.extend(difference(capability, evidence, input));

    let mut tally = Tally::default();
    for demand in evidence {
        match demand.source {
            Source::Check(check) => tally.check(check),
            Source::File(recorder, execution) => {
                let name = execution.path.file_name().map_or_else(
                    || execution.path.display().to_string(),
                    |name| name.to_string_lossy().into_owned(),
                );
                tally.program(recorder, name, execution.count);
            }
            Source::List(recorder, capset) => {
                tally.program(recorder, capset.program.clone(), capset.count);
                tally.add(recorder, Field::Syscall, "capset".to_owned(), capset.count);
            }
        }
    }
    let interchangeable = evidence
        .iter()
        .map(|demand| demand.options)
        .reduce(CapabilitySet::intersection)
        .unwrap_or_default();
    Need {
        capability,
        reason,
        alternatives: interchangeable
            .iter()
            .filter(|other| *other != capability)
            .collect(),
        programs: tally.list(Field::Program),
        syscalls: tally.list(Field::Syscall),
        sites: tally.list(Field::Site),
        count: tally.count(),
        first_ms: tally.first.unwrap_or_default(),
        last_ms: tally.last.unwrap_or_default(),
        recorders: tally.recorders(),
        notes,
    }
}

/// What a reason means, for a sentence.
pub fn describe(reason: Reason) -> &'static str {
    match reason {
        Reason::Used => "used",
        Reason::EnforcingSilent => "used where the kernel asks silently and enforces",
        Reason::PreExec => "needed by the runtime to start the program",
        Reason::FileCapability => "a file capability of an executed program",
        Reason::CapsetCompatibility => "in a set that a program asked for with capset(2)",
    }
}

/// Why only one of two recorders saw this capability.
fn difference(
    capability: Capability,
    evidence: &[&Demand<'_>],
    input: &Input<'_>,
) -> Option<String> {
    let (Some(ebpf), Some(selinux)) = (
        evidence_of(input, Recorder::Ebpf),
        evidence_of(input, Recorder::Selinux),
    ) else {
        return None;
    };
    let saw: BTreeSet<Recorder> = evidence
        .iter()
        .map(|demand| demand.source.recorder())
        .collect();
    if saw.len() != 1 {
        return None;
    }
    let checks: Vec<&Observation> = evidence
        .iter()
        .filter_map(|demand| match demand.source {
            Source::Check(check) => Some(check),
            _ => None,
        })
        .collect();
    if checks.is_empty() {
        // File capabilities and capset(2) are not capability checks: SELinux has no record of them.
        return None;
    }
    let asked = checks.first().map_or(capability, |check| check.capability);
    let (blind, other) = if saw.contains(&Recorder::Ebpf) {
        (selinux, Recorder::Selinux)
    } else {
        (ebpf, Recorder::Ebpf)
    };
    let reason = if let Some(known) = blind
        .blind_spots
        .iter()
        .find(|spot| spot.capability.is_none_or(|spot| spot == asked))
    {
        known.reason.clone()
    } else if let Some(loss) = blind.losses.first() {
        loss.clone()
    } else if other == Recorder::Selinux && checks.iter().all(|check| classify::silent(check)) {
        "the kernel asks without an audit record".to_owned()
    } else if other == Recorder::Selinux && checks.iter().all(|check| check.pre_exec) {
        "the runtime has not taken the container's label yet".to_owned()
    } else if other == Recorder::Selinux
        && checks
            .iter()
            .all(|check| asks_capability_module_alone(check))
    {
        "commoncap.c asks itself alone there, not the other security modules".to_owned()
    } else if other == Recorder::Selinux && selinux_saw_stronger(asked, selinux) {
        "the kernel asks for another capability first there".to_owned()
    } else if other == Recorder::Ebpf
        && asked == Capability::SETPCAP
        && input
            .reports
            .iter()
            .any(|report| report.recorder == Recorder::Ebpf && report.method.contains("fexit"))
    {
        "fexit does not see calls that the compiler inlined in commoncap.c".to_owned()
    } else {
        "unexplained".to_owned()
    };
    Some(format!(
        "seen by {} alone; {} did not: {reason}",
        recorder_name(if other == Recorder::Ebpf {
            Recorder::Selinux
        } else {
            Recorder::Ebpf
        }),
        recorder_name(other)
    ))
}

/// security/commoncap.c calls `cap_capable()` directly in these: no other security module hears of it.
fn asks_capability_module_alone(check: &Observation) -> bool {
    check.call_site.iter().any(|frame| {
        [
            "cap_capset",
            "cap_inh_is_capped",
            "cap_task_prctl",
            "cap_mmap_addr",
            "cap_vm_enough_memory",
        ]
        .contains(&classify::function(frame))
    })
}

fn selinux_saw_stronger(asked: Capability, selinux: &Evidence) -> bool {
    let pair = match asked {
        Capability::DAC_READ_SEARCH => Capability::DAC_OVERRIDE,
        Capability::DAC_OVERRIDE => Capability::DAC_READ_SEARCH,
        _ => return false,
    };
    selinux
        .observations
        .iter()
        .any(|check| check.capability == pair)
}

/// The name for people.
pub fn recorder_name(recorder: Recorder) -> &'static str {
    match recorder {
        Recorder::Ebpf => "eBPF",
        Recorder::Selinux => "SELinux",
    }
}

fn sets(input: &Input<'_>, demands: &[Demand<'_>], set: CapabilitySet) -> ProcessSets {
    if input.context.uid == 0 {
        return ProcessSets {
            bounding: set,
            effective: set,
            permitted: set,
            inheritable: input.original.inheritable.intersection(set),
            ambient: input.original.ambient.intersection(set),
        };
    }
    // What a set-user-ID program or one with file capabilities has of its own, it gains from the bounding set alone.
    let gained = |check: &Observation| {
        check.executable.as_ref().is_some_and(|executable| {
            input
                .evidence
                .iter()
                .flat_map(|(_, evidence)| &evidence.executions)
                .any(|execution| {
                    execution.path == *executable && execution.gained.contains(check.capability)
                })
        })
    };
    let mut carried = CapabilitySet::EMPTY;
    let mut by_runtime = CapabilitySet::EMPTY;
    for demand in demands {
        let satisfied_by = demand.options.intersection(set);
        match demand.source {
            Source::File(..) => {}
            Source::Check(check) if gained(check) => {}
            Source::Check(check) if check.pre_exec => by_runtime = by_runtime.union(satisfied_by),
            Source::Check(_) | Source::List(..) => carried = carried.union(satisfied_by),
        }
    }
    // Where the process had been granted no ambient capabilities, whatever it used came from the bounding set.
    carried = carried.intersection(input.granted.ambient);
    ProcessSets {
        bounding: set,
        effective: carried.union(by_runtime),
        permitted: carried.union(by_runtime),
        inheritable: carried,
        ambient: carried,
    }
}

fn summary(
    classified: &[(&Observation, Outcome, &Rule)],
    wanted: impl Fn(Outcome) -> bool,
) -> Vec<Dismissed> {
    let mut tallies: BTreeMap<(Capability, &str), (&Rule, Tally)> = BTreeMap::new();
    for (check, outcome, rule) in classified {
        if wanted(*outcome) {
            tallies
                .entry((check.capability, rule.name))
                .or_insert_with(|| (*rule, Tally::default()))
                .1
                .check(check);
        }
    }
    tallies
        .into_iter()
        .map(|((capability, _), (rule, tally))| Dismissed {
            capability,
            rule: rule.name.to_owned(),
            explanation: rule.explanation.to_owned(),
            optional: rule.outcome == Outcome::Optional,
            programs: tally.list(Field::Program),
            syscalls: tally.list(Field::Syscall),
            sites: tally.list(Field::Site),
            count: tally.count(),
            recorders: tally.recorders(),
        })
        .collect()
}

fn blind_spots(
    input: &Input<'_>,
    classified: &[(&Observation, Outcome, &Rule)],
    set: CapabilitySet,
) -> Vec<BlindSpot> {
    let mut spots: BTreeSet<BlindSpot> = BTreeSet::new();
    for (recorder, evidence) in input.evidence {
        for spot in &evidence.blind_spots {
            if !covered(spot, *recorder, input) {
                spots.insert(spot.clone());
            }
        }
        for execution in &evidence.executions {
            if let Some(reason) = &execution.unreadable {
                spots.insert(BlindSpot {
                    capability: None,
                    recorder: *recorder,
                    reason: format!(
                        "file capabilities of {} could not be read: {reason}",
                        execution.path.display()
                    ),
                });
            }
        }
    }
    for (check, outcome, rule) in classified {
        if rule.name == classify::HARD_LINK && !set.contains(check.capability) {
            spots.insert(BlindSpot {
                capability: Some(check.capability),
                recorder: check.recorder,
                reason: format!(
                    "{} made hard links to files that it may not both read and write by their mode: fails without, or without CAP_FOWNER, \
                     for files of other users; which files these were was not seen",
                    check.program
                ),
            });
        }
        // kernel/user_namespace.c verify_root_map() looks at a bit that create_user_ns() has kept: nothing asks.
        if check
            .call_site
            .iter()
            .any(|frame| ["map_write", "proc_uid_map_write"].contains(&classify::function(frame)))
            && !set.contains(Capability::SETFCAP)
        {
            spots.insert(BlindSpot {
                capability: Some(Capability::SETFCAP),
                recorder: check.recorder,
                reason: format!(
                    "{} wrote the id map of a user namespace that it made: if that maps user 0 of the container, the kernel wants this \
                     capability without asking for it",
                    check.program
                ),
            });
        }
        if *outcome == Outcome::Denied
            && rule.name == classify::REFUSED.name
            && !input.granted.bounding.contains(check.capability)
        {
            spots.insert(BlindSpot {
                capability: Some(check.capability),
                recorder: check.recorder,
                reason: format!(
                    "{} asked for it and was refused, as capprof does not hold it itself and could not grant it: what the program would have \
                     done with it was not seen",
                    check.program
                ),
            });
        }
    }
    // cap_capable() is asked before SELinux, which never hears of what was refused there (security/security.c).
    if evidence_of(input, Recorder::Selinux).is_some()
        && !recorded_completely(input, Recorder::Ebpf)
    {
        for capability in Capability::all() {
            if !input.granted.bounding.contains(capability) {
                spots.insert(BlindSpot {
                    capability: Some(capability),
                    recorder: Recorder::Selinux,
                    reason: "capprof does not hold it itself and could not grant it; what is refused for that leaves no record".to_owned(),
                });
            }
        }
    }
    spots.into_iter().collect()
}

/// Whether the other recorder would have seen it.
fn covered(spot: &BlindSpot, recorder: Recorder, input: &Input<'_>) -> bool {
    let other = match recorder {
        Recorder::Ebpf => Recorder::Selinux,
        Recorder::Selinux => Recorder::Ebpf,
    };
    // A recorder that cannot see *something* unnamed is helped by eBPF, which sees all checks; SELinux sees those with audit alone.
    let named = spot.capability.is_some() || other == Recorder::Ebpf;
    named
        && recorded_completely(input, other)
        && evidence_of(input, other).is_some_and(|evidence| {
            !evidence
                .blind_spots
                .iter()
                .any(|own| own.capability.is_none() || own.capability == spot.capability)
        })
}

fn losses(input: &Input<'_>) -> Vec<String> {
    let mut losses = BTreeSet::new();
    for (recorder, evidence) in input.evidence {
        for loss in &evidence.losses {
            losses.insert(format!("{}: {loss}", recorder_name(*recorder)));
        }
    }
    for report in input.reports {
        if report.recorded && evidence_of(input, report.recorder).is_none() {
            losses.insert(format!(
                "{}: was armed and brought nothing home",
                recorder_name(report.recorder)
            ));
        }
    }
    if input.evidence.is_empty() {
        losses.insert("no recorder recorded".to_owned());
    }
    losses.into_iter().collect()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    Program,
    Syscall,
    Site,
}

/// Sums by recorder. Two recorders saw the same checks, so the larger sum stands.
#[derive(Debug, Default)]
struct Tally {
    counts: BTreeMap<Recorder, u64>,
    fields: BTreeMap<(Field, String), BTreeMap<Recorder, u64>>,
    first: Option<u64>,
    last: Option<u64>,
}

impl Tally {
    fn check(&mut self, check: &Observation) {
        self.program(check.recorder, check.program.clone(), check.count);
        if let Some(syscall) = &check.syscall {
            self.add(
                check.recorder,
                Field::Syscall,
                syscall.name.clone(),
                check.count,
            );
        }
        let site = site(&check.call_site);
        if !site.is_empty() {
            self.add(check.recorder, Field::Site, site, check.count);
        }
        self.first = Some(
            self.first
                .map_or(check.first_ms, |first| first.min(check.first_ms)),
        );
        self.last = Some(
            self.last
                .map_or(check.last_ms, |last| last.max(check.last_ms)),
        );
    }

    fn program(&mut self, recorder: Recorder, name: String, count: u64) {
        let sum = self.counts.entry(recorder).or_default();
        *sum = sum.saturating_add(count);
        self.add(recorder, Field::Program, name, count);
    }

    fn add(&mut self, recorder: Recorder, field: Field, name: String, count: u64) {
        let sum = self
            .fields
            .entry((field, name))
            .or_default()
            .entry(recorder)
            .or_default();
        *sum = sum.saturating_add(count);
    }

    fn count(&self) -> u64 {
        self.counts.values().copied().max().unwrap_or_default()
    }

    fn recorders(&self) -> Vec<Recorder> {
        self.counts.keys().copied().collect()
    }

    /// Most frequent first, equals by name.
    fn list(&self, wanted: Field) -> Vec<String> {
        let mut list: Vec<(u64, &String)> = self
            .fields
            .iter()
            .filter(|((field, name), _)| *field == wanted && !name.is_empty())
            .map(|((_, name), counts)| (counts.values().copied().max().unwrap_or_default(), name))
            .collect();
        list.sort_by(|one, other| other.0.cmp(&one.0).then_with(|| one.1.cmp(other.1)));
        list.into_iter().map(|(_, name)| name.clone()).collect()
    }
}

/// A call site as one line, without the functions that every check passes through.
fn site(call_site: &[String]) -> String {
    call_site
        .iter()
        .map(String::as_str)
        .filter(|frame| {
            ![
                "cap_capable",
                "cap_capable_helper",
                "security_capable",
                "ns_capable_common",
            ]
            .contains(&classify::function(frame))
        })
        .collect::<Vec<_>>()
        .join(" < ")
}
