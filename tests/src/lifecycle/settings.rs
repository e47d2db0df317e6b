//! The effects of annotations and of the mode.

use super::*;

pub(super) const BODIES: [(&str, Body); 3] = [
    ("seccomp_hides_nothing", seccomp_hides_nothing),
    (
        "annotations_name_and_direct_the_result",
        annotations_name_and_direct_the_result,
    ),
    (
        "mode_off_and_sandboxes_are_left_alone",
        mode_off_and_sandboxes_are_left_alone,
    ),
];

fn seccomp_hides_nothing(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let container = Container::new(environment, runtime, &["/bin/corpus", "sys_chroot"])?;
    container.edit(|config| {
        // Engines refuse system calls in this form if the container lacks their capabilities.
        config["linux"]["seccomp"] = json!({
            "defaultAction": "SCMP_ACT_ALLOW",
            "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [
                {"names": ["chroot"], "action": "SCMP_ACT_ERRNO", "errnoRet": 1},
                {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38},
            ],
        });
        // Without this, setting the filter would need a capability itself.
        config["process"]["noNewPrivileges"] = json!(true);
    })?;
    let profile = container.run_and_expect(&[Capability::SYS_CHROOT])?;
    ensure!(
        profile
            .conditions
            .relaxed
            .iter()
            .any(|relaxation| relaxation.pointer.starts_with("/linux/seccomp")),
        "the relaxation is not listed: {:?}",
        profile.conditions.relaxed
    );
    Ok(())
}

fn annotations_name_and_direct_the_result(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::new(environment, runtime, &["/bin/corpus", "sys_chroot"])?;
    let output = container.path("output");
    fs::create_dir(&output)?;
    container.edit(|config| {
        config["annotations"] = json!({
            "io.capprof.name": "a name",
            "io.capprof.output": output,
        });
    })?;
    let profile = container.run_and_expect(&[Capability::SYS_CHROOT])?;
    ensure!(
        profile.origin.name.as_deref() == Some("a name"),
        "name {:?}",
        profile.origin.name
    );
    let stored = container
        .store()
        .join("profiles")
        .join(&container.id)
        .join(&profile.origin.recording_id);
    for directory in [
        container.bundle().as_path(),
        output.as_path(),
        stored.as_path(),
    ] {
        for file in ["capprof.json", "config.minimized.json"] {
            ensure!(
                directory.join(file).is_file(),
                "{} is missing",
                directory.join(file).display()
            );
        }
    }
    for query in ["a name", &container.id, &profile.origin.recording_id] {
        let report = report(&container, query)?;
        ensure!(
            report.contains("CAP_SYS_CHROOT"),
            "report of {query}: {report}"
        );
        ensure!(
            // The bundle does not give it, so it is not known if the program does without.
            report.contains("asks for SYS_CHROOT too")
                && report.contains("docker run --cap-drop=all IMAGE"),
            "no form to paste: {report}"
        );
    }
    Ok(())
}

fn report(container: &Container, query: &str) -> anyhow::Result<String> {
    let output = Command::new(container.environment.binaries.join("capprofctl"))
        .args([
            "--store",
            &container.store().to_string_lossy(),
            "report",
            query,
        ])
        .output()?;
    ensure!(
        output.status.success(),
        "capprofctl report {query}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}

fn mode_off_and_sandboxes_are_left_alone(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    for (name, value) in [
        ("io.capprof.mode", "off"),
        ("io.kubernetes.cri.container-type", "sandbox"),
        ("io.kubernetes.cri-o.ContainerType", "sandbox"),
    ] {
        let container = Container::new(environment, runtime, &["/bin/true"])?;
        container.edit(|config| config["annotations"] = json!({name: value}))?;
        let output = container.run()?;
        ensure!(output.status.success(), "{name}: {}", output.status);
        ensure!(
            !container.bundle().join("capprof.json").exists(),
            "{name}={value} was profiled"
        );
    }
    Ok(())
}
