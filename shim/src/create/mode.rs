//! The effects of a mode on a container.

use super::error::Error;
use crate::annotations::{CapabilityLimit, Request, RequestedMode};
use crate::label;
use crate::limit::{self, Resolved};
use crate::privilege::held;
use crate::rewrite::{Hooks, Sets};
use capprof_profile::recording;
use capprof_profile::settings::{RelaxSeccomp, Settings};
use capprof_store::profiles::Store;
use serde_json::Value;

/// The effects of a mode on a container.
pub(super) struct ModeSettings {
    /// The mode, as the recording has it.
    pub(super) mode: recording::Mode,
    /// The recording whose profile is enforced.
    pub(super) profile: Option<String>,
    /// The sets and the label of the container's process.
    pub(super) sets: Sets,
    /// True if its AppArmor profile is removed.
    pub(super) relax_apparmor: bool,
    /// The change to its seccomp filter.
    pub(super) relax_seccomp: RelaxSeccomp,
    /// The SELinux label that it gets.
    pub(super) label: Option<recording::Label>,
    /// The hooks that run with it.
    pub(super) hooks: Hooks,
}

impl ModeSettings {
    /// Decides by the request of a configuration; `process` is its process.
    ///
    /// # Errors
    /// The limit is unknown, or no label can be made.
    pub(super) fn of(
        request: &Request,
        settings: &Settings,
        process: &Value,
    ) -> Result<Self, Error> {
        match &request.mode {
            RequestedMode::Enforce(limit) => Self::enforcing("enforce", limit, settings, process),
            RequestedMode::Verify(limit) => Self::verifying(limit, settings, process),
            RequestedMode::Observe => Ok(Self::observing()),
            RequestedMode::Profile | RequestedMode::Off => {
                Self::profiling(request, settings, process)
            }
        }
    }

    /// Everything is granted, settings that would hide checks are relaxed, and recorders record.
    fn profiling(request: &Request, settings: &Settings, process: &Value) -> Result<Self, Error> {
        let held = held().map_err(Error::Capabilities)?;
        let label = label::choose(
            settings,
            request.scope,
            process
                .get("selinuxLabel")
                .and_then(Value::as_str)
                .unwrap_or_default(),
            &settings.state,
        )?;
        Ok(Self {
            mode: recording::Mode::Profile,
            profile: None,
            sets: Sets::Everything {
                held,
                non_root: settings.grant_non_root,
            },
            relax_apparmor: settings.relax_apparmor,
            relax_seccomp: settings.relax_seccomp,
            label,
            hooks: Hooks::Record,
        })
    }

    /// Only the limit is granted; everything else stays as in the engine's configuration.
    fn enforcing(
        mode: &'static str,
        limit: &CapabilityLimit,
        settings: &Settings,
        process: &Value,
    ) -> Result<Self, Error> {
        let store = Store::at(&settings.store);
        let process = process.as_object().cloned().unwrap_or_default();
        let Resolved { sets, profile } = limit::resolve(limit, &store, &process)
            .map_err(|source| Error::Limit { mode, source })?;
        Ok(Self {
            mode: recording::Mode::Enforce,
            profile,
            sets: Sets::Exactly(sets),
            relax_apparmor: false,
            relax_seccomp: RelaxSeccomp::Keep,
            label: None,
            hooks: Hooks::Remove,
        })
    }

    /// Everything stays as in the engine's configuration, and recorders record.
    fn observing() -> Self {
        Self {
            mode: recording::Mode::Observe,
            profile: None,
            sets: Sets::Unchanged,
            relax_apparmor: false,
            relax_seccomp: RelaxSeccomp::Keep,
            label: None,
            hooks: Hooks::Record,
        }
    }

    /// The set is enforced, and recorders record.
    fn verifying(
        limit: &CapabilityLimit,
        settings: &Settings,
        process: &Value,
    ) -> Result<Self, Error> {
        Ok(Self {
            mode: recording::Mode::Verify,
            hooks: Hooks::Record,
            ..Self::enforcing("verify", limit, settings, process)?
        })
    }
}
