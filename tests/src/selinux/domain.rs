//! Scope domain: the host stays enforcing, and one boolean alone lets processes enter the domain.

use super::*;

pub(super) const BODIES: [(&str, Body); 8] = [
    (
        "domain_keeps_the_host_enforcing",
        domain_keeps_the_host_enforcing,
    ),
    (
        "domain_boolean_is_the_only_entrance",
        domain_boolean_is_the_only_entrance,
    ),
    (
        "domain_has_no_blind_spot_of_the_policy",
        domain_has_no_blind_spot_of_the_policy,
    ),
    (
        "domain_failed_create_restores",
        domain_failed_create_restores,
    ),
    (
        "domain_kill_at_every_step_restores",
        domain_kill_at_every_step_restores,
    ),
    ("domain_two_overlapping", domain_two_overlapping),
    ("domain_twenty_overlapping", domain_twenty_overlapping),
    (
        "domain_administrator_switches_the_boolean",
        domain_administrator_switches_the_boolean,
    ),
];

fn domain_keeps_the_host_enforcing(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let before = Switches::read()?;
    ensure!(before.enforcing, "this host is not enforcing");
    ensure!(
        before.boolean(RECORDING) == Some(false),
        "{RECORDING} is on or absent"
    );
    let container = recorded(
        environment,
        runtime,
        "domain",
        &format!("corpus syslog; {READY}"),
    )?;
    container.start()?;
    wait_for(&container, "ready")?;
    let during = Switches::read()?;
    ensure!(during.enforcing, "the host is permissive");
    ensure!(
        during.boolean(RECORDING) == Some(true),
        "{RECORDING} is off"
    );
    for (name, value) in &during.booleans {
        ensure!(
            name == RECORDING || before.boolean(name) == Some(*value),
            "{name} was switched too"
        );
    }
    let (_, context) = init(&container)?;
    ensure!(context.contains(":capprof_t:"), "context {context}");
    end(&container)?;
    ensure!(Switches::read()? == before, "not restored");
    expect(&container.profile()?, &[Capability::SYSLOG])
}

fn domain_boolean_is_the_only_entrance(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = recorded(environment, runtime, "domain", "true")?;
    let refused = Command::new("runcon")
        .args([
            "-t",
            "capprof_t",
            "-r",
            "system_r",
            "-u",
            "system_u",
            "true",
        ])
        .output()?;
    ensure!(
        !refused.status.success(),
        "capprof_t was entered while nothing is recorded"
    );
    run_and_expect(&container, &[])?;
    Ok(())
}

fn domain_has_no_blind_spot_of_the_policy(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = recorded(environment, runtime, "domain", "true")?;
    let profile = run_and_expect(&container, &[])?;
    let named: Vec<_> = profile
        .findings
        .blind_spots
        .iter()
        .filter(|spot| {
            spot.capability.is_some()
                && (spot.reason.contains("allow") || spot.reason.contains("dontaudit"))
        })
        .collect();
    ensure!(named.is_empty(), "the policy hides {named:?}");
    Ok(())
}

fn domain_failed_create_restores(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let before = Switches::read()?;
    let mut container = Container::new(environment, runtime, &["/bin/absent"])?;
    container
        .configuration
        .push("recorders = \"selinux\"".to_owned());
    let output = container.run()?;
    ensure!(
        !output.status.success(),
        "a program that does not exist was run"
    );
    container.capprof(&["delete", "--force", &container.id])?;
    ensure!(Switches::read()? == before, "not restored");
    Ok(())
}

fn domain_kill_at_every_step_restores(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let before = Switches::read()?;
    for step in 0..8 {
        let container = recorded(environment, runtime, "domain", "exec corpus wait")?;
        kill_all(&container, Duration::from_millis(150 * step))?;
        delete(&container)?;
        recover(environment)?;
        let after = Switches::read()?;
        ensure!(
            after == before,
            "step {step}: before {before:?}, after {after:?}"
        );
        for left in container.recordings()? {
            // The shim was killed before it had described the recording. The directory counts as left over after a minute.
            ensure!(
                !left.join("recording.json").exists(),
                "step {step}: left behind: {}; the runtime has state of it: {}",
                left.display(),
                container.path("runtime").join(&container.id).exists()
            );
            let long_ago = std::time::SystemTime::now() - Duration::from_secs(120);
            fs::File::open(&left)?.set_modified(long_ago)?;
        }
        recover(environment)?;
        let left = container.recordings()?;
        ensure!(left.is_empty(), "step {step}: left behind: {left:?}");
    }
    Ok(())
}

fn domain_two_overlapping(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    overlapping(environment, runtime, "domain", 2, |now| {
        now.enforcing && now.boolean(RECORDING) == Some(true)
    })
}

fn domain_twenty_overlapping(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    overlapping(environment, runtime, "domain", 20, |now| {
        now.enforcing && now.boolean(RECORDING) == Some(true)
    })
}

fn domain_administrator_switches_the_boolean(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    // An administrator switches the boolean off during the recording: it stays off.
    let container = recorded(environment, runtime, "domain", READY.trim_start())?;
    container.start()?;
    wait_for(&container, "ready")?;
    set_boolean(RECORDING, false)?;
    end(&container)?;
    ensure!(
        Switches::read()?.boolean(RECORDING) == Some(false),
        "switched on again"
    );
    // The boolean was on before the recording: it stays on.
    set_boolean(RECORDING, true)?;
    let result = (|| {
        let container = recorded(environment, runtime, "domain", "corpus sys_chroot")?;
        run_and_expect(&container, &[Capability::SYS_CHROOT])?;
        ensure!(
            Switches::read()?.boolean(RECORDING) == Some(true),
            "what the administrator had switched on was switched off"
        );
        Ok(())
    })();
    set_boolean(RECORDING, false)?;
    result
}
