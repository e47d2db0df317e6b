//! Engines that read drop-ins: the file is capprof's own.

use super::kind::NAME;
use toml_edit::DocumentMut;

const PODMAN: &str = include_str!("../../../packaging/podman/50-capprof.conf");
const CRIO: &str = include_str!("../../../packaging/crio/50-capprof.conf.in");

/// podman, containers.conf(5): as the packages install it, with another directory in front if the binaries are elsewhere. If the low-level runtime,
/// `wrapped`, is crun, the runtime has crun's features.
pub(super) fn podman(runtime: &str, wrapped: &str) -> String {
    let text = match is_crun(wrapped) {
        true => PODMAN.replace(
            "\"krun\", \"capprof-crun\"]",
            "\"krun\", \"capprof-crun\", \"capprof\"]",
        ),
        false => PODMAN.to_owned(),
    };
    if PODMAN.contains(&format!("\"{runtime}\"")) {
        return text;
    }
    ["capprof", "capprof-runc", "capprof-crun"]
        .into_iter()
        .fold(text, |text, name| {
            let path = runtime.strip_suffix("capprof").unwrap_or(runtime);
            text.replace(
                &format!("{name} = ["),
                &format!("{name} = [\"{path}{name}\", "),
            )
        })
}

/// CRI-O, crio.conf(5). CRI-O reads the state directory of the low-level runtime, `wrapped`, which capprof's configuration names.
pub(super) fn crio(runtime: &str, wrapped: &str) -> String {
    let root = match is_crun(wrapped) {
        true => "/run/crun",
        false => "/run/runc",
    };
    CRIO.replace("@PREFIX@/bin/capprof", runtime)
        .replace("\"/run/runc\"", &format!("\"{root}\""))
}

/// Returns true if a configuration, as `crio config` shows it, has the runtime handler.
pub(super) fn crio_has_handler(shown: &str) -> bool {
    let runtimes = shown.parse::<DocumentMut>().ok().and_then(|document| {
        let runtime = document.get("crio")?.get("runtime")?;
        Some(runtime.get("runtimes")?.get(NAME).is_some())
    });
    runtimes == Some(true)
}

/// Returns true if a runtime, by name or path, is called crun.
fn is_crun(wrapped: &str) -> bool {
    wrapped
        .rsplit('/')
        .next()
        .unwrap_or(wrapped)
        .contains("crun")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handler_is_found_in_what_crio_shows() {
        // Default values are comments there.
        let shown = |handlers: &str| {
            format!(
                "[crio]\n# root = \"/var/lib/containers/storage\"\n[crio.runtime]\n# no_pivot = false\n{handlers}[crio.image]\n"
            )
        };
        let others = "# [crio.runtime.runtimes.runc]\n# runtime_path = \"\"\n";
        assert!(!crio_has_handler(&shown(others)));
        assert!(!crio_has_handler(&shown(
            "# [crio.runtime.runtimes.capprof]\n"
        )));
        assert!(crio_has_handler(&shown(&format!(
            "{others}{}",
            crio("/usr/bin/capprof", "runc")
        ))));
        assert!(!crio_has_handler("not TOML"));
    }
}
