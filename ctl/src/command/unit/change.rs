//! Changes a service for the length of a recording, and undoes the changes.

use super::service::Service;
use crate::output;
use anyhow::bail;
use capprof::create::own_process;
use capprof_profile::CapabilitySet;
use capprof_profile::error::line;
use capprof_store::{drop_in, systemctl};
use std::path::Path;

/// A drop-in that exists as long as this value. When it is dropped, the service is restored: it runs with its own settings if it ran before, and is
/// stopped if it did not.
#[derive(Debug)]
pub(super) struct ServiceChange {
    unit: String,
    was_active: bool,
    /// True if the service runs with other settings than its own.
    is_other: bool,
}

impl ServiceChange {
    /// Writes a drop-in that makes capprof record the service's control group from its start on, and that contains these settings for its
    /// capabilities. It does not restart the service.
    ///
    /// # Errors
    /// Another process has one, the file cannot be written, or systemd does not read it.
    pub(super) fn of(
        service: &Service,
        was_active: bool,
        recording: &Path,
        capabilities: Option<&str>,
    ) -> anyhow::Result<Self> {
        if let Some(owner) = drop_in::owner(&service.name) {
            bail!("{}: process {} records it already", service.name, owner.pid);
        }
        let hook = crate::hook::find()?;
        // No error of that command keeps the service from starting.
        let text = format!(
            "[Service]\nExecCondition=-+{} join {}\n{}",
            quoted(&hook),
            quoted(recording),
            capabilities.unwrap_or_default()
        );
        let mut change = Self {
            unit: service.name.clone(),
            was_active,
            is_other: false,
        };
        drop_in::write(&service.name, own_process(), &text)?;
        systemctl::reload()?;
        change.is_other = capabilities.is_some();
        Ok(change)
    }

    /// Removes the drop-in and leaves the service running as it is: by now its own settings are the same.
    pub(super) fn keep(mut self) {
        self.is_other = false;
    }
}

impl Drop for ServiceChange {
    fn drop(&mut self) {
        let tell = |result: anyhow::Result<()>| {
            if let Err(error) = result {
                output::message(&format!("{}: {}", self.unit, line(error.as_ref())));
            }
        };
        tell(drop_in::remove(&drop_in::path(&self.unit)).map_err(Into::into));
        tell(systemctl::reload().map_err(Into::into));
        match (self.was_active, self.is_other) {
            (true, true) => tell(systemctl::restart(&self.unit).map_err(Into::into)),
            (true, false) => {}
            (false, _) => {
                tell(systemctl::stop(&self.unit).map_err(Into::into));
                // Failures with other settings must not count against the service.
                systemctl::forget_failures(&self.unit);
            }
        }
    }
}

/// Quotes a word of a command line for systemd (systemd.service(5), "COMMAND LINES"; systemd.unit(5), "SPECIFIERS").
fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('%', "%%").replace('$', "$$"))
}

/// Lines of a drop-in that give a service these capabilities, regardless of its unit: an empty assignment clears the earlier ones
/// (systemd.exec(5)).
pub(super) fn assignments(set: CapabilitySet, ambient: CapabilitySet) -> String {
    let mut text = String::new();
    for (key, set) in [
        ("CapabilityBoundingSet", set),
        ("AmbientCapabilities", ambient),
    ] {
        text.push_str(&format!("{key}=\n"));
        if !set.is_empty() {
            let names: Vec<String> = set.iter().map(|one| one.to_string()).collect();
            text.push_str(&format!("{key}={}\n", names.join(" ")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use capprof_profile::Capability;

    #[test]
    fn words_are_quoted_for_systemd() {
        assert_eq!(quoted(Path::new("/a b/%n$X")), "\"/a b/%%n$$X\"");
        assert_eq!(quoted(Path::new("/a\"\\")), "\"/a\\\"\\\\\"");
    }

    #[test]
    fn assignments_begin_with_nothing() {
        let kill = [Capability::KILL].into_iter().collect();
        assert_eq!(
            assignments(kill, CapabilitySet::EMPTY),
            "CapabilityBoundingSet=\nCapabilityBoundingSet=CAP_KILL\nAmbientCapabilities=\n"
        );
    }
}
