//! The risk of each capability: what a process can do with it, and the value of taking it away.
//!
//! Sources: capabilities(7), and the places that the atlas lists.

use capprof_profile::{Capability, CapabilitySet};

/// The reach of a process that misuses a capability, in a container where nothing else restricts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Risk {
    /// It takes over the host.
    Critical,
    /// It reaches the host's settings, its network, or other containers.
    High,
    /// It acts as any user within the container, or disturbs its neighbours.
    Medium,
    /// It gains little.
    Low,
}

impl Risk {
    /// The word.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }

    /// The meaning of the word.
    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Critical => "a program that misuses it can take over the host",
            Self::High => {
                "a program that misuses it reaches the host's settings, its network, or other containers"
            }
            Self::Medium => {
                "a program that misuses it acts as any user within the container, or disturbs its neighbours"
            }
            Self::Low => "a program that misuses it gains little",
        }
    }
}

/// One capability in plain words.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Words {
    /// The damage that its misuse can do.
    pub(crate) risk: Risk,
    /// The act that it allows a process, as the rest of a sentence: "change the owner of any file".
    pub(crate) does: &'static str,
    /// The act that its absence prevents, as a noun phrase: "taking over files of other users".
    pub(crate) prevents: &'static str,
}

/// One capability in plain words. A capability that this version does not know counts as most dangerous.
pub(crate) fn words(capability: Capability) -> Words {
    let row = TABLE
        .iter()
        .find(|(known, ..)| *known == capability)
        .copied()
        .unwrap_or((
            capability,
            Risk::Critical,
            "do what this version of capprof does not know",
            "what this version of capprof does not know",
        ));
    let (_, risk, does, prevents) = row;
    Words {
        risk,
        does,
        prevents,
    }
}

/// The members of a set, the most dangerous first, equals in the kernel's order.
pub(crate) fn most_dangerous_first(set: CapabilitySet) -> Vec<Capability> {
    let mut members: Vec<Capability> = set.iter().collect();
    members.sort_by_key(|capability| words(*capability).risk);
    members
}

type Row = (Capability, Risk, &'static str, &'static str);

const TABLE: [Row; 41] = {
    use Risk::{Critical, High, Low, Medium};
    [
        (
            Capability::SYS_ADMIN,
            Critical,
            "mount file systems and do most of what root does",
            "mounting the host's disks, and most of what root can do to the host",
        ),
        (
            Capability::SYS_MODULE,
            Critical,
            "load kernel modules",
            "loading code into the host's kernel",
        ),
        (
            Capability::SYS_RAWIO,
            Critical,
            "reach I/O ports and raw memory",
            "reading and writing the host's memory and disks directly",
        ),
        (
            Capability::SYS_PTRACE,
            Critical,
            "trace any process that it can see",
            "reading the memory of other processes, and taking them over",
        ),
        (
            Capability::DAC_READ_SEARCH,
            Critical,
            "read any file, whatever its mode",
            "opening the host's files by handle, outside of the container",
        ),
        (
            Capability::BPF,
            Critical,
            "load eBPF programs",
            "loading programs into the host's kernel",
        ),
        (
            Capability::MAC_ADMIN,
            Critical,
            "change the policy of the security module",
            "changing the host's security policy",
        ),
        (
            Capability::MAC_OVERRIDE,
            Critical,
            "override the security module's policy",
            "ignoring the host's security policy",
        ),
        (
            Capability::SYS_BOOT,
            Critical,
            "reboot, or load another kernel",
            "rebooting the host",
        ),
        (
            Capability::MKNOD,
            High,
            "make device nodes",
            "making device nodes, by which the host's disks are read where the device rules allow it",
        ),
        (
            Capability::NET_ADMIN,
            High,
            "configure the network",
            "changing addresses, routes and firewall rules",
        ),
        (
            Capability::NET_RAW,
            High,
            "send and receive raw packets",
            "forging and listening to packets on the container's network",
        ),
        (
            Capability::SYS_TIME,
            High,
            "set the clock",
            "setting the host's clock, by which certificates and logs are judged",
        ),
        (
            Capability::SYSLOG,
            High,
            "read the kernel's log",
            "reading the host's kernel log, and the addresses in it",
        ),
        (
            Capability::PERFMON,
            High,
            "observe performance of all processes",
            "watching what other processes do",
        ),
        (
            Capability::CHECKPOINT_RESTORE,
            High,
            "look into and restore processes",
            "looking into the files and memory of other processes",
        ),
        (
            Capability::AUDIT_CONTROL,
            High,
            "change the audit rules",
            "switching the host's audit log off",
        ),
        (
            Capability::AUDIT_READ,
            High,
            "read the audit log",
            "reading the host's audit records",
        ),
        (
            Capability::SETFCAP,
            High,
            "give capabilities to files",
            "leaving files with capabilities behind for others to execute",
        ),
        (
            Capability::LINUX_IMMUTABLE,
            Medium,
            "change immutable files",
            "changing files that are marked immutable or append-only",
        ),
        (
            Capability::SYS_RESOURCE,
            Medium,
            "exceed resource limits",
            "exceeding quotas and limits at the cost of neighbours",
        ),
        (
            Capability::SYS_NICE,
            Medium,
            "raise priorities",
            "taking processor time from neighbours",
        ),
        (
            Capability::IPC_LOCK,
            Medium,
            "lock memory",
            "locking more memory than its limit",
        ),
        (
            Capability::SYS_PACCT,
            Medium,
            "switch process accounting",
            "switching the host's process accounting",
        ),
        (
            Capability::SYS_TTY_CONFIG,
            Medium,
            "configure terminals",
            "hanging up and configuring terminals",
        ),
        (
            Capability::DAC_OVERRIDE,
            Medium,
            "read and write any file, whatever its mode",
            "reading and writing other users' files",
        ),
        (
            Capability::CHOWN,
            Medium,
            "change the owner of any file",
            "taking over files of other users",
        ),
        (
            Capability::FOWNER,
            Medium,
            "change any file as its owner may",
            "changing mode and attributes of other users' files",
        ),
        (
            Capability::SETUID,
            Medium,
            "become any user",
            "becoming another user, root among them",
        ),
        (
            Capability::SETGID,
            Medium,
            "join any group",
            "joining another group",
        ),
        (
            Capability::SETPCAP,
            Medium,
            "change its capability sets",
            "changing the bounding and inheritable sets",
        ),
        (
            Capability::KILL,
            Medium,
            "send signals to any process",
            "ending other users' processes",
        ),
        (
            Capability::IPC_OWNER,
            Medium,
            "use any System V IPC object",
            "reading other users' shared memory and message queues",
        ),
        (
            Capability::SYS_CHROOT,
            Medium,
            "change its root directory",
            "changing the root directory, and joining mount namespaces",
        ),
        (
            Capability::AUDIT_WRITE,
            Low,
            "write audit records",
            "writing false records into the host's audit log",
        ),
        (
            Capability::FSETID,
            Low,
            "keep set-user-ID bits on writing",
            "keeping set-user-ID bits on files that it changes",
        ),
        (
            Capability::NET_BIND_SERVICE,
            Low,
            "bind to a port below 1024",
            "standing in for a system service on its port",
        ),
        (
            Capability::NET_BROADCAST,
            Low,
            "make broadcasts (the kernel does not ask for it)",
            "nothing today: the kernel does not ask for it",
        ),
        (
            Capability::LEASE,
            Low,
            "take leases on any file",
            "delaying other users' access to files",
        ),
        (
            Capability::WAKE_ALARM,
            Low,
            "set timers that wake the system",
            "waking the host from sleep",
        ),
        (
            Capability::BLOCK_SUSPEND,
            Low,
            "keep the system awake",
            "keeping the host from sleep",
        ),
    ]
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_has_its_words() {
        for capability in Capability::all() {
            assert!(
                TABLE.iter().any(|(known, ..)| *known == capability),
                "{capability}"
            );
        }
        assert_eq!(
            words(Capability::from_number(63).unwrap()).risk,
            Risk::Critical
        );
    }

    #[test]
    fn the_most_dangerous_come_first() {
        let set = [
            Capability::CHOWN,
            Capability::NET_RAW,
            Capability::SYS_ADMIN,
            Capability::NET_BIND_SERVICE,
        ]
        .into_iter()
        .collect();
        assert_eq!(
            most_dangerous_first(set),
            [
                Capability::SYS_ADMIN,
                Capability::NET_RAW,
                Capability::CHOWN,
                Capability::NET_BIND_SERVICE
            ]
        );
    }
}
