//! The low-level runtime of one call: its binary, options and state directory.

use crate::argv::{Command, Globals};
use crate::bundle::{self, Configuration};
use crate::family::Family;
use crate::runtime;
use capprof_profile::settings::DefaultMode;
use capprof_store::settings;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// The runtime that the process will become.
#[derive(Debug)]
pub struct LowLevelRuntime<'a> {
    /// Its binary.
    pub path: &'a Path,
    /// Its family.
    pub family: Family,
    /// The options before the subcommand.
    pub globals: &'a Globals,
    /// The state directory.
    pub state: &'a Path,
    /// The mode of containers without an annotation for it.
    pub mode: DefaultMode,
    /// The administrator's settings.
    pub settings: &'a settings::Content,
}

impl LowLevelRuntime<'_> {
    /// Returns the directory of a container in the runtime's state.
    pub(super) fn state_of(&self, id: &OsStr) -> PathBuf {
        runtime::root(self.globals.root.as_deref(), self.family).join(id)
    }

    /// Reads the configuration that the arguments name.
    pub(super) fn configuration(&self, command: &Command) -> Result<Configuration, bundle::Error> {
        let bundle = match &command.bundle {
            // runc treats an empty name as no name; to crun it is a directory that does not exist.
            Some(bundle) if !bundle.text.is_empty() || self.family == Family::Crun => &bundle.text,
            _ => OsStr::new("."),
        };
        let named = command.configuration.as_ref().map(|named| &*named.text);
        Configuration::open(bundle, named)
    }
}
