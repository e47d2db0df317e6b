//! The needs of a program, and the checks that do not count, each with a summary of the evidence.

use crate::Capability;
use crate::object::Object;
use crate::observation::{RecorderName, Results};
use crate::part::Part;
use serde::{Deserialize, Serialize};

/// The reason why a capability is in the minimized set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// A check was granted whose outcome mattered.
    Used,
    /// A check that the kernel makes silently (NOAUDIT) and yet enforces was granted.
    EnforcingSilent,
    /// The low-level runtime's own execve of the container's program needed it.
    PreExec,
    /// An executed file has it as a file capability, and could not be executed without.
    FileCapability,
    /// A program asked for it with capset(2), which fails for a capability that is not held.
    CapsetCompatibility,
    /// The engine's seccomp filter lets a system call that a program made pass only with it; the kernel does not ask.
    SeccompFilter,
}

// serde passes a reference.
#[expect(clippy::trivially_copy_pass_by_ref)]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// A member of the minimized set, with the evidence for it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Need {
    /// The capability.
    pub capability: Capability,
    /// The part of the answer that it belongs to.
    #[serde(default)]
    pub part: Part,
    /// The reason; of several, the strongest (in the order of [`Reason`]).
    pub reason: Reason,
    /// Capabilities that would have done instead.
    pub alternatives: Vec<Capability>,
    /// Names of the programs that used it, most frequent first.
    pub programs: Vec<String>,
    /// Names of the system calls in which it was used, most frequent first.
    pub syscalls: Vec<String>,
    /// Kernel functions on the way to the check, from the one that asked outwards, joined with ` < `; most frequent first.
    pub sites: Vec<String>,
    /// The objects that it was used on, the first one first; [`Object::MOST`] at most.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub objects: Vec<Object>,
    /// The number of checks.
    pub count: u64,
    /// First use, in milliseconds since the recording was armed.
    pub first_ms: u64,
    /// Last use.
    pub last_ms: u64,
    /// The recorders that saw it.
    pub recorders: Vec<RecorderName>,
    /// In how many recordings it was needed, where several are united ([`crate::unite`]); else 0.
    #[serde(skip_serializing_if = "is_zero", default)]
    pub recordings: usize,
    /// The reason why one recording cannot show if the program goes on without it, if programs are known to; a run without it shows that
    /// (`capprofctl shrink`).
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub unclear: Option<String>,
    /// The other reasons, and the differences between the recorders.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub notes: Vec<String>,
}

/// Checks of one capability that one rule dismissed or that were refused, summed up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckSummary {
    /// The capability.
    pub capability: Capability,
    /// Name of the rule that decided: `overcommit`, `overridden-credentials`, … (docs/classification.md).
    pub rule: String,
    /// The meaning of the rule, in one line.
    pub explanation: String,
    /// True if the program went on with less than it asked for: fewer details, other accounting.
    #[serde(default)]
    pub optional: bool,
    /// Programs, most frequent first.
    pub programs: Vec<String>,
    /// System calls, most frequent first.
    pub syscalls: Vec<String>,
    /// Call sites as in [`Need::sites`].
    pub sites: Vec<String>,
    /// The number of checks.
    pub count: u64,
    /// The results of refused checks' system calls; only while verifying.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub outcome: Option<Results>,
    /// The recorders that saw them.
    pub recorders: Vec<RecorderName>,
}
