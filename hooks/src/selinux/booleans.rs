//! The booleans of capprof's policy module, and those of other policies that give capabilities.

use super::error::Error;
use super::selinuxfs::Selinuxfs;
use capprof_profile::Capability;

/// The prefix of the module's booleans.
pub(super) const PREFIX: &str = "capprof_";

/// The boolean that lets processes enter [`DOMAIN`].
pub(super) const ENTRANCE: &str = "capprof_recording";

/// The prefix of the booleans that control the auditing of one capability each.
const AUDIT: &str = "capprof_audit_";

/// The type of profiled containers in scope `domain`.
pub(super) const DOMAIN: &str = "capprof_t";

/// Booleans that give capabilities to containers in known policies; others are found by their names.
const CAPABILITY_BOOLEANS: &[&str] =
    &["virt_sandbox_", "container_", "docker_", "podman_", "crio_"];

/// Returns true if a boolean may give capabilities to containers, judged by its name.
pub(super) fn gives_capabilities(name: &str) -> bool {
    CAPABILITY_BOOLEANS
        .iter()
        .any(|prefix| name.starts_with(prefix))
}

/// The capability whose auditing a boolean controls; `None` if the boolean has another purpose.
pub(super) fn audited_capability(name: &str) -> Option<Capability> {
    let capability = name.strip_prefix(AUDIT)?;
    format!("CAP_{}", capability.to_ascii_uppercase())
        .parse()
        .ok()
}

/// The booleans of the loaded policy that control the auditing of one capability each.
///
/// # Errors
/// [`Error::Booleans`] if the policy's booleans cannot be listed.
pub(super) fn audit_booleans(selinuxfs: &Selinuxfs) -> Result<Vec<(Capability, String)>, Error> {
    Ok(selinuxfs
        .names(|name| name.starts_with(AUDIT))
        .map_err(|source| Error::Booleans { source })?
        .into_iter()
        .filter_map(|name| Some((audited_capability(&name)?, name)))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn booleans_of_the_policy_module_are_told_by_name() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("booleans")).unwrap();
        for (name, value) in [
            ("capprof_audit_sys_admin", "1 1"),
            ("capprof_audit_nonsense", "1 1"),
            ("capprof_recording", "0 0"),
            ("virt_use_nfs", "0 0"),
        ] {
            fs::write(root.path().join("booleans").join(name), value).unwrap();
        }
        assert_eq!(
            audit_booleans(&Selinuxfs::at(root.path().to_owned())).unwrap(),
            [(Capability::SYS_ADMIN, "capprof_audit_sys_admin".to_owned())]
        );
    }
}
