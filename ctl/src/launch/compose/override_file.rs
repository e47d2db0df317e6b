//! The override file, which compose merges into the files of the project (compose-spec, 13-merge.md).

use capprof_profile::CapabilitySet;
use std::fmt::Write;

/// The settings of the service in the override file, in addition to the project's or instead of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct OverrideFile<'a> {
    pub(crate) service: &'a str,
    /// The runtime, as docker knows it; `None`: as the project has it.
    pub(crate) runtime: Option<&'a str>,
    /// The instructions to capprof.
    pub(crate) marks: Vec<(&'static str, String)>,
    /// True if they are written as annotations, not as labels.
    pub(crate) annotations: bool,
    /// The label by which the container is found.
    pub(crate) found_by: (&'static str, String),
    /// The replacement for the service's `privileged`.
    pub(crate) instead: Option<PrivilegedReplacement<'a>>,
}

/// The replacement for `privileged`.
#[derive(Clone, Debug, Default)]
pub(crate) struct PrivilegedReplacement<'a> {
    /// The capabilities; `None`: those of the project.
    pub(crate) set: Option<CapabilitySet>,
    /// True if the project's own `cap_add` and `cap_drop` can be left out (compose 2.24.4).
    pub(crate) replaces: bool,
    /// Devices: the path, and the access.
    pub(crate) devices: &'a [(String, String)],
    /// Device rules.
    pub(crate) rules: &'a [String],
    /// Sysctls: name and value.
    pub(crate) sysctls: &'a [(String, String)],
}

impl OverrideFile<'_> {
    /// Returns the text of the file.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("services:\n  {}:\n", quoted(self.service));
        let mut line = |line: &str| {
            let _ = writeln!(text, "    {line}");
        };
        if let Some(runtime) = self.runtime {
            line(&format!("runtime: {}", quoted(runtime)));
        }
        // A container that restarts cannot be judged, nor can several.
        line("restart: \"no\"");
        line("deploy: {replicas: 1, restart_policy: {condition: none}}");
        let (key, value) = &self.found_by;
        let found_by = (*key, value.clone());
        let (annotations, labels): (Vec<_>, Vec<_>) = match self.annotations {
            true => (self.marks.clone(), vec![found_by]),
            false => {
                let labels = self.marks.iter().cloned().chain([found_by]).collect();
                (Vec::new(), labels)
            }
        };
        if !annotations.is_empty() {
            line(&format!("annotations: {}", mapping(&annotations)));
        }
        line(&format!("labels: {}", mapping(&labels)));
        if let Some(instead) = &self.instead {
            instead.lines().iter().for_each(|one| line(one));
        }
        text
    }
}

impl PrivilegedReplacement<'_> {
    fn lines(&self) -> Vec<String> {
        let mut lines = vec!["privileged: false".to_owned()];
        let tag = match self.replaces {
            true => "!override ",
            false => "",
        };
        if let Some(set) = self.set {
            let names: Vec<String> = set.iter().map(|one| one.short_name().to_owned()).collect();
            lines.push(format!("cap_drop: {tag}[ALL]"));
            lines.push(format!("cap_add: {tag}{}", list(&names)));
        }
        let devices: Vec<String> = self
            .devices
            .iter()
            .map(|(path, access)| format!("{path}:{path}:{access}"))
            .collect();
        if !devices.is_empty() {
            lines.push(format!("devices: {}", list(&devices)));
        }
        if !self.rules.is_empty() {
            lines.push(format!("device_cgroup_rules: {}", list(self.rules)));
        }
        if !self.sysctls.is_empty() {
            let sysctls: Vec<_> = (self.sysctls.iter())
                .map(|(name, value)| (name.as_str(), value.clone()))
                .collect();
            lines.push(format!("sysctls: {}", mapping(&sysctls)));
        }
        lines
    }
}

fn mapping(pairs: &[(&str, String)]) -> String {
    let entries: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{}: {}", quoted(key), quoted(value)))
        .collect();
    format!("{{{}}}", entries.join(", "))
}

fn list(items: &[String]) -> String {
    let items: Vec<String> = items.iter().map(|item| quoted(item)).collect();
    format!("[{}]", items.join(", "))
}

/// A string in double quotes, the same in JSON and YAML. A dollar sign is doubled, because it would begin a variable.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text.replace('$', "$$")).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use capprof_profile::Capability;
    use snapbox::assert_data_eq;

    fn override_file() -> OverrideFile<'static> {
        OverrideFile {
            service: "web",
            runtime: Some("capprof"),
            marks: vec![("io.capprof.mode", "verify".to_owned())],
            annotations: true,
            found_by: ("capprofctl.run", "/tmp/a $b".to_owned()),
            instead: None,
        }
    }

    #[test]
    fn what_the_service_has_besides_stays() {
        assert_data_eq!(
            override_file().text(),
            snapbox::str![[r#"
services:
  "web":
    runtime: "capprof"
    restart: "no"
    deploy: {replicas: 1, restart_policy: {condition: none}}
    annotations: {"io.capprof.mode": "verify"}
    labels: {"capprofctl.run": "/tmp/a $$b"}

"#]]
        );
    }

    #[test]
    fn the_answer_takes_the_place_of_privileged() {
        let devices = [("/dev/fuse".to_owned(), "rw".to_owned())];
        let sysctls = [("net.ipv4.ip_forward".to_owned(), "1".to_owned())];
        let instead = PrivilegedReplacement {
            set: Some([Capability::CHOWN].into_iter().collect()),
            replaces: true,
            devices: &devices,
            rules: &["c 10:200 rw".to_owned()],
            sysctls: &sysctls,
        };
        let text = OverrideFile {
            annotations: false,
            instead: Some(instead),
            ..override_file()
        }
        .text();
        assert_data_eq!(
            text,
            snapbox::str![[r#"
services:
  "web":
    runtime: "capprof"
    restart: "no"
    deploy: {replicas: 1, restart_policy: {condition: none}}
    labels: {"io.capprof.mode": "verify", "capprofctl.run": "/tmp/a $$b"}
    privileged: false
    cap_drop: !override [ALL]
    cap_add: !override ["CHOWN"]
    devices: ["/dev/fuse:/dev/fuse:rw"]
    device_cgroup_rules: ["c 10:200 rw"]
    sysctls: {"net.ipv4.ip_forward": "1"}

"#]]
        );
    }
}
