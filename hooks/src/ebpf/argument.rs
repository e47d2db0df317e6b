//! The deciding argument of a system call, decoded from the number in which `bpf/arguments.h` encodes it.

use capprof_profile::observation::{Argument, Syscall};
use std::cell::OnceCell;
use std::fs;

/// `ARGUMENT_CONGESTION` in the program.
const CONGESTION: u32 = 1 << 31;

/// Decodes arguments. It reads this host's allowed algorithms at most once.
#[derive(Default)]
pub(super) struct Arguments {
    allowed: OnceCell<Vec<u32>>,
}

impl Arguments {
    pub(super) fn decode(&self, syscall: &Syscall, number: u32) -> Option<Argument> {
        let half = |shift: u32| u16::try_from(number >> shift & 0xffff).unwrap_or_default();
        match syscall.name.as_str() {
            "setsockopt" if number & CONGESTION != 0 => Some(Argument::CongestionControl {
                allowed: self.allowed().contains(&(number & !CONGESTION)),
            }),
            "setsockopt" if number != 0 => Some(Argument::SocketOption {
                level: half(16),
                name: half(0),
            }),
            "fanotify_init" => Some(Argument::FanotifyInit(number)),
            "perf_event_open" => Some(Argument::PerfEvent {
                own_user_space: number == 1,
            }),
            "prctl" => Some(Argument::Prctl(number)),
            "sendmsg" => match number {
                1 | 2 => Some(Argument::SocketFilter { marks: number == 2 }),
                _ => None,
            },
            "mq_open" => Some(Argument::MessageQueue {
                messages: half(16),
                size: half(0),
            }),
            _ => None,
        }
    }

    /// The first four characters of each algorithm that every process may choose. The list is the same in all network namespaces.
    fn allowed(&self) -> &[u32] {
        self.allowed.get_or_init(|| {
            fs::read_to_string("/proc/sys/net/ipv4/tcp_allowed_congestion_control")
                .unwrap_or_default()
                .split_whitespace()
                .map(prefix)
                .collect()
        })
    }
}

fn prefix(algorithm: &str) -> u32 {
    let mut bytes = [0; 4];
    for (to, from) in bytes.iter_mut().zip(algorithm.bytes()) {
        *to = from;
    }
    u32::from_le_bytes(bytes) & !CONGESTION
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decode(name: &str, number: u32) -> Option<Argument> {
        let allowed = OnceCell::from(vec![prefix("reno"), prefix("bbr")]);
        let syscall = Syscall {
            number: 1,
            name: name.to_owned(),
        };
        Arguments { allowed }.decode(&syscall, number)
    }

    #[test]
    fn a_socket_option_has_level_and_name() {
        let hop_options = Argument::SocketOption {
            level: 41,
            name: 54,
        };
        assert_eq!(decode("setsockopt", 41 << 16 | 54), Some(hop_options));
        assert_eq!(decode("setsockopt", 0), None);
    }

    #[test]
    fn an_algorithm_is_allowed_or_not() {
        for (name, allowed) in [("reno", true), ("bbr", true), ("cubic", false)] {
            assert_eq!(
                decode("setsockopt", CONGESTION | prefix(name)),
                Some(Argument::CongestionControl { allowed })
            );
        }
    }

    #[test]
    fn a_message_queue_has_length_and_size() {
        let queue = Argument::MessageQueue {
            messages: 10,
            size: 8192,
        };
        assert_eq!(decode("mq_open", 10 << 16 | 8192), Some(queue));
        assert_eq!(decode("mount", 1), None);
    }
}
