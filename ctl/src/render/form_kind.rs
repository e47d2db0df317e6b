//! The engines and tools that have a form.

use std::fmt;

/// The engine or tool that a form is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum FormKind {
    /// The command `docker run`.
    Docker,
    /// Options of `docker run` and `podman run` without the command.
    DockerOptions,
    /// The command `podman run`.
    Podman,
    /// `securityContext` of a container in a pod.
    Kubernetes,
    /// A patch for kustomize.
    Kustomize,
    /// Values of a Helm chart.
    Helm,
    /// OpenShift's SecurityContextConstraints.
    Scc,
    /// A service in a compose file.
    Compose,
    /// Lines of a `.container` unit (podman-systemd.unit(5)).
    Quadlet,
    /// Lines of a `.service` unit (systemd.exec(5)), for the program without a container.
    Systemd,
    /// A container definition in a task definition of Amazon ECS.
    Ecs,
    /// The `config` block of a task of Nomad's docker driver.
    Nomad,
    /// A container of NixOS (`virtualisation.oci-containers`).
    Nixos,
    /// The command `ctr run` of containerd.
    Ctr,
    /// Defaults of all containers of podman (containers.conf(5)).
    ContainersConf,
}

impl FormKind {
    /// All of them, in the order in which a report shows them.
    pub(crate) const ALL: [Self; 15] = [
        Self::Docker,
        Self::DockerOptions,
        Self::Podman,
        Self::Kubernetes,
        Self::Kustomize,
        Self::Helm,
        Self::Scc,
        Self::Compose,
        Self::Quadlet,
        Self::Systemd,
        Self::Ecs,
        Self::Nomad,
        Self::Nixos,
        Self::Ctr,
        Self::ContainersConf,
    ];

    /// The name on the command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::DockerOptions => "docker-options",
            Self::Podman => "podman",
            Self::Kubernetes => "kubernetes",
            Self::Kustomize => "kustomize",
            Self::Helm => "helm",
            Self::Scc => "scc",
            Self::Compose => "compose",
            Self::Quadlet => "quadlet",
            Self::Systemd => "systemd",
            Self::Ecs => "ecs",
            Self::Nomad => "nomad",
            Self::Nixos => "nixos",
            Self::Ctr => "ctr",
            Self::ContainersConf => "containers-conf",
        }
    }

    /// The output formats, for the help of the command line.
    pub(crate) fn about(self) -> &'static str {
        match self {
            Self::Docker => "The command docker run",
            Self::DockerOptions => {
                "Options of docker run, the words alone: docker run $(capprofctl report --format docker-options) IMAGE"
            }
            Self::Podman => "The command podman run",
            Self::Kubernetes => "A securityContext",
            Self::Kustomize => "A patch for kustomize",
            Self::Helm => "Values of a Helm chart",
            Self::Scc => "OpenShift's SecurityContextConstraints",
            Self::Compose => "A service in a compose file",
            Self::Quadlet => "Lines of a .container unit",
            Self::Systemd => "Lines of a .service unit",
            Self::Ecs => "A container definition of Amazon ECS",
            Self::Nomad => "The config block of a Nomad task",
            Self::Nixos => "A container of NixOS",
            Self::Ctr => "The command ctr run",
            Self::ContainersConf => "Defaults of podman (containers.conf)",
        }
    }

    /// The name as people write it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::DockerOptions => "options of docker run",
            Self::Podman => "podman",
            Self::Kubernetes => "Kubernetes",
            Self::Kustomize => "kustomize",
            Self::Helm => "Helm",
            Self::Scc => "OpenShift",
            Self::Compose => "compose",
            Self::Quadlet => "Quadlet",
            Self::Systemd => "systemd",
            Self::Ecs => "Amazon ECS",
            Self::Nomad => "Nomad",
            Self::Nixos => "NixOS",
            Self::Ctr => "ctr",
            Self::ContainersConf => "containers.conf",
        }
    }

    /// The engine that carries the form out: several forms can lead to the same engine.
    pub(crate) fn runs_by(self) -> Self {
        match self {
            Self::DockerOptions | Self::Compose | Self::Ecs | Self::Nomad => Self::Docker,
            Self::Quadlet | Self::ContainersConf | Self::Nixos => Self::Podman,
            Self::Kustomize | Self::Helm | Self::Scc => Self::Kubernetes,
            Self::Docker | Self::Podman | Self::Kubernetes | Self::Systemd | Self::Ctr => self,
        }
    }

    /// Returns true if docker sets up the network. There every process may bind ports below 1024 and make ping sockets.
    pub(crate) fn is_dockers(self) -> bool {
        matches!(self, Self::Docker | Self::DockerOptions | Self::Compose)
    }

    /// The file name extension by which editors and tools know the form's syntax, for a block of Markdown.
    pub(crate) fn syntax(self) -> &'static str {
        match self {
            Self::Docker | Self::DockerOptions | Self::Podman | Self::Ctr => "sh",
            Self::Kubernetes | Self::Kustomize | Self::Helm | Self::Scc | Self::Compose => "yaml",
            Self::Quadlet | Self::Systemd => "ini",
            Self::Ecs => "json",
            Self::Nomad => "hcl",
            Self::Nixos => "nix",
            Self::ContainersConf => "toml",
        }
    }
}

impl fmt::Display for FormKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
