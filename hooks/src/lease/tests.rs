use super::*;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use tempfile::TempDir;

/// Switches that record the order in which they are set, and that can kill the process (simulated by a panic) at a given call.
struct Panel {
    values: RefCell<BTreeMap<Switch, bool>>,
    /// Booleans that were written and wait for a commit, which any process may make.
    pending: RefCell<BTreeMap<Switch, bool>>,
    order: RefCell<Vec<(Switch, bool)>>,
    steps_left: Cell<Option<u32>>,
}

impl Panel {
    fn new(values: &[(Switch, bool)]) -> Self {
        Self {
            values: RefCell::new(values.iter().cloned().collect()),
            pending: RefCell::default(),
            order: RefCell::default(),
            steps_left: Cell::new(None),
        }
    }

    fn step(&self) {
        if let Some(left) = self.steps_left.get() {
            if left == 0 {
                // This prints no message, because there are many such deaths.
                std::panic::resume_unwind(Box::new("killed"));
            }
            self.steps_left.set(Some(left - 1));
        }
    }

    fn commit(&self) {
        for (switch, value) in std::mem::take(&mut *self.pending.borrow_mut()) {
            self.values.borrow_mut().insert(switch, value);
        }
    }
}

impl Switches for Panel {
    fn get(&self, switch: &Switch) -> io::Result<Option<bool>> {
        self.step();
        Ok(self.values.borrow().get(switch).copied())
    }

    fn set(&self, settings: &[(&Switch, bool)]) -> io::Result<()> {
        for (switch, value) in settings {
            self.step();
            self.order.borrow_mut().push(((*switch).clone(), *value));
            match switch {
                Switch::Boolean(_) => &self.pending,
                Switch::Enforcing => {
                    self.commit();
                    &self.values
                }
            }
            .borrow_mut()
            .insert((*switch).clone(), *value);
        }
        self.step();
        self.commit();
        self.step();
        Ok(())
    }

    fn withdraw(&self, switch: &Switch) -> io::Result<()> {
        self.step();
        self.pending.borrow_mut().remove(switch);
        Ok(())
    }
}

fn boolean(name: &str) -> Switch {
    Switch::Boolean(name.to_owned())
}

fn host() -> Vec<(Switch, bool)> {
    vec![(Switch::Enforcing, false), (boolean("all_caps"), false)]
}

fn before() -> Vec<(Switch, bool)> {
    vec![(Switch::Enforcing, true), (boolean("all_caps"), true)]
}

struct Host {
    state: TempDir,
    panel: Panel,
}

impl Host {
    fn new(values: &[(Switch, bool)]) -> Self {
        Self {
            state: tempfile::tempdir().unwrap(),
            panel: Panel::new(values),
        }
    }

    fn leases(&self) -> Leases<'_, Panel> {
        Leases::new(self.state.path(), &self.panel)
    }

    fn recording(&self, id: &str) -> PathBuf {
        let path = self.state.path().join(id);
        fs::create_dir_all(&path).unwrap();
        path
    }

    fn value(&self, switch: &Switch) -> bool {
        self.panel.values.borrow()[switch]
    }

    /// Returns true if the values are restored, and stay so after the next commit, which any process may make.
    fn is_as_before(&self) -> bool {
        self.panel.commit();
        before()
            .iter()
            .all(|(switch, value)| self.value(switch) == *value)
    }

    fn is_switched(&self) -> bool {
        host()
            .iter()
            .all(|(switch, value)| self.value(switch) == *value)
    }
}

#[test]
fn the_first_switches_and_the_last_switches_back_in_the_safe_order() {
    let host_state = Host::new(&before());
    let leases = host_state.leases();
    for id in ["a", "b"] {
        let recording = host_state.recording(id);
        assert!(
            leases
                .acquire(LeaseKind::Host, id, &recording, &host())
                .unwrap()
                .is_empty()
        );
        assert!(host_state.is_switched());
    }
    assert_eq!(
        leases.release(LeaseKind::Host, "a").unwrap(),
        (false, Vec::new())
    );
    assert!(host_state.is_switched());
    assert_eq!(
        leases.release(LeaseKind::Host, "b").unwrap(),
        (true, Vec::new())
    );
    assert!(host_state.is_as_before());
    assert!(!leases.in_use(LeaseKind::Host).unwrap());
    // The boolean is off only while the host is permissive.
    assert_eq!(
        *host_state.panel.order.borrow(),
        [
            (Switch::Enforcing, false),
            (boolean("all_caps"), false),
            (boolean("all_caps"), true),
            (Switch::Enforcing, true),
        ]
    );
}

#[test]
fn twenty_overlapping_holders_in_any_order() {
    let host_state = Host::new(&before());
    let leases = host_state.leases();
    for round in 0..20 {
        let id = format!("r{round}");
        leases
            .acquire(LeaseKind::Host, &id, &host_state.recording(&id), &host())
            .unwrap();
    }
    for round in 0..20 {
        assert!(host_state.is_switched());
        let (last, _) = leases
            .release(LeaseKind::Host, &format!("r{}", round * 7 % 20))
            .unwrap();
        assert_eq!(last, round == 19);
    }
    assert!(host_state.is_as_before());
}

#[test]
fn the_two_kinds_do_not_touch_each_other() {
    let values = [before(), vec![(boolean("capprof_recording"), false)]].concat();
    let host_state = Host::new(&values);
    let leases = host_state.leases();
    let recording = host_state.recording("a");
    leases
        .acquire(LeaseKind::Host, "a", &recording, &host())
        .unwrap();
    leases
        .acquire(
            LeaseKind::Domain,
            "b",
            &recording,
            &[(boolean("capprof_recording"), true)],
        )
        .unwrap();
    leases.release(LeaseKind::Host, "a").unwrap();
    assert!(host_state.is_as_before());
    assert!(host_state.value(&boolean("capprof_recording")));
    leases.release(LeaseKind::Domain, "b").unwrap();
    assert!(!host_state.value(&boolean("capprof_recording")));
}

#[test]
fn the_former_values_are_on_disk_before_anything_is_switched() {
    let host_state = Host::new(&before());
    let leases = host_state.leases();
    let recording = host_state.recording("a");
    // The process dies at the first setting, when it has read both values.
    host_state.panel.steps_left.set(Some(2));
    assert!(
        catch_unwind(AssertUnwindSafe(|| leases.acquire(
            LeaseKind::Host,
            "a",
            &recording,
            &host()
        )))
        .is_err()
    );
    assert!(host_state.is_as_before());
    let saved = leases.load(LeaseKind::Host).unwrap().unwrap();
    assert_eq!(saved.entries.len(), 2);
    assert!(
        saved
            .entries
            .iter()
            .all(|entry| entry.former && !entry.ours)
    );
}

#[test]
fn killed_at_any_step_of_the_way_in_the_next_sweep_restores() {
    for steps in 0.. {
        let host_state = Host::new(&before());
        let recording = host_state.recording("a");
        host_state.panel.steps_left.set(Some(steps));
        let killed = catch_unwind(AssertUnwindSafe(|| {
            host_state
                .leases()
                .acquire(LeaseKind::Host, "a", &recording, &host())
        }))
        .is_err();
        host_state.panel.steps_left.set(None);
        // The recording goes on, so it loses nothing.
        host_state.leases().sweep().unwrap();
        if !killed {
            assert!(host_state.is_switched());
        }
        fs::remove_dir(&recording).unwrap();
        host_state.leases().sweep().unwrap();
        assert!(host_state.is_as_before(), "killed after {steps} steps");
        assert!(!host_state.leases().in_use(LeaseKind::Host).unwrap());
        if !killed {
            assert!(steps >= 6);
            return;
        }
    }
}

#[test]
fn killed_at_any_step_of_the_way_out_the_next_sweep_restores_and_reports_no_foreign_change() {
    for steps in 0.. {
        let host_state = Host::new(&before());
        let recording = host_state.recording("a");
        host_state
            .leases()
            .acquire(LeaseKind::Host, "a", &recording, &host())
            .unwrap();
        fs::remove_dir(&recording).unwrap();
        host_state.panel.steps_left.set(Some(steps));
        let killed = catch_unwind(AssertUnwindSafe(|| {
            host_state.leases().release(LeaseKind::Host, "a")
        }))
        .is_err();
        host_state.panel.steps_left.set(None);
        let lines = host_state.leases().sweep().unwrap();
        assert!(
            !lines.iter().any(|line| line.contains("not by capprof")),
            "{lines:?}"
        );
        assert!(host_state.is_as_before(), "killed after {steps} steps");
        assert!(!host_state.leases().in_use(LeaseKind::Host).unwrap());
        if !killed {
            assert!(steps >= 4);
            return;
        }
    }
}

#[test]
fn the_next_recording_finishes_for_a_killed_one_before_it_saves() {
    for steps in 0..4 {
        let host_state = Host::new(&before());
        let recording = host_state.recording("a");
        host_state
            .leases()
            .acquire(LeaseKind::Host, "a", &recording, &host())
            .unwrap();
        host_state.panel.steps_left.set(Some(steps));
        let _ = catch_unwind(AssertUnwindSafe(|| {
            host_state.leases().release(LeaseKind::Host, "a")
        }));
        host_state.panel.steps_left.set(None);
        host_state
            .leases()
            .acquire(LeaseKind::Host, "b", &recording, &host())
            .unwrap();
        assert!(host_state.is_switched());
        host_state.leases().release(LeaseKind::Host, "b").unwrap();
        assert!(host_state.is_as_before(), "killed after {steps} steps");
    }
}

#[test]
fn a_foreign_change_is_left_alone_and_reported() {
    let host_state = Host::new(&[(Switch::Enforcing, false), (boolean("all_caps"), true)]);
    let leases = host_state.leases();
    let recording = host_state.recording("a");
    leases
        .acquire(LeaseKind::Host, "a", &recording, &host())
        .unwrap();
    // The host was permissive before; an administrator makes it enforcing while we record.
    host_state.panel.set(&[(&Switch::Enforcing, true)]).unwrap();
    assert_eq!(leases.changes(LeaseKind::Host).unwrap().len(), 1);
    let (last, changes) = leases.release(LeaseKind::Host, "a").unwrap();
    assert!(last);
    assert_eq!(changes.len(), 1);
    assert!(changes[0].contains("enforcing mode was switched on, not by capprof,"));
    assert!(host_state.value(&Switch::Enforcing));
    assert!(host_state.value(&boolean("all_caps")));
}

#[test]
fn a_change_between_two_recordings_becomes_the_value_to_return_to() {
    let host_state = Host::new(&[(Switch::Enforcing, false), (boolean("all_caps"), true)]);
    let leases = host_state.leases();
    leases
        .acquire(LeaseKind::Host, "a", &host_state.recording("a"), &host())
        .unwrap();
    host_state.panel.set(&[(&Switch::Enforcing, true)]).unwrap();
    let notes = leases
        .acquire(LeaseKind::Host, "b", &host_state.recording("b"), &host())
        .unwrap();
    assert_eq!(notes.len(), 1);
    assert!(host_state.is_switched());
    leases.release(LeaseKind::Host, "a").unwrap();
    leases.release(LeaseKind::Host, "b").unwrap();
    assert!(host_state.value(&Switch::Enforcing));
}

/// A link that leads to itself cannot be followed (ELOOP), so it is not known if the recording exists.
#[test]
fn the_claim_of_a_recording_that_cannot_be_looked_for_is_kept() {
    let host_state = Host::new(&before());
    let leases = host_state.leases();
    let recording = host_state.recording("a");
    leases
        .acquire(LeaseKind::Host, "a", &recording, &host())
        .unwrap();
    fs::remove_dir(&recording).unwrap();
    std::os::unix::fs::symlink(&recording, &recording).unwrap();
    assert!(leases.sweep().is_err());
    assert!(host_state.is_switched());
    fs::remove_file(&recording).unwrap();
    leases.sweep().unwrap();
    assert!(host_state.is_as_before());
    // The same with the claim itself.
    let recording = host_state.recording("b");
    leases
        .acquire(LeaseKind::Host, "b", &recording, &host())
        .unwrap();
    let claim = leases.holder(LeaseKind::Host, "b");
    let content = fs::read(&claim).unwrap();
    fs::remove_file(&claim).unwrap();
    std::os::unix::fs::symlink(&claim, &claim).unwrap();
    assert!(leases.sweep().is_err());
    assert!(host_state.is_switched());
    fs::remove_file(&claim).unwrap();
    fs::write(&claim, content).unwrap();
    leases.release(LeaseKind::Host, "b").unwrap();
    assert!(host_state.is_as_before());
}

#[test]
fn a_switch_that_is_refused_undoes_what_went_before() {
    struct Refusing<'a>(&'a Panel);
    impl Switches for Refusing<'_> {
        fn get(&self, switch: &Switch) -> io::Result<Option<bool>> {
            self.0.get(switch)
        }
        fn set(&self, settings: &[(&Switch, bool)]) -> io::Result<()> {
            for (switch, value) in settings {
                if matches!(switch, Switch::Boolean(_)) {
                    return Err(io::ErrorKind::PermissionDenied.into());
                }
                self.0.set(&[(switch, *value)])?;
            }
            Ok(())
        }
        fn withdraw(&self, switch: &Switch) -> io::Result<()> {
            self.0.withdraw(switch)
        }
    }
    let host_state = Host::new(&before());
    let refusing = Refusing(&host_state.panel);
    let leases = Leases::new(host_state.state.path(), &refusing);
    let error = leases
        .acquire(LeaseKind::Host, "a", &host_state.recording("a"), &host())
        .unwrap_err();
    assert!(error.to_string().contains("policy module"), "{error}");
    assert!(host_state.is_as_before());
    assert!(!leases.in_use(LeaseKind::Host).unwrap());
}

#[test]
fn a_boolean_that_the_policy_lacks_is_named() {
    let host_state = Host::new(&before());
    let error = host_state
        .leases()
        .acquire(
            LeaseKind::Domain,
            "a",
            &host_state.recording("a"),
            &[(boolean("capprof_recording"), true)],
        )
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "switch boolean capprof_recording: the loaded policy has no such boolean"
    );
    assert!(!host_state.leases().in_use(LeaseKind::Domain).unwrap());
}

#[test]
fn a_switch_without_effect_is_given_back_unless_another_holds_it() {
    let host_state = Host::new(&before());
    let leases = host_state.leases();
    leases
        .acquire(LeaseKind::Host, "a", &host_state.recording("a"), &host())
        .unwrap();
    leases
        .acquire(LeaseKind::Host, "b", &host_state.recording("b"), &[])
        .unwrap();
    assert!(
        !leases
            .give_back(LeaseKind::Host, "a", &boolean("all_caps"))
            .unwrap()
    );
    leases.release(LeaseKind::Host, "b").unwrap();
    assert!(
        leases
            .give_back(LeaseKind::Host, "a", &boolean("all_caps"))
            .unwrap()
    );
    assert!(host_state.value(&boolean("all_caps")));
    assert!(!host_state.value(&Switch::Enforcing));
}

#[test]
fn all_holders_must_agree_before_one_switches_for_all() {
    let audit = boolean("capprof_audit_sys_admin");
    let host_state = Host::new(&[(audit.clone(), true)]);
    let leases = host_state.leases();
    for id in ["a", "b"] {
        leases
            .acquire(LeaseKind::Domain, id, &host_state.recording(id), &[])
            .unwrap();
    }
    let agreed =
        |recordings: &[PathBuf]| recordings.iter().all(|recording| recording.ends_with("a"));
    assert!(
        !leases
            .switch_if(LeaseKind::Domain, &audit, false, agreed)
            .unwrap()
    );
    leases.release(LeaseKind::Domain, "b").unwrap();
    assert!(
        leases
            .switch_if(LeaseKind::Domain, &audit, false, agreed)
            .unwrap()
    );
    assert!(!host_state.value(&audit));
    // A new recording wants the records. The original value must not be lost.
    leases
        .acquire(
            LeaseKind::Domain,
            "c",
            &host_state.recording("c"),
            &[(audit.clone(), true)],
        )
        .unwrap();
    assert!(host_state.value(&audit));
    leases.release(LeaseKind::Domain, "a").unwrap();
    leases.release(LeaseKind::Domain, "c").unwrap();
    assert!(host_state.value(&audit));
}

#[test]
fn killed_while_a_value_of_ours_is_replaced_the_first_one_is_not_forgotten() {
    let audit = boolean("capprof_audit_sys_admin");
    for steps in 0.. {
        let host_state = Host::new(&[(audit.clone(), true)]);
        let wanted = [(audit.clone(), true)];
        let acquire = |id: &str| {
            host_state
                .leases()
                .acquire(LeaseKind::Domain, id, &host_state.recording(id), &wanted)
        };
        acquire("a").unwrap();
        let switched = host_state
            .leases()
            .switch_if(LeaseKind::Domain, &audit, false, |_| true);
        assert!(switched.unwrap());
        host_state.panel.steps_left.set(Some(steps));
        let killed = catch_unwind(AssertUnwindSafe(|| acquire("b"))).is_err();
        host_state.panel.steps_left.set(None);
        if steps % 2 == 0 {
            assert!(
                acquire("c").unwrap().is_empty(),
                "a change of ours was taken for a foreign one"
            );
        }
        for id in ["a", "b", "c"] {
            host_state.leases().release(LeaseKind::Domain, id).unwrap();
        }
        assert!(host_state.value(&audit), "killed after {steps} steps");
        if !killed {
            return;
        }
    }
}

#[test]
fn killed_while_a_flood_is_ended_what_an_administrator_chose_is_not_forgotten() {
    let audit = boolean("capprof_audit_sys_admin");
    for steps in 0.. {
        // It is off, as an administrator set it.
        let host_state = Host::new(&[(audit.clone(), false)]);
        let wanted = [(audit.clone(), true)];
        let acquire = |id: &str| {
            host_state
                .leases()
                .acquire(LeaseKind::Domain, id, &host_state.recording(id), &wanted)
        };
        acquire("a").unwrap();
        host_state.panel.steps_left.set(Some(steps));
        let killed = catch_unwind(AssertUnwindSafe(|| {
            host_state
                .leases()
                .switch_if(LeaseKind::Domain, &audit, false, |_| true)
        }))
        .is_err();
        host_state.panel.steps_left.set(None);
        acquire("b").unwrap();
        for id in ["a", "b"] {
            host_state.leases().release(LeaseKind::Domain, id).unwrap();
        }
        assert!(!host_state.value(&audit), "killed after {steps} steps");
        if !killed {
            return;
        }
    }
}
