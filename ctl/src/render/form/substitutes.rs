//! Limits and sysctls that can take the place of a capability and give less than it.

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
    /// mm/mlock.c `can_do_mlock()`, `do_mlock()`, mm/mmap.c: asked only beyond RLIMIT_MEMLOCK.
    LockedMemory,
    /// kernel/sched/syscalls.c `user_check_sched_setscheduler()`: asked beyond RLIMIT_RTPRIO, and for processes of other users.
    RealTime,
    /// net/ipv4/ping.c `ping_init_sock()`: ping asks for a raw socket where its group may not have a plain one.
    Ping,
}

/// System calls that lock memory. Huge pages and perf's buffers have limits of their own.
const LOCKING: [&str; 6] = ["mlock", "mlock2", "mlockall", "mmap", "mremap", "brk"];

const SCHEDULING: [&str; 3] = ["sched_setscheduler", "sched_setparam", "sched_setattr"];

impl Substitute {
    /// For one need that has no other reason (a file capability, a list passed to capset(2)), which its notes name.
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

    /// In the words of an engine; `None` if it has none.
    fn words(self, engine: FormKind) -> Option<String> {
        match self {
            Self::LockedMemory => limit::words(engine, "memlock", ResourceLimit::NONE),
            Self::RealTime => limit::words(engine, "rtprio", ResourceLimit { soft: 99, hard: 99 }),
            Self::Ping => ping(engine),
        }
    }
}

/// The sysctl by which ping works without a raw socket, in the words of an engine; `None` if it has none.
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
        // The form of options has no room for a blank; the others have no word for it.
        FormKind::DockerOptions | FormKind::Scc | FormKind::Ctr | FormKind::Systemd => return None,
    })
}

/// Returns a line for each member of the set that something else can replace.
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
