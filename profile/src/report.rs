//! The part of a profile about the recorders, the runtime and the host.

use crate::observation::RecorderName;
use crate::settings::Scope;
use serde::{Deserialize, Serialize};

/// The report of one recorder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecorderReport {
    /// The recorder.
    pub recorder: RecorderName,
    /// True if it recorded.
    pub recorded: bool,
    /// The method, for a reader: `tp_btf/cap_capable`, `audit log, scope domain`; empty if it did not record.
    pub method: String,
    /// How far SELinux was toggled for it: never [`Scope::Auto`]. `None` if it did not record, for eBPF, and in profiles of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub scope: Option<Scope>,
    /// The methods that were tried and refused, a line each.
    pub refused: Vec<String>,
    /// The reason, in one line, why the recorder did not see the results of the system calls with refused checks. `None` if it saw them, if it was not
    /// to follow them, and in profiles of earlier versions.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub results_unseen: Option<String>,
}

/// The runtime that ran the container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeReport {
    /// `runc` or `crun`.
    pub name: String,
    /// The binary.
    #[serde(with = "crate::serde_path")]
    pub path: std::path::PathBuf,
}

/// The host of a recording.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostReport {
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`.
    pub architecture: String,
    /// capprof's own version.
    pub capprof: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_of_an_earlier_version_has_neither_scope_nor_unseen_results() {
        let earlier = r#"{"recorder":"selinux","recorded":true,"method":"audit log, scope host","refused":[]}"#;
        let report: RecorderReport = serde_json::from_str(earlier).unwrap();
        assert_eq!((report.scope, &report.results_unseen), (None, &None));
        assert_eq!(serde_json::to_string(&report).unwrap(), earlier);
    }

    #[test]
    fn the_scope_is_written_as_in_the_configuration() {
        let report = RecorderReport {
            recorder: RecorderName::Selinux,
            recorded: true,
            method: "audit log, scope host".to_owned(),
            scope: Some(Scope::Host),
            refused: Vec::new(),
            results_unseen: None,
        };
        let text = serde_json::to_string(&report).unwrap();
        assert!(text.contains(r#""scope":"host""#), "{text}");
        assert_eq!(
            serde_json::from_str::<RecorderReport>(&text).unwrap(),
            report
        );
    }
}
