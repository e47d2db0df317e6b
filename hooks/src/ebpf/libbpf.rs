//! Steps of libbpf: finds functions and maps of an object, and adds libbpf's warnings to its errors.

use super::error::describe;
use libbpf_rs::{Map, MapCore, Object, PrintLevel, ProgramMut, get_print, set_print};
use std::io;
use std::path::PathBuf;
use std::sync::Mutex;

/// A step of loading and attaching programs that failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// This kernel lacks a feature that the program needs. That is known before the program is loaded.
    #[error("{0}")]
    Lacking(&'static str),
    /// The object in this binary has no such function, map or section: it was built from another version.
    #[error("the program has no {what} {name}")]
    Absent {
        /// `function`, `map` or `section`.
        what: &'static str,
        /// Its name.
        name: &'static str,
    },
    /// libbpf or the kernel refused a step.
    #[error("{step}: {}{}", describe(source), warning.as_ref().map_or_else(String::new, Warning::in_parentheses))]
    Refused {
        /// The step, with its object: `load`, `attach process_exec`.
        step: String,
        /// The reason.
        source: libbpf_rs::Error,
        /// libbpf's message.
        warning: Option<Warning>,
    },
    /// The event that a program is attached to could not be opened.
    #[error("{operation} {event}: {source}")]
    Event {
        /// The operation: `read the number of event`, `perf_event_open of`.
        operation: &'static str,
        /// The event, as a path in tracefs.
        event: &'static str,
        /// The reason.
        source: io::Error,
    },
    /// The hierarchy of control groups is not mounted.
    #[error("control groups version 2 are not mounted (mount -t cgroup2)")]
    NoControlGroups,
    /// The root of the hierarchy of control groups could not be opened.
    #[error("open {}: {source}", path.display())]
    ControlGroups {
        /// Its mount point.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
}

impl Error {
    /// Returns the program that was refused, if libbpf named it.
    pub(crate) fn program(&self) -> Option<&str> {
        match self {
            Self::Refused { warning, .. } => warning.as_ref()?.program.as_deref(),
            _ => None,
        }
    }

    /// Adds libbpf's messages about it, a text for each warning.
    pub(super) fn with_warnings(mut self, said: &[String]) -> Self {
        if let Self::Refused { warning, .. } = &mut self {
            *warning = Warning::of(said);
        }
        self
    }
}

/// Makes the error of a step from libbpf's, for [`Result::map_err`].
pub(crate) fn refused(step: impl Into<String>) -> impl FnOnce(libbpf_rs::Error) -> Error {
    |source| Error::Refused {
        step: step.into(),
        source,
        warning: None,
    }
}

/// A program of an object, by its function's name.
pub(crate) fn function<'a>(
    object: &'a Object,
    name: &'static str,
) -> Result<ProgramMut<'a>, Error> {
    object
        .progs_mut()
        .find(|program| program.name() == name)
        .ok_or(Error::Absent {
            what: "function",
            name,
        })
}

/// A map of an object, by its name.
pub(crate) fn map<'a>(object: &'a Object, name: &'static str) -> Result<Map<'a>, Error> {
    object
        .maps()
        .find(|map| map.name() == name)
        .ok_or(Error::Absent { what: "map", name })
}

/// libbpf's messages about a refusal, besides the error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Warning {
    /// The program that the kernel refused, if a message names one.
    program: Option<String>,
    /// The first warning, which names the cause. Later ones repeat it at every level above.
    cause: String,
    /// The last lines of the verifier's log: the instructions that led to its complaint, and the complaint.
    log: Vec<String>,
}

/// The number of lines of the verifier's log that are kept.
const LOG_LINES: usize = 3;

impl Warning {
    fn of(said: &[String]) -> Option<Self> {
        let cause = said.first()?.trim().trim_start_matches("libbpf: ");
        let log: Vec<&str> = said
            .iter()
            .find_map(|text| verifier_log(text))
            .map_or_else(Vec::new, Iterator::collect);
        Some(Self {
            program: cause
                .split_once("prog '")
                .and_then(|(_, rest)| rest.split_once('\''))
                .map(|(name, _)| name.to_owned()),
            cause: cause.to_owned(),
            log: log
                .iter()
                .skip(log.len().saturating_sub(LOG_LINES))
                .map(|line| (*line).to_owned())
                .collect(),
        })
    }

    /// The text that follows the error, on one line.
    fn in_parentheses(&self) -> String {
        match self.log.is_empty() {
            true => format!(" ({})", self.cause),
            false => format!(
                " ({}; the verifier's last lines: {})",
                self.cause,
                self.log.join(" | ")
            ),
        }
    }
}

/// The lines of the verifier's log in a warning of libbpf, without the statistics at its end; `None` if the warning has no log.
fn verifier_log(warning: &str) -> Option<impl Iterator<Item = &str>> {
    let (_, log) = warning.split_once("-- BEGIN PROG LOAD LOG --")?;
    let (log, _) = log
        .split_once("-- END PROG LOAD LOG --")
        .unwrap_or((log, ""));
    let is_statistics = |line: &&str| {
        line.starts_with("processed ")
            || line.starts_with("verification time ")
            || line.starts_with("stack depth ")
    };
    Some(
        log.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .filter(move |line| !is_statistics(line)),
    )
}

/// libbpf's messages since [`listen`] began.
static SAID: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Runs `work` with libbpf's warnings kept off standard error and added to the error.
pub(crate) fn listen<T>(work: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    let before = get_print();
    set_print(Some((PrintLevel::Warn, |_, line| {
        if let Ok(mut said) = SAID.lock() {
            said.push(line);
        }
    })));
    let result = work();
    set_print(before);
    let said = SAID
        .lock()
        .map(|mut said| std::mem::take(&mut *said))
        .unwrap_or_default();
    result.map_err(|error| error.with_warnings(&said))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(errno: i32) -> Error {
        refused("load")(io::Error::from_raw_os_error(errno).into())
    }

    #[test]
    fn an_error_keeps_the_verifiers_last_lines() {
        // The messages of Linux 6.1 about a key that is not on the stack.
        let said = [
            "libbpf: prog 'fexit_cap_capable': BPF program load failed: -EACCES\n".to_owned(),
            "libbpf: prog 'fexit_cap_capable': -- BEGIN PROG LOAD LOG --\n\
             800: (18) r1 = 0xffff93f8822f4400\n\
             801: (bf) r2 = r9\n\
             802: (85) call bpf_map_lookup_elem#1\n\
             R2 type=mem expected=fp, pkt, pkt_meta, map_key, map_value\n\
             processed 2034 insns (limit 1000000) max_states_per_insn 2 total_states 70\n\
             -- END PROG LOAD LOG --\n"
                .to_owned(),
            "libbpf: failed to load object 'capprof'\n".to_owned(),
        ];
        let error = load(libc::EACCES).with_warnings(&said);
        assert_eq!(error.program(), Some("fexit_cap_capable"));
        assert_eq!(
            error.to_string(),
            "load: Permission denied (os error 13) (prog 'fexit_cap_capable': BPF program load failed: -EACCES; the verifier's last lines: \
             801: (bf) r2 = r9 | 802: (85) call bpf_map_lookup_elem#1 | \
             R2 type=mem expected=fp, pkt, pkt_meta, map_key, map_value)"
        );
    }

    #[test]
    fn an_error_without_a_log_has_the_first_warning() {
        let said = ["libbpf: prog 'tp_cap_capable': failed to find kernel BTF type ID of 'cap_capable': -ESRCH\n".to_owned()];
        let error = load(libc::ESRCH).with_warnings(&said);
        assert_eq!(error.program(), Some("tp_cap_capable"));
        assert_eq!(
            error.to_string(),
            "load: No such process (os error 3) (prog 'tp_cap_capable': failed to find kernel BTF type ID of 'cap_capable': -ESRCH)"
        );
        let error = load(libc::EPERM).with_warnings(&[]);
        assert_eq!(error.program(), None);
        assert_eq!(
            error.to_string(),
            "load: Operation not permitted (os error 1)"
        );
    }
}
