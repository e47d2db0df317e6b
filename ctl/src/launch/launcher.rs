//! The programs that run containers from a command line.

use super::compose;
use super::options::Table;
use super::tables;
use capprof::family::Family;
use std::ffi::OsStr;
use std::fmt;
use std::path::Path;

/// A program that runs containers from a command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Launcher {
    Docker,
    Podman,
    Nerdctl,
    Ctr,
    Runc,
    Crun,
}

impl Launcher {
    const ALL: [Self; 6] = [
        Self::Docker,
        Self::Podman,
        Self::Nerdctl,
        Self::Ctr,
        Self::Runc,
        Self::Crun,
    ];

    /// The engine whose program this is.
    pub(crate) fn of(program: &OsStr) -> Option<Self> {
        let name = Path::new(program).file_name().unwrap_or(program);
        Self::ALL.into_iter().find(|engine| name == engine.name())
    }

    /// Returns true if a program runs containers from its command line: an engine, or compose.
    pub(crate) fn is_program(program: &OsStr) -> bool {
        let name = Path::new(program).file_name().and_then(OsStr::to_str);
        Self::of(program).is_some() || name.is_some_and(compose::is_program)
    }

    /// The name of its program.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Nerdctl => "nerdctl",
            Self::Ctr => "ctr",
            Self::Runc => "runc",
            Self::Crun => "crun",
        }
    }

    /// The low-level runtime whose command line it has, if it has one.
    pub(super) fn family(self) -> Option<Family> {
        match self {
            Self::Runc => Some(Family::Runc),
            Self::Crun => Some(Family::Crun),
            _ => None,
        }
    }

    /// Its global options, and those of `run`.
    pub(super) fn tables(self) -> Option<(&'static Table, &'static Table)> {
        match self {
            Self::Docker => Some((&tables::DOCKER, &tables::RUN)),
            Self::Podman => Some((&tables::PODMAN, &tables::RUN)),
            Self::Nerdctl => Some((&tables::NERDCTL, &tables::RUN)),
            Self::Ctr => Some((&tables::CTR, &tables::CTR_RUN)),
            Self::Runc | Self::Crun => None,
        }
    }

    /// The privileges besides capabilities that `--privileged` gives, with the option for each.
    pub(super) fn privileged(self) -> &'static str {
        match self {
            Self::Podman => {
                "all devices of the host (--device), no seccomp filter (--security-opt seccomp=unconfined), no AppArmor profile (--security-opt \
                 apparmor=unconfined), no SELinux separation (--security-opt label=disable), /proc and /sys unmasked (--security-opt unmask=ALL)"
            }
            Self::Ctr => {
                "all devices of the host (--device), no seccomp filter (leave out --seccomp), no AppArmor profile, /proc and /sys unmasked \
                 and writable (--mount)"
            }
            _ => {
                "all devices of the host (--device), no seccomp filter (--security-opt seccomp=unconfined), no AppArmor profile (--security-opt \
                 apparmor=unconfined), no SELinux separation (--security-opt label=disable), /proc and /sys unmasked and writable \
                 (--security-opt systempaths=unconfined)"
            }
        }
    }
}

impl fmt::Display for Launcher {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
