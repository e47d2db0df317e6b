//! The privileges besides capabilities that a privileged container used, and a replacement for `--privileged`.
//!
//! - `--device`, `--device-cgroup-rule`, `--sysctl`: docker-run(1), podman-run(1), podman-systemd.unit(5), the compose specification,
//!   systemd.resource-control(5). Kubernetes gives devices only through device plugins.
//! - Every container may make device nodes, but needs a rule to open them (runc, libcontainer/specconv, `AllowedDevices`).
//! - docker's and podman's default AppArmor profiles refuse mount(2) and writes to most of /proc/sys (moby, profiles/apparmor/template.go; containers/common,
//!   pkg/apparmor/apparmor_linux_template.go).

mod filter;
mod replacement;
mod section;
#[cfg(test)]
mod tests;
mod value;

pub(super) use replacement::Replacement;
pub(crate) use replacement::{ALL_GROUPS, PING_GROUPS, options};
pub(super) use section::section;
