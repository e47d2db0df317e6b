//! Labels: the level of a container.

use super::*;

pub(super) const BODIES: [(&str, Body); 3] = [
    ("the_same_container_twice", the_same_container_twice),
    (
        "two_containers_with_one_level",
        two_containers_with_one_level,
    ),
    ("files_keep_the_engines_level", files_keep_the_engines_level),
];

fn the_same_container_twice(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = recorded(
        environment,
        runtime,
        "domain",
        "corpus chown && corpus net_raw",
    )?;
    for round in 0..3 {
        run_and_expect(&container, &[Capability::CHOWN, Capability::NET_RAW])
            .with_context(|| format!("round {round}"))?;
    }
    Ok(())
}

/// Gives the container the label that an engine would.
fn set_label(container: &Container, level: &str) -> anyhow::Result<()> {
    container.edit(|config| {
        config["process"]["selinuxLabel"] = format!("system_u:system_r:container_t:{level}").into();
        config["linux"]["mountLabel"] =
            format!("system_u:object_r:container_file_t:{level}").into();
    })
}

fn two_containers_with_one_level(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    // These containers share a level, as in a pod.
    let one = recorded(
        environment,
        runtime,
        "domain",
        &format!("corpus sys_chroot; {READY}"),
    )?;
    let other = recorded(
        environment,
        runtime,
        "domain",
        &format!("corpus net_raw; {READY}"),
    )?;
    for container in [&one, &other] {
        set_label(container, "s0:c11,c12")?;
        container.start()?;
    }
    for container in [&one, &other] {
        wait_for(container, "ready")?;
    }
    end(&one)?;
    end(&other)?;
    expect(&one.profile()?, &[Capability::SYS_CHROOT])?;
    expect(&other.profile()?, &[Capability::NET_RAW])
}

fn files_keep_the_engines_level(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let level = "s0:c21,c22";
    let label_of = |path: &Path| -> anyhow::Result<String> {
        let output = Command::new("stat").arg("-c%C").arg(path).output()?;
        Ok(String::from_utf8(output.stdout)?.trim().to_owned())
    };
    let container = recorded(
        environment,
        runtime,
        "domain",
        "echo profiled > /shared/made",
    )?;
    set_label(&container, level)?;
    let relabel = |container: &Container| {
        crate::container::succeed(
            Command::new("chcon")
                .args(["-R", &format!("system_u:object_r:container_file_t:{level}")])
                .arg(container.path("shared"))
                .arg(container.bundle().join("rootfs")),
        )
    };
    relabel(&container)?;
    run_and_expect(&container, &[])?;
    let made = label_of(&container.path("shared").join("made"))?;
    ensure!(
        made.ends_with(&format!(":{level}")),
        "a file in the volume got {made}"
    );
    // A normal container of the same level reads it afterwards. It copies it into a file, because it may not write to the pipes of the
    // process that runs this test.
    let copy = ["/bin/sh", "-c", "cat /shared/made > /shared/copy"];
    let reader = Container::new(environment, runtime, &copy)?;
    share(&reader)?;
    set_label(&reader, level)?;
    relabel(&reader)?;
    fs::remove_dir_all(reader.path("shared"))?;
    fs::rename(container.path("shared"), reader.path("shared"))?;
    reader.edit(|config| config["annotations"] = serde_json::json!({"io.capprof.mode": "off"}))?;
    let output = reader.run()?;
    let copied = fs::read_to_string(reader.path("shared").join("copy")).unwrap_or_default();
    ensure!(
        copied == "profiled\n",
        "a normal container cannot read it: {} {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}
