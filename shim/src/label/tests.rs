//! Labels on simulated hosts.

use super::*;
use proptest::prelude::*;
use tempfile::TempDir;

const ENGINE: &str = "system_u:system_r:container_t:s0:c1,c2";

/// A directory with the files that describe a host.
struct Pretended {
    root: TempDir,
}

impl Pretended {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("proc/self/attr")).unwrap();
        fs::create_dir_all(root.path().join("selinux/booleans")).unwrap();
        fs::write(
            root.path().join("proc/filesystems"),
            "nodev\tselinuxfs\n\text4\n",
        )
        .unwrap();
        fs::write(
            root.path().join("proc/self/attr/current"),
            "system_u:system_r:dockerd_t:s0-s0:c0.c1023\0",
        )
        .unwrap();
        Self { root }
    }

    fn process(&self, pid: u32, context: &str) {
        let path = self.root.path().join(format!("proc/{pid}/attr"));
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("current"), format!("{context}\0")).unwrap();
    }

    fn host(&self) -> Host {
        Host::new(
            &self.root.path().join("proc"),
            &self.root.path().join("selinux"),
        )
    }

    fn state(&self) -> PathBuf {
        self.root.path().join("state")
    }

    fn label(&self, original: &str) -> Result<String, Error> {
        let wanted = Wanted::from_engine(original, Scope::Domain, None)?;
        self.host().unused(&wanted, &self.state())
    }
}

fn levels(context: &str) -> (Level, Level) {
    let range = context.splitn(4, ':').nth(3).unwrap();
    let (low, high) = range.split_once('-').unwrap_or((range, range));
    (Level::parse(low).unwrap(), Level::parse(high).unwrap())
}

#[test]
fn without_selinux_there_is_no_label() {
    let pretended = Pretended::new();
    assert!(pretended.host().has_selinux());
    let current = pretended.root.path().join("proc/self/attr/current");
    fs::write(&current, "docker-default (enforce)\n").unwrap();
    assert!(!pretended.host().has_selinux());
    fs::write(&current, "kernel\0").unwrap();
    assert!(!pretended.host().has_selinux());
    fs::write(current, "system_u:system_r:kernel_t:s0").unwrap();
    fs::write(
        pretended.root.path().join("proc/filesystems"),
        "nodev\tsysfs\n",
    )
    .unwrap();
    assert!(!pretended.host().has_selinux());
}

#[test]
fn the_scope_follows_the_module() {
    let pretended = Pretended::new();
    let host = pretended.host();
    assert!(matches!(host.scope(Scope::Domain), Err(Error::NoModule)));
    assert_eq!(host.scope(Scope::Auto).unwrap(), Scope::Host);
    fs::write(pretended.root.path().join("selinux").join(BOOLEAN), "0 0").unwrap();
    assert_eq!(host.scope(Scope::Domain).unwrap(), Scope::Domain);
    assert_eq!(host.scope(Scope::Auto).unwrap(), Scope::Domain);
    assert_eq!(host.scope(Scope::Host).unwrap(), Scope::Host);
}

#[test]
fn the_low_level_is_the_engines_and_the_high_one_is_in_no_other_label() {
    let pretended = Pretended::new();
    // Every category but c7 and c9 is in use.
    let used: Vec<String> = (3..CATEGORIES)
        .filter(|c| *c != 7 && *c != 9)
        .map(|c| format!("c{c}"))
        .collect();
    for (pid, part) in used.chunks(40).enumerate() {
        let pid = u32::try_from(pid).unwrap() + 10;
        pretended.process(
            pid,
            &format!("system_u:system_r:container_t:s0:{}", part.join(",")),
        );
    }
    pretended.process(5, "system_u:system_r:dockerd_t:s0-s0:c0.c1023");
    pretended.process(6, "system_u:system_r:container_t:s0:c0");
    let context = pretended.label(ENGINE).unwrap();
    assert_eq!(
        context,
        "system_u:system_r:capprof_t:s0:c1,c2-s0:c1,c2,c7,c9"
    );
}

#[test]
fn a_thousand_labels_are_all_different_and_outlive_their_recordings() {
    let pretended = Pretended::new();
    let labels: BTreeSet<String> = (0..1000)
        .map(|_| pretended.label(ENGINE).unwrap())
        .collect();
    assert_eq!(labels.len(), 1000);
    for label in &labels {
        let (low, high) = levels(label);
        assert_eq!(low.to_string(), "s0:c1,c2");
        assert_eq!(high.categories.len(), 4);
        assert!(low.categories.is_subset(&high.categories));
    }
}

#[test]
fn two_shims_at_once_get_different_labels() {
    let pretended = Pretended::new();
    let labels: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    (0..20)
                        .map(|_| pretended.label(ENGINE).unwrap())
                        .collect::<Vec<_>>()
                })
            })
            .collect();
        workers
            .into_iter()
            .flat_map(|worker| worker.join().unwrap())
            .collect()
    });
    assert_eq!(labels.iter().collect::<BTreeSet<_>>().len(), 160);
}

#[test]
fn in_a_pod_the_first_keeps_the_pods_level_and_the_second_does_not() {
    let pretended = Pretended::new();
    // The pod's sandbox.
    pretended.process(10, ENGINE);
    let first = pretended.label(ENGINE).unwrap();
    assert_eq!(first, "system_u:system_r:capprof_t:s0:c1,c2");
    // The first one's shim is this process, which is alive.
    let second = pretended.label(ENGINE).unwrap();
    assert_ne!(second, first);
    assert_eq!(levels(&second).0, levels(&first).0);
    // The first one's shim is long gone, and its container runs.
    fs::write(pretended.state().join("labels"), format!("1 0 {first}\n")).unwrap();
    pretended.process(11, &first);
    assert_ne!(pretended.label(ENGINE).unwrap(), first);
    // When it has ended, its level is free again.
    fs::remove_dir_all(pretended.root.path().join("proc/11")).unwrap();
    assert_eq!(pretended.label(ENGINE).unwrap(), first);
}

#[test]
fn an_engine_without_labels_gets_the_lowest_level() {
    let wanted = |scope, default| Wanted::from_engine("", scope, default).unwrap().plain();
    assert_eq!(
        wanted(Scope::Domain, None),
        "system_u:system_r:capprof_t:s0"
    );
    assert_eq!(
        wanted(Scope::Host, Some("system_u:system_r:svirt_lxc_net_t:s0")),
        "system_u:system_r:svirt_lxc_net_t:s0"
    );
    let pretended = Pretended::new();
    pretended.process(10, "system_u:system_r:init_t:s0");
    // All processes run at s0, so this is not a pod.
    assert_eq!(levels(&pretended.label("").unwrap()).1.categories.len(), 2);
}

#[test]
fn in_scope_host_the_engines_type_stays() {
    let wanted = Wanted::from_engine(
        "unconfined_u:system_r:container_init_t:s0:c3,c4-s0:c3,c4,c9",
        Scope::Host,
        None,
    )
    .unwrap();
    assert_eq!(
        wanted.extended([8, 5]),
        "unconfined_u:system_r:container_init_t:s0:c3,c4-s0:c3.c5,c8"
    );
}

#[test]
fn a_label_without_level_is_refused() {
    for label in [
        "nonsense",
        "user_u:role_r:type_t",
        "u:r:t:",
        "u:r:t:x0",
        "u:r:t:s0:d1",
    ] {
        let error = Wanted::from_engine(label, Scope::Domain, None).unwrap_err();
        assert!(matches!(error, Error::NoLevel { .. }), "{label}");
    }
}

#[test]
fn the_list_of_labels_stays_bounded() {
    let pretended = Pretended::new();
    fs::create_dir_all(pretended.state()).unwrap();
    let path = pretended.state().join("labels");
    fs::write(&path, "1 0 u:r:t:s0\n".repeat(REMEMBERED)).unwrap();
    let label = pretended.label(ENGINE).unwrap();
    let content = fs::read_to_string(&path).unwrap();
    assert_eq!(content.lines().count(), REMEMBERED / 2 + 1);
    assert!(content.ends_with(&format!("{label}\n")));
}

proptest! {
    #[test]
    fn a_level_is_printed_as_it_is_read(categories in proptest::collection::btree_set(0u32..1024, 0..20)) {
        let level = Level { sensitivity: "s0".to_owned(), categories };
        prop_assert_eq!(Level::parse(&level.to_string()), Some(level));
    }

    #[test]
    fn arbitrary_labels_never_panic(label in ".{0,60}") {
        let _ = Wanted::from_engine(&label, Scope::Domain, None);
    }
}

#[test]
fn levels_are_printed_in_the_kernels_form() {
    for text in [
        "s0",
        "s0:c1",
        "s0:c1,c2",
        "s0:c1.c3",
        "s0:c0.c1023",
        "s1:c1,c5.c9,c11,c12",
    ] {
        assert_eq!(Level::parse(text).unwrap().to_string(), text);
    }
    assert_eq!(Level::parse("s0:c3,c1,c2").unwrap().to_string(), "s0:c1.c3");
}
