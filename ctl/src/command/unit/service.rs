//! Asks systemd about a service, and starts and stops it.

use crate::running::sets_of;
use anyhow::bail;
use capprof_profile::recording::ProcessSets;
use capprof_profile::{Capability, CapabilitySet};
use capprof_store::control_group::{self, VERSION_2};
use capprof_store::systemctl;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

/// The properties that systemd is asked for (systemctl(1), `show`).
const PROPERTIES: [&str; 17] = [
    "Id",
    "LoadState",
    "ActiveState",
    "Result",
    "NRestarts",
    "Transient",
    "FragmentPath",
    "ControlGroup",
    "User",
    "DynamicUser",
    "AmbientCapabilities",
    "CapabilityBoundingSet",
    "NoNewPrivileges",
    "PrivateUsers",
    "DelegateSubgroup",
    "ExecStart",
    "DropInPaths",
];

/// The id for a user that is not root and not known otherwise: that of `nobody`.
const NOBODY: u32 = 65_534;

/// A service, as systemd knows it at this moment.
#[derive(Debug)]
pub(super) struct Service {
    /// Its name, as `nginx.service`.
    pub(super) name: String,
    properties: BTreeMap<String, String>,
}

impl Service {
    /// Finds the service with this name or alias; `.service` may be left out.
    ///
    /// # Errors
    /// There is none, or systemd cannot be asked.
    pub(super) fn find(name: &str) -> anyhow::Result<Self> {
        if name.starts_with('-') || name.chars().any(|one| one.is_whitespace() || one == '/') {
            bail!("{name}: not the name of a service, such as nginx.service");
        }
        let mut words = vec!["show", name];
        words.extend(
            PROPERTIES
                .iter()
                .flat_map(|property| ["--property", property]),
        );
        let properties = properties(&systemctl::run(&words)?);
        let service = Self {
            name: properties.get("Id").cloned().unwrap_or_default(),
            properties,
        };
        if !service.property("DelegateSubgroup").is_empty() {
            bail!(
                "{name} has a control group for its program alone (DelegateSubgroup=), which is not recorded: use capprofctl observe PID"
            );
        }
        match (service.property("LoadState"), service.property("Transient")) {
            ("loaded", "no") if service.name.ends_with(".service") => Ok(service),
            ("loaded", "no") => bail!("{}: only services have capabilities", service.name),
            ("loaded", _) => bail!(
                "{name} is transient (systemd-run): it would not come back after a restart; profile its command instead: \
                 capprofctl profile -- COMMAND"
            ),
            (state, _) => bail!("{name}: systemd has no such service ({state})"),
        }
    }

    /// Asks systemd for the service's present state.
    ///
    /// # Errors
    /// As [`find()`](Self::find).
    pub(super) fn again(&self) -> anyhow::Result<Self> {
        Self::find(&self.name)
    }

    fn property(&self, name: &str) -> &str {
        self.properties.get(name).map_or("", String::as_str)
    }

    /// Returns true if it runs, or is about to.
    pub(super) fn is_active(&self) -> bool {
        matches!(
            self.property("ActiveState"),
            "active" | "activating" | "reloading" | "refreshing"
        )
    }

    /// Returns the fault of the service; `None` if it has run since it was started, or has ended with success.
    pub(super) fn failure(&self) -> Option<String> {
        let state = self.property("ActiveState");
        let result = self.property("Result");
        let restarts = self.property("NRestarts");
        if result != "success" || state == "failed" {
            return Some(format!("{} is {state} ({result})", self.name));
        }
        (!matches!(restarts, "" | "0"))
            .then(|| format!("systemd started {} again by itself", self.name))
    }

    /// The file that describes it.
    pub(super) fn file(&self) -> PathBuf {
        PathBuf::from(self.property("FragmentPath"))
    }

    /// Its drop-ins.
    pub(super) fn drop_ins(&self) -> &str {
        self.property("DropInPaths")
    }

    /// The directory of its control group, if it runs.
    pub(super) fn control_group(&self) -> Option<PathBuf> {
        control_group::directory(VERSION_2, self.property("ControlGroup"))
    }

    /// `User=`, by number. Names are looked up in /etc/passwd alone.
    pub(super) fn uid(&self) -> u32 {
        let user = self.property("User");
        let known = || {
            let users = fs::read_to_string("/etc/passwd").ok()?;
            users.lines().find_map(|line| {
                let mut fields = line.split(':');
                (fields.next() == Some(user)).then(|| fields.nth(1)?.parse().ok())?
            })
        };
        match user {
            "" | "root" if self.property("DynamicUser") != "yes" => 0,
            _ => user.parse().ok().or_else(known).unwrap_or(NOBODY),
        }
    }

    /// The sets with which its program starts: those that follow from `AmbientCapabilities=`, `CapabilityBoundingSet=` and the user
    /// (capabilities(7)).
    pub(super) fn sets(&self) -> ProcessSets {
        let ceiling = sets_of(1).bounding;
        let of = |name| set(self.property(name)).intersection(ceiling);
        let bounding = of("CapabilityBoundingSet");
        let ambient = of("AmbientCapabilities").intersection(bounding);
        let effective = match self.uid() {
            0 => bounding,
            _ => ambient,
        };
        ProcessSets {
            bounding,
            effective,
            permitted: effective,
            inheritable: ambient,
            ambient,
        }
    }

    /// `NoNewPrivileges=`.
    pub(super) fn no_new_privileges(&self) -> bool {
        self.property("NoNewPrivileges") == "yes"
    }

    /// Returns true if its processes are in a user namespace of their own (`PrivateUsers=`).
    pub(super) fn has_user_namespace(&self) -> bool {
        !matches!(self.property("PrivateUsers"), "" | "no")
    }

    /// The words of `ExecStart=`.
    pub(super) fn words(&self) -> Vec<String> {
        let text = self.property("ExecStart");
        let words = text.split_once("argv[]=").map_or("", |(_, rest)| rest);
        let words = words.split_once(" ; ").map_or(words, |(words, _)| words);
        words.split_whitespace().map(str::to_owned).collect()
    }
}

/// `Name=value`, a line each.
fn properties(text: &str) -> BTreeMap<String, String> {
    text.lines()
        .filter_map(|line| line.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Capabilities as systemd names them: `cap_chown cap_kill`.
fn set(names: &str) -> CapabilitySet {
    names
        .split_whitespace()
        .filter_map(|name| name.to_ascii_uppercase().parse::<Capability>().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(text: &str) -> Service {
        Service {
            name: "web.service".to_owned(),
            properties: properties(text),
        }
    }

    #[test]
    fn a_units_own_settings_are_what_its_program_starts_with() {
        let root = service("CapabilityBoundingSet=cap_chown cap_kill\nAmbientCapabilities=\n");
        assert_eq!(root.uid(), 0);
        let both: CapabilitySet = [Capability::CHOWN, Capability::KILL].into_iter().collect();
        assert_eq!(
            root.sets().effective,
            both.intersection(sets_of(1).bounding)
        );
        let text = "User=12345\nCapabilityBoundingSet=cap_chown cap_kill\nAmbientCapabilities=cap_kill cap_syslog\n";
        let other = service(text);
        assert_eq!(other.uid(), 12345);
        let kill: CapabilitySet = [Capability::KILL].into_iter().collect();
        assert_eq!(
            other.sets().effective,
            kill.intersection(sets_of(1).bounding)
        );
        assert_eq!(other.sets().bounding, root.sets().bounding);
        assert_eq!(service("User=\nDynamicUser=yes\n").uid(), NOBODY);
        assert_eq!(service("User=nobody-has-this-name\n").uid(), NOBODY);
        assert_eq!(service("User=daemon\n").uid(), 1);
    }

    #[test]
    fn the_command_is_what_systemd_shows_of_it() {
        let text = "ExecStart={ path=/usr/sbin/nginx ; argv[]=/usr/sbin/nginx -g daemon on; master_process on; ; ignore_errors=no ; pid=0 }\n";
        let words = service(text).words();
        assert_eq!(words.first().unwrap(), "/usr/sbin/nginx");
        assert!(service("").words().is_empty());
    }

    #[test]
    fn what_failed_or_was_started_again_is_told() {
        let of = |text: &str| service(text).failure();
        assert_eq!(
            of("ActiveState=active\nResult=success\nNRestarts=0\n"),
            None
        );
        assert_eq!(of("ActiveState=inactive\nResult=success\n"), None);
        assert!(of("ActiveState=failed\nResult=exit-code\n").is_some());
        assert!(of("ActiveState=active\nResult=success\nNRestarts=2\n").is_some());
    }
}
