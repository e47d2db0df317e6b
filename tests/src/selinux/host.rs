//! Scope host: the mode is switched, and restored.

use super::*;

pub(super) const BODIES: [(&str, Body); 4] = [
    ("host_toggles_and_restores", host_toggles_and_restores),
    ("host_kill_restores", host_kill_restores),
    ("host_two_overlapping", host_two_overlapping),
    (
        "host_administrator_changes_the_mode",
        host_administrator_changes_the_mode,
    ),
];

fn toggled(now: &Switches) -> bool {
    !now.enforcing
}

fn host_toggles_and_restores(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let before = Switches::read()?;
    let boolean = ["container_use_host_all_caps", "virt_sandbox_use_all_caps"]
        .into_iter()
        .find(|name| before.boolean(name).is_some())
        .context("the policy has no boolean about containers' capabilities")?;
    // It is switched on, so that there is something to toggle; on Debian it is off.
    set_boolean(boolean, true)?;
    let on = Switches::read()?;
    let result = (|| {
        let script = format!("corpus dac_override-write; corpus sys_nice; {READY}");
        let container = recorded(environment, runtime, "host", &script)?;
        container.start()?;
        wait_for(&container, "ready")?;
        let during = Switches::read()?;
        ensure!(!during.enforcing, "the host is enforcing");
        ensure!(during.boolean(boolean) == Some(false), "{boolean} is on");
        let (_, context) = init(&container)?;
        ensure!(context.contains(":container_t:"), "context {context}");
        end(&container)?;
        ensure!(Switches::read()? == on, "not restored");
        let profile = container.profile()?;
        for capability in [Capability::NET_BIND_SERVICE, Capability::SYS_ADMIN] {
            ensure!(
                profile
                    .findings
                    .blind_spots
                    .iter()
                    .any(|spot| spot.capability == Some(capability)),
                "{capability} is not named as a blind spot: {:?}",
                profile.findings.blind_spots
            );
        }
        for capability in [Capability::DAC_OVERRIDE, Capability::SYS_NICE] {
            ensure!(
                profile.findings.minimized.contains(capability),
                "{capability} is missing: {:?}",
                profile.findings.minimized
            );
        }
        Ok(())
    })();
    set_boolean(boolean, before.boolean(boolean) == Some(true))?;
    result
}

fn host_kill_restores(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    let before = Switches::read()?;
    for step in 0..6 {
        let container = recorded(environment, runtime, "host", "exec corpus wait")?;
        kill_all(&container, Duration::from_millis(200 * step))?;
        recover(environment)?;
        let after = Switches::read()?;
        if after != before {
            // The container's first process may have outlived the runtime. Then its deletion ends the recording.
            delete(&container)?;
            recover(environment)?;
        }
        let after = Switches::read()?;
        ensure!(
            after == before,
            "step {step}: before {before:?}, after {after:?}"
        );
        delete(&container)?;
    }
    Ok(())
}

fn host_two_overlapping(environment: &Arc<Environment>, runtime: &Runtime) -> anyhow::Result<()> {
    overlapping(environment, runtime, "host", 2, toggled)
}

fn host_administrator_changes_the_mode(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    // An administrator makes the host enforcing during the recording: it stays enforcing.
    let container = recorded(environment, runtime, "host", READY)?;
    container.start()?;
    wait_for(&container, "ready")?;
    set_enforcing(true)?;
    end(&container)?;
    ensure!(Switches::read()?.enforcing, "made permissive again");
    // The host was permissive before the recording: it stays permissive.
    set_enforcing(false)?;
    let result = (|| {
        let container = recorded(environment, runtime, "host", "true")?;
        let output = container.run()?;
        ensure!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        ensure!(
            !Switches::read()?.enforcing,
            "what was permissive was made enforcing"
        );
        Ok(())
    })();
    set_enforcing(true)?;
    result
}
