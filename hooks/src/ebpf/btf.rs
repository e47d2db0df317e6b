//! The part of the kernel's type information to which libbpf adapts the programs' reads (CO-RE).
//!
//! libbpf searches all types of the kernel, more than a hundred thousand, for each type that a program reads: half of the time of a first load.
//! capprof gives it only the types whose names the programs use, and the types that these contain. Pointers there lead nowhere, because the
//! programs name the type that a pointer points to by itself.

use super::features::types_of_kernel;
use super::object::OBJECT;
use libbpf_rs::btf::Btf;
use libbpf_rs::btf::types::Struct;
use rustix::fs::{MemfdFlags, memfd_create};
use std::collections::HashSet;
use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Kinds of types (include/uapi/linux/btf.h).
mod kind {
    pub(super) const INT: u32 = 1;
    pub(super) const POINTER: u32 = 2;
    pub(super) const ARRAY: u32 = 3;
    pub(super) const STRUCT: u32 = 4;
    pub(super) const UNION: u32 = 5;
    pub(super) const ENUM: u32 = 6;
    pub(super) const FORWARD: u32 = 7;
    pub(super) const TYPEDEF: u32 = 8;
    pub(super) const VOLATILE: u32 = 9;
    pub(super) const CONST: u32 = 10;
    pub(super) const RESTRICT: u32 = 11;
    pub(super) const FUNCTION: u32 = 12;
    pub(super) const PROTOTYPE: u32 = 13;
    pub(super) const VARIABLE: u32 = 14;
    pub(super) const SECTION: u32 = 15;
    pub(super) const FLOAT: u32 = 16;
    pub(super) const DECLARATION_TAG: u32 = 17;
    pub(super) const TYPE_TAG: u32 = 18;
    pub(super) const ENUM64: u32 = 19;
}

/// `BTF_MAGIC` and `BTF_VERSION`, then no flags.
const BEGIN: [u8; 4] = [0x9f, 0xeb, 1, 0];

/// The least length of the header; newer kernels write a longer one.
const HEADER: u32 = 24;

/// The length of the part that all types have: name, kind, and size or type.
const COMMON: usize = 12;

/// The number of `void`.
const VOID: u32 = 0;

/// The number of the one pointer.
const POINTER: u32 = 1;

/// The kernel's types that the programs know, in a memory file that libbpf can open.
#[derive(Debug)]
pub(super) struct Reduced {
    file: File,
    timespec64: u32,
}

impl Reduced {
    /// The path at which this process can open it.
    pub(super) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.file.as_raw_fd()))
    }
}

/// The kernel's types, reduced to those that the programs know. `None` if that fails; libbpf then searches all types.
pub(super) fn reduced() -> Option<&'static Reduced> {
    static REDUCED: OnceLock<Option<Reduced>> = OnceLock::new();
    let make = || {
        let (bytes, timespec64) = reduce(types_of_kernel()?, OBJECT)?;
        let mut file = File::from(memfd_create("types", MemfdFlags::CLOEXEC).ok()?);
        file.write_all(&bytes).ok()?;
        Some(Reduced { file, timespec64 })
    };
    REDUCED.get_or_init(make).as_ref()
}

/// The kernel's own number of `struct timespec64`, which programs pass to the kernel; 0 if it has none.
pub(super) fn number_of_timespec64() -> u64 {
    if let Some(reduced) = reduced() {
        return reduced.timespec64.into();
    }
    let types = Btf::from_vmlinux().ok();
    let found = types
        .as_ref()
        .and_then(|types| types.type_by_name::<Struct<'_>>("timespec64"));
    found.map_or(0, |found| u32::from(found.type_id()).into())
}

/// Reduces the kernel's type information to the types that the programs know, and finds the number of `struct timespec64` in it. `None` if its
/// format is unknown.
fn reduce(kernel: &[u8], object: &[u8]) -> Option<(Vec<u8>, u32)> {
    let own = Types::read(section_of(object)?)?;
    let names: HashSet<&[u8]> = (1..own.count())
        .filter(|number| is_named_by_programs(own.kind(*number)))
        .map(|number| essential(own.name(number)))
        .filter(|name| !name.is_empty())
        .collect();
    let begins = Begins::of(names.iter().copied());
    let kernel = Types::read(kernel)?;
    let mut timespec64 = None;
    let mut kept = Kept::new(kernel.count());
    for number in 1..kernel.count() {
        if !is_named_by_programs(kernel.kind(number)) {
            continue;
        }
        // The beginning of a name rules most types out.
        if !begins.contains(kernel.begin_of_name(number)) {
            continue;
        }
        let name = kernel.name(number);
        if names.contains(name) {
            kept.add(number);
        }
        if name == b"timespec64" && kernel.kind(number) == kind::STRUCT {
            timespec64.get_or_insert(number);
        }
    }
    let mut next = 0;
    while let Some(number) = kept.numbers.get(next).copied() {
        kernel.each_part(number, |part| match kernel.kind(part) {
            kind::POINTER => {}
            _ => kept.add(part),
        })?;
        next += 1;
    }
    Some((kernel.write(&kept)?, timespec64?))
}

/// The section `.BTF` of an object file. Its header has the least length; that of `.BTF.ext` is longer.
fn section_of(object: &[u8]) -> Option<&[u8]> {
    let mut begin = BEGIN.to_vec();
    begin.extend(HEADER.to_le_bytes());
    let at = object
        .windows(begin.len())
        .position(|bytes| bytes == begin)?;
    object.get(at..)
}

/// Returns true if programs name types of this kind in their reads.
const fn is_named_by_programs(kind: u32) -> bool {
    matches!(
        kind,
        kind::STRUCT | kind::UNION | kind::ENUM | kind::ENUM64 | kind::TYPEDEF
    )
}

/// A name without the suffix that distinguishes variants of one type (`inode___timespec`).
fn essential(name: &[u8]) -> &[u8] {
    match name.windows(3).position(|bytes| bytes == b"___") {
        Some(at) if at > 0 => &name[..at],
        _ => name,
    }
}

/// The first two bytes of names.
struct Begins(Vec<bool>);

impl Begins {
    fn of<'name>(names: impl Iterator<Item = &'name [u8]>) -> Self {
        let mut begins = vec![false; 1 << 16];
        for name in names {
            if let (Some(first), second) = (name.first(), name.get(1).unwrap_or(&0))
                && let Some(begin) = begins.get_mut(usize::from(*first) << 8 | usize::from(*second))
            {
                *begin = true;
            }
        }
        Self(begins)
    }

    fn contains(&self, begin: [u8; 2]) -> bool {
        let index = usize::from(u16::from_be_bytes(begin));
        self.0.get(index).copied().unwrap_or(true)
    }
}

/// The types that are kept, in their new order.
struct Kept {
    numbers: Vec<u32>,
    /// The new number of each; [`VOID`] for those that are left out.
    renumbered: Vec<u32>,
}

impl Kept {
    fn new(count: u32) -> Self {
        Self {
            numbers: Vec::new(),
            renumbered: vec![VOID; count as usize],
        }
    }

    fn add(&mut self, number: u32) {
        let next = u32::try_from(self.numbers.len()).unwrap_or(u32::MAX) + POINTER + 1;
        if let Some(renumbered) = self.renumbered.get_mut(number as usize)
            && *renumbered == VOID
            && number != VOID
        {
            *renumbered = next;
            self.numbers.push(number);
        }
    }
}

/// Type information.
struct Types<'bytes> {
    types: &'bytes [u8],
    strings: &'bytes [u8],
    /// The offset of each type; `void` is the first.
    begins: Vec<usize>,
}

impl<'bytes> Types<'bytes> {
    fn read(bytes: &'bytes [u8]) -> Option<Self> {
        if !bytes.starts_with(&BEGIN) {
            return None;
        }
        let header = word(bytes, 4)? as usize;
        let part = |at: usize| {
            let begin = header.checked_add(word(bytes, at)? as usize)?;
            bytes.get(begin..begin.checked_add(word(bytes, at + 4)? as usize)?)
        };
        let (types, strings) = (part(8)?, part(16)?);
        let mut begins = vec![0];
        let mut at = 0;
        while at < types.len() {
            begins.push(at);
            let information = word(types, at + 4)?;
            let length = length_after(kind_of(information), elements_of(information))?;
            at = at.checked_add(COMMON + length)?;
        }
        (at == types.len()).then_some(Self {
            types,
            strings,
            begins,
        })
    }

    /// The number of types, with `void`.
    fn count(&self) -> u32 {
        u32::try_from(self.begins.len()).unwrap_or(u32::MAX)
    }

    fn begin(&self, number: u32) -> usize {
        self.begins.get(number as usize).copied().unwrap_or(0)
    }

    fn kind(&self, number: u32) -> u32 {
        match number {
            VOID => VOID,
            _ => kind_of(word(self.types, self.begin(number) + 4).unwrap_or(0)),
        }
    }

    fn name(&self, number: u32) -> &'bytes [u8] {
        self.text(word(self.types, self.begin(number)).unwrap_or(0))
    }

    fn begin_of_name(&self, number: u32) -> [u8; 2] {
        let at = word(self.types, self.begin(number)).unwrap_or(0) as usize;
        match self.strings.get(at..at + 2) {
            Some([first, second]) => [*first, *second],
            _ => [0; 2],
        }
    }

    fn text(&self, at: u32) -> &'bytes [u8] {
        let rest = self.strings.get(at as usize..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == 0);
        &rest[..end.unwrap_or(0)]
    }

    /// The offsets of the numbers of other types in a type, and those of the names of its parts, both from the type's beginning.
    fn places(&self, number: u32) -> Option<(Vec<usize>, Vec<usize>)> {
        let information = word(self.types, self.begin(number) + 4)?;
        let elements = 0..elements_of(information);
        Some(match kind_of(information) {
            kind::STRUCT | kind::UNION => (
                elements
                    .clone()
                    .map(|index| COMMON + index * 12 + 4)
                    .collect(),
                elements.map(|index| COMMON + index * 12).collect(),
            ),
            kind::ENUM => (vec![], elements.map(|index| COMMON + index * 8).collect()),
            kind::ENUM64 => (vec![], elements.map(|index| COMMON + index * 12).collect()),
            kind::ARRAY => (vec![COMMON, COMMON + 4], vec![]),
            kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                (vec![8], vec![])
            }
            kind::INT | kind::FLOAT | kind::FORWARD => (vec![], vec![]),
            // No type contains a function, a variable or a section.
            _ => return None,
        })
    }

    /// Calls `work` with the number of each type that a type contains.
    fn each_part(&self, number: u32, mut work: impl FnMut(u32)) -> Option<()> {
        let begin = self.begin(number);
        for place in self.places(number)?.0 {
            work(word(self.types, begin + place)?);
        }
        Some(())
    }

    /// Writes the types that are kept, and one pointer.
    fn write(&self, kept: &Kept) -> Option<Vec<u8>> {
        let mut types = [0, kind::POINTER << 24, VOID]
            .map(u32::to_le_bytes)
            .concat();
        let mut strings = vec![0];
        for number in &kept.numbers {
            let begin = self.begin(*number);
            let information = word(self.types, begin + 4)?;
            let length = COMMON + length_after(kind_of(information), elements_of(information))?;
            let at = types.len();
            types.extend(self.types.get(begin..begin + length)?);
            let (numbers, mut names) = self.places(*number)?;
            names.push(0);
            for place in names {
                let name = self.text(word(&types, at + place)?);
                let new = match name {
                    [] => 0,
                    _ => u32::try_from(strings.len()).ok()?,
                };
                put(&mut types, at + place, new)?;
                if new != 0 {
                    strings.extend(name);
                    strings.push(0);
                }
            }
            for place in numbers {
                let part = word(&types, at + place)?;
                let new = match self.kind(part) {
                    kind::POINTER => POINTER,
                    _ => kept.renumbered.get(part as usize).copied()?,
                };
                put(&mut types, at + place, new)?;
            }
        }
        let (types_length, strings_length) = (length_of(&types)?, length_of(&strings)?);
        let mut bytes = BEGIN.to_vec();
        for word in [HEADER, 0, types_length, types_length, strings_length] {
            bytes.extend(word.to_le_bytes());
        }
        bytes.extend(types);
        bytes.extend(strings);
        Some(bytes)
    }
}

const fn kind_of(information: u32) -> u32 {
    information >> 24 & 0x7f
}

const fn elements_of(information: u32) -> usize {
    (information & 0x00ff_ffff) as usize
}

/// The number of bytes after the part that all types have.
const fn length_after(kind: u32, elements: usize) -> Option<usize> {
    Some(match kind {
        kind::INT | kind::VARIABLE | kind::DECLARATION_TAG => 4,
        kind::ARRAY => 12,
        kind::STRUCT | kind::UNION | kind::SECTION | kind::ENUM64 => elements * 12,
        kind::ENUM | kind::PROTOTYPE => elements * 8,
        kind::POINTER | kind::FORWARD | kind::TYPEDEF | kind::VOLATILE | kind::CONST => 0,
        kind::RESTRICT | kind::FUNCTION | kind::FLOAT | kind::TYPE_TAG => 0,
        _ => return None,
    })
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_le_bytes(bytes.try_into().ok()?))
}

fn put(bytes: &mut [u8], at: usize, word: u32) -> Option<()> {
    let place = bytes.get_mut(at..at.checked_add(4)?)?;
    place.copy_from_slice(&word.to_le_bytes());
    Some(())
}

fn length_of(bytes: &[u8]) -> Option<u32> {
    u32::try_from(bytes.len()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_programs_read_is_kept() {
        let Some(types) = types_of_kernel() else {
            println!("skipped: /sys/kernel/btf/vmlinux cannot be read");
            return;
        };
        let (bytes, timespec64) = reduce(types, OBJECT).unwrap();
        assert!(bytes.len() < types.len() / 20, "{}", bytes.len());
        let (all, reduced) = (Types::read(types).unwrap(), Types::read(&bytes).unwrap());
        assert_eq!(all.name(timespec64), b"timespec64");
        let find = |types: &Types<'_>, name: &[u8]| {
            (1..types.count())
                .find(|number| types.kind(*number) == kind::STRUCT && types.name(*number) == name)
        };
        for name in [&b"task_struct"[..], b"cred", b"mount", b"inode"] {
            let (one, other) = (find(&all, name).unwrap(), find(&reduced, name).unwrap());
            let (names, others) = (members(&all, one), members(&reduced, other));
            assert!(!names.is_empty());
            assert_eq!(names, others, "{}", String::from_utf8_lossy(name));
        }
        assert_eq!(find(&reduced, b"rq"), None);
    }

    /// Names and places of a structure's members.
    fn members(types: &Types<'_>, number: u32) -> Vec<(Vec<u8>, u32)> {
        let begin = types.begin(number);
        let (_, names) = types.places(number).unwrap();
        names
            .iter()
            .map(|place| {
                let name = types.text(word(types.types, begin + place).unwrap());
                (name.to_vec(), word(types.types, begin + place + 8).unwrap())
            })
            .collect()
    }

    #[test]
    fn unknown_types_are_not_guessed_at() {
        let mut bytes = BEGIN.to_vec();
        for word in [HEADER, 0, 12, 12, 1, 0, 31 << 24, 0] {
            bytes.extend(u32::to_le_bytes(word));
        }
        bytes.push(0);
        assert!(Types::read(&bytes).is_none());
        assert!(Types::read(b"").is_none());
        assert!(Types::read(&BEGIN).is_none());
    }

    #[test]
    fn variants_of_a_type_have_one_name() {
        assert_eq!(essential(b"inode___timespec"), b"inode");
        assert_eq!(essential(b"___kernel"), b"___kernel");
        assert_eq!(essential(b"cred"), b"cred");
    }
}
