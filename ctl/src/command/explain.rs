//! `capprofctl explain`

use crate::exit::Exit;
use crate::output;
use crate::render;
use anyhow::bail;
use capprof_profile::Capability;
use capprof_profile::atlas;

/// Prints the purposes for which the kernel checks a capability, or the checks at a place in the kernel.
///
/// # Errors
/// The subject is neither a capability nor a function or file of the atlas, or the kernel is none that was read.
pub(crate) fn run(subject: &str, kernel: Option<&str>, all: bool) -> anyhow::Result<Exit> {
    let index = kernel_index(kernel)?;
    let filter = render::Kernel { index, all };
    if let Some(capability) = capability(subject) {
        output::print(&render::explain_capability(
            capability,
            filter,
            &output::styles(),
        ))?;
        return Ok(Exit::Success);
    }
    let function = subject.trim_end_matches("()");
    let mut sites: Vec<_> = atlas::of_function(function).collect();
    if sites.is_empty() {
        sites = atlas::sites()
            .filter(|site| site.file == function || site.callers.contains(&function))
            .collect();
    }
    if sites.is_empty() {
        bail!(
            "explain \"{subject}\": neither a capability (CAP_NET_ADMIN) nor a function (setattr_prepare) or file (fs/attr.c) that asks for one"
        );
    }
    output::print(&render::explain_sites(&sites, filter, &output::styles()))?;
    Ok(Exit::Success)
}

/// A capability by its name, in any spelling that engines take.
fn capability(subject: &str) -> Option<Capability> {
    let name = subject.to_uppercase();
    name.parse().or_else(|_| format!("CAP_{name}").parse()).ok()
}

/// The position of a kernel among those that were read; the newest that is not newer than the host's by default.
fn kernel_index(kernel: Option<&str>) -> anyhow::Result<usize> {
    let known = atlas::kernels();
    if let Some(name) = kernel {
        return match known.iter().position(|known| *known == name) {
            Some(index) => Ok(index),
            None => bail!(
                "kernel \"{name}\" is not in the atlas: it has {}",
                known.join(", ")
            ),
        };
    }
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    Ok(atlas::kernel_of(&release))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_that_was_not_read_is_an_error() {
        assert_eq!(kernel_index(Some("6.1")).unwrap(), 0);
        assert_eq!(
            kernel_index(Some("5.10")).unwrap_err().to_string(),
            "kernel \"5.10\" is not in the atlas: it has 6.1, 6.12, 7.3"
        );
    }

    #[test]
    fn capabilities_go_by_either_name() {
        assert_eq!(capability("cap_net_admin"), capability("NET_ADMIN"));
        assert_eq!(capability("setattr_prepare"), None);
    }
}
