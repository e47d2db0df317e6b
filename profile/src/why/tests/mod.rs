//! One test or more for each cause.

mod calls;
mod files;
mod modules;

use super::facts::{
    CheckedNamespace, Credentials, Errno, Facts, FileKind, Intent, Mount, PathComponent,
    RefusedCheck, Walk,
};
use super::{Cause, decide};
use crate::{Capability, CapabilitySet};

fn step(path: &str, kind: FileKind, mode: u32, uid: u32) -> PathComponent {
    PathComponent {
        path: path.to_owned(),
        kind,
        mode,
        uid,
        gid: uid,
        mount: Mount {
            point: "/".to_owned(),
            file_system: "ext4".to_owned(),
            ..Mount::default()
        },
        ..PathComponent::default()
    }
}

/// The way to a file in the root directory.
fn to(file: PathComponent) -> Option<Walk> {
    Some(Walk {
        name: file.path.clone(),
        passed: vec![step("/", FileKind::Directory, 0o755, 0)],
        last: Some(file),
        whole: true,
        ..Walk::default()
    })
}

fn user(id: u32) -> Credentials {
    Credentials {
        uid: id,
        euid: id,
        fsuid: id,
        fsgid: id,
        bounding: CapabilitySet::from_bits(u64::MAX),
        ..Credentials::default()
    }
}

fn refused(call: &str, error: Errno) -> Facts {
    Facts {
        call: call.to_owned(),
        error,
        credentials: user(1000),
        ..Facts::default()
    }
}

/// A refusal of a call that wants this of the file.
fn refused_file(call: &str, error: Errno, intent: Intent, file: PathComponent) -> Facts {
    Facts {
        intent,
        walk: to(file),
        ..refused(call, error)
    }
}

fn check(capability: Capability, site: &str) -> RefusedCheck {
    RefusedCheck {
        capability,
        target: CheckedNamespace::Own,
        foreign: false,
        call_site: site.split(' ').map(ToOwned::to_owned).collect(),
    }
}

/// What the kernel asks where the mode of a file refuses.
fn overrides() -> Vec<RefusedCheck> {
    [Capability::DAC_READ_SEARCH, Capability::DAC_OVERRIDE]
        .map(|capability| {
            check(
                capability,
                "capable_wrt_inode_uidgid generic_permission inode_permission may_open",
            )
        })
        .to_vec()
}

fn only(facts: &Facts) -> Cause {
    let mut causes = decide(facts).causes;
    assert_eq!(causes.len(), 1, "{causes:?}");
    causes.remove(0)
}

fn reads() -> Intent {
    Intent {
        read: true,
        ..Intent::default()
    }
}

fn executes() -> Intent {
    Intent {
        execute: true,
        ..Intent::default()
    }
}
