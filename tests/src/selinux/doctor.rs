//! What `capprofctl doctor` says of SELinux.

use super::audit::{EXCLUDE, INCLUDE, auditctl, auditd};
use super::*;

pub(super) const BODIES: [(&str, Body); 1] = [("doctor_explains", doctor_explains)];

fn doctor(environment: &Environment) -> anyhow::Result<(serde_json::Value, String)> {
    let run = |arguments: &[&str]| -> anyhow::Result<Vec<u8>> {
        let output = Command::new(environment.binaries.join("capprofctl"))
            .args(arguments)
            .output()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(output.stdout)
    };
    let mut report: serde_json::Value =
        serde_json::from_slice(&run(&["doctor", "--format", "json"])?)?;
    let text = String::from_utf8(run(&["doctor"])?)?;
    Ok((report["recorders"]["selinux"].take(), text))
}

fn doctor_explains(environment: &Arc<Environment>, _: &Runtime) -> anyhow::Result<()> {
    let (report, text) = doctor(environment)?;
    ensure!(
        report["usable"] == true
            && report["selinux"] == "enforcing"
            && report["module"]["loaded"] == true
            && report["module"]["booleans"][RECORDING] == false
            && report["audit"]["daemon"] == "auditd"
            && report["audit"]["log"] == "/var/log/audit/audit.log",
        "{report:#}"
    );
    for scope in ["domain", "host"] {
        ensure!(
            report["scopes"][scope]["possible"] == true,
            "scope {scope}: {report:#}"
        );
    }
    let spots = |scope: &str, namespace: &str| -> anyhow::Result<Vec<String>> {
        Ok(report["scopes"][scope]["blind_spots"][namespace]
            .as_array()
            .with_context(|| format!("scope {scope} {namespace}: {report:#}"))?
            .iter()
            .filter_map(|spot| Some(spot["capability"].as_str()?.to_owned()))
            .collect())
    };
    for namespace in ["in_the_initial_user_namespace", "in_a_user_namespace"] {
        let hidden = spots("domain", namespace)?;
        ensure!(hidden.is_empty(), "scope domain {namespace}: {hidden:?}");
    }
    let hidden = spots("host", "in_the_initial_user_namespace")?;
    for capability in ["CAP_NET_BIND_SERVICE", "CAP_SYS_ADMIN"] {
        ensure!(
            hidden.iter().any(|one| one == capability),
            "scope host: {capability} is not among {hidden:?}"
        );
    }
    for line in [
        "SELinux: can record",
        "capprof_recording: no",
        "daemon: auditd",
        "CAP_NET_BIND_SERVICE: the policy allows it",
    ] {
        ensure!(text.contains(line), "{line}: not in {text}");
    }
    // What stands in the way is told with what to do about it.
    auditctl(&EXCLUDE)?;
    let excluded = doctor(environment);
    auditctl(&INCLUDE)?;
    auditctl(&["-b", "64"])?;
    let short = doctor(environment);
    auditctl(&["-b", "8192"])?;
    auditd("stop")?;
    let absent = doctor(environment);
    auditd("start")?;
    let (report, text) = excluded?;
    ensure!(
        report["usable"] == false && text.contains("audit rule -a never,exclude -F msgtype=AVC"),
        "{text}"
    );
    let (_, text) = short?;
    ensure!(
        text.contains("audit keeps 64 records waiting at most"),
        "{text}"
    );
    let (report, text) = absent?;
    ensure!(
        report["usable"] == true && report["audit"]["log"].is_null(),
        "{text}"
    );
    Ok(())
}
