//! Asks the loaded policy about contexts, about the permissions of a domain, and about the uses that leave a record.
//!
//! It uses libselinux (crate `selinux`) with raw contexts: nothing here talks to mcstransd(8).

use capprof_profile::{Capability, CapabilitySet};
use rustix::io::Errno;
use selinux::{KernelSupport, OpaqueSecurityContext, SELinuxMode, SecurityClass, SecurityContext};
use std::ffi::CString;

/// A question to the policy that could not be answered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The context is not valid under the loaded policy.
    #[error(
        "check context {context}: not valid under the loaded policy{}",
        if context.contains(":capprof_t:") { ": capprof's policy module is not loaded (semodule -i capprof.cil)" } else { "" }
    )]
    Invalid {
        /// The context.
        context: String,
    },
    /// The question could not be asked.
    #[error(
        "{question}: {source} (if the domain of this process may not ask: is capprof's policy module installed and capprof-hook labelled capprof_hook_exec_t?)"
    )]
    Ask {
        /// The question.
        question: String,
        /// libselinux's answer.
        source: selinux::errors::Error,
    },
}

/// Returns true if SELinux is enabled in this kernel and a policy is loaded.
pub(crate) fn is_on() -> bool {
    // current_mode() would report SELinux as disabled in a domain that may not read the mode.
    selinux::kernel_support() != KernelSupport::Unsupported
}

/// Returns true if SELinux is in enforcing mode.
pub(crate) fn enforcing() -> bool {
    selinux::current_mode() == SELinuxMode::Enforcing
}

/// The four classes of capabilities (security/selinux/include/classmap.h).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CapabilityClass {
    /// Capabilities 0 to 31, checked against the initial user namespace.
    Capability,
    /// Capabilities from 32 on, checked against the initial user namespace.
    Capability2,
    /// Capabilities 0 to 31, checked against another user namespace.
    CapUserns,
    /// Capabilities from 32 on, checked against another user namespace.
    Cap2Userns,
}

impl CapabilityClass {
    /// The two classes that cover all capabilities in the container's own user namespace.
    pub(crate) fn of(user_namespace: bool) -> [Self; 2] {
        match user_namespace {
            false => [Self::Capability, Self::Capability2],
            true => [Self::CapUserns, Self::Cap2Userns],
        }
    }

    /// The class's name in the policy.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Capability => "capability",
            Self::Capability2 => "capability2",
            Self::CapUserns => "cap_userns",
            Self::Cap2Userns => "cap2_userns",
        }
    }

    /// Returns true if the class has this capability.
    pub(crate) fn covers(self, capability: Capability) -> bool {
        match self {
            Self::Capability | Self::CapUserns => capability.number() < 32,
            Self::Capability2 | Self::Cap2Userns => capability.number() >= 32,
        }
    }
}

/// A domain's permissions to itself in one class, by capability.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AccessDecision {
    /// Those that the policy allows.
    pub(crate) allowed: CapabilitySet,
    /// Those that leave a record when allowed (`auditallow`).
    pub(crate) audit_allowed: CapabilitySet,
    /// Those that leave a record when denied (not `dontaudit`).
    pub(crate) audit_denied: CapabilitySet,
    /// Those that the policy does not know.
    pub(crate) unknown: CapabilitySet,
    /// True if the domain is permissive.
    pub(crate) permissive: bool,
}

impl AccessDecision {
    /// Capabilities whose use leaves no record: allowed without one, or refused without one.
    pub(crate) fn hidden(&self) -> CapabilitySet {
        self.allowed
            .difference(self.audit_allowed)
            .union(
                Capability::all()
                    .filter(|capability| {
                        !self.allowed.contains(*capability)
                            && !self.audit_denied.contains(*capability)
                    })
                    .collect(),
            )
            .union(self.unknown)
    }

    /// Capabilities that are denied with a record. In a permissive domain the record is written only once, and not at all after a silent check
    /// (security/selinux/avc.c, `avc_denied()`).
    pub(crate) fn recorded_when_denied(&self) -> CapabilitySet {
        self.audit_denied.difference(self.allowed)
    }
}

/// Returns the context in the kernel's own form.
///
/// # Errors
/// [`Error::Invalid`], [`Error::Ask`].
pub(crate) fn canonical(context: &str) -> Result<String, Error> {
    let invalid = || Error::Invalid {
        context: context.to_owned(),
    };
    let ask = |source| Error::Ask {
        question: format!("check context {context}"),
        source,
    };
    let text = CString::new(context).map_err(|_| invalid())?;
    let security_context = SecurityContext::from_c_str(&text, true);
    match security_context.canonicalize() {
        Ok(canonical) => Ok(canonical
            .to_c_string()
            .map_err(ask)?
            .map_or_else(String::new, |text| text.to_string_lossy().into_owned())),
        Err(source) => match &source {
            selinux::errors::Error::IO { source: io, .. }
                if io.raw_os_error() == Some(Errno::INVAL.raw_os_error()) =>
            {
                Err(invalid())
            }
            _ => Err(ask(source)),
        },
    }
}

/// Returns a context's permissions to itself in one of the four classes. If the policy does not know the class, all its capabilities are hidden.
///
/// # Errors
/// [`Error::Invalid`], [`Error::Ask`].
pub(crate) fn decision(context: &str, class: CapabilityClass) -> Result<AccessDecision, Error> {
    let ask = |source| Error::Ask {
        question: format!("compute access of {context} in class {}", class.name()),
        source,
    };
    let covered = || Capability::all().filter(|capability| class.covers(*capability));
    let Ok(security_class) = SecurityClass::from_name(class.name()) else {
        return Ok(AccessDecision {
            unknown: covered().collect(),
            ..AccessDecision::default()
        });
    };
    let text = CString::new(context).map_err(|_| Error::Invalid {
        context: context.to_owned(),
    })?;
    let security_context = SecurityContext::from_c_str(&text, true);
    let answer = security_context
        .query_access_decision(&security_context, security_class, u32::MAX)
        .map_err(ask)?;
    // Each policy numbers its permissions differently, so they are found by name.
    let mut decision = AccessDecision {
        permissive: answer.flags & 1 != 0,
        ..AccessDecision::default()
    };
    for capability in covered() {
        let name = capability.short_name().to_ascii_lowercase();
        let Ok(bit) = security_class.access_vector_bit(&name) else {
            decision.unknown.insert(capability);
            continue;
        };
        for (vector, set) in [
            (answer.allowed, &mut decision.allowed),
            (answer.auditallow, &mut decision.audit_allowed),
            (answer.auditdeny, &mut decision.audit_denied),
        ] {
            if vector & bit != 0 {
                set.insert(capability);
            }
        }
    }
    // Capabilities of the other class do not count as unknown here.
    for capability in Capability::all().filter(|capability| !class.covers(*capability)) {
        decision.audit_denied.insert(capability);
    }
    Ok(decision)
}

/// Returns a context's permissions to itself in the two classes that cover all capabilities in the container's own user namespace.
///
/// # Errors
/// [`Error::Invalid`], [`Error::Ask`].
pub(super) fn decisions(
    context: &str,
    user_namespace: bool,
) -> Result<Vec<(CapabilityClass, AccessDecision)>, Error> {
    CapabilityClass::of(user_namespace)
        .into_iter()
        .map(|class| Ok((class, decision(context, class)?)))
        .collect()
}

/// Type and range of a context.
///
/// # Errors
/// [`Error::Invalid`], [`Error::Ask`].
pub(crate) fn type_and_range(context: &str) -> Result<(String, String), Error> {
    let ask = |source| Error::Ask {
        question: format!("read context {context}"),
        source,
    };
    let parts = OpaqueSecurityContext::new(context).map_err(ask)?;
    let text = |part: selinux::errors::Result<CString>| {
        part.map(|text| text.to_string_lossy().into_owned())
    };
    Ok((
        text(parts.the_type()).map_err(ask)?,
        // A policy without levels has contexts without a range.
        text(parts.range()).unwrap_or_default(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_is_what_is_allowed_or_refused_without_a_record() {
        let set =
            |capabilities: &[Capability]| capabilities.iter().copied().collect::<CapabilitySet>();
        let all: CapabilitySet = Capability::all().collect();
        let decision = AccessDecision {
            allowed: set(&[Capability::CHOWN, Capability::SYS_ADMIN]),
            audit_allowed: set(&[Capability::SYS_ADMIN]),
            audit_denied: all.difference(set(&[Capability::FSETID])),
            unknown: CapabilitySet::EMPTY,
            permissive: true,
        };
        assert_eq!(
            decision.hidden(),
            set(&[Capability::CHOWN, Capability::FSETID])
        );
        assert!(
            !decision
                .recorded_when_denied()
                .contains(Capability::SYS_ADMIN)
        );
        assert!(decision.recorded_when_denied().contains(Capability::KILL));
    }

    #[test]
    fn without_selinux_nothing_is_on_and_nothing_panics() {
        if is_on() {
            eprintln!("skipped: SELinux is on here");
            return;
        }
        assert!(!enforcing());
        assert!(canonical("system_u:system_r:capprof_t:s0").is_err());
    }

    #[test]
    fn a_context_is_taken_apart_without_a_kernel() {
        let (type_, range) =
            type_and_range("system_u:system_r:capprof_t:s0:c1,c2-s0:c1,c2,c500,c501").unwrap();
        assert_eq!(type_, "capprof_t");
        assert_eq!(range, "s0:c1,c2-s0:c1,c2,c500,c501");
    }
}
