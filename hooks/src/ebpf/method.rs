//! The methods of seeing capability checks.

use super::features::Feature;
use capprof_profile::Capability;
use capprof_profile::atlas::{self, Site, Unseen};
use capprof_profile::observation::{BlindSpot, RecorderName};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// A method of seeing capability checks.
///
/// The tracepoint sees every check. fexit misses checks that the compiler inlined in security/commoncap.c; two of these it sees at the functions
/// that contain them. Kprobes never see them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "&'static str", try_from = "String")]
pub enum Method {
    /// The tracepoint `cap_capable`, since Linux 6.14.
    Tracepoint,
    /// The end of `cap_capable()`, and of two functions that contain inlined checks.
    FexitAndCallers,
    /// The end of `cap_capable()`.
    Fexit,
    /// A kprobe and a kretprobe on `cap_capable()`.
    Kprobe,
}

impl Method {
    /// All methods, in order of preference.
    pub const ALL: [Self; 4] = [
        Self::Tracepoint,
        Self::FexitAndCallers,
        Self::Fexit,
        Self::Kprobe,
    ];

    /// The name in reports: attach type and kernel function, as in libbpf's section names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tracepoint => "tp_btf/cap_capable",
            Self::FexitAndCallers => "fexit/cap_capable, fexit/cap_capset, fexit/cap_task_prctl",
            Self::Fexit => "fexit/cap_capable",
            Self::Kprobe => "kprobe/cap_capable",
        }
    }

    /// The programs of the object that this method attaches.
    pub(super) const fn programs(self) -> &'static [&'static str] {
        match self {
            Self::Tracepoint => &["tp_cap_capable"],
            Self::FexitAndCallers => &[
                "fexit_cap_capable",
                "fexit_cap_capset",
                "fexit_cap_task_prctl",
            ],
            Self::Fexit => &["fexit_cap_capable"],
            Self::Kprobe => &["kprobe_cap_capable", "kretprobe_cap_capable"],
        }
    }

    /// The feature that this kernel lacks for the method, if that is known before anything is loaded.
    pub(super) fn missing(self) -> Option<&'static str> {
        match self {
            Self::Tracepoint => Feature::CapabilityTracepoint.missing(),
            // On x86-64, every kernel with type information has it.
            Self::FexitAndCallers | Self::Fexit if cfg!(target_arch = "aarch64") => {
                Feature::FunctionEnds.missing()
            }
            Self::FexitAndCallers | Self::Fexit | Self::Kprobe => None,
        }
    }

    /// Returns true if this method sees the checks that the compiler inlined in a function of security/commoncap.c.
    fn sees_inside(self, site: &Site) -> bool {
        match self {
            Self::Tracepoint => true,
            Self::FexitAndCallers | Self::Fexit | Self::Kprobe => {
                let functions = self.programs().iter();
                functions
                    .filter_map(|program| program.strip_prefix("fexit_"))
                    .any(|function| site.function == function || site.callers.contains(&function))
            }
        }
    }

    /// The capabilities with checks that this method cannot see on a kernel, from the atlas. `release` is that of uname(2).
    pub(super) fn blind_spots(self, release: &str) -> Vec<BlindSpot> {
        let mut unseen: BTreeMap<Capability, Vec<&str>> = BTreeMap::new();
        for site in atlas::unseen(release) {
            if site.unseen_because() != Some(Unseen::InLine) || self.sees_inside(site) {
                continue;
            }
            for capability in site.capabilities.iter() {
                unseen.entry(capability).or_default().extend(site.unseen);
            }
        }
        let in_a_place = "in a place that this kernel does not let be seen";
        let spot = |(capability, calls): (Capability, Vec<&str>)| BlindSpot {
            capability: Some(capability),
            recorder: RecorderName::Ebpf,
            reason: match (calls.as_slice(), capability) {
                ([call], _) => format!("{call} asks {in_a_place}"),
                (_, Capability::SETPCAP) => format!(
                    "{} ask {in_a_place}, and what capset(2) was asked for is not known",
                    calls.join(" and ")
                ),
                _ => format!("{} ask {in_a_place}", calls.join(" and ")),
            },
        };
        unseen.into_iter().map(spot).collect()
    }
}

impl fmt::Display for Method {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl From<Method> for &'static str {
    fn from(method: Method) -> Self {
        method.name()
    }
}

/// A name that no method has.
#[derive(Debug, thiserror::Error)]
#[error("unknown way to attach \"{0}\"")]
pub struct UnknownMethod(String);

impl TryFrom<String> for Method {
    type Error = UnknownMethod;

    fn try_from(name: String) -> Result<Self, UnknownMethod> {
        Self::ALL
            .into_iter()
            .find(|method| method.name() == name)
            .ok_or(UnknownMethod(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_is_written_by_its_name_and_read_again() {
        for method in Method::ALL {
            let text = serde_json::to_string(&method).unwrap();
            assert_eq!(text, format!("\"{method}\""));
            assert_eq!(serde_json::from_str::<Method>(&text).unwrap(), method);
        }
        assert!(serde_json::from_str::<Method>("\"fexit\"").is_err());
    }

    #[test]
    fn only_the_tracepoint_sees_every_check() {
        for release in ["6.1.0-40-amd64", "6.12.117+deb12-amd64", "7.3.4"] {
            let unseen = |method: Method| -> Vec<(Capability, String)> {
                let spots = method.blind_spots(release);
                let known = |spot: BlindSpot| Some((spot.capability?, spot.reason));
                spots.into_iter().filter_map(known).collect()
            };
            assert_eq!(unseen(Method::Tracepoint), []);
            let mmap = (
                Capability::SYS_RAWIO,
                "mmap(2) of addresses below vm.mmap_min_addr asks in a place that this kernel does not let be seen"
                    .to_owned(),
            );
            assert_eq!(unseen(Method::FexitAndCallers), std::slice::from_ref(&mmap));
            for method in [Method::Fexit, Method::Kprobe] {
                let capset = (
                    Capability::SETPCAP,
                    "capset(2) and prctl(PR_SET_SECUREBITS) ask in a place that this kernel does not let be seen, and what capset(2) was asked for is not known"
                        .to_owned(),
                );
                assert_eq!(unseen(method), [capset, mmap.clone()], "{method}");
            }
        }
    }
}
