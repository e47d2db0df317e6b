//! The atlas: every place where Linux checks a capability, and the purpose of the check.
//!
//! The data lie in `profile/atlas`: `table` has what was read in the source, one line for each function and capability, and `sites` has what
//! `make atlas` extracted from Debian's sources. `build.rs` packs both; this module reads an entry of the packed text when it is first asked for it.

use crate::{Capability, CapabilitySet};
use std::sync::OnceLock;

/// Named lists of functions (`atlas/paths.jsonl`). On the call path to a check they tell its purpose where the function that asks serves many callers.
pub mod paths {
    include!(concat!(env!("OUT_DIR"), "/paths.rs"));
}

/// The kernel's use of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlaceClass {
    /// The system call fails.
    Refuses,
    /// The system call does or shows less.
    Less,
    /// Only a hardening is left out.
    Hardening,
    /// The kernel asks before it knows if the answer matters.
    Early,
    /// The kernel asks for itself or on behalf of another process.
    Other,
    /// A helper that asks for its caller.
    Helper,
}

impl PlaceClass {
    /// All classes, in the order in which documents list them.
    pub const ALL: [Self; 6] = [
        Self::Refuses,
        Self::Less,
        Self::Hardening,
        Self::Early,
        Self::Other,
        Self::Helper,
    ];

    /// The name in the data.
    pub fn name(self) -> &'static str {
        match self {
            Self::Refuses => "refuses",
            Self::Less => "less",
            Self::Hardening => "hardening",
            Self::Early => "early",
            Self::Other => "other",
            Self::Helper => "helper",
        }
    }

    /// Its meaning in a few words.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Refuses => "refused without",
            Self::Less => "done with less without",
            Self::Hardening => "hardened without",
            Self::Early => "asked early",
            Self::Other => "asked for another process",
            Self::Helper => "asked for its caller",
        }
    }
}

/// One entry: the places in one function that ask for one capability for one purpose.
#[derive(Clone, Debug)]
pub struct Site {
    /// The source file, from the kernel's top directory.
    pub file: &'static str,
    /// The function that asks; of a system call `sys_` and its name.
    pub function: &'static str,
    /// The kernel's helper that it calls to ask: `capable`, `ns_capable`.
    pub helper: &'static str,
    /// The capabilities that the kernel checks; empty if an argument holds them.
    pub capabilities: CapabilitySet,
    /// The purpose of the answer.
    pub class: PlaceClass,
    /// The effect of its absence, in the terms of system calls and errors.
    pub without: &'static str,
    /// The act that the capability allows a process there, as the rest of a sentence: "set the clock".
    pub plain: &'static str,
    /// The alternative to a capability.
    pub unless: Option<&'static str>,
    /// The later decision, if the kernel checks early.
    pub decides: Option<&'static str>,
    /// The process that the kernel checks, if it is not the one that makes the system call.
    pub who: Option<&'static str>,
    /// The rule of the classification that this entry belongs to.
    pub rule: Option<&'static str>,
    /// The program in tests/corpus that passes with the capability and fails without; `prove` for a case of profile/atlas/prove.c.
    pub proof: Option<&'static str>,
    /// The act of a process at a place where a recorder may not see the check.
    pub unseen: Option<&'static str>,
    /// Capabilities that would do as well.
    pub or: CapabilitySet,
    /// Capabilities that the kernel checks in addition.
    pub and: CapabilitySet,
    /// Callers that identify the place on a stack where its own function is inlined.
    pub callers: Vec<&'static str>,
    /// The user namespace that is asked, in a word; more than one are joined by `and`.
    pub namespace: &'static str,
    /// True if the kernel asks with the option not to leave an audit record.
    pub silent: bool,
    /// True if the check can leave an audit record. It cannot where the kernel calls only the capability module, so that no other security module
    /// hears of it.
    pub audited: bool,
    /// The number of places in each kernel of [`kernels`], and the number of these in Debian's amd64 build.
    pub places: Vec<(u32, u32)>,
}

/// The packed atlas of build.rs: strings, and a line for each entry.
const PACKED: &str = include_str!(concat!(env!("OUT_DIR"), "/atlas.txt"));

// The offsets of strings and lines in it (`STRINGS`, `LINES`); the entries by function (`FUNCTIONS`) and by caller (`CALLERS`), and those that a
// recorder may not see (`UNSEEN`).
include!(concat!(env!("OUT_DIR"), "/atlas_index.rs"));

/// The number of entries.
const COUNT: usize = LINES.len() - 1;

/// The entries that were read so far: a hook needs a few, and reading all of them would be most of its work.
static SITES: [OnceLock<Option<Box<Site>>>; COUNT] = [const { OnceLock::new() }; COUNT];

/// A string or a line of the packed text, without its newline.
fn packed(begins: &[u32], number: usize) -> Option<&'static str> {
    let begin = usize::try_from(*begins.get(number)?).ok()?;
    let end = usize::try_from(*begins.get(number + 1)?).ok()?;
    PACKED.get(begin..end - 1)
}

fn site(number: usize) -> Option<&'static Site> {
    let read = || packed(&LINES, number).and_then(read).map(Box::new);
    SITES.get(number)?.get_or_init(read).as_deref()
}

/// Returns the entries of a name from an index that is ordered by name.
fn entries(index: &'static [(u16, u16)], name: &str) -> impl Iterator<Item = &'static Site> {
    let text = |entry: &(u16, u16)| packed(&STRINGS, entry.0.into()).unwrap_or_default();
    let begin = index.partition_point(|entry| text(entry) < name);
    let found = index.get(begin..).unwrap_or_default();
    let end = found.partition_point(|entry| text(entry) == name);
    found
        .iter()
        .take(end)
        .filter_map(|(_, number)| site((*number).into()))
}

/// Reads one line of the packed text; `None` if build.rs and this function do not agree, which a test would find.
fn read(line: &str) -> Option<Site> {
    let mut fields = line.split(' ');
    let string = |number: &str| match number {
        "" => Some(""),
        number => packed(&STRINGS, usize::from_str_radix(number, 36).ok()?),
    };
    let mut text = || string(fields.next()?);
    let some = |text: &'static str| (!text.is_empty()).then_some(text);
    let (file, function, helper, class) = (text()?, text()?, text()?, text()?);
    let (without, plain, unless, decides) = (text()?, text()?, text()?, text()?);
    let (who, rule, proof) = (text()?, text()?, text()?);
    let (asked, or, and, callers, namespace) = (text()?, text()?, text()?, text()?, text()?);
    let audit = fields.next()?;
    let mut fields: Vec<&str> = fields.collect();
    let unseen = match fields.pop_if(|last| last.starts_with('u')) {
        Some(last) => string(last.get(1..)?)?,
        None => "",
    };
    let places = fields
        .into_iter()
        .map(|pair| {
            let (all, built) = pair.split_once('/').unwrap_or((pair, pair));
            Some((all.parse().ok()?, built.parse().ok()?))
        })
        .collect::<Option<Vec<_>>>()?;
    Some(Site {
        file,
        function,
        helper,
        capabilities: set(asked),
        class: PlaceClass::ALL
            .into_iter()
            .find(|known| known.name() == class)?,
        without,
        plain,
        unless: some(unless),
        decides: some(decides),
        who: some(who),
        rule: some(rule),
        proof: some(proof),
        unseen: some(unseen),
        or: set(or),
        and: set(and),
        callers: callers.split_whitespace().collect(),
        namespace,
        silent: audit == "1",
        audited: audit == "0",
        places,
    })
}

fn set(names: &str) -> CapabilitySet {
    names
        .split_whitespace()
        .filter_map(|name| format!("CAP_{name}").parse::<Capability>().ok())
        .collect()
}

/// The kernels that were read, oldest first: `6.12`.
pub fn kernels() -> &'static [&'static str] {
    &KERNELS
}

/// The position in [`kernels`] of the newest kernel that is not newer than a release (`6.12.117+deb12-amd64`); of the oldest if all are.
pub fn kernel_of(release: &str) -> usize {
    let release = version(release);
    kernels()
        .iter()
        .rposition(|known| version(known) <= release)
        .unwrap_or(0)
}

/// Returns true if a release is not older than the oldest kernel that was read. The table may lack places of older kernels.
pub fn covers(release: &str) -> bool {
    kernels()
        .first()
        .is_some_and(|oldest| version(oldest) <= version(release))
}

/// Major and minor number of a version: `6.12` or `6.12.117+deb12-amd64`.
fn version(text: &str) -> (u32, u32) {
    let mut parts = text
        .split(|other: char| !other.is_ascii_digit())
        .map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// The reason why a recorder may not see the check at a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unseen {
    /// The kernel compares sets and calls no function that checks: no recorder sees it.
    Compared,
    /// security/commoncap.c calls its own check, which is inlined there: only a tracepoint inside the check sees it.
    InLine,
}

impl Site {
    /// Returns the reason why a recorder may not see the check; `None` if every recorder sees it.
    pub fn unseen_because(&self) -> Option<Unseen> {
        self.unseen?;
        Some(match self.helper {
            "cap_raised" => Unseen::Compared,
            _ => Unseen::InLine,
        })
    }

    /// Returns true if Debian's build of a kernel has the place; `kernel` is a position in [`kernels`].
    pub fn is_in(&self, kernel: usize) -> bool {
        self.places.get(kernel).is_some_and(|(_, built)| *built > 0)
    }
}

/// Returns the places of a kernel where a recorder may not see the check. `release` is that of uname(2).
pub fn unseen(release: &str) -> impl Iterator<Item = &'static Site> {
    let kernel = kernel_of(release);
    UNSEEN
        .iter()
        .filter_map(|number| site((*number).into()))
        .filter(move |site| site.is_in(kernel))
}

/// All entries, by file.
pub fn sites() -> impl Iterator<Item = &'static Site> {
    (0..COUNT).filter_map(site)
}

/// The entries of a function, given as the source or a stack trace spells it.
pub fn of_function(function: &str) -> impl Iterator<Item = &'static Site> {
    entries(&FUNCTIONS, source_name(function))
}

/// Returns the entries that a check can belong to; empty if the table has none. They are those of the innermost function on the stack that asks
/// for the capability for a purpose of its own, or that calls such a function which the compiler has inlined.
///
/// `functions` are the stack's functions, innermost first, without offsets and suffixes.
pub fn asked<'a>(
    capability: Capability,
    functions: impl Iterator<Item = &'a str>,
) -> Vec<&'static Site> {
    for function in functions {
        let function = source_name(function);
        for index in [&FUNCTIONS[..], &CALLERS] {
            let found: Vec<&'static Site> = entries(index, function)
                .filter(|site| {
                    site.class != PlaceClass::Helper && site.capabilities.contains(capability)
                })
                .collect();
            if !found.is_empty() {
                return found;
            }
        }
    }
    Vec::new()
}

/// Returns the name of a function in the source. On a stack, a system call can have several names.
fn source_name(function: &str) -> &str {
    ["__do_", "__se_", "__x64_", "__ia32_", "__arm64_"]
        .iter()
        .find_map(|prefix| {
            function
                .strip_prefix(prefix)
                .filter(|rest| rest.starts_with("sys_") || rest.starts_with("compat_sys_"))
        })
        .unwrap_or(function)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(capability: Capability, functions: &[&str]) -> Vec<&'static str> {
        let mut found: Vec<_> = asked(capability, functions.iter().copied())
            .iter()
            .map(|site| site.plain)
            .collect();
        found.dedup();
        found
    }

    #[test]
    fn every_name_leads_to_its_entries() {
        for site in sites() {
            let is_it = |found: &Site| std::ptr::eq(found, site);
            assert!(of_function(site.function).any(is_it), "{}", site.function);
            for caller in &site.callers {
                assert!(entries(&CALLERS, caller).any(is_it), "{caller}");
            }
            let is_unseen = UNSEEN
                .iter()
                .any(|number| self::site((*number).into()).is_some_and(is_it));
            assert_eq!(is_unseen, site.unseen.is_some(), "{}", site.function);
        }
        for name in ["", "a", "zzz", "setattr", "setattr_prepare_"] {
            assert_eq!(of_function(name).count(), 0, "{name}");
        }
    }

    #[test]
    fn every_line_of_the_table_is_read() {
        let lines: usize = std::fs::read_dir("atlas/table")
            .unwrap()
            .map(|file| {
                std::fs::read_to_string(file.unwrap().path())
                    .unwrap()
                    .lines()
                    .count()
            })
            .sum();
        assert!(lines > 1000);
        assert_eq!((sites().count(), COUNT), (lines, lines));
        assert_eq!(kernels(), ["6.1", "6.12", "7.3"]);
    }

    #[test]
    fn the_packed_table_adds_no_more_than_200_kib() {
        assert!(PACKED.len() <= 200 * 1024, "{}", PACKED.len());
    }

    #[test]
    fn every_place_that_was_extracted_has_an_entry() {
        for (index, kernel) in kernels().iter().enumerate() {
            let text = std::fs::read_to_string(format!("atlas/sites/{kernel}.tsv")).unwrap();
            let extracted = text.lines().filter(|line| !line.starts_with('#')).count();
            let read: u32 = sites().map(|site| site.places[index].0).sum();
            assert_eq!(
                read as usize, extracted,
                "{kernel}: run profile/atlas/atlas check"
            );
        }
    }

    #[test]
    fn versions_compare_by_number() {
        assert!(version("6.1.0-40-amd64") < version("6.12"));
        assert_eq!(version("6.12.117+deb12-amd64"), version("6.12"));
        let kernel = |release| kernels()[kernel_of(release)];
        assert_eq!(kernel("5.10.0-32-amd64"), "6.1");
        assert_eq!(kernel("6.1.0-40-amd64"), "6.1");
        assert_eq!(kernel("6.18.9"), "6.12");
        assert_eq!(kernel("8.0"), "7.3");
        assert!(covers("6.1.0-40-amd64") && covers("8.0"));
        assert!(!covers("5.10.0-32-amd64"));
    }

    #[test]
    fn places_that_compare_sets_or_ask_in_line_are_known_by_kernel() {
        // Files of the core kernel. AppArmor and Smack compare sets of their policies.
        let compares =
            |site: &&Site| site.helper == "cap_raised" && site.class == PlaceClass::Refuses;
        let is_asked_by_itself =
            |site: &&Site| site.helper == "cap_capable" && site.file == "security/commoncap.c";
        for site in sites() {
            let expected = compares(&site) || is_asked_by_itself(&site) && site.rule.is_none();
            assert_eq!(site.unseen.is_some(), expected, "{}", site.function);
        }
        for release in ["6.1.0-40-amd64", "6.12.117+deb12-amd64", "7.3.4"] {
            let of = |why| -> Vec<&str> {
                let mut found: Vec<_> = unseen(release)
                    .filter(|site| site.unseen_because() == Some(why))
                    .map(|site| site.function)
                    .collect();
                found.dedup();
                found
            };
            assert_eq!(
                of(Unseen::Compared),
                ["psi_trigger_create", "create_user_ns", "cap_task_prctl"]
            );
            assert_eq!(
                of(Unseen::InLine),
                ["cap_inh_is_capped", "cap_mmap_addr", "cap_task_prctl"]
            );
        }
    }

    #[test]
    fn texts_fit_into_sentences() {
        for site in sites() {
            let place = format!("{} {}", site.file, site.function);
            assert!(
                !site.plain.is_empty() && !site.without.is_empty(),
                "{place}"
            );
            assert!(
                !site.plain.ends_with('.') && !site.without.ends_with('.'),
                "{place}"
            );
            assert!(
                site.plain.starts_with(|first: char| first.is_lowercase()),
                "{place}"
            );
            assert_eq!(
                site.class == PlaceClass::Early,
                site.decides.is_some(),
                "{place}"
            );
            assert_eq!(site.places.len(), kernels().len());
            // prctl(2) asks for the capability in its argument.
            if site.class != PlaceClass::Helper && site.function != "cap_task_prctl" {
                assert!(!site.capabilities.is_empty(), "{place}");
            }
        }
    }

    #[test]
    fn a_stack_leads_to_its_entry() {
        assert_eq!(
            plain(
                Capability::SYS_TIME,
                &["capable", "cap_settime", "security_settime64"]
            ),
            ["set the clock"]
        );
        assert_eq!(
            plain(
                Capability::SYS_ADMIN,
                &["ns_capable", "__do_sys_sethostname", "do_syscall_64"]
            ),
            ["set the host name"]
        );
        // Helpers on the stack do not identify the place; their callers do.
        assert_eq!(
            plain(
                Capability::FOWNER,
                &["ns_capable", "inode_owner_or_capable", "may_open"]
            ),
            ["read another user's file without a trace"]
        );
        // kill_ok_by_cred() is inlined: its caller identifies the place.
        assert_eq!(
            plain(
                Capability::KILL,
                &["ns_capable", "check_kill_permission", "kill_pid_info"]
            ),
            ["send a signal to another user's process"]
        );
        assert!(plain(Capability::SYS_TIME, &["capable", "no_such_function"]).is_empty());
    }

    #[test]
    fn looking_a_stack_up_is_fast() {
        let stack = [
            "capable",
            "security_capable",
            "nobody_knows",
            "this_one",
            "do_syscall_64",
            "entry_SYSCALL_64_after_hwframe",
        ];
        let start = std::time::Instant::now();
        for _ in 0..10_000 {
            assert!(asked(Capability::SYS_TIME, stack.iter().copied()).is_empty());
        }
        // The bound is 20 ms in an optimized build; a debug build on a busy machine gets more.
        assert!(start.elapsed().as_millis() < if cfg!(debug_assertions) { 2000 } else { 20 });
    }
}
