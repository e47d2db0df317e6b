//! The evidence for one member of the answer, in words.

use super::object;
use super::risk::{Risk, words};
use super::shortened::first_few;
use super::why::{purpose, reason, would_do};
use capprof_profile::part::Part;
use capprof_profile::profile::{Need, Profile, Reason};

/// Uses before this time belong to the start, in milliseconds since the recording was armed.
const START: u64 = 10_000;

/// One member of the answer.
pub(super) struct Use<'a> {
    /// The evidence itself.
    pub(super) need: &'a Need,
    /// The damage that its misuse can do.
    pub(super) risk: Risk,
    /// One plain sentence: `lets nginx bind to a port below 1024`.
    pub(super) sentence: String,
    /// The objects of its use, if they are known: devices, sysctls, files.
    pub(super) objects: Vec<String>,
    /// The first use: `opened /var/log/nginx/error.log`.
    pub(super) first: Option<String>,
    /// The time and the number of uses: `at start, 2 times`.
    pub(super) when: String,
    /// Doubts and alternatives, a line each.
    pub(super) notes: Vec<String>,
    /// System calls and kernel functions, for `--verbose`, a line each.
    pub(super) details: Vec<String>,
}

/// The members of the answer whose use was seen, in kernel order.
pub(super) fn uses(profile: &Profile) -> Vec<Use<'_>> {
    profile
        .findings
        .needed
        .iter()
        .map(|need| one(need, profile))
        .collect()
}

fn one<'a>(need: &'a Need, profile: &Profile) -> Use<'a> {
    let known = words(need.capability);
    let purpose = purpose(need);
    let does = purpose
        .as_ref()
        .map_or_else(|| known.does.to_owned(), |(plain, _)| plain.clone());
    let who = match need.programs.is_empty() {
        true => "it".to_owned(),
        false => first_few(&need.programs),
    };
    let sentence = match need.reason {
        Reason::Used | Reason::EnforcingSilent => format!("lets {who} {does}"),
        Reason::PreExec => format!("lets the runtime start the program: {does}"),
        Reason::FileCapability => format!("{who} cannot be executed without it (file capability)"),
        Reason::CapsetCompatibility => {
            format!("{who} asks to keep it (capset), and fails if it cannot")
        }
        Reason::SeccompFilter => format!(
            "opens the engine's seccomp filter for {who}: {}",
            first_few(&need.syscalls)
        ),
    };
    let mut notes = Vec::new();
    if need.part == Part::Asked {
        notes.push("not given today".to_owned());
    }
    let is_left_out = profile
        .shrunk
        .as_ref()
        .is_some_and(|shrunk| shrunk.left_out.contains(need.capability));
    match &need.unclear {
        _ if is_left_out => notes.push("not part of the answer: runs without it passed".to_owned()),
        Some(why) => notes.push(format!(
            "may not be needed; only a run without it can tell: {why}"
        )),
        None => {}
    }
    notes.extend(need.notes.iter().cloned());
    if !need.alternatives.is_empty() {
        notes.push(would_do(need.alternatives.iter().copied()));
    }
    Use {
        need,
        risk: known.risk,
        sentence,
        objects: objects(need, profile),
        first: object::first(need),
        when: when(need),
        notes,
        details: details(need, purpose.map(|(_, without)| without)),
    }
}

impl Use<'_> {
    /// The sentence with the objects, and then the first use.
    pub(super) fn full_sentence(&self, shown: impl Fn(&[String]) -> String) -> String {
        let objects = (!self.objects.is_empty()).then(|| shown(&self.objects));
        [Some(self.sentence.clone()), objects, self.first.clone()]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(": ")
    }
}

/// The devices that were made and the sysctls that were written by programs that used the capability for that.
fn objects(need: &Need, profile: &Profile) -> Vec<String> {
    let Some(privileges) = &profile.privileges else {
        return Vec::new();
    };
    let mine = |programs: &std::collections::BTreeSet<String>| {
        need.programs
            .iter()
            .any(|program| programs.contains(program))
    };
    let through = |function: &str| need.sites.iter().any(|site| site.contains(function));
    let mut objects = Vec::new();
    if need.syscalls.iter().any(|call| call.starts_with("mknod")) {
        let made = |access: &str| access.contains('m');
        objects.extend(
            privileges
                .devices
                .iter()
                .filter(|device| made(&device.access) && mine(&device.programs))
                .map(capprof_profile::privileges::Device::name),
        );
    }
    if through("sysctl") || through("proc_sys") {
        objects.extend(
            privileges
                .sysctls
                .iter()
                .filter(|sysctl| mine(&sysctl.programs))
                .map(|sysctl| sysctl.name.clone()),
        );
    }
    objects
}

fn when(need: &Need) -> String {
    let times = match need.count {
        1 => "once".to_owned(),
        number => format!("{number} times"),
    };
    let times = match need.recordings {
        0 => times,
        1 => format!("{times}, in 1 run"),
        runs => format!("{times}, in {runs} runs"),
    };
    let (first, last) = (need.first_ms, need.last_ms);
    if last < START {
        format!("at start, {times}")
    } else if first < START {
        format!("at start and later, {times}, last after {}", duration(last))
    } else if first == last {
        format!("later, {times}, after {}", duration(first))
    } else {
        format!(
            "later, {times}, first after {}, last after {}",
            duration(first),
            duration(last)
        )
    }
}

/// A duration in the unit that suits it: `0.4 s`, `45 s`, `3 min`, `2 h`.
pub(super) fn duration(milliseconds: u64) -> String {
    match milliseconds / 1000 {
        0..10 => format!("{}.{} s", milliseconds / 1000, milliseconds % 1000 / 100),
        seconds @ 10..120 => format!("{seconds} s"),
        seconds @ 120..7200 => format!("{} min", seconds / 60),
        seconds => format!("{} h", seconds / 3600),
    }
}

fn details(need: &Need, without: Option<String>) -> Vec<String> {
    let mut lines = vec![format!("reason: {}", reason(need.reason))];
    lines.extend(without);
    if !need.syscalls.is_empty() {
        lines.push(format!("system calls: {}", need.syscalls.join(", ")));
    }
    lines.extend(
        need.objects
            .iter()
            .map(|used_on| format!("{} ({})", object::with_program(used_on), used_on.syscall)),
    );
    lines.extend(need.sites.iter().map(|site| format!("kernel: {site}")));
    let recorders: Vec<&str> = need
        .recorders
        .iter()
        .map(|recorder| recorder.display_name())
        .collect();
    if !recorders.is_empty() {
        lines.push(format!("seen by: {}", recorders.join(", ")));
    }
    lines
}
