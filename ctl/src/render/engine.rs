//! The engines in whose syntax there is a form.

use std::fmt;

/// Whom the form is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Engine {
    /// Options of `docker run`.
    Docker,
    /// Options of `podman run`.
    Podman,
    /// `securityContext` of a container in a pod.
    Kubernetes,
    /// A service in a compose file.
    Compose,
    /// Lines of a `.container` unit (podman-systemd.unit(5)).
    Quadlet,
    /// Lines of a `.service` unit (systemd.exec(5)), for the program without a container.
    Systemd,
}

impl Engine {
    /// All of them, in the order in which a report shows them.
    pub(crate) const ALL: [Self; 6] = [
        Self::Docker,
        Self::Podman,
        Self::Kubernetes,
        Self::Compose,
        Self::Quadlet,
        Self::Systemd,
    ];
}

impl fmt::Display for Engine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Docker => "docker",
            Self::Podman => "podman",
            Self::Kubernetes => "kubernetes",
            Self::Compose => "compose",
            Self::Quadlet => "quadlet",
            Self::Systemd => "systemd",
        })
    }
}
