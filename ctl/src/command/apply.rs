//! `capprofctl apply`

use crate::apply::{self, FileFormat};
use crate::cli::ApplyOptions;
use crate::exit::Exit;
use crate::output;
use crate::render::{FormKind, Parts};
use anyhow::{Context, bail};
use capprof_profile::profile::Profile;
use capprof_profile::verification::Verdict;
use capprof_store::file::{self, Attributes};
use capprof_store::profiles::Store;
use similar::TextDiff;

/// Puts answers into a file, or shows the change.
///
/// # Errors
/// The file cannot be read, is of no known kind, or has no verified profile. Then it is unchanged.
pub(crate) fn run(store: &Store, options: &ApplyOptions) -> anyhow::Result<Exit> {
    let path = options.file.as_path();
    let context = || format!("apply {}", path.display());
    let before = String::from_utf8(file::read(path)?)
        .map_err(|_| anyhow::anyhow!("it is not UTF-8"))
        .with_context(context)?;
    let kind = apply::kind(path, &before).with_context(context)?;
    let mut after = before.clone();
    for (name, profile) in wanted(store, kind, &before, options).with_context(context)? {
        let parts = Parts::of(engine(kind), &profile)?;
        let edited = apply::apply(kind, &after, &name, &parts).with_context(context)?;
        for note in &edited.notes {
            output::message(&format!("{name}: {note}"));
        }
        after = edited.text;
    }
    if after == before {
        output::message(&format!("{}: nothing to change", path.display()));
        return Ok(Exit::Success);
    }
    if options.write {
        let metadata = std::fs::metadata(path).with_context(context)?;
        file::write(path, after.as_bytes(), Attributes::Like(&metadata))?;
        output::message(&format!("{}: written", path.display()));
        return Ok(Exit::Success);
    }
    let name = path.display().to_string();
    let diff = TextDiff::from_lines(&before, &after);
    output::print_raw(&diff.unified_diff().header(&name, &name).to_string())?;
    Ok(Exit::Success)
}

/// The form that matches a kind of file.
fn engine(kind: FileFormat) -> FormKind {
    match kind {
        FileFormat::Compose => FormKind::Compose,
        FileFormat::Kubernetes => FormKind::Kubernetes,
        FileFormat::Quadlet => FormKind::Quadlet,
        FileFormat::Systemd => FormKind::Systemd,
    }
}

/// The names in the file that get an answer, with their profiles.
fn wanted(
    store: &Store,
    kind: FileFormat,
    text: &str,
    options: &ApplyOptions,
) -> anyhow::Result<Vec<(String, Profile)>> {
    let unit = options
        .file
        .file_stem()
        .map(|stem| stem.to_string_lossy().into_owned())
        .unwrap_or_default();
    let names = match (kind, options.service.as_deref()) {
        (FileFormat::Quadlet | FileFormat::Systemd, _) => {
            vec![options.service.as_deref().unwrap_or(&unit).to_owned()]
        }
        (_, Some(name)) => vec![name.to_owned()],
        (_, None) => apply::names(kind, text)?,
    };
    // A single name must have a profile. Of several, those without one are left out.
    if let [name] = names.as_slice() {
        let profile = found(store, kind, name, options)?;
        let profile = verified(profile, options)?;
        return Ok(vec![(name.clone(), profile)]);
    }
    if options.profile.is_some() {
        bail!(
            "there are several: {}; choose one by --service",
            names.join(", ")
        );
    }
    let mut all = Vec::new();
    for name in names {
        match found(store, kind, &name, options) {
            Ok(profile) => all.push((name, verified(profile, options)?)),
            Err(error) => output::message(&format!("{name}: left as it is: {error}")),
        }
    }
    Ok(all)
}

fn found(
    store: &Store,
    kind: FileFormat,
    name: &str,
    options: &ApplyOptions,
) -> anyhow::Result<Profile> {
    if let Some(profile) = &options.profile {
        return Ok(store.find(profile)?.profile);
    }
    // podman calls a Quadlet's container systemd-NAME.
    let quadlet = format!("systemd-{name}");
    match (kind, store.find(name)) {
        (FileFormat::Quadlet, Err(_)) => Ok(store.find(&quadlet)?.profile),
        (_, found) => Ok(found?.profile),
    }
}

/// Accepts a profile for the file only if its set was verified, or if the user takes unverified sets.
fn verified(profile: Profile, options: &ApplyOptions) -> anyhow::Result<Profile> {
    let id = &profile.origin.recording_id;
    if options.unverified {
        return Ok(profile);
    }
    match profile.verification.as_ref().map(|one| one.verdict) {
        Some(Verdict::Verified) => Ok(profile),
        _ => bail!(
            "the set of {id} is not verified: run capprofctl verify, or accept it with --unverified"
        ),
    }
}
