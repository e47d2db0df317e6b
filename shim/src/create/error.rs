//! The errors that keep a container from being created.

use crate::limit;
use crate::{annotations, bundle, label, rewrite};
use capprof_store::document::Ambiguity;
use capprof_store::{file, settings};
use std::path::PathBuf;

/// The error that keeps a container from being profiled, and so from being created.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration file of capprof.
    #[error(transparent)]
    Configuration(#[from] settings::Error),
    /// The container's id.
    #[error("container id {0}: it must be UTF-8, because the profile is kept under this name")]
    Id(String),
    /// config.json cannot be read.
    #[error(transparent)]
    Bundle(#[from] bundle::Error),
    /// An annotation in config.json has an invalid value.
    #[error("read {}: {source}", path.display())]
    Annotation {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: annotations::Error,
    },
    /// The directory that an annotation names for the result cannot be used.
    #[error("annotation io.capprof.output={}: {source}: it must be a directory that exists", path.display())]
    Output {
        /// The directory.
        path: PathBuf,
        /// The reason why it cannot be used.
        source: std::io::Error,
    },
    /// The configuration does not allow that directory.
    #[error(
        "annotation io.capprof.output={}: it is not in or below a directory of output_directories in the configuration of capprof", path.display()
    )]
    OutputNotAllowed {
        /// The directory, links resolved.
        path: PathBuf,
    },
    /// Runtimes read config.json differently.
    #[error("read {}: {source}", path.display())]
    Ambiguous {
        /// The file.
        path: PathBuf,
        /// The ambiguity.
        source: Ambiguity,
    },
    /// A container cannot be profiled or limited from a checkpoint.
    #[error(
        "restore: a container made of a checkpoint can be neither profiled nor limited, because its processes get the capabilities that they had: set annotation io.capprof.mode=off in {}, or call {}", path.display(), runtime.display()
    )]
    Restore {
        /// The configuration.
        path: PathBuf,
        /// The low-level runtime.
        runtime: PathBuf,
    },
    /// config.json is not what the runtime-spec says.
    #[error("rewrite {}: {source}", path.display())]
    Rewrite {
        /// The file.
        path: PathBuf,
        /// The fault.
        source: rewrite::Error,
    },
    /// There is no hook to run.
    #[error("find capprof-hook: it is neither next to capprof nor in libexec/capprof: install it")]
    Hook,
    /// JSON cannot hold the path.
    #[error("{what} {}: it must be UTF-8, because it goes into config.json", path.display())]
    NotUnicode {
        /// The role of the path.
        what: &'static str,
        /// The path.
        path: PathBuf,
    },
    /// Neither recorder works from inside a user namespace.
    #[error(
        "this user cannot profile containers: eBPF and SELinux record for the host's root alone; run the container once as root, \
         for example with sudo, or with annotation io.capprof.mode=off"
    )]
    Rootless,
    /// Others could write to the state directory.
    #[error("state directory {}: it must belong to the user that runs capprof and be writable by nobody else", path.display())]
    Unsafe {
        /// The directory.
        path: PathBuf,
    },
    /// capprof's own capabilities cannot be read.
    #[error("read own capabilities: {0}")]
    Capabilities(std::io::Error),
    /// No random number for the recording's id.
    #[error("read random bytes: {0}")]
    Random(std::io::Error),
    /// No SELinux label.
    #[error(transparent)]
    Label(#[from] label::Error),
    /// The profile or list to enforce is unknown or unsuitable.
    #[error("{mode}: {source}")]
    Limit {
        /// The value of `io.capprof.mode`.
        mode: &'static str,
        /// The reason.
        source: limit::Error,
    },
    /// A file or directory of the recording cannot be written.
    #[error(transparent)]
    File(#[from] file::Error),
    /// A configuration from a pipe cannot be passed on.
    #[error("pass on {}: {source}", path.display())]
    PassOn {
        /// The pipe.
        path: PathBuf,
        /// The reason.
        source: std::io::Error,
    },
}
