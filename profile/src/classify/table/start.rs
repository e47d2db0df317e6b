//! Checks at the start of a program, and of hard links.

use crate::Capability;
use crate::atlas::paths;
use crate::classify::call_site::asked_in;
use crate::classify::rule::{Decision, Rule};
use crate::profile::Reason;

/// The rule of link(2), which [`crate::minimize`] turns into a blind spot.
pub const HARD_LINK: &str = "hard-link";

pub(super) static RULES: &[Rule] = &[
    // security/commoncap.c cap_bprm_creds_from_file(): with no_new_privs the result is the same either way.
    Rule {
        name: "no-new-privileges",
        explanation: "asked at the start of a set-user-ID program, which gains nothing under no_new_privs anyway",
        decision: Decision::Dismissed,
        applies: |check, context| {
            check.capability == Capability::SETUID
                && context.no_new_privileges
                && asked_in(check, paths::SET_USER_ID_START)
        },
    },
    // fs/namei.c may_linkat(): safe_hardlink_source() asks for read and write access; the file's owner may link it nevertheless.
    // The recorder cannot see the owner. git links its own read-only files all the time; minimize turns that into a blind spot.
    Rule {
        name: HARD_LINK,
        explanation: "asked when a file is hard-linked, which its owner may do without",
        decision: Decision::Optional,
        applies: |check, _| {
            check.capability == Capability::DAC_OVERRIDE && asked_in(check, paths::HARD_LINK)
        },
    },
    Rule {
        name: "pre-exec",
        explanation: "the runtime needed it to start the container's program",
        decision: Decision::Needed(Reason::PreExec),
        applies: |check, _| check.pre_exec,
    },
];
