//! The answer in parts, which `apply` and compose write into files.

use super::super::form_kind::FormKind;
use super::super::privileged::Replacement;
use super::caveats::caveats;
use super::input::FormInput;
use super::limit;
use super::names::short_names;
use super::unable::Unable;
use capprof_profile::CapabilitySet;

/// The answer for a workload.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parts {
    /// The capabilities.
    pub(crate) set: CapabilitySet,
    /// The capabilities that a user other than root must have ambient; empty for root.
    pub(crate) ambient: CapabilitySet,
    /// Devices: the path, and the access (`rw`).
    pub(crate) devices: Vec<(String, String)>,
    /// Device rules, as in `--device-cgroup-rule`.
    pub(crate) rules: Vec<String>,
    /// Sysctls: name and value.
    pub(crate) sysctls: Vec<(String, String)>,
    /// Limits that make a capability unnecessary which the set does not have: name and value in the engine's syntax.
    pub(crate) limits: Vec<(String, String)>,
    /// True if the process runs with no_new_privs today.
    pub(crate) no_new_privileges: bool,
    /// The comments, a line each.
    pub(crate) caveats: Vec<String>,
}

impl Parts {
    /// Returns the parts for one engine. There is no caveat about `--privileged`, because `apply` removes it.
    ///
    /// # Errors
    /// The engine cannot carry it out.
    pub(crate) fn of<'a>(
        engine: FormKind,
        workload: impl Into<FormInput<'a>>,
    ) -> Result<Self, Unable> {
        let mut workload = workload.into();
        workload.minimized = workload.set_for(engine);
        let beyond = workload
            .privileges
            .map(|privileges| Replacement::of(engine, privileges, workload.minimized))
            .unwrap_or_default();
        let asked = workload.minimized.union(workload.unsettled);
        let limits = workload
            .privileges
            .map(|privileges| limit::assignments(engine, &privileges.engine_grants, asked))
            .unwrap_or_default();
        let caveats = caveats(engine, &workload)?
            .into_iter()
            .filter(|caveat| !caveat.starts_with("take out ") && !caveat.starts_with(limit::KEPT))
            .chain(beyond.caveats)
            .collect();
        Ok(Self {
            set: workload.minimized,
            ambient: match workload.uid {
                0 => CapabilitySet::EMPTY,
                _ => workload.ambient,
            },
            devices: beyond.devices,
            rules: beyond.rules,
            sysctls: beyond.sysctls,
            limits,
            no_new_privileges: workload.no_new_privileges,
            caveats,
        })
    }

    /// The capabilities' names without `CAP_`.
    pub(crate) fn names(&self) -> Vec<String> {
        short_names(self.set)
    }
}
