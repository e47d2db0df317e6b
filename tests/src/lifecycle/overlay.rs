//! Root file systems on overlayfs, as engines make them.

use super::*;

pub(super) const BODIES: [(&str, Body); 2] = [
    ("overlay_reads_need_nothing", overlay_reads_need_nothing),
    ("overlay_writes_need_nothing", overlay_writes_need_nothing),
];

/// An overlay over the bundle's root file system, as engines mount one.
pub(super) struct Overlay(PathBuf);

impl Overlay {
    pub(super) fn over(container: &Container) -> anyhow::Result<Self> {
        let root = container.bundle().join("rootfs");
        let (upper, work) = (container.path("upper"), container.path("work"));
        fs::create_dir(&upper)?;
        fs::create_dir(&work)?;
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            root.display(),
            upper.display(),
            work.display()
        );
        mount(
            Some("overlay"),
            &root,
            Some("overlay"),
            MsFlags::empty(),
            Some(options.as_str()),
        )
        .context("mount overlay")?;
        Ok(Self(root))
    }
}

impl Drop for Overlay {
    fn drop(&mut self) {
        let _ = umount2(&self.0, MntFlags::MNT_DETACH);
    }
}

fn overlay_reads_need_nothing(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    for user in [0, 1000] {
        let script =
            "ls -laR /bin /etc > /dev/null && cat /bin/busybox > /dev/null && cat /etc/text";
        let container = Container::new(environment, runtime, &["/bin/sh", "-c", script])?;
        fs::write(container.bundle().join("rootfs/etc/text"), "text\n")?;
        container.use_user(user)?;
        let _overlay = Overlay::over(&container)?;
        container
            .run_and_expect(&[])
            .with_context(|| format!("user {user}"))?;
    }
    Ok(())
}

fn overlay_writes_need_nothing(
    environment: &Arc<Environment>,
    runtime: &Runtime,
) -> anyhow::Result<()> {
    let script = "echo more >> /etc/text && mkdir /etc/d && echo x > /etc/d/x && \
                  cat /etc/text && mv /etc/d/x /etc/d/y && rm -r /etc/d";
    let container = Container::new(environment, runtime, &["/bin/sh", "-c", script])?;
    fs::write(container.bundle().join("rootfs/etc/text"), "text\n")?;
    for name in ["mkdir", "mv", "rm"] {
        std::os::unix::fs::symlink("busybox", container.bundle().join("rootfs/bin").join(name))?;
    }
    container.edit(|config| config["root"]["readonly"] = json!(false))?;
    let _overlay = Overlay::over(&container)?;
    container.run_and_expect(&[])?;
    Ok(())
}
