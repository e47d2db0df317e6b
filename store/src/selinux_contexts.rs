//! The contexts that the host's SELinux policy has for containers.

use std::fs;

/// The context of ordinary containers in the policy's own list, for engines that gave no label (`lxc_contexts`, go-selinux's template); `None`
/// if the policy has no such list.
pub fn container_process() -> Option<String> {
    let configuration = fs::read_to_string("/etc/selinux/config").ok()?;
    let name = configuration
        .lines()
        .find_map(|line| line.strip_prefix("SELINUXTYPE="))?
        .trim();
    let list = fs::read_to_string(format!("/etc/selinux/{name}/contexts/lxc_contexts")).ok()?;
    process(&list)
}

/// Returns the entry `process` of such a list.
fn process(list: &str) -> Option<String> {
    list.lines().find_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key.trim() == "process").then(|| value.trim().trim_matches('"').to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_process_has_its_entry() {
        let list = "process = \"system_u:system_r:container_t:s0\"\n\
                    file = \"system_u:object_r:container_file_t:s0\"\n";
        assert_eq!(
            process(list).as_deref(),
            Some("system_u:system_r:container_t:s0")
        );
        assert_eq!(process("file = \"x\"\n"), None);
    }
}
