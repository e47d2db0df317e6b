use super::{ROOT, gives};
use crate::Capability;
use crate::classify::Context;
use crate::classify::Decision::{Dismissed, Needed};
use crate::fixtures::check;
use crate::observation::Observation;
use crate::profile::Reason;

#[test]
fn sysctls_are_asked_for_on_every_look() {
    let user = Context { uid: 33, ..ROOT };
    for (capability, function) in [
        (Capability::SYS_ADMIN, "pid_table_root_permissions"),
        (Capability::CHECKPOINT_RESTORE, "ipc_permissions"),
        (Capability::NET_ADMIN, "net_ctl_permissions"),
        (Capability::SYS_RESOURCE, "set_permissions"),
    ] {
        let frames = [
            "ns_capable_noaudit",
            function,
            "sysctl_perm",
            "proc_sys_permission",
        ];
        // Opened for reading, as the recorder saw from the arguments.
        let open = Observation {
            without_effect: true,
            ..check(capability, "openat", &frames)
        };
        gives(&open, &user, "sysctl", Dismissed);
        gives(
            &check(capability, "read", &frames),
            &user,
            "sysctl",
            Dismissed,
        );
        gives(
            &check(capability, "faccessat2", &frames),
            &user,
            "sysctl",
            Dismissed,
        );
    }
}

#[test]
fn written_sysctls_need_it_where_the_mode_does_not_suffice() {
    let user = Context { uid: 33, ..ROOT };
    let inside = Context {
        user_namespace: true,
        ..ROOT
    };
    let write = |capability, function| {
        check(
            capability,
            "write",
            &[
                "ns_capable_noaudit",
                function,
                "sysctl_perm",
                "proc_sys_call_handler",
                "vfs_write",
            ],
        )
    };
    let needed = Needed(Reason::EnforcingSilent);
    let network = write(Capability::NET_ADMIN, "net_ctl_permissions");
    gives(&network, &ROOT, "sysctl", Dismissed);
    gives(&network, &user, "sysctl-write", needed);
    gives(&network, &inside, "sysctl-write", needed);
    let open = check(
        Capability::NET_ADMIN,
        "openat",
        &[
            "ns_capable_noaudit",
            "net_ctl_permissions",
            "proc_sys_permission",
        ],
    );
    gives(&open, &user, "sysctl-write", needed);
    let processes = write(Capability::SYS_ADMIN, "pid_table_root_permissions");
    gives(&processes, &inside, "sysctl", Dismissed);
    gives(&processes, &user, "sysctl-write", needed);
    gives(
        &write(Capability::SYS_RESOURCE, "set_permissions"),
        &ROOT,
        "sysctl-write",
        needed,
    );
    gives(
        &write(Capability::CHECKPOINT_RESTORE, "ipc_permissions"),
        &ROOT,
        "sysctl-write",
        needed,
    );
}
