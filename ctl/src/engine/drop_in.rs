//! Engines that read drop-ins: the file is capprof's own.

const PODMAN: &str = include_str!("../../../packaging/podman/50-capprof.conf");
const CRIO: &str = include_str!("../../../packaging/crio/50-capprof.conf.in");

/// podman, containers.conf(5): as the packages install it, with another directory in front where the binaries are elsewhere.
pub(super) fn podman(runtime: &str) -> String {
    if PODMAN.contains(&format!("\"{runtime}\"")) {
        return PODMAN.to_owned();
    }
    ["capprof", "capprof-runc", "capprof-crun"]
        .into_iter()
        .fold(PODMAN.to_owned(), |text, name| {
            let path = runtime.strip_suffix("capprof").unwrap_or(runtime);
            text.replace(
                &format!("{name} = ["),
                &format!("{name} = [\"{path}{name}\", "),
            )
        })
}

/// CRI-O, crio.conf(5). CRI-O looks where the low-level runtime keeps its containers, `wrapped`, which capprof's configuration names.
pub(super) fn crio(runtime: &str, wrapped: &str) -> String {
    let name = wrapped.rsplit('/').next().unwrap_or(wrapped);
    let root = match name.contains("crun") {
        true => "/run/crun",
        false => "/run/runc",
    };
    CRIO.replace("@PREFIX@/bin/capprof", runtime)
        .replace("\"/run/runc\"", &format!("\"{root}\""))
}
