//! Limits and sysctls that can replace a capability and grant less.

use super::super::form_kind::FormKind;
use super::super::privileged::{ALL_GROUPS, PING_GROUPS};
use super::limit;
use capprof_profile::atlas::paths;
use capprof_profile::privileges::ResourceLimit;
use capprof_profile::profile::{Need, Reason};
use capprof_profile::{Capability, CapabilitySet};

/// The substitute for a capability. It depends on all uses of the capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Substitute {
    /// RLIMIT_MEMLOCK: the kernel asks only above it (mm/mlock.c `can_do_mlock()`, `do_mlock()`, mm/mmap.c).
    LockedMemory,
    /// RLIMIT_RTPRIO: the kernel asks only above it, and for processes of other users (kernel/sched/syscalls.c
    /// `user_check_sched_setscheduler()`).
    RealTime,
    /// net.ipv4.ping_group_range: ping needs a raw socket only if its group may not make a ping socket (net/ipv4/ping.c `ping_init_sock()`).
    Ping,
}

/// System calls that lock memory. Huge pages and perf's buffers have limits of their own.
const LOCKING: [&str; 6] = ["mlock", "mlock2", "mlockall", "mmap", "mremap", "brk"];

const SCHEDULING: [&str; 3] = ["sched_setscheduler", "sched_setparam", "sched_setattr"];

impl Substitute {
    /// Returns the substitute for a need. A need with another reason (a file capability, a list passed to capset(2)), which its notes name, has
    /// none.
    pub(super) fn of(need: &Need) -> Option<Self> {
        let is_used_alone =
            need.reason == Reason::Used && !need.notes.iter().any(|note| note.starts_with("also "));
        if need.syscalls.is_empty() || !is_used_alone {
            return None;
        }
        let all_in = |calls: &[&str]| {
            need.syscalls
                .iter()
                .all(|call| calls.contains(&call.as_str()))
        };
        let any_of = |parts: &[&str]| {
            let has = |site: &String| parts.iter().any(|part| site.contains(part));
            need.sites.iter().any(has)
        };
        match need.capability {
            Capability::IPC_LOCK if all_in(&LOCKING) && !any_of(paths::OTHER_MEMORY_LIMIT) => {
                Some(Self::LockedMemory)
            }
            Capability::SYS_NICE if all_in(&SCHEDULING) => Some(Self::RealTime),
            Capability::NET_RAW
                if all_in(&["socket"]) && need.programs.iter().all(|name| name == "ping") =>
            {
                let icmp = |site: &String| {
                    paths::INTERNET_SOCKET
                        .iter()
                        .any(|part| site.contains(part))
                };
                need.sites.iter().all(icmp).then_some(Self::Ping)
            }
            _ => None,
        }
    }

    fn capability(self) -> Capability {
        match self {
            Self::LockedMemory => Capability::IPC_LOCK,
            Self::RealTime => Capability::SYS_NICE,
            Self::Ping => Capability::NET_RAW,
        }
    }

    /// The substitute in the syntax of an engine; `None` if it has no option for it.
    fn words(self, engine: FormKind) -> Option<String> {
        match self {
            Self::LockedMemory => limit::words(engine, "memlock", ResourceLimit::NONE),
            Self::RealTime => limit::words(engine, "rtprio", ResourceLimit { soft: 99, hard: 99 }),
            Self::Ping => ping(engine),
        }
    }
}

/// The sysctl with which ping works without a raw socket, in the syntax of an engine; `None` if it has no option for it.
fn ping(engine: FormKind) -> Option<String> {
    const NAME: &str = PING_GROUPS;
    const ALL: &str = ALL_GROUPS;
    Some(match engine {
        FormKind::Docker | FormKind::Podman => format!("--sysctl={NAME}='{ALL}'"),
        FormKind::Nixos => format!("--sysctl={NAME}={ALL}"),
        FormKind::Compose => format!("sysctls: {{{NAME}: \"{ALL}\"}}"),
        FormKind::Quadlet => format!("Sysctl={NAME}={ALL}"),
        FormKind::ContainersConf => format!("default_sysctls = [\"{NAME}={ALL}\"]"),
        FormKind::Nomad => format!("sysctl = {{ \"{NAME}\" = \"{ALL}\" }}"),
        FormKind::Ecs => {
            format!("\"systemControls\": [{{\"namespace\": \"{NAME}\", \"value\": \"{ALL}\"}}]")
        }
        FormKind::Kubernetes | FormKind::Kustomize | FormKind::Helm => {
            format!(
                "in the pod's own securityContext, sysctls: [{{name: {NAME}, value: \"{ALL}\"}}]"
            )
        }
        // An option with a blank is not possible in the form of options; the others have no setting for it.
        FormKind::DockerOptions | FormKind::Scc | FormKind::Ctr | FormKind::Systemd => return None,
    })
}

/// Returns a line for each member of the set that has a substitute.
pub(super) fn lines(engine: FormKind, known: &[Substitute], set: CapabilitySet) -> Vec<String> {
    let of_set = |one: &&Substitute| set.contains(one.capability());
    let line = |one: &Substitute| {
        let why = match one {
            Substitute::LockedMemory => "locked memory within a limit",
            Substitute::RealTime => "for its own processes, real-time priorities within a limit",
            Substitute::Ping => "with ping's own sockets",
        };
        let name = one.capability().short_name();
        Some(format!("instead of {name}, {why}: {}", one.words(engine)?))
    };
    known.iter().filter(of_set).filter_map(line).collect()
}
