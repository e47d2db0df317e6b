use super::*;

fn site(text: &str) -> Vec<String> {
    text.split(" < ").map(ToOwned::to_owned).collect()
}

#[test]
fn reading_a_sysctl_needs_nothing() {
    let open = site(
        "security_capable < ns_capable_noaudit < net_ctl_permissions < sysctl_perm < proc_sys_permission < inode_permission \
         < may_open < path_openat < do_filp_open < do_sys_openat2 < __x64_sys_openat",
    );
    assert!(sysctl_without_effect(0, &open));
    assert!(!sysctl_without_effect(check::OPEN_WRITE, &open));
    assert!(sysctl_without_effect(
        check::OPEN_WRITE | check::ROOT,
        &open
    ));
    let read = site(
        "security_capable < ns_capable_noaudit < net_ctl_permissions < sysctl_perm < proc_sys_call_handler < vfs_read",
    );
    assert!(sysctl_without_effect(0, &read));
}

#[test]
fn writing_a_sysctl_does() {
    let write = "sysctl_perm < proc_sys_call_handler < vfs_write < ksys_write < __x64_sys_write";
    assert!(!sysctl_without_effect(
        0,
        &site(&format!(
            "ns_capable_noaudit < net_ctl_permissions < {write}"
        ))
    ));
    assert!(!sysctl_without_effect(
        check::ROOT,
        &site(&format!("ns_capable_noaudit < ipc_permissions < {write}"))
    ));
    let access =
        "sysctl_perm < proc_sys_permission < inode_permission < do_faccessat < __x64_sys_faccessat";
    assert!(!sysctl_without_effect(
        0,
        &site(&format!("ns_capable_noaudit < ipc_permissions < {access}"))
    ));
}

#[test]
fn no_other_site_is_taken_for_a_sysctl() {
    assert!(!sysctl_without_effect(
        check::ROOT,
        &site("security_capable < ns_capable < path_mount < __x64_sys_mount")
    ));
}

#[test]
fn system_calls_have_names_by_table() {
    assert_eq!(named(-1, false).name, "-1");
    assert_eq!(named(999_999, false).name, "999999");
    #[cfg(target_arch = "x86_64")]
    {
        assert_eq!(named(165, false).name, "mount");
        assert_eq!(named(21, true).name, "mount");
    }
}
