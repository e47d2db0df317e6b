//! Containers that start as a user other than root.

use super::*;

pub(super) const BODIES: [(&str, Body); 2] = [
    (
        "a_user_other_than_root_is_granted_the_bounding_set_alone",
        a_user_other_than_root_is_granted_the_bounding_set_alone,
    ),
    (
        "a_user_other_than_root_gets_ambient_sets",
        a_user_other_than_root_gets_ambient_sets,
    ),
];

/// A process that is not root runs as in production: the report names a capability that it fails without, and the set does not have it.
fn a_user_other_than_root_is_granted_the_bounding_set_alone(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let container = Container::new(environment, runtime, &["/bin/corpus", "net_raw"])?;
    container.use_user(1000)?;
    container.edit(|config| config["process"]["capabilities"] = json!({}))?;
    let output = container.run()?;
    ensure!(output.status.code() == Some(1), "{}", output.status);
    let profile = container.profile()?;
    ensure!(profile.complete && profile.findings.minimized.is_empty());
    let lacking: Vec<Capability> = profile
        .denied_needs
        .iter()
        .map(|need| need.capability)
        .collect();
    ensure!(lacking == [Capability::NET_RAW], "{lacking:?}");

    // A capability that a file gives is used, and belongs in the bounding set alone.
    let container = Container::new(environment, runtime, &["/bin/corpus", "file-capability"])?;
    container.use_user(1000)?;
    container.edit(|config| config["process"]["capabilities"] = json!({}))?;
    let profile = container.run_and_expect(&[Capability::NET_RAW])?;
    let sets = profile.findings.minimized_sets;
    ensure!(
        sets.ambient.is_empty() && sets.effective.is_empty(),
        "{sets:?}"
    );
    let config = container.bundle().join("config.json");
    fs::copy(container.bundle().join("config.minimized.json"), config)?;
    succeed(&mut container.bare())?;
    Ok(())
}

fn a_user_other_than_root_gets_ambient_sets(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let mut container = Container::new(environment, runtime, &["/bin/corpus", "net_raw"])?;
    container.use_user(1000)?;
    container.grant_ambient();
    let profile = container.run_and_expect(&[Capability::NET_RAW])?;
    ensure!(
        profile.findings.minimized_sets.ambient == profile.findings.minimized,
        "without ambient they would not be effective: {:?}",
        profile.findings.minimized_sets
    );
    let config = container.bundle().join("config.json");
    fs::copy(container.bundle().join("config.minimized.json"), config)?;
    succeed(&mut container.bare())?;
    ensure!(
        Path::new(&container.path("bare")).exists(),
        "the bare runtime was not used"
    );
    Ok(())
}
