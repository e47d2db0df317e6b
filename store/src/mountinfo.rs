//! The mounts that a process sees (proc_pid_mountinfo(5)).

/// One mount of `/proc/PID/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountEntry<'a> {
    /// The number of the mount.
    pub id: u64,
    /// The directory of the file system that is mounted; `/` if it is the whole file system.
    pub root: &'a str,
    /// The path at which it is mounted, without the kernel's escapes.
    pub point: String,
    /// The options of the mount, separated by commas.
    pub options: &'a str,
    /// The type of the file system.
    pub file_system: &'a str,
    /// The options of the file system, separated by commas; the kernel's escapes are still in them.
    pub super_options: &'a str,
}

/// Parses a list of mounts, in the order in which they were made. A line that it cannot parse is left out.
pub fn entries(list: &str) -> impl DoubleEndedIterator<Item = MountEntry<'_>> {
    list.lines().filter_map(entry)
}

fn entry(line: &str) -> Option<MountEntry<'_>> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ');
    let id = fields.next()?.parse().ok()?;
    let (root, point, options) = (fields.nth(2)?, fields.next()?, fields.next()?);
    let mut fields = file_system.split(' ');
    Some(MountEntry {
        id,
        root,
        point: unescape(point),
        options,
        file_system: fields.next()?,
        super_options: fields.nth(1)?,
    })
}

/// Returns true if a list of options contains this option.
pub fn has_option(options: &str, name: &str) -> bool {
    options.split(',').any(|option| option == name)
}

/// Replaces the three octal digits that stand for a blank, a tab, a newline or a backslash.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ")
        .replace("\\011", "\t")
        .replace("\\012", "\n")
        .replace("\\134", "\\")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_has_optional_fields_and_escapes() {
        let list = "36 35 98:0 /mnt1 /mnt\\0402 ro,noexec master:1 shared:2 - ext3 /dev/root rw,errors=continue\n\
                    nonsense\n\
                    37 35 98:0 / /iso rw - iso9660 /dev/sr0 ro\n";
        let found: Vec<MountEntry<'_>> = entries(list).collect();
        assert_eq!(found.len(), 2);
        assert_eq!(
            found[0],
            MountEntry {
                id: 36,
                root: "/mnt1",
                point: "/mnt 2".to_owned(),
                options: "ro,noexec",
                file_system: "ext3",
                super_options: "rw,errors=continue",
            }
        );
        assert_eq!((found[1].id, found[1].root), (37, "/"));
        assert!(has_option("ro,noexec", "noexec") && !has_option("noexec", "exec"));
    }
}
