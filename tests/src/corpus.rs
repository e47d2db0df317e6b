//! The corpus: programs whose needs are known, under every runtime and recorder.

use crate::container::Container;
use crate::environment::{Environment, Runtime};
use crate::runner::{Failed, Outcome, Passed, Test};
use anyhow::{Context, bail};
use capprof_profile::observation::RecorderName;
use capprof_profile::profile::Profile;
use capprof_profile::{Capability, CapabilitySet};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

/// One program, as `corpus --list` describes it.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Program {
    pub(crate) name: String,
    group: String,
    capabilities: CapabilitySet,
    /// For each member, the others that would have done.
    alternatives: BTreeMap<Capability, Vec<Capability>>,
    /// Capabilities that the kernel also asks for and grants, without an effect.
    also_asked: CapabilitySet,
    host_safe: bool,
    selinux_visible: bool,
    ebpf_visible: bool,
    userns: String,
    note: String,
}

/// The difference of a container from the plain one.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Variant {
    Root,
    User,
    UserNamespace,
}

/// What was expected and found, for the table at the end.
#[derive(Debug, Default)]
pub(crate) struct Table {
    rows: Mutex<Vec<Row>>,
}

#[derive(Clone, Debug, Serialize)]
struct Row {
    program: String,
    /// The release of the kernel under test.
    kernel: String,
    runtime: &'static str,
    /// The configured recorders.
    recorders: String,
    variant: Variant,
    /// The recorder whose finding this is; none for the answer that all of them gave together.
    recorder: Option<RecorderName>,
    expected: CapabilitySet,
    found: CapabilitySet,
    /// True if the finding is right: each member is in it, or one that does as well, or it is a named blind spot; and there is no other member.
    right: bool,
}

impl Row {
    fn setting(&self) -> String {
        let Self {
            runtime,
            recorders,
            variant,
            ..
        } = self;
        let of = self.recorder.map_or("answer", recorder_name);
        format!("{runtime}/{recorders}/{variant:?} {of}")
    }
}

impl Table {
    fn add(&self, row: Row) {
        self.rows
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
            .push(row);
    }

    /// Writes one JSON object per finding, from which `tests/accuracy` makes its table.
    pub(crate) fn write(&self, path: &Path) -> anyhow::Result<()> {
        let rows = self
            .rows
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut lines = String::new();
        for row in rows.iter() {
            lines.push_str(&serde_json::to_string(row)?);
            lines.push('\n');
        }
        fs::write(path, lines).with_context(|| format!("write {}", path.display()))
    }

    /// Prints program, setting, expected, found, missing, extra, and recall and precision over all.
    #[expect(clippy::print_stdout, reason = "a test runner talks to people")]
    pub(crate) fn print(&self) {
        let mut rows = self
            .rows
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner());
        if rows.is_empty() {
            return;
        }
        rows.sort_by(|one, other| {
            (&one.program, one.setting()).cmp(&(&other.program, other.setting()))
        });
        println!(
            "# {:<26} {:<30} {:<30} {:<30} missing / extra",
            "program", "setting", "expected", "found"
        );
        let (mut expected, mut found, mut both) = (0, 0, 0);
        for row in rows.iter() {
            let missing = row.expected.difference(row.found);
            let extra = row.found.difference(row.expected);
            println!(
                "# {:<26} {:<30} {:<30} {:<30} {} / {}",
                row.program,
                row.setting(),
                names(row.expected),
                names(row.found),
                names(missing),
                names(extra)
            );
            expected += row.expected.len();
            found += row.found.len();
            both += row.expected.intersection(row.found).len();
        }
        let share = |of: u32| {
            if of == 0 {
                100.0
            } else {
                f64::from(both) * 100.0 / f64::from(of)
            }
        };
        println!(
            "# {} runs: recall {:.1} % ({both} of {expected}), precision {:.1} % ({both} of {found})",
            rows.len(),
            share(expected),
            share(found)
        );
    }
}

fn names(set: CapabilitySet) -> String {
    if set.is_empty() {
        return "-".to_owned();
    }
    set.iter()
        .map(Capability::short_name)
        .collect::<Vec<_>>()
        .join(",")
}

/// All programs of the built corpus.
pub(crate) fn programs(environment: &Environment) -> anyhow::Result<Vec<Program>> {
    let output = Command::new(&environment.corpus).arg("--list").output()?;
    String::from_utf8(output.stdout)?
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("corpus --list: {line}")))
        .collect()
}

/// A test for each program, runtime, recorder, and variant that fits.
pub(crate) fn tests(environment: &Arc<Environment>, table: &Arc<Table>) -> Vec<Test> {
    let programs = match programs(environment) {
        Ok(programs) => programs,
        Err(error) => {
            return vec![Test::new("corpus", None, move || {
                Err(format!("{error:#}").into())
            })];
        }
    };
    let mut tests = Vec::new();
    for runtime in &environment.runtimes {
        for recorder in &environment.recorders {
            for program in &programs {
                for variant in [Variant::Root, Variant::User, Variant::UserNamespace] {
                    if !fits(program, variant)
                        || environment.guest
                            && !environment.full
                            && (environment.has_it_elsewhere(program)
                                || !is_selected(&programs, runtime, recorder, program, variant))
                    {
                        continue;
                    }
                    let name = format!(
                        "corpus/{}/{recorder}/{variant:?}/{}",
                        runtime.name, program.name
                    );
                    let skip = reason_to_skip(environment, runtime, recorder, program);
                    let (environment, table) = (Arc::clone(environment), Arc::clone(table));
                    let (runtime, recorder, program) =
                        (runtime.clone(), recorder.clone(), program.clone());
                    tests.push(Test::new(name, skip, move || -> Outcome {
                        let ran = profile(&environment, &runtime, &recorder, &program, variant)
                            .map_err(|error| format!("{error:#}"))?;
                        let (container, profile) = match ran {
                            Ran::Profiled(container, profile) => (container, profile),
                            Ran::Lacking(reason) => return Ok(Passed::Skipped(reason)),
                        };
                        judge(&program, &container, &profile, &recorder, variant, &table)?;
                        if recorder == "auto" && environment.proves(&program) {
                            prove(&program, &container, &profile)
                                .map_err(|error| format!("{error:#}"))?;
                        }
                        Ok(Passed::Good)
                    }));
                }
            }
        }
    }
    tests
}

fn recorder_name(recorder: RecorderName) -> &'static str {
    match recorder {
        RecorderName::Ebpf => "ebpf",
        RecorderName::Selinux => "selinux",
    }
}

/// Compares the answer, and the contribution of each recorder, with the known needs of the program.
fn judge(
    program: &Program,
    container: &Container,
    profile: &Profile,
    recorders: &str,
    variant: Variant,
    table: &Table,
) -> Result<(), Failed> {
    let mut findings = Vec::new();
    for report in profile
        .conditions
        .recorders
        .iter()
        .filter(|report| report.recorded)
    {
        if program.visible_to(report.recorder) {
            let found = profile
                .findings
                .needed
                .iter()
                .filter(|need| need.recorders.contains(&report.recorder))
                .map(|need| need.capability)
                .collect();
            findings.push((Some(report.recorder), found));
        }
    }
    if findings.is_empty() {
        return Err("no recorder recorded".into());
    }
    findings.push((None, profile.findings.minimized));
    let mut wrong = Vec::new();
    for (recorder, found) in findings {
        let answered = found.union(program.named_blind_spots(profile));
        let row = Row {
            program: program.name.clone(),
            kernel: profile.origin.host.kernel.clone(),
            runtime: container.runtime.name,
            recorders: recorders.to_owned(),
            variant,
            recorder,
            expected: program.capabilities,
            found,
            right: program.is_answered_by(answered),
        };
        if !row.right {
            wrong.push(format!("{}: found {}", row.setting(), names(found)));
        }
        table.add(row);
    }
    if wrong.is_empty() {
        return Ok(());
    }
    Err(format!(
        "expected {} (alternatives {:?}); {}; {}; {}",
        names(program.capabilities),
        program.alternatives,
        wrong.join("; "),
        program.note,
        serde_json::to_string(&profile.findings.needed).unwrap_or_default()
    )
    .into())
}

/// Runs the program without capprof with exactly the set of the answer: it must succeed. Then runs it, for each member, without that member and its
/// alternatives: it must be refused.
fn prove(program: &Program, container: &Container, profile: &Profile) -> anyhow::Result<()> {
    let minimized: Value =
        serde_json::from_slice(&fs::read(container.bundle().join("config.minimized.json"))?)?;
    let granted = profile
        .findings
        .minimized
        .union(program.named_blind_spots(profile));
    let run = |withheld: CapabilitySet| -> anyhow::Result<Output> {
        container.renew()?;
        container.edit(|config| *config = minimized.clone())?;
        container.grant(program.named_blind_spots(profile))?;
        container.withhold(withheld)?;
        Ok(container.bare().output()?)
    };
    let output = run(CapabilitySet::default())?;
    if !output.status.success() {
        bail!(
            "with exactly {}: {}: {}",
            names(granted),
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
    }
    for member in program.capabilities.iter() {
        let others = program.alternatives.get(&member).into_iter().flatten();
        let withheld = others.copied().chain([member]).collect();
        let output = run(withheld)?;
        if output.status.code() != Some(REFUSED) {
            bail!(
                "with {} of {}: expected to be refused, but {}: {}",
                names(granted.difference(withheld)),
                names(granted),
                output.status,
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
    Ok(())
}

/// Programs whose needs no single run with all capabilities can show. A run without them can, and `capprofctl shrink` makes it.
/// Their profiles may name further capabilities that the kernel checked. The table counts these as extra.
const UNDECIDED: [&str; 3] = [
    // It uses a capability if it finds that it holds it.
    "capget-branch",
    // The kernel asks only because the tracer holds capabilities that the traced process has dropped.
    "ptrace-subset",
    // It goes on after EPERM.
    "setuid-fallback",
];

/// Programs for whose needs the kernel makes no check. The eBPF recorder finds these needs by other means.
const WITHOUT_CHECK: [&str; 4] = [
    // Capabilities that are ambient at the end of the program but were not at its start.
    "ambient",
    // The sets that a program passes to capset(2).
    "capset-keep",
    // The attribute of the file that it executes.
    "file-capability",
    // The same, but the recorder must notice that the file was changed, and see what the container wrote to it.
    "file-capability-cleared",
];

/// Programs whose needs a recorder cannot tell from a use without effect, so that it must name a blind spot. The table counts these as missing.
const NAMED: [&str; 2] = [
    // The kernel makes the same check for a file of one's own, and the recorder cannot see the owner.
    "hard-link-other",
    // Kernels before 6.14 have only fexit, which misses the inlined check in cap_mmap_addr().
    "sys_rawio-mmap",
];

impl Environment {
    /// Returns true if runs with and without the sets of this program prove them here: on a real machine, where that is quick, and in a guest for
    /// programs that cannot run on the machine around it.
    fn proves(&self, program: &Program) -> bool {
        !self.guest
            || self.full
            || !program.host_safe
            || !program.capabilities.is_subset(self.held_around)
    }

    /// Returns true if the program misleads, SELinux records here, and SELinux has nothing to find: eBPF finds the same natively and in the guests of
    /// tests/kernels. One such program is enough to show that the answer contains findings of eBPF alone.
    fn has_it_elsewhere(&self, program: &Program) -> bool {
        program.group == "mislead"
            && !program.selinux_visible
            && program.name != "file-capability"
            && self.unusable_recorder("selinux").is_none()
    }
}

impl Program {
    /// Returns true if this program represents those that need only this one capability: the first that SELinux sees, else the first.
    fn stands_for_its_capability(&self, programs: &[Self]) -> bool {
        // mount(2) comes after many silent checks for the same capability.
        if ["noop", "sys_admin-mount"].contains(&self.name.as_str()) {
            return true;
        }
        let like_it: Vec<&Self> = programs
            .iter()
            .filter(|other| other.group == "cap" && other.capabilities == self.capabilities)
            .collect();
        self.capabilities.len() == 1
            && like_it
                .iter()
                .find(|other| other.selinux_visible)
                .or(like_it.first())
                .is_some_and(|chosen| chosen.name == self.name)
    }

    /// The capabilities that it needs, and all alternatives.
    fn satisfying(&self) -> CapabilitySet {
        let others = self.alternatives.values().flatten().copied();
        self.capabilities.iter().chain(others).collect()
    }

    /// The blind spots that the profile names for this program; empty if a recorder must find its needs. Other blind spots of the recording method are no
    /// answer about this program.
    fn named_blind_spots(&self, profile: &Profile) -> CapabilitySet {
        if !NAMED.contains(&self.name.as_str()) {
            return CapabilitySet::default();
        }
        let named: CapabilitySet = profile
            .findings
            .blind_spots
            .iter()
            .filter_map(|spot| spot.capability)
            .collect();
        named.intersection(self.satisfying())
    }

    /// Returns true if nothing is missing and nothing is extra. An alternative may replace its member, because kernels ask for them in different orders.
    fn is_answered_by(&self, found: CapabilitySet) -> bool {
        let mut rest = found;
        for member in self.capabilities.iter() {
            let stands_for: CapabilitySet = self
                .alternatives
                .get(&member)
                .into_iter()
                .flatten()
                .copied()
                .chain([member])
                .filter(|one| found.contains(*one))
                .collect();
            if stands_for.is_empty() {
                return false;
            }
            rest = rest.difference(stands_for);
        }
        if UNDECIDED.contains(&self.name.as_str()) {
            rest = rest.difference(self.also_asked);
        }
        rest.is_empty()
    }

    /// Returns true if this recorder can see the program's need on this kernel.
    fn visible_to(&self, recorder: RecorderName) -> bool {
        match recorder {
            RecorderName::Ebpf => self.ebpf_visible || WITHOUT_CHECK.contains(&self.name.as_str()),
            RecorderName::Selinux => self.selinux_visible,
        }
    }
}

/// A few programs are enough to show that another user's capabilities are effective and recorded.
const AS_USER: [&str; 5] = [
    "noop",
    "net_bind_service",
    "net_raw",
    "sys_chroot",
    "syslog",
];

/// The few programs with which a slow machine tests another runtime, a single recorder, another user and a user namespace: one needs nothing, one a
/// capability that the policy allows every container, and one a capability that it allows none.
const A_FEW: [&str; 3] = ["noop", "net_bind_service", "sys_chroot"];

/// Returns true if a guest, which is slow, runs this unless it is asked for everything. It runs, with both recorders, one program for each capability
/// and all misleading ones, and judges each recorder's finding; of the other variants it runs a few.
/// It uses crun, which takes 2 s a program instead of 8 where every instruction is emulated.
fn is_selected(
    programs: &[Program],
    runtime: &Runtime,
    recorder: &str,
    program: &Program,
    variant: Variant,
) -> bool {
    match (runtime.name, recorder, variant) {
        ("crun", "auto", Variant::Root) => {
            program.group == "mislead" || program.stands_for_its_capability(programs)
        }
        ("crun", "auto", Variant::User)
        | ("crun", "selinux" | "ebpf", Variant::Root)
        | ("runc", "selinux", Variant::Root)
        | ("crun", "selinux", Variant::UserNamespace)
        | ("runc", "auto", Variant::UserNamespace) => A_FEW.contains(&program.name.as_str()),
        _ => false,
    }
}

fn fits(program: &Program, variant: Variant) -> bool {
    match variant {
        Variant::Root => true,
        Variant::User => AS_USER.contains(&program.name.as_str()),
        // A check against the initial user namespace is never granted to a container in another one.
        Variant::UserNamespace => program.userns == "own",
    }
}

fn reason_to_skip(
    environment: &Environment,
    runtime: &Runtime,
    recorder: &str,
    program: &Program,
) -> Option<String> {
    if let Some(reason) = &runtime.unusable {
        return Some(reason.clone());
    }
    if let Some(reason) = environment.unusable_recorder(recorder) {
        return Some(reason);
    }
    if !program.host_safe && !environment.guest {
        return Some("would disturb this machine; runs in the guest".to_owned());
    }
    let missing = program.capabilities.difference(environment.held);
    if !missing.is_empty() {
        return Some(format!("this machine does not hold {}", names(missing)));
    }
    let visible = [RecorderName::Ebpf, RecorderName::Selinux]
        .into_iter()
        .any(|one| {
            ["auto", recorder_name(one)].contains(&recorder)
                && program.visible_to(one)
                && environment.unusable_recorder(recorder_name(one)).is_none()
        });
    (!visible).then(|| {
        format!(
            "the kernel gives the recorders here nothing to see: {}",
            program.note
        )
    })
}

/// Exit status of a corpus program whose purpose was refused.
const REFUSED: i32 = 1;

/// Exit status of a corpus program that cannot run with this kernel or environment.
const LACKING: i32 = 77;

/// The result of running a program.
enum Ran {
    Profiled(Container, Box<Profile>),
    /// The kernel or the environment lacks something, for this reason.
    Lacking(String),
}

fn profile(
    environment: &Arc<Environment>,
    runtime: &Runtime,
    recorder: &str,
    program: &Program,
    variant: Variant,
) -> anyhow::Result<Ran> {
    let mut container = Container::new(environment, runtime, &["/bin/corpus", &program.name])?;
    container
        .configuration
        .push(format!("recorders = \"{recorder}\""));
    match variant {
        Variant::Root => {}
        Variant::User => {
            container.use_user(1000)?;
            container.grant_ambient();
        }
        Variant::UserNamespace => container.use_user_namespace()?,
    }
    let output = container.run()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if output.status.code() == Some(LACKING) {
        return Ok(Ran::Lacking(errors.trim().replace("skipped: ", "")));
    }
    if !output.status.success() {
        bail!("the program failed: {}: {errors}", output.status);
    }
    if !errors.is_empty() && program.group != "mislead" {
        bail!("something was printed on standard error: {errors}");
    }
    let profile = container.profile()?;
    if !profile.complete {
        bail!("incomplete: {}", profile.incomplete_because.join("; "));
    }
    let left = container.recordings()?;
    if !left.is_empty() {
        bail!("left behind: {left:?}");
    }
    Ok(Ran::Profiled(container, Box::new(profile)))
}
