//! Registers the runtime `capprof` with engines.
//!
//! Everything else in an engine's configuration stays as it is, including comments where the format has any. The former file is kept next to it.
//! All paths are below a root, which is `/` except for tests and images.

mod command_line;
mod containerd;
pub(crate) mod containers;
mod directory;
mod docker;
mod drop_in;
mod kind;

use anyhow::{Context, bail};
use capprof_store::file::{self, Attributes};
use capprof_store::settings;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

pub(crate) use kind::Engine;

/// The suffix of the former file's name.
const BACKUP: &str = ".before-capprof";

impl Engine {
    /// Returns the command that makes the engine read its configuration again. `text` is the new configuration.
    pub(crate) fn reload(self, text: Option<&str>) -> Option<&'static str> {
        match self {
            // Without the member, a reload leaves dockerd with the runtimes that it had.
            Self::Docker if !text.is_some_and(|text| text.contains("\"runtimes\"")) => {
                Some("systemctl restart docker (a reload does not take its last runtime away)")
            }
            Self::Docker => Some("systemctl reload docker"),
            Self::Podman => None,
            Self::Containerd => Some("systemctl restart containerd"),
            // CRI-O 1.37 lists a new handler after a reload, and does not find it.
            Self::Crio => Some("systemctl restart crio"),
        }
    }

    /// Returns the change after which the engine knows the runtime; `None` if it knows it already.
    ///
    /// # Errors
    /// The configuration cannot be read or understood.
    pub(crate) fn install(self, root: &Path, runtime: &Path) -> anyhow::Result<Option<FileChange>> {
        let runtime = runtime
            .to_str()
            .with_context(|| format!("{}: not UTF-8", runtime.display()))?;
        let wrapped = settings::essentials(&root.join("etc/capprof/config.toml")).runtime;
        self.change(root, |before| match self {
            Self::Docker => docker::add(before, runtime).map(Some),
            Self::Podman => Ok(Some(drop_in::podman(runtime, &wrapped))),
            Self::Containerd => containerd::add(before, runtime).map(Some),
            Self::Crio => Ok(Some(drop_in::crio(runtime, &wrapped))),
        })
    }

    /// Returns the change after which the engine no longer knows the runtime; `None` if it does not know it.
    ///
    /// # Errors
    /// The configuration cannot be read or understood, or names the runtime as its default.
    pub(crate) fn uninstall(self, root: &Path) -> anyhow::Result<Option<FileChange>> {
        self.change(root, |before| match (self, before) {
            (_, None) | (Self::Podman | Self::Crio, _) => Ok(None),
            (Self::Docker, Some(text)) => docker::remove(text),
            (Self::Containerd, Some(text)) => containerd::remove(text),
        })
    }

    /// The file that names the engine's runtimes, according to the engine's command line.
    fn file(self, root: &Path) -> anyhow::Result<PathBuf> {
        let usual = self.configuration(root);
        if self != Self::Docker {
            return Ok(usual);
        }
        let option = |option| command_line::values(root, "dockerd", "docker", option);
        // findings/docker-add-runtime-forgotten.sh
        let added = option("add-runtime");
        let own = format!("{}=", kind::NAME);
        if let Some(own) = added.iter().find(|added| added.starts_with(&own)) {
            bail!("dockerd is started with --add-runtime {own}: it has the runtime from there");
        }
        if let Some(added) = added.first() {
            bail!(
                "dockerd is started with --add-runtime {added}, which it forgets when it reloads runtimes from {}: move that runtime there, \
                 or add --add-runtime capprof=PATH next to it",
                usual.display()
            );
        }
        match option("config-file").as_slice() {
            [] => Ok(usual),
            [file] => Ok(root.join(file.trim_start_matches('/'))),
            several => bail!(
                "dockerd is started with different configurations: {}: edit the one that is meant",
                several.join(", ")
            ),
        }
    }

    /// Asks the engine about its configuration. Returns its answer, or nothing if it cannot be asked now.
    ///
    /// # Errors
    /// The engine does not find the runtime, or cannot read its configuration.
    pub(crate) fn asked(self, root: &Path) -> anyhow::Result<Option<&'static str>> {
        if root != Path::new("/") {
            return Ok(None);
        }
        let path = self.file(root)?;
        let shown = path.display();
        let mut command = match self {
            Self::Docker => Command::new("dockerd"),
            Self::Podman => Command::new("podman"),
            Self::Containerd => Command::new("containerd"),
            Self::Crio => Command::new("crio"),
        };
        match self {
            Self::Docker => command.args(["--validate", "--config-file"]).arg(&path),
            Self::Podman => command.args(["--runtime", kind::NAME, "info"]),
            Self::Containerd => command.arg("--config").arg(&path).args(["config", "dump"]),
            // This reads crio.conf and its drop-ins as a start would. A running daemon finds a new handler only after a restart.
            Self::Crio => command.arg("config"),
        };
        let output = match command.stdin(Stdio::null()).output() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            result => result.with_context(|| format!("run {command:?}"))?,
        };
        let said = String::from_utf8_lossy(&output.stderr);
        let said = said.trim().replace('\n', ", ");
        let stdout = String::from_utf8_lossy(&output.stdout);
        match (self, output.status.success()) {
            // Before docker 23, dockerd has no such option.
            (Self::Docker, false) if said.contains("unknown flag") => Ok(None),
            (Self::Docker, true) => Ok(Some("dockerd accepts the configuration")),
            (Self::Docker, false) => bail!("dockerd refuses {shown}: {said}"),
            (Self::Podman, true) => Ok(Some("podman finds the runtime")),
            (Self::Podman, false) => bail!(
                "podman does not find runtime {} of {shown}: {said}",
                kind::NAME
            ),
            (Self::Crio, true) if drop_in::crio_has_handler(&stdout) => {
                Ok(Some("crio finds the runtime in its configuration"))
            }
            (Self::Crio, true) => bail!(
                "crio does not find runtime handler {} of {shown}: make sure that it is started without --config-dir, or write the handler into the \
                 directory that it is started with",
                kind::NAME
            ),
            (Self::Crio, false) => bail!("crio cannot read its configuration with {shown}: {said}"),
            (_, false) => bail!("containerd cannot read {shown}: {said}"),
            (_, true) if containerd::has_handler(&stdout) => {
                Ok(Some("containerd finds the runtime in its configuration"))
            }
            _ => bail!(
                "containerd does not find runtime handler {} in {shown}: a file that it imports takes the place of the section, or is of another \
                 version: add the handler there, or bring all files to one version (containerd config migrate)",
                kind::NAME
            ),
        }
    }

    fn change(
        self,
        root: &Path,
        edit: impl Fn(Option<&str>) -> anyhow::Result<Option<String>>,
    ) -> anyhow::Result<Option<FileChange>> {
        let path = self.file(root)?;
        let before = match fs::read_to_string(&path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let mut after =
            edit(before.as_deref()).with_context(|| format!("edit {}", path.display()))?;
        // dockerd does not start without a file that its command line names.
        if before.is_some() && path != self.configuration(root) {
            after.get_or_insert_with(|| "{}\n".to_owned());
        }
        Ok((before != after).then_some(FileChange {
            path,
            before,
            after,
        }))
    }
}

/// A file before and after the change; `None` stands for no file.
#[derive(Debug)]
pub(crate) struct FileChange {
    pub(crate) path: PathBuf,
    before: Option<String>,
    pub(crate) after: Option<String>,
}

impl FileChange {
    /// Keeps the former file next to the new one, and writes the new one. Returns the path of the former one.
    ///
    /// # Errors
    /// A file cannot be written; then the engine's configuration is as it was.
    pub(crate) fn apply(&self) -> anyhow::Result<Option<PathBuf>> {
        let Some(directory) = self.path.parent() else {
            bail!("write {}: not in a directory", self.path.display());
        };
        fs::create_dir_all(directory)
            .with_context(|| format!("create directory {}", directory.display()))?;
        // If the configuration is a symbolic link, the file that it points to is edited.
        let path = fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone());
        let backup = match &self.before {
            None => None,
            Some(text) => {
                let mut name = self.path.clone().into_os_string();
                name.push(BACKUP);
                let backup = PathBuf::from(name);
                let metadata =
                    fs::metadata(&path).with_context(|| format!("read {}", self.path.display()))?;
                file::write(&backup, text.as_bytes(), Attributes::Like(&metadata))?;
                Some(backup)
            }
        };
        match (&self.after, fs::metadata(&path)) {
            (Some(text), Ok(metadata)) => {
                file::write(&path, text.as_bytes(), Attributes::Like(&metadata))?;
            }
            (Some(text), Err(_)) => file::write(&path, text.as_bytes(), Attributes::Mode(0o644))?,
            (None, _) => {
                fs::remove_file(&path).with_context(|| format!("remove {}", self.path.display()))?
            }
        }
        Ok(backup)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::ValueEnum;
    use std::os::unix::fs::PermissionsExt;

    const RUNTIME: &str = "/usr/bin/capprof";

    fn write(root: &Path, name: &str, text: &str) -> PathBuf {
        let path = root.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        path
    }

    #[test]
    fn installing_twice_changes_once_and_uninstalling_restores_the_former_text() {
        for (engine, name, text) in [
            (
                Engine::Docker,
                "etc/docker/daemon.json",
                "{\n  \"log-driver\": \"journald\",\n  \"runtimes\": {\n    \"other\": {\n      \"path\": \"/opt/other\"\n    }\n  },\n  \"x\": 1.50\n}\n",
            ),
            (
                Engine::Containerd,
                "etc/containerd/config.toml",
                "# mine\nversion = 2\n\n[plugins]\n  [plugins.\"io.containerd.grpc.v1.cri\"]\n    [plugins.\"io.containerd.grpc.v1.cri\".cni]\n      bin_dir = \"/usr/lib/cni\" # here\n",
            ),
        ] {
            let root = tempfile::tempdir().unwrap();
            let path = write(root.path(), name, text);
            fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
            let change = engine
                .install(root.path(), Path::new(RUNTIME))
                .unwrap()
                .unwrap();
            let backup = change.apply().unwrap().unwrap();
            assert_eq!(fs::read_to_string(backup).unwrap(), text);
            assert_eq!(
                fs::metadata(&path).unwrap().permissions().mode() & 0o777,
                0o640
            );
            assert!(
                engine
                    .install(root.path(), Path::new(RUNTIME))
                    .unwrap()
                    .is_none()
            );
            engine
                .uninstall(root.path())
                .unwrap()
                .unwrap()
                .apply()
                .unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
            assert!(engine.uninstall(root.path()).unwrap().is_none());
        }
    }

    #[test]
    fn what_did_not_exist_is_made_and_removed() {
        for engine in Engine::value_variants() {
            let root = tempfile::tempdir().unwrap();
            let change = engine
                .install(root.path(), Path::new(RUNTIME))
                .unwrap()
                .unwrap();
            assert!(change.apply().unwrap().is_none());
            assert!(fs::read_to_string(&change.path).unwrap().contains(RUNTIME));
            assert!(
                engine
                    .install(root.path(), Path::new(RUNTIME))
                    .unwrap()
                    .is_none()
            );
            engine
                .uninstall(root.path())
                .unwrap()
                .unwrap()
                .apply()
                .unwrap();
            assert!(!change.path.exists(), "{engine:?}");
        }
    }

    #[test]
    fn what_dockerd_accepts_is_accepted() {
        for text in ["", "null", "\u{feff}{}", "{\"runtimes\": null}"] {
            let root = tempfile::tempdir().unwrap();
            let path = write(root.path(), "etc/docker/daemon.json", text);
            let change = Engine::Docker.install(root.path(), Path::new(RUNTIME));
            change.unwrap().unwrap().apply().unwrap();
            let written: serde_json::Value =
                serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
            assert_eq!(written["runtimes"]["capprof"]["path"], RUNTIME);
        }
    }

    #[test]
    fn a_runtime_of_that_name_that_is_another_stays() {
        let root = tempfile::tempdir().unwrap();
        let text = "{\"runtimes\": {\"capprof\": {\"path\": \"/opt/wrapper\"}}}";
        let path = write(root.path(), "etc/docker/daemon.json", text);
        let error = Engine::Docker.install(root.path(), Path::new(RUNTIME));
        let message = format!("{:#}", error.unwrap_err());
        assert!(message.contains("/opt/wrapper\" already"), "{message}");
        assert_eq!(fs::read_to_string(path).unwrap(), text);
    }

    #[test]
    fn dockerds_command_line_says_where_its_configuration_is() {
        let unit = "etc/systemd/system/docker.service";
        let root = tempfile::tempdir().unwrap();
        write(
            root.path(),
            unit,
            "[Service]\nExecStart=/usr/sbin/dockerd --config-file /srv/docker.json\n",
        );
        let change = Engine::Docker.install(root.path(), Path::new(RUNTIME));
        let change = change.unwrap().unwrap();
        let path = root.path().join("srv/docker.json");
        assert_eq!(change.path, path);
        change.apply().unwrap();
        // dockerd does not start without the file.
        let change = Engine::Docker.uninstall(root.path()).unwrap().unwrap();
        change.apply().unwrap();
        assert_eq!(fs::read_to_string(path).unwrap(), "{}\n");
        assert!(Engine::Docker.uninstall(root.path()).unwrap().is_none());
        write(
            root.path(),
            unit,
            "[Service]\nExecStart=/usr/sbin/dockerd --add-runtime other=/opt/other\n",
        );
        let error = Engine::Docker.install(root.path(), Path::new(RUNTIME));
        let message = format!("{:#}", error.unwrap_err());
        assert!(
            message.contains("--add-runtime other=/opt/other"),
            "{message}"
        );
    }

    #[test]
    fn podman_makes_containers_without_control_groups_by_crun_alone() {
        for (settings, able) in [("", false), ("runtime = \"/usr/bin/crun\"\n", true)] {
            let root = tempfile::tempdir().unwrap();
            write(root.path(), "etc/capprof/config.toml", settings);
            let change = Engine::Podman.install(root.path(), Path::new(RUNTIME));
            let text = change.unwrap().unwrap().after.unwrap();
            let line = text
                .lines()
                .find(|line| line.starts_with("runtime_supports_nocgroup"));
            assert_eq!(line.unwrap().contains("\"capprof\""), able, "{text}");
            assert!(line.unwrap().contains("\"capprof-crun\""), "{text}");
        }
    }

    #[test]
    fn crio_looks_where_the_wrapped_runtime_keeps_its_containers() {
        for (settings, expected) in [
            ("", "/run/runc"),
            ("runtime = \"/usr/bin/crun\"\n", "/run/crun"),
        ] {
            let root = tempfile::tempdir().unwrap();
            write(root.path(), "etc/capprof/config.toml", settings);
            let change = Engine::Crio.install(root.path(), Path::new(RUNTIME));
            let text = change.unwrap().unwrap().after.unwrap();
            assert!(
                text.contains(&format!("runtime_root = \"{expected}\"")),
                "{text}"
            );
        }
    }

    #[test]
    fn another_path_is_corrected() {
        for engine in Engine::value_variants() {
            let root = tempfile::tempdir().unwrap();
            let install = |runtime: &str| engine.install(root.path(), Path::new(runtime)).unwrap();
            install("/usr/local/bin/capprof").unwrap().apply().unwrap();
            let change = install("/opt/bin/capprof").unwrap();
            change.apply().unwrap();
            let text = fs::read_to_string(&change.path).unwrap();
            assert!(text.contains("\"/opt/bin/capprof\""), "{text}");
        }
    }

    #[test]
    fn a_configuration_that_cannot_be_understood_is_left_alone() {
        for (engine, name, text, expected) in [
            (
                Engine::Docker,
                "etc/docker/daemon.json",
                "{ \"runtimes\": ",
                "EOF",
            ),
            (
                Engine::Docker,
                "etc/docker/daemon.json",
                "[]",
                "not an object",
            ),
            (
                Engine::Docker,
                "etc/docker/daemon.json",
                "{\"runtimes\": 1}",
                "runtimes: not an object",
            ),
            (
                Engine::Containerd,
                "etc/containerd/config.toml",
                "version = ",
                "line 1",
            ),
            (
                Engine::Containerd,
                "etc/containerd/config.toml",
                "root = \"/x\"\n",
                "containerd config migrate",
            ),
            (
                Engine::Containerd,
                "etc/containerd/config.toml",
                "version = 2\nplugins = 1\n",
                "plugins: not a table",
            ),
        ] {
            let root = tempfile::tempdir().unwrap();
            let path = write(root.path(), name, text);
            let error = engine.install(root.path(), Path::new(RUNTIME)).unwrap_err();
            let message = format!("{error:#}");
            assert!(message.contains(expected), "{message}");
            assert!(message.contains(name), "{message}");
            assert_eq!(fs::read_to_string(path).unwrap(), text);
        }
    }

    #[test]
    fn a_default_runtime_is_not_taken_away() {
        for (engine, name, text) in [
            (
                Engine::Docker,
                "etc/docker/daemon.json",
                "{\"default-runtime\": \"capprof\", \"runtimes\": {\"capprof\": {\"path\": \"/usr/bin/capprof\"}}}",
            ),
            (
                Engine::Containerd,
                "etc/containerd/config.toml",
                "version = 3\n[plugins.'io.containerd.cri.v1.runtime'.containerd]\ndefault_runtime_name = 'capprof'\n[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.capprof]\nruntime_type = 'io.containerd.runc.v2'\n",
            ),
        ] {
            let root = tempfile::tempdir().unwrap();
            write(root.path(), name, text);
            let message = format!("{:#}", engine.uninstall(root.path()).unwrap_err());
            assert!(message.contains("default"), "{message}");
        }
    }
}
