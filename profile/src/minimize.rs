//! From everything that the recorders brought home to the minimized set, with the reason for each member.
//!
//! Pure. Each check that counts is a *demand*: a set of capabilities of which any one would have satisfied the kernel. The
//! minimized set satisfies all demands. A demand that only one capability satisfies decides itself; the others take what is
//! there already, else what [`Preference`] says. More evidence therefore never takes a capability out of the set, unless
//! another one has come in that satisfies the same demand.

use crate::alternative::alternatives;
use crate::classify::{self, Context, Outcome, Rule, classify};
use crate::configuration::Preference;
use crate::observation::{
    BlindSpot, Capset, Evidence, Execution, Namespace, Observation, Recorder, Results, Verdict,
};
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
    /// Whether the container was to show that a minimized set suffices, and not granted all that capprof could.
    pub verifying: bool,
    /// See [`crate::privileges::Given::unprivileged_port_start`].
    pub unprivileged_port_start: Option<u16>,
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

/// What was refused, made its system call fail, and would have counted had it been granted: what the container's sets lack.
///
/// Asked of a recording that verifies. What the process had been given and had dropped by itself is not lacking.
pub fn missed(input: &Input<'_>) -> Vec<Need> {
    let refused: Vec<Observation> = input
        .evidence
        .iter()
        .flat_map(|(_, evidence)| &evidence.observations)
        .filter(|check| check.verdict == Verdict::Denied && check.namespace != Namespace::Initial)
        .filter_map(|check| {
            let failed = check.results.map(|results| results.failed())?;
            (failed > 0).then(|| Observation {
                verdict: Verdict::Granted,
                count: failed,
                ..check.clone()
            })
        })
        .collect();
    let classified: Vec<(&Observation, Outcome, &'static Rule)> = refused
        .iter()
        // The kernel goes on asking for what would do instead when the first is refused: it would not have.
        .filter(|check| !refused.iter().any(|first| was_asked_instead(check, first)))
        .map(|check| {
            let class = classify(check, &input.context);
            (check, class.outcome, class.rule)
        })
        .collect();
    let given = match input.context.uid {
        0 => input.granted.bounding,
        _ => input.granted.ambient,
    };
    let checks = Input {
        evidence: &[],
        ..*input
    };
    let demands: Vec<Demand<'_>> = demands(&checks, &classified, &mut Vec::new())
        .into_iter()
        .filter(|demand| demand.options.intersection(given).is_empty())
        .collect();
    let set = choose(&demands, input);
    set.iter()
        .map(|capability| need(capability, set, &demands, &checks))
        .collect()
}

fn was_asked_instead(check: &Observation, first: &Observation) -> bool {
    first.capability != check.capability
        && alternatives(first).contains(check.capability)
        && (&first.program, &first.syscall, &first.call_site)
            == (&check.program, &check.syscall, &check.call_site)
        && (first.joined, first.pre_exec) == (check.joined, check.pre_exec)
        && first.count >= check.count
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
            // Neither silent checks nor those with other credentials, which have another label, leave a record of the container's.
            Outcome::Dismissed | Outcome::Optional
                if !classify::silent(check) && !check.overridden =>
            {
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
    if let Some(why) = perhaps_done_without(evidence) {
        notes.push(format!(
            "may not be needed, which only a run without it tells: {why}"
        ));
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

/// Why a program may do without a capability, if all its uses are of a kind that programs often do without. SELinux's records do not
/// say which kind, and are of the same checks.
fn perhaps_done_without(evidence: &[&Demand<'_>]) -> Option<String> {
    let why = |demand: &&&Demand<'_>| match demand.source {
        Source::Check(check) => classify::often_done_without(check),
        Source::List(..) => {
            Some("many programs list what they find that they hold, or ignore a refusal")
        }
        Source::File(..) => None,
    };
    let telling = || {
        evidence
            .iter()
            .filter(|demand| demand.source.recorder() == Recorder::Ebpf)
    };
    // What is used and often done without may all the same be in a list that the program insists on.
    let used: Vec<_> = telling()
        .filter(|demand| !matches!(demand.source, Source::List(..)))
        .collect();
    let reasons: Option<BTreeSet<&str>> = if used.is_empty() {
        telling().map(|demand| why(&demand)).collect()
    } else {
        used.iter().map(why).collect()
    };
    reasons
        .filter(|reasons| !reasons.is_empty())
        .map(|reasons| reasons.into_iter().collect::<Vec<_>>().join("; "))
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
            outcome: tally.results,
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
        // kernel/user_namespace.c verify_root_map() looks at a bit that create_user_ns() has kept: nothing asks. Other users than root
        // can map themselves alone, for which it does not matter.
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
            && !input.verifying
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
    // net/ipv4/af_inet.c inet_port_requires_bind_service(): who binds a port from the sysctl's value on is not asked.
    if let Some(port) = input.unprivileged_port_start.filter(|port| *port < 1024)
        && !set.contains(Capability::NET_BIND_SERVICE)
        && let Some((recorder, _)) = input.evidence.first()
    {
        spots.insert(BlindSpot {
            capability: Some(Capability::NET_BIND_SERVICE),
            recorder: *recorder,
            reason: format!(
                "here everybody may bind ports from {port} on, by the engine's net.ipv4.ip_unprivileged_port_start, and the kernel does not \
                 ask: where that is not set, as under other engines and in the host's network, a program that binds one below 1024 fails without"
            ),
        });
    }
    // cap_capable() is asked before SELinux, which never hears of what was refused there (security/security.c).
    if evidence_of(input, Recorder::Selinux).is_some()
        && !input.verifying
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
///
/// eBPF helps SELinux, for it sees all checks. It is not so the other way round: what eBPF misses by name is asked by security/commoncap.c
/// of itself, inlined, and no other security module hears of it.
fn covered(spot: &BlindSpot, recorder: Recorder, input: &Input<'_>) -> bool {
    recorder == Recorder::Selinux
        && recorded_completely(input, Recorder::Ebpf)
        && evidence_of(input, Recorder::Ebpf).is_some_and(|evidence| {
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
    results: Option<Results>,
}

impl Tally {
    fn check(&mut self, check: &Observation) {
        self.program(check.recorder, check.program.clone(), check.count);
        if let Some(results) = &check.results {
            self.results.get_or_insert_default().add(results);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::FileCapabilities;
    use crate::testing::{check, record};
    use proptest::prelude::*;

    const DOCKER: [Capability; 4] = [
        Capability::CHOWN,
        Capability::DAC_OVERRIDE,
        Capability::FOWNER,
        Capability::NET_RAW,
    ];

    fn set(capabilities: &[Capability]) -> CapabilitySet {
        capabilities.iter().copied().collect()
    }

    struct Case {
        uid: u32,
        original: ProcessSets,
        granted: ProcessSets,
        preference: Preference,
        reports: Vec<RecorderReport>,
        evidence: Vec<(Recorder, Evidence)>,
        unprivileged_port_start: Option<u16>,
    }

    impl Default for Case {
        fn default() -> Self {
            let all: CapabilitySet = Capability::all().collect();
            Self {
                uid: 0,
                original: ProcessSets::default(),
                granted: ProcessSets {
                    bounding: all,
                    effective: all,
                    permitted: all,
                    ..ProcessSets::default()
                },
                preference: Preference::Default,
                reports: Vec::new(),
                evidence: Vec::new(),
                unprivileged_port_start: None,
            }
        }
    }

    impl Case {
        fn seen(observations: Vec<Observation>) -> Self {
            let mut case = Self::default();
            for recorder in [Recorder::Ebpf, Recorder::Selinux] {
                let observations: Vec<_> = observations
                    .iter()
                    .filter(|check| check.recorder == recorder)
                    .cloned()
                    .collect();
                if !observations.is_empty() {
                    case.evidence.push((
                        recorder,
                        Evidence {
                            observations,
                            ..Evidence::default()
                        },
                    ));
                }
            }
            case
        }

        fn evidence(&mut self, recorder: Recorder) -> &mut Evidence {
            if evidence_of(&self.input(), recorder).is_none() {
                self.evidence.push((recorder, Evidence::default()));
            }
            self.evidence
                .iter_mut()
                .find(|(of, _)| *of == recorder)
                .map(|(_, evidence)| evidence)
                .unwrap()
        }

        fn input(&self) -> Input<'_> {
            Input {
                context: Context {
                    uid: self.uid,
                    user_namespace: false,
                    no_new_privileges: false,
                    granted: self.granted.bounding,
                },
                original: &self.original,
                granted: &self.granted,
                preference: self.preference,
                reports: &self.reports,
                evidence: &self.evidence,
                verifying: false,
                unprivileged_port_start: self.unprivileged_port_start,
            }
        }

        fn minimize(&self) -> Minimized {
            minimize(&self.input())
        }
    }

    fn mount() -> Observation {
        check(
            Capability::SYS_ADMIN,
            "mount",
            &["ns_capable", "path_mount"],
        )
    }

    fn read_file() -> Observation {
        check(
            Capability::DAC_READ_SEARCH,
            "openat",
            &["capable_wrt_inode_uidgid", "generic_permission", "may_open"],
        )
    }

    fn write_file() -> Observation {
        check(
            Capability::DAC_OVERRIDE,
            "openat",
            &["capable_wrt_inode_uidgid", "generic_permission", "may_open"],
        )
    }

    fn perf() -> Observation {
        check(
            Capability::PERFMON,
            "perf_event_open",
            &["capable", "__do_sys_perf_event_open"],
        )
    }

    fn noise() -> Observation {
        check(
            Capability::SYS_ADMIN,
            "mmap",
            &["security_vm_enough_memory_mm"],
        )
    }

    #[test]
    fn rsyslogd_needs_what_it_used_and_nothing_else() {
        let syslog = Observation {
            program: "rsyslogd".into(),
            count: 3,
            last_ms: 90,
            ..check(
                Capability::SYSLOG,
                "syslog",
                &[
                    "security_capable",
                    "capable",
                    "check_syslog_permissions",
                    "do_syslog",
                ],
            )
        };
        let result = Case::seen(vec![noise(), syslog]).minimize();
        assert_eq!(result.set, set(&[Capability::SYSLOG]));
        assert_eq!(
            result.needed,
            [Need {
                capability: Capability::SYSLOG,
                reason: Reason::Used,
                alternatives: vec![],
                programs: vec!["rsyslogd".into()],
                syscalls: vec!["syslog".into()],
                sites: vec!["capable < check_syslog_permissions < do_syslog".into()],
                count: 3,
                first_ms: 5,
                last_ms: 90,
                recorders: vec![Recorder::Ebpf],
                notes: vec![],
            }]
        );
        assert_eq!(result.silent.len(), 1);
        assert_eq!(result.silent[0].rule, "overcommit");
        assert!(result.blind_spots.is_empty() && result.incomplete_because.is_empty());
    }

    #[test]
    fn an_alternative_that_is_needed_anyway_absorbs() {
        let result = Case::seen(vec![read_file(), write_file()]).minimize();
        assert_eq!(result.set, set(&[Capability::DAC_OVERRIDE]));
        assert_eq!(
            result.needed[0].notes,
            ["CAP_DAC_READ_SEARCH was asked for too, where CAP_DAC_OVERRIDE does as well"]
        );
        // open_by_handle_at(2) takes no other.
        let handle = check(
            Capability::DAC_READ_SEARCH,
            "open_by_handle_at",
            &["capable", "may_decode_fh", "do_handle_open"],
        );
        let result = Case::seen(vec![handle, write_file()]).minimize();
        assert_eq!(
            result.set,
            set(&[Capability::DAC_OVERRIDE, Capability::DAC_READ_SEARCH])
        );
        let result = Case::seen(vec![perf(), mount()]).minimize();
        assert_eq!(result.set, set(&[Capability::SYS_ADMIN]));
    }

    #[test]
    fn the_capability_that_was_asked_for_is_preferred() {
        let result = Case::seen(vec![read_file()]).minimize();
        assert_eq!(result.set, set(&[Capability::DAC_READ_SEARCH]));
        assert_eq!(result.needed[0].alternatives, [Capability::DAC_OVERRIDE]);
        let result = Case::seen(vec![perf()]).minimize();
        assert_eq!(result.set, set(&[Capability::PERFMON]));
    }

    #[test]
    fn the_engines_own_is_preferred_by_default() {
        let mut case = Case::seen(vec![read_file()]);
        case.original.bounding = set(&DOCKER);
        let result = case.minimize();
        assert_eq!(result.set, set(&[Capability::DAC_OVERRIDE]));
        assert_eq!(result.needed[0].alternatives, [Capability::DAC_READ_SEARCH]);
        assert_eq!(result.needed[0].programs, ["program"]);
        assert!(result.needed[0].notes[0].contains("asked for CAP_DAC_READ_SEARCH first"));
        case.preference = Preference::Weaker;
        assert_eq!(case.minimize().set, set(&[Capability::DAC_READ_SEARCH]));
        // A privileged container was given both.
        case.preference = Preference::Default;
        case.original.bounding = Capability::all().collect();
        assert_eq!(case.minimize().set, set(&[Capability::DAC_READ_SEARCH]));
        // CAP_SYS_ADMIN is no bargain even where it was given.
        let mut case = Case::seen(vec![perf()]);
        case.original.bounding = set(&[Capability::SYS_ADMIN]);
        assert_eq!(case.minimize().set, set(&[Capability::PERFMON]));
    }

    #[test]
    fn the_weaker_is_taken_where_the_kernel_asks_for_the_stronger_first() {
        let real_time = check(
            Capability::SYS_ADMIN,
            "ioprio_set",
            &["capable", "ioprio_check_cap"],
        );
        let result = Case::seen(vec![real_time]).minimize();
        assert_eq!(result.set, set(&[Capability::SYS_NICE]));
        assert_eq!(result.needed[0].alternatives, [Capability::SYS_ADMIN]);
    }

    fn execution(effective: bool) -> Execution {
        Execution {
            path: "/usr/bin/ping".into(),
            uid: 0,
            file_capabilities: Some(FileCapabilities {
                permitted: set(&[Capability::NET_RAW]),
                inheritable: CapabilitySet::EMPTY,
                effective,
            }),
            unreadable: None,
            gained: CapabilitySet::EMPTY,
            count: 2,
        }
    }

    #[test]
    fn effective_file_capabilities_are_needed_to_execute() {
        let mut case = Case::default();
        case.evidence(Recorder::Ebpf).executions = vec![execution(true)];
        let result = case.minimize();
        assert_eq!(result.set, set(&[Capability::NET_RAW]));
        assert_eq!(result.needed[0].reason, Reason::FileCapability);
        assert_eq!(result.needed[0].programs, ["ping"]);
        assert!(result.needed[0].notes[0].contains("/usr/bin/ping"));
        case.evidence(Recorder::Ebpf).executions = vec![execution(false)];
        assert!(case.minimize().set.is_empty());
    }

    #[test]
    fn a_file_that_could_not_be_read_is_a_blind_spot() {
        let mut case = Case::default();
        case.evidence(Recorder::Ebpf).executions = vec![Execution {
            file_capabilities: None,
            unreadable: Some("the file is gone".into()),
            ..execution(true)
        }];
        let result = case.minimize();
        assert_eq!(result.blind_spots.len(), 1);
        assert_eq!(
            result.blind_spots[0].reason,
            "file capabilities of /usr/bin/ping could not be read: the file is gone"
        );
    }

    fn capset(held: CapabilitySet, permitted: CapabilitySet, effective: CapabilitySet) -> Capset {
        Capset {
            program: "chronyd".into(),
            executable: None,
            held,
            effective,
            permitted,
            inheritable: CapabilitySet::EMPTY,
            count: 1,
        }
    }

    #[test]
    fn a_list_that_a_program_sets_is_needed() {
        let all: CapabilitySet = Capability::all().collect();
        let list = set(&[Capability::SYS_TIME, Capability::NET_BIND_SERVICE]);
        let mut case = Case::default();
        case.evidence(Recorder::Ebpf).capsets = vec![capset(all, list, list)];
        let result = case.minimize();
        assert_eq!(result.set, list);
        assert_eq!(result.needed[0].reason, Reason::CapsetCompatibility);
        assert_eq!(result.needed[0].syscalls, ["capset"]);
        // A list set again by who holds no more than that is a list still.
        case.evidence(Recorder::Ebpf).capsets = vec![capset(list, list, list)];
        assert_eq!(case.minimize().set, list);
    }

    #[test]
    fn all_but_a_few_is_no_list() {
        let all: CapabilitySet = Capability::all().collect();
        let fewer = all.difference(set(&[Capability::SYS_BOOT]));
        let mut case = Case::default();
        case.evidence(Recorder::Ebpf).capsets = vec![
            capset(all, fewer, fewer),
            capset(all, all, all),
            capset(all, CapabilitySet::EMPTY, CapabilitySet::EMPTY),
        ];
        let result = case.minimize();
        assert!(result.set.is_empty());
        assert_eq!(result.notes.len(), 1);
        assert!(
            result.notes[0]
                .starts_with("chronyd set its capabilities to what it held but for CAP_SYS_BOOT")
        );
        // Raising one by name while keeping all permitted is a list of one.
        case.evidence(Recorder::Ebpf).capsets = vec![capset(all, all, set(&[Capability::NET_RAW]))];
        assert_eq!(case.minimize().set, set(&[Capability::NET_RAW]));
    }

    #[test]
    fn the_strongest_reason_stands_and_the_others_are_told() {
        let mut case = Case::seen(vec![check(
            Capability::NET_RAW,
            "socket",
            &["ns_capable", "inet_create"],
        )]);
        case.evidence(Recorder::Ebpf).executions = vec![execution(true)];
        let need = &case.minimize().needed[0];
        assert_eq!(need.reason, Reason::Used);
        assert_eq!(
            need.notes[0],
            "also a file capability of an executed program"
        );
    }

    #[test]
    fn two_recorders_are_united_and_counted_once() {
        let result = Case::seen(vec![
            Observation {
                count: 7,
                ..mount()
            },
            record(Capability::SYS_ADMIN),
            record(Capability::SYSLOG),
        ])
        .minimize();
        assert_eq!(
            result.set,
            set(&[Capability::SYS_ADMIN, Capability::SYSLOG])
        );
        let [admin, syslog] = &result.needed[..] else {
            panic!()
        };
        assert_eq!(admin.recorders, [Recorder::Ebpf, Recorder::Selinux]);
        assert_eq!(admin.count, 7);
        assert!(admin.notes.is_empty());
        assert_eq!(
            syslog.notes,
            ["seen by SELinux alone; eBPF did not: unexplained"]
        );
    }

    #[test]
    fn differences_are_explained_where_a_reason_is_known() {
        let note = |case: &Case| case.minimize().needed[0].notes.join("; ");
        // A silent check leaves no record.
        let mut case = Case::seen(vec![check(
            Capability::SYS_ADMIN,
            "seccomp",
            &["ns_capable_noaudit", "do_seccomp"],
        )]);
        case.evidence(Recorder::Selinux);
        assert_eq!(
            note(&case),
            "seen by eBPF alone; SELinux did not: the kernel asks without an audit record"
        );
        // A blind spot of the other.
        let mut case = Case::seen(vec![mount()]);
        case.evidence(Recorder::Selinux).blind_spots = vec![BlindSpot {
            capability: Some(Capability::SYS_ADMIN),
            recorder: Recorder::Selinux,
            reason: "marked as granted by a silent probe".into(),
        }];
        assert_eq!(
            note(&case),
            "seen by eBPF alone; SELinux did not: marked as granted by a silent probe"
        );
        // Inlined calls.
        let mut case = Case::seen(vec![record(Capability::SETPCAP)]);
        case.evidence(Recorder::Ebpf);
        case.reports = vec![RecorderReport {
            recorder: Recorder::Ebpf,
            recorded: true,
            method: "fexit/cap_capable".into(),
            refused: vec![],
        }];
        assert!(
            note(&case)
                .ends_with("fexit does not see calls that the compiler inlined in commoncap.c")
        );
    }

    #[test]
    fn what_ebpf_saw_through_does_not_count_by_selinux() {
        let own_id = Observation {
            without_effect: true,
            ..check(
                Capability::SETGID,
                "setgid",
                &["ns_capable_setid", "__sys_setgid"],
            )
        };
        let observations = vec![own_id, record(Capability::SETGID)];
        let result = Case::seen(observations.clone()).minimize();
        assert!(result.set.is_empty());
        assert_eq!(
            result.silent[0].recorders,
            [Recorder::Ebpf, Recorder::Selinux]
        );
        assert_eq!(result.notes.len(), 1);
        // Not if the kernel asked silently, or of overlayfs's mounter: neither leaves a record under the container's label.
        for other in [
            Observation {
                audit: crate::observation::Audit::Silent,
                ..observations[0].clone()
            },
            Observation {
                overridden: true,
                without_effect: false,
                ..observations[0].clone()
            },
        ] {
            let result = Case::seen(vec![other, observations[1].clone()]).minimize();
            assert_eq!(result.set, set(&[Capability::SETGID]));
        }
        // Not if eBPF lost anything.
        let mut case = Case::seen(observations);
        case.evidence(Recorder::Ebpf).losses = vec!["3 checks lost: map full".into()];
        let result = case.minimize();
        assert_eq!(result.set, set(&[Capability::SETGID]));
        assert_eq!(result.incomplete_because, ["eBPF: 3 checks lost: map full"]);
    }

    #[test]
    fn a_blind_spot_that_the_other_recorder_covers_is_none() {
        let spot = BlindSpot {
            capability: Some(Capability::NET_ADMIN),
            recorder: Recorder::Selinux,
            reason: "allowed to the domain without a record".into(),
        };
        let mut case = Case::default();
        case.evidence(Recorder::Selinux).blind_spots = vec![spot.clone()];
        assert_eq!(case.minimize().blind_spots, std::slice::from_ref(&spot));
        case.evidence(Recorder::Ebpf);
        assert!(case.minimize().blind_spots.is_empty());
        case.evidence(Recorder::Ebpf).losses = vec!["1 row lost".into()];
        assert_eq!(case.minimize().blind_spots, [spot]);
        // cap_mmap_addr() asks the capability module alone.
        let inlined = BlindSpot {
            capability: Some(Capability::SYS_RAWIO),
            recorder: Recorder::Ebpf,
            reason: "asked in a place that this kernel does not let be seen".into(),
        };
        let mut case = Case::default();
        case.evidence(Recorder::Ebpf).blind_spots = vec![inlined.clone()];
        case.evidence(Recorder::Selinux);
        assert_eq!(case.minimize().blind_spots, [inlined]);
    }

    #[test]
    fn a_refusal_for_want_of_a_grant_is_a_blind_spot() {
        let refused = Observation {
            verdict: crate::observation::Verdict::Denied,
            ..check(
                Capability::SYS_RESOURCE,
                "prlimit64",
                &["capable", "do_prlimit"],
            )
        };
        let mut case = Case::seen(vec![refused]);
        assert!(case.minimize().blind_spots.is_empty());
        case.granted.bounding.remove(Capability::SYS_RESOURCE);
        let result = case.minimize();
        assert_eq!(
            result.blind_spots[0].capability,
            Some(Capability::SYS_RESOURCE)
        );
        assert_eq!(result.denied[0].rule, "refused");
        // SELinux hears nothing of it at all.
        let mut case = Case::default();
        case.granted.bounding.remove(Capability::SYS_RESOURCE);
        case.evidence(Recorder::Selinux);
        assert_eq!(case.minimize().blind_spots.len(), 1);
    }

    #[test]
    fn ports_that_everybody_may_bind_are_a_blind_spot() {
        let spots = |start, observations| {
            let mut case = Case::seen(observations);
            case.unprivileged_port_start = start;
            let capabilities: Vec<_> = case
                .minimize()
                .blind_spots
                .iter()
                .map(|spot| spot.capability)
                .collect();
            capabilities
        };
        let blind = [Some(Capability::NET_BIND_SERVICE)];
        assert_eq!(spots(Some(0), vec![read_file()]), blind);
        assert_eq!(spots(Some(80), vec![read_file()]), blind);
        assert!(spots(Some(1024), vec![read_file()]).is_empty());
        assert!(spots(None, vec![read_file()]).is_empty());
        // Of a port below 80.
        let bound = check(
            Capability::NET_BIND_SERVICE,
            "bind",
            &["ns_capable", "inet_bind"],
        );
        assert!(spots(Some(80), vec![bound]).is_empty());
    }

    #[test]
    fn what_programs_often_do_without_is_noted_and_counts() {
        let note = |result: &Minimized| result.needed[0].notes.join("; ");
        let report = check(
            Capability::AUDIT_WRITE,
            "sendto",
            &["ns_capable", "audit_receive_msg"],
        );
        let result = Case::seen(vec![report.clone(), record(Capability::AUDIT_WRITE)]).minimize();
        assert_eq!(result.set, set(&[Capability::AUDIT_WRITE]));
        assert!(
            note(&result).starts_with("may not be needed, which only a run without it tells: PAM")
        );
        // Used in another way too.
        let other = check(
            Capability::AUDIT_WRITE,
            "sendto",
            &["ns_capable", "elsewhere"],
        );
        assert_eq!(note(&Case::seen(vec![report, other]).minimize()), "");
        // SELinux alone does not know how.
        assert!(!note(&Case::seen(vec![record(Capability::KILL)]).minimize()).contains("may not"));
        // Listed and not used; listed and used.
        let mut case = Case::default();
        let all = Capability::all().collect();
        let listed = set(&[Capability::NET_ADMIN, Capability::NET_RAW]);
        case.evidence(Recorder::Ebpf).capsets = vec![capset(all, listed, listed)];
        let socket = check(
            Capability::NET_RAW,
            "socket",
            &["ns_capable", "inet_create"],
        );
        case.evidence(Recorder::Ebpf).observations.push(socket);
        let result = case.minimize();
        assert!(note(&result).contains("may not be needed"));
        assert!(!result.needed[1].notes.join("; ").contains("may not"));
    }

    #[test]
    fn hard_links_and_id_maps_are_blind_spots() {
        let link = check(
            Capability::DAC_OVERRIDE,
            "linkat",
            &["generic_permission", "may_linkat"],
        );
        let result = Case::seen(vec![link.clone()]).minimize();
        assert!(result.set.is_empty());
        assert_eq!(
            result.blind_spots[0].capability,
            Some(Capability::DAC_OVERRIDE)
        );
        assert!(
            Case::seen(vec![link, write_file()])
                .minimize()
                .blind_spots
                .is_empty()
        );
        let map = Observation {
            namespace: crate::observation::Namespace::Nested,
            ..check(
                Capability::SYS_ADMIN,
                "write",
                &["file_ns_capable", "map_write", "proc_uid_map_write"],
            )
        };
        let result = Case::seen(vec![map]).minimize();
        assert_eq!(result.blind_spots[0].capability, Some(Capability::SETFCAP));
    }

    #[test]
    fn nothing_recorded_is_incomplete() {
        assert_eq!(
            Case::default().minimize().incomplete_because,
            ["no recorder recorded"]
        );
        let case = Case {
            reports: vec![RecorderReport {
                recorder: Recorder::Selinux,
                recorded: true,
                method: "audit log".into(),
                refused: vec![],
            }],
            evidence: vec![(Recorder::Ebpf, Evidence::default())],
            ..Case::default()
        };
        assert_eq!(
            case.minimize().incomplete_because,
            ["SELinux: was armed and brought nothing home"]
        );
    }

    #[test]
    fn root_gets_the_three_sets_and_another_user_all_five() {
        let bind = check(
            Capability::NET_BIND_SERVICE,
            "bind",
            &["ns_capable", "__inet_bind"],
        );
        let needed = set(&[Capability::NET_BIND_SERVICE]);
        let mut case = Case::seen(vec![bind]);
        case.original.inheritable = set(&DOCKER);
        let sets = case.minimize().sets;
        assert_eq!(
            (sets.bounding, sets.effective, sets.permitted),
            (needed, needed, needed)
        );
        assert!(sets.inheritable.is_empty() && sets.ambient.is_empty());

        case.uid = 1000;
        case.granted.ambient = case.granted.bounding;
        case.evidence(Recorder::Ebpf).executions = vec![Execution {
            gained: set(&[Capability::NET_RAW]),
            uid: 1000,
            ..execution(true)
        }];
        let mut ping = check(
            Capability::NET_RAW,
            "socket",
            &["ns_capable", "inet_create"],
        );
        ping.executable = Some("/usr/bin/ping".into());
        case.evidence(Recorder::Ebpf).observations.push(ping);
        let result = case.minimize();
        let both = set(&[Capability::NET_BIND_SERVICE, Capability::NET_RAW]);
        assert_eq!(result.sets.bounding, both);
        for carried in [
            result.sets.ambient,
            result.sets.inheritable,
            result.sets.permitted,
            result.sets.effective,
        ] {
            assert_eq!(carried, needed);
        }
        // Granted in the bounding set alone: whatever was used, set-user-ID programs used it.
        case.granted.ambient = CapabilitySet::EMPTY;
        let sets = case.minimize().sets;
        assert_eq!((sets.bounding, sets.ambient), (both, CapabilitySet::EMPTY));
    }

    #[test]
    fn use_by_exec_alone_is_told() {
        let joined = Observation {
            joined: true,
            ..mount()
        };
        let result = Case::seen(vec![joined.clone()]).minimize();
        assert_eq!(
            result.needed[0].notes,
            ["used only by processes that joined the container (exec)"]
        );
        assert!(
            Case::seen(vec![joined, mount()]).minimize().needed[0]
                .notes
                .is_empty()
        );
    }

    fn any_check() -> impl Strategy<Value = Observation> {
        let sites = prop_oneof![
            Just(vec!["ns_capable", "path_mount"]),
            Just(vec!["capable_wrt_inode_uidgid", "generic_permission"]),
            Just(vec!["security_vm_enough_memory_mm"]),
            Just(vec!["ns_capable_noaudit", "do_seccomp"]),
            Just(vec!["capable", "ioprio_check_cap"]),
            Just(vec!["sockopt_ns_capable", "sk_setsockopt"]),
            Just(vec!["bpf_token_capable", "bpf_prog_load"]),
            Just(vec!["may_linkat"]),
            Just(vec![]),
        ];
        (
            0u8..45,
            sites,
            prop_oneof![Just("mmap"), Just("openat"), Just("clone"), Just("")],
            any::<[bool; 5]>(),
            1u64..1000,
            prop_oneof![Just("a"), Just("b")],
        )
            .prop_map(|(number, site, syscall, flags, count, program)| {
                let capability = Capability::from_number(number).unwrap();
                let [selinux, denied, overridden, by_owner, pre_exec] = flags;
                let base = if selinux {
                    record(capability)
                } else {
                    check(capability, syscall, &site)
                };
                Observation {
                    verdict: if denied {
                        crate::observation::Verdict::Denied
                    } else {
                        crate::observation::Verdict::Granted
                    },
                    overridden,
                    by_owner,
                    pre_exec,
                    program: program.into(),
                    count,
                    ..base
                }
            })
    }

    proptest! {
        #[test]
        fn the_order_of_observations_does_not_matter(
            (checks, shuffled) in prop::collection::vec(any_check(), 0..30)
                .prop_flat_map(|checks| (Just(checks.clone()), Just(checks).prop_shuffle()))
        ) {
            let mut one = Case::seen(checks);
            let mut other = Case::seen(shuffled);
            one.evidence(Recorder::Ebpf);
            other.evidence(Recorder::Ebpf);
            prop_assert_eq!(one.minimize(), other.minimize());
        }

        /// All demands of the smaller evidence are satisfied by the set of the larger, seen by one recorder.
        #[test]
        fn more_evidence_never_takes_a_satisfied_demand_away(
            checks in prop::collection::vec(any_check(), 1..30),
            keep in 0usize..30,
        ) {
            let checks: Vec<_> = checks
                .into_iter()
                .filter(|check| check.recorder == Recorder::Ebpf)
                .collect();
            let fewer = Case::seen(checks.iter().take(keep).cloned().collect()).minimize();
            let more = Case::seen(checks).minimize();
            for need in &fewer.needed {
                let satisfied = more.set.contains(need.capability)
                    || need.alternatives.iter().any(|other| more.set.contains(*other));
                prop_assert!(satisfied, "{} was lost", need.capability);
            }
        }

        /// Each member is there for a demand, each demand has a member, and the lists agree with the set.
        #[test]
        fn the_set_satisfies_all_demands_and_no_member_is_superfluous(
            checks in prop::collection::vec(any_check(), 0..30)
        ) {
            let case = Case::seen(checks);
            let input = case.input();
            let result = case.minimize();
            let classified: Vec<_> = input
                .evidence
                .iter()
                .flat_map(|(_, evidence)| &evidence.observations)
                .map(|check| {
                    let class = classify(check, &input.context);
                    (check, class.outcome, class.rule)
                })
                .collect();
            let mut own = classified.clone();
            dismiss_what_the_other_recorder_saw_through(&input, &mut own);
            let demands = demands(&input, &own, &mut Vec::new());
            for demand in &demands {
                prop_assert!(!demand.options.intersection(result.set).is_empty());
            }
            for capability in result.set.iter() {
                let mut without = result.set;
                without.remove(capability);
                prop_assert!(demands.iter().any(|demand| demand.options.intersection(without).is_empty()));
            }
            let needed: CapabilitySet = result.needed.iter().map(|need| need.capability).collect();
            prop_assert_eq!(needed, result.set);
            let total: u64 = result.silent.iter().chain(&result.denied).map(|entry| entry.count).sum();
            prop_assert!(total <= classified.iter().map(|(check, _, _)| check.count).sum());
        }
    }
}
