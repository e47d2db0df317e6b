//! The report of `capprofctl doctor` on SELinux.

use super::audit::{EXCLUDE, INCLUDE, auditctl, auditd};
use super::*;

pub(super) const BODIES: [(&str, Body); 1] = [("doctor_explains", doctor_explains)];

fn doctor(environment: &Environment, arguments: &[&str]) -> anyhow::Result<Vec<u8>> {
    let output = Command::new(environment.binaries.join("capprofctl"))
        .arg("doctor")
        .args(arguments)
        .output()?;
    ensure!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(output.stdout)
}

fn text(environment: &Environment) -> anyhow::Result<String> {
    Ok(String::from_utf8(doctor(environment, &[])?)?)
}

fn report(environment: &Environment) -> anyhow::Result<serde_json::Value> {
    let mut report: serde_json::Value =
        serde_json::from_slice(&doctor(environment, &["--format", "json"])?)?;
    Ok(report["recorders"]["selinux"].take())
}

fn doctor_explains(environment: &Arc<Environment>, _: &Runtime) -> anyhow::Result<()> {
    let (report, said) = (report(environment)?, text(environment)?);
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
    let mut hidden = spots("host", "in_the_initial_user_namespace")?;
    // The capabilities of a boolean that is on are known only when a recording has switched it off.
    let perhaps = report["scopes"]["host"]["perhaps_blind_then"].clone();
    hidden.extend(serde_json::from_value::<Vec<String>>(perhaps)?);
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
        ensure!(said.contains(line), "{line}: not in {said}");
    }
    // The report names each obstacle with its remedy. Each call tries every method, which takes long on an emulated machine, so there are few.
    auditctl(&EXCLUDE)?;
    let excluded = text(environment);
    auditctl(&INCLUDE)?;
    auditctl(&["-b", "64"])?;
    let short = text(environment);
    auditctl(&["-b", "8192"])?;
    auditd("stop")?;
    let absent = self::report(environment);
    auditd("start")?;
    for (said, lines) in [
        (
            excluded?,
            &[
                "SELinux: cannot record",
                "audit rule -a never,exclude -F msgtype=AVC",
            ][..],
        ),
        (short?, &["audit keeps at most 64 records waiting"]),
    ] {
        for line in lines {
            ensure!(said.contains(line), "{line}: not in {said}");
        }
    }
    let absent = absent?;
    ensure!(
        absent["usable"] == true && absent["audit"]["log"].is_null(),
        "{absent:#}"
    );
    Ok(())
}
