//! Refusals by security modules: the records of SELinux and AppArmor.

use super::cause::Cause;
use super::facts::{Modules, RefusedCheck};

/// Refusals by SELinux and AppArmor in this call.
///
/// A module that refuses a capability does not always fail the call: the kernel asks for some only to see if the process has them. `decides`
/// returns true for a check that fails the call.
pub(super) fn refused(modules: &Modules, decides: impl Fn(&RefusedCheck) -> bool) -> Vec<Cause> {
    let fails = |check: &Option<RefusedCheck>| check.as_ref().is_none_or(&decides);
    let by_selinux = modules
        .avc
        .iter()
        .filter(|avc| fails(&avc.check))
        .map(|avc| Cause::Selinux {
            rule: avc.rule.clone(),
            serial: Some(avc.serial),
        });
    let by_apparmor = modules
        .apparmor_denials
        .iter()
        .filter(|denial| fails(&denial.check))
        .map(|denial| Cause::Apparmor {
            profile: denial.profile.clone(),
            denied: Some(denial.denied.clone()),
            serial: denial.serial,
        });
    // The kernel asks one module after the other and stops at the first refusal, so the last refusal is the one that counts. The same holds for
    // several refusals of one module.
    let mut causes: Vec<Cause> = by_selinux.chain(by_apparmor).collect();
    causes.split_off(causes.len().saturating_sub(1))
}

/// Returns true if the modules refused capabilities and nothing else.
pub(super) fn is_about_capabilities(modules: &Modules) -> bool {
    let mut checks = modules
        .avc
        .iter()
        .map(|avc| &avc.check)
        .chain(modules.apparmor_denials.iter().map(|denial| &denial.check));
    checks.all(Option::is_some)
}
