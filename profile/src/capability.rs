//! Linux capabilities by number and name, and sets of them.
//!
//! Source of numbers and names: `include/uapi/linux/capability.h`, capabilities(7).

use serde::de::{self, Deserializer, SeqAccess, Visitor};
use serde::ser::{SerializeSeq, Serializer};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Names of all capabilities known to Linux 6.18, at the index of their number.
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// One capability, by the kernel's number (0 to 63).
///
/// A number above the last one that capprof has a name for is kept and shown as the number, as capsh(1) does:
/// a newer kernel must not make a recording fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Capability(u8);

/// A text that is not the name of a capability.
#[derive(Debug, thiserror::Error)]
#[error("unknown capability \"{0}\"")]
pub struct UnknownCapability(pub String);

macro_rules! constants {
    ($($name:ident = $number:literal),* $(,)?) => {
        /// The capabilities that rules name.
        impl Capability {
            $(
                #[doc = concat!("`CAP_", stringify!($name), "`")]
                pub const $name: Self = Self($number);
            )*
        }
    };
}

constants!(
    CHOWN = 0,
    DAC_OVERRIDE = 1,
    DAC_READ_SEARCH = 2,
    FOWNER = 3,
    FSETID = 4,
    KILL = 5,
    SETGID = 6,
    SETUID = 7,
    SETPCAP = 8,
    LINUX_IMMUTABLE = 9,
    NET_BIND_SERVICE = 10,
    NET_BROADCAST = 11,
    NET_ADMIN = 12,
    NET_RAW = 13,
    IPC_LOCK = 14,
    IPC_OWNER = 15,
    SYS_MODULE = 16,
    SYS_RAWIO = 17,
    SYS_CHROOT = 18,
    SYS_PTRACE = 19,
    SYS_PACCT = 20,
    SYS_ADMIN = 21,
    SYS_BOOT = 22,
    SYS_NICE = 23,
    SYS_RESOURCE = 24,
    SYS_TIME = 25,
    SYS_TTY_CONFIG = 26,
    MKNOD = 27,
    LEASE = 28,
    AUDIT_WRITE = 29,
    AUDIT_CONTROL = 30,
    SETFCAP = 31,
    MAC_OVERRIDE = 32,
    MAC_ADMIN = 33,
    SYSLOG = 34,
    WAKE_ALARM = 35,
    BLOCK_SUSPEND = 36,
    AUDIT_READ = 37,
    PERFMON = 38,
    BPF = 39,
    CHECKPOINT_RESTORE = 40,
);

impl Capability {
    /// The capability with this number; `None` above 63, the highest that fits into the kernel's sets.
    pub fn from_number(number: u8) -> Option<Self> {
        (number < 64).then_some(Self(number))
    }

    /// The kernel's number.
    pub fn number(self) -> u8 {
        self.0
    }

    /// All capabilities that have a name, in kernel order.
    pub fn all() -> impl Iterator<Item = Self> {
        (0u8..).zip(NAMES).map(|(number, _)| Self(number))
    }

    /// The name without its prefix, as `docker run --cap-add` and Kubernetes want it: `NET_ADMIN`.
    pub fn short_name(self) -> String {
        let name = self.to_string();
        name.strip_prefix("CAP_").map(str::to_owned).unwrap_or(name)
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.get(usize::from(self.0)) {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "{}", self.0),
        }
    }
}

impl FromStr for Capability {
    type Err = UnknownCapability;

    /// Reads the exact form that config.json uses (`CAP_NET_ADMIN`), or a number.
    ///
    /// Refuses lower case and names without the prefix: runc ignores both, though crun accepts lower case.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        (0u8..)
            .zip(NAMES)
            .find(|(_, name)| *name == text)
            .map(|(number, _)| Self(number))
            .or_else(|| text.parse().ok().and_then(Self::from_number))
            .ok_or_else(|| UnknownCapability(text.to_owned()))
    }
}

impl Serialize for Capability {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Capability {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

/// A set of capabilities: bit N stands for the capability with number N, as in the `Cap*` lines of `/proc/PID/status` (proc(5)).
///
/// In JSON it is an array of names in kernel order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct CapabilitySet(u64);

impl CapabilitySet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// The set with these bits.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits.
    pub fn bits(self) -> u64 {
        self.0
    }

    /// Returns true if the set has no member.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The number of members.
    pub fn len(self) -> u32 {
        self.0.count_ones()
    }

    /// Returns true if the capability is a member.
    pub fn contains(self, capability: Capability) -> bool {
        self.0 & (1 << capability.0) != 0
    }

    /// Adds a capability.
    pub fn insert(&mut self, capability: Capability) {
        self.0 |= 1 << capability.0;
    }

    /// Removes a capability.
    pub fn remove(&mut self, capability: Capability) {
        self.0 &= !(1 << capability.0);
    }

    /// Returns the members of both sets.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Returns the members of either set.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Returns the members that the other set does not have.
    #[must_use]
    pub fn difference(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// Returns true if the other set has all members of this one.
    pub fn is_subset(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// The members in kernel order.
    pub fn iter(self) -> impl Iterator<Item = Capability> {
        (0u8..64)
            .map(Capability)
            .filter(move |capability| self.contains(*capability))
    }
}

impl fmt::Display for CapabilitySet {
    /// The names, separated by commas; `nothing` for the empty set.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return formatter.write_str("nothing");
        }
        for (index, capability) in self.iter().enumerate() {
            if index > 0 {
                formatter.write_str(", ")?;
            }
            capability.fmt(formatter)?;
        }
        Ok(())
    }
}

impl Extend<Capability> for CapabilitySet {
    fn extend<I: IntoIterator<Item = Capability>>(&mut self, iterator: I) {
        for capability in iterator {
            self.insert(capability);
        }
    }
}

impl FromIterator<Capability> for CapabilitySet {
    fn from_iter<I: IntoIterator<Item = Capability>>(iterator: I) -> Self {
        let mut set = Self::EMPTY;
        set.extend(iterator);
        set
    }
}

impl Serialize for CapabilitySet {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut sequence = serializer.serialize_seq(Some(self.len() as usize))?;
        for capability in self.iter() {
            sequence.serialize_element(&capability)?;
        }
        sequence.end()
    }
}

impl<'de> Deserialize<'de> for CapabilitySet {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> Visitor<'de> for Names {
            type Value = CapabilitySet;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an array of capability names")
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut names: A) -> Result<Self::Value, A::Error> {
                let mut set = CapabilitySet::EMPTY;
                while let Some(capability) = names.next_element()? {
                    set.insert(capability);
                }
                Ok(set)
            }
        }
        deserializer.deserialize_seq(Names)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_agree_with_the_kernel_header() {
        assert_eq!(Capability::CHOWN.to_string(), "CAP_CHOWN");
        assert_eq!(Capability::SYS_ADMIN.number(), 21);
        assert_eq!(Capability::SYS_ADMIN.to_string(), "CAP_SYS_ADMIN");
        assert_eq!(
            Capability::CHECKPOINT_RESTORE.to_string(),
            "CAP_CHECKPOINT_RESTORE"
        );
        assert_eq!(Capability::all().count(), 41);
        for capability in Capability::all() {
            assert_eq!(
                capability.to_string().parse::<Capability>().unwrap(),
                capability
            );
        }
    }

    #[test]
    fn a_capability_without_a_name_survives_a_round_trip() {
        let future = Capability::from_number(45).unwrap();
        assert_eq!(future.to_string(), "45");
        assert_eq!("45".parse::<Capability>().unwrap(), future);
        assert!("64".parse::<Capability>().is_err());
        assert!("cap_chown".parse::<Capability>().is_err());
        assert!("CHOWN".parse::<Capability>().is_err());
    }

    #[test]
    fn a_set_is_written_in_kernel_order() {
        let set: CapabilitySet = serde_json::from_str(r#"["CAP_SYSLOG","CAP_CHOWN"]"#).unwrap();
        assert_eq!(
            serde_json::to_string(&set).unwrap(),
            r#"["CAP_CHOWN","CAP_SYSLOG"]"#
        );
    }
}
