//! The engines that can use the runtime `capprof`, and the place where each lists its runtimes.

use clap::ValueEnum;
use std::path::{Path, PathBuf};

/// The runtime's name in every engine.
pub(super) const NAME: &str = "capprof";

/// An engine that can be told about the runtime.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// /etc/docker/daemon.json
    Docker,
    /// /etc/containers/containers.conf.d/50-capprof.conf
    Podman,
    /// /etc/containerd/config.toml: runtime handler for Kubernetes
    Containerd,
    /// /etc/crio/crio.conf.d/50-capprof.conf: runtime handler for Kubernetes
    Crio,
}

impl Engine {
    /// The file that names the engine's runtimes.
    pub(super) fn configuration(self, root: &Path) -> PathBuf {
        root.join(match self {
            Self::Docker => "etc/docker/daemon.json",
            Self::Podman => "etc/containers/containers.conf.d/50-capprof.conf",
            Self::Containerd => "etc/containerd/config.toml",
            Self::Crio => "etc/crio/crio.conf.d/50-capprof.conf",
        })
    }
}
