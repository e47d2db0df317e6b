//! Seccomp filters: runs a filter to find its answer to a system call (seccomp(2), kernel/seccomp.c, net/core/filter.c).

use serde::{Deserialize, Serialize};

/// One instruction of a classic BPF program, as the kernel keeps it (`struct sock_filter`): code, jt, jf, k.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instruction {
    code: u16,
    jump_true: u8,
    jump_false: u8,
    k: u32,
}

impl From<u64> for Instruction {
    #[allow(clippy::cast_possible_truncation)]
    fn from(word: u64) -> Self {
        Self {
            code: word as u16,
            jump_true: (word >> 16) as u8,
            jump_false: (word >> 24) as u8,
            k: (word >> 32) as u32,
        }
    }
}

/// The input of a filter (`struct seccomp_data`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SeccompData {
    /// The number.
    pub number: u32,
    /// `AUDIT_ARCH_X86_64`, …
    pub architecture: u32,
    /// The instruction pointer.
    pub instruction: u64,
    /// The arguments.
    pub arguments: [u64; 6],
}

impl SeccompData {
    fn word(&self, offset: u32) -> Option<u32> {
        let half = |value: u64| match offset % 8 {
            0 => u32::try_from(value & 0xffff_ffff).ok(),
            4 => u32::try_from(value >> 32).ok(),
            _ => None,
        };
        match offset {
            0 => Some(self.number),
            4 => Some(self.architecture),
            8 | 12 => half(self.instruction),
            16..64 => half(*self.arguments.get(usize::try_from(offset / 8 - 2).ok()?)?),
            _ => None,
        }
    }
}

/// The answer of filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// Let it pass.
    Allow,
    /// Fail with this error, without running it.
    Errno(i32),
    /// Kill the process or thread, or send it SIGSYS.
    Kill,
    /// Ask another process, which may let it fail with any error.
    Supervisor,
    /// The filters could not be read.
    Unreadable,
}

/// The answer of several filters: the strictest wins (seccomp(2)); `None` in the list is one that could not be read.
pub fn answer(filters: &[Option<Vec<Instruction>>], call: &SeccompData) -> Answer {
    let mut strictest = u32::MAX;
    for filter in filters {
        let Some(value) = filter.as_ref().and_then(|filter| run(filter, call)) else {
            return Answer::Unreadable;
        };
        // Actions are compared as signed numbers: KILL_PROCESS is 0x80000000.
        if (value & 0xffff_0000).cast_signed() < (strictest & 0xffff_0000).cast_signed()
            || strictest == u32::MAX
        {
            strictest = value;
        }
    }
    match strictest & 0xffff_0000 {
        0x8000_0000 | 0 | 0x0003_0000 => Answer::Kill,
        0x0005_0000 => Answer::Errno(i32::try_from(strictest & 0xffff).unwrap_or(0)),
        0x7fc0_0000 | 0x7ff0_0000 => Answer::Supervisor,
        _ => Answer::Allow,
    }
}

/// Runs a filter; `None` if it has an instruction that the kernel would have refused.
fn run(filter: &[Instruction], call: &SeccompData) -> Option<u32> {
    let (mut a, mut x, mut memory) = (0_u32, 0_u32, [0_u32; 16]);
    let mut at = 0_usize;
    loop {
        let instruction = filter.get(at)?;
        let k = instruction.k;
        let slot = usize::try_from(k).ok()?;
        at += 1;
        let operand = if instruction.code & 8 != 0 { x } else { k };
        match instruction.code & 7 {
            // BPF_LD, BPF_LDX
            class @ (0 | 1) => {
                let value = match instruction.code & 0xe0 {
                    0 => k,
                    0x20 => call.word(k)?,
                    0x60 => *memory.get(slot)?,
                    0x80 => 64,
                    _ => return None,
                };
                if class == 0 { a = value } else { x = value }
            }
            2 => *memory.get_mut(slot)? = a,
            3 => *memory.get_mut(slot)? = x,
            4 => a = arithmetic(instruction.code & 0xf0, a, operand)?,
            5 => {
                let taken = match instruction.code & 0xf0 {
                    0 => {
                        at += slot;
                        continue;
                    }
                    0x10 => a == operand,
                    0x20 => a > operand,
                    0x30 => a >= operand,
                    0x40 => a & operand != 0,
                    _ => return None,
                };
                at += usize::from(match taken {
                    true => instruction.jump_true,
                    false => instruction.jump_false,
                });
            }
            6 => {
                return Some(if instruction.code & 0x18 == 0x10 {
                    a
                } else {
                    k
                });
            }
            // BPF_MISC: TAX, TXA
            _ => match instruction.code & 0xf8 {
                0 => x = a,
                _ => a = x,
            },
        }
    }
}

fn arithmetic(operation: u16, a: u32, operand: u32) -> Option<u32> {
    Some(match operation {
        0 => a.wrapping_add(operand),
        0x10 => a.wrapping_sub(operand),
        0x20 => a.wrapping_mul(operand),
        0x30 => a.checked_div(operand)?,
        0x40 => a | operand,
        0x50 => a & operand,
        0x60 => a.wrapping_shl(operand),
        0x70 => a.wrapping_shr(operand),
        0x80 => a.wrapping_neg(),
        0xa0 => a ^ operand,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(instructions: &[(u16, u8, u8, u32)]) -> Option<Vec<Instruction>> {
        Some(
            instructions
                .iter()
                .map(|&(code, jump_true, jump_false, k)| Instruction {
                    code,
                    jump_true,
                    jump_false,
                    k,
                })
                .collect(),
        )
    }

    /// Refuses number 165 with EPERM if the second argument's low word is 7; everything else passes.
    fn refuses_mount() -> Option<Vec<Instruction>> {
        program(&[
            (0x20, 0, 0, 0),
            (0x15, 0, 3, 165),
            (0x20, 0, 0, 24),
            (0x15, 0, 1, 7),
            (0x06, 0, 0, 0x0005_0001),
            (0x06, 0, 0, 0x7fff_0000),
        ])
    }

    #[test]
    fn a_filter_decides_by_number_and_argument() {
        let mut call = SeccompData {
            number: 165,
            arguments: [0, 7, 0, 0, 0, 0],
            ..SeccompData::default()
        };
        assert_eq!(answer(&[refuses_mount()], &call), Answer::Errno(1));
        call.arguments[1] = 8;
        assert_eq!(answer(&[refuses_mount()], &call), Answer::Allow);
        call.number = 1;
        assert_eq!(answer(&[refuses_mount()], &call), Answer::Allow);
    }

    #[test]
    fn the_strictest_of_several_filters_wins() {
        let constant = |value: u32| program(&[(0x06, 0, 0, value)]);
        let call = SeccompData::default();
        let all = [
            constant(0x7fff_0000),
            constant(0x0005_0026),
            constant(0x7ffc_0000),
        ];
        assert_eq!(answer(&all, &call), Answer::Errno(38));
        let killed = [constant(0x0005_0001), constant(0x8000_0000)];
        assert_eq!(answer(&killed, &call), Answer::Kill);
        assert_eq!(answer(&[constant(0x7fc0_0000)], &call), Answer::Supervisor);
        assert_eq!(
            answer(&[None, constant(0x0005_0001)], &call),
            Answer::Unreadable
        );
    }

    #[test]
    fn a_program_without_an_end_is_unreadable() {
        assert_eq!(
            answer(&[program(&[(0x20, 0, 0, 0)])], &SeccompData::default()),
            Answer::Unreadable
        );
    }
}
