//! The Pod Security Standards: the levels at which Kubernetes admits pods, and a profile's obstacles to each.
//!
//! Source: kubernetes.io, "Pod Security Standards", as of Kubernetes 1.34. A profile does not say what volumes and ports of the host a pod
//! mounts, so a level holds for what capprof sees: capabilities, user, namespaces, sysctls.

use crate::need::Reason;
use crate::profile::Profile;
use crate::{Capability, CapabilitySet};
use std::fmt;

/// A level, the least restricted first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing is refused.
    Privileged,
    /// Known ways to more privileges are refused.
    Baseline,
    /// The practices that are recommended for hardening are required.
    Restricted,
}

impl Level {
    /// The name in the label `pod-security.kubernetes.io/enforce`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Privileged => "privileged",
            Self::Baseline => "baseline",
            Self::Restricted => "restricted",
        }
    }

    /// The capabilities that a container may add.
    pub fn capabilities(self) -> CapabilitySet {
        match self {
            Self::Privileged => Capability::all().collect(),
            Self::Baseline => allowed(),
            Self::Restricted => [Capability::NET_BIND_SERVICE].into_iter().collect(),
        }
    }

    /// The obstacles besides needed capabilities, a line each.
    pub fn obstacles(self, profile: &Profile) -> Vec<String> {
        let mut obstacles = Vec::new();
        if self >= Self::Baseline {
            obstacles.extend(baseline(profile));
        }
        if self >= Self::Restricted {
            obstacles.extend(restricted(profile));
        }
        obstacles.retain(|obstacle| !obstacle.starts_with(NEEDS));
        obstacles
    }
}

impl fmt::Display for Level {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// The level that admits a workload with its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The most restricted level that admits it.
    pub level: Level,
    /// The obstacles to the next level, a line each; empty at [`Level::Restricted`].
    pub obstacles: Vec<String>,
}

impl Admission {
    /// Returns the level for a profile's answer.
    pub fn of(profile: &Profile) -> Self {
        let obstacles = baseline(profile);
        if !obstacles.is_empty() {
            return Self {
                level: Level::Privileged,
                obstacles,
            };
        }
        let obstacles = restricted(profile);
        Self {
            level: match obstacles.is_empty() {
                true => Level::Restricted,
                false => Level::Baseline,
            },
            obstacles,
        }
    }
}

/// The capabilities that a container may add at level `baseline`.
fn allowed() -> CapabilitySet {
    [
        Capability::AUDIT_WRITE,
        Capability::CHOWN,
        Capability::DAC_OVERRIDE,
        Capability::FOWNER,
        Capability::FSETID,
        Capability::KILL,
        Capability::MKNOD,
        Capability::NET_BIND_SERVICE,
        Capability::SETFCAP,
        Capability::SETGID,
        Capability::SETPCAP,
        Capability::SETUID,
        Capability::SYS_CHROOT,
    ]
    .into_iter()
    .collect()
}

/// Sysctls that a pod may set at levels `baseline` and `restricted`.
const SYSCTLS: [&str; 12] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_rmem",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.tcp_wmem",
];

/// The beginning of a line about capabilities.
const NEEDS: &str = "needs ";

fn baseline(profile: &Profile) -> Vec<String> {
    let mut obstacles = Vec::new();
    let more = profile.answer().0.difference(allowed());
    if !more.is_empty() {
        obstacles.push(format!("{NEEDS}{}", names(more)));
    }
    let Some(privileges) = &profile.privileges else {
        return obstacles;
    };
    let hosts: Vec<&str> = ["network", "pid", "ipc"]
        .into_iter()
        .filter(|name| privileges.engine_grants.host_namespaces.contains(*name))
        .collect();
    if !hosts.is_empty() {
        obstacles.push(format!(
            "has the host's namespaces today: {}",
            hosts.join(", ")
        ));
    }
    let sysctls: Vec<&str> = privileges
        .sysctls
        .iter()
        .map(|sysctl| sysctl.name.as_str())
        .filter(|name| !SYSCTLS.contains(name))
        .collect();
    if !sysctls.is_empty() {
        obstacles.push(format!("writes sysctls: {}", sysctls.join(", ")));
    }
    obstacles
}

fn restricted(profile: &Profile) -> Vec<String> {
    let mut obstacles = Vec::new();
    let mut more = profile.answer().0;
    more.remove(Capability::NET_BIND_SERVICE);
    if !more.is_empty() {
        obstacles.push(format!("{NEEDS}{}", names(more)));
    }
    if profile.origin.process.uid == 0 {
        obstacles.push("runs as root (runAsNonRoot)".to_owned());
    }
    let by_file: CapabilitySet = profile
        .findings
        .needed
        .iter()
        .filter(|need| need.reason == Reason::FileCapability)
        .map(|need| need.capability)
        .collect();
    if !by_file.is_empty() && !profile.origin.process.no_new_privileges {
        obstacles.push(format!(
            "executes files with capabilities (allowPrivilegeEscalation: false takes {} from them)",
            names(by_file)
        ));
    }
    obstacles
}

fn names(set: CapabilitySet) -> String {
    set.iter()
        .map(Capability::short_name)
        .collect::<Vec<_>>()
        .join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::observation::Evidence;

    fn standing(uid: u32, needs: &[Capability]) -> Admission {
        let mut recording = fixtures::recording("web-1", "20261123T150102Z-1a2b3c4d");
        recording.process.uid = uid;
        let evidence = Evidence {
            observations: needs
                .iter()
                .map(|capability| {
                    fixtures::check(*capability, "syscall", &["ns_capable", "somewhere"])
                })
                .collect(),
            ..Evidence::default()
        };
        Admission::of(&fixtures::profile(&recording, "", evidence))
    }

    #[test]
    fn each_level_has_its_obstacles() {
        let standing = |uid, needs: &[Capability]| {
            let standing = standing(uid, needs);
            (standing.level, standing.obstacles)
        };
        assert_eq!(
            standing(1000, &[Capability::NET_BIND_SERVICE]),
            (Level::Restricted, vec![])
        );
        assert_eq!(
            standing(0, &[Capability::CHOWN, Capability::NET_BIND_SERVICE]),
            (
                Level::Baseline,
                vec![
                    "needs CHOWN".to_owned(),
                    "runs as root (runAsNonRoot)".to_owned()
                ]
            )
        );
        assert_eq!(
            standing(0, &[Capability::CHOWN, Capability::NET_RAW]),
            (Level::Privileged, vec!["needs NET_RAW".to_owned()])
        );
    }

    #[test]
    fn what_is_written_and_shared_counts_too() {
        let mut recording = fixtures::recording("web-1", "20261123T150102Z-1a2b3c4d");
        let grants = recording.grant.engine_grants.as_mut().unwrap();
        grants.host_namespaces.insert("pid".to_owned());
        let evidence = Evidence {
            sysctls: ["net.ipv4.tcp_rmem", "net.ipv4.ip_forward"]
                .map(|name| crate::observation::SysctlUse {
                    name: name.to_owned(),
                    value: Some("1".to_owned()),
                    program: "sysctl".to_owned(),
                    count: 1,
                })
                .to_vec(),
            ..Evidence::default()
        };
        let standing = Admission::of(&fixtures::profile(&recording, "", evidence));
        assert_eq!(standing.level, Level::Privileged);
        assert_eq!(
            standing.obstacles,
            [
                "has the host's namespaces today: pid",
                "writes sysctls: net.ipv4.ip_forward"
            ]
        );
    }
}
