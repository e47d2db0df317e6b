//! The compiled programs.

/// `bpf/capprof.bpf.c`, an object file.
pub(super) const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/capprof.bpf.o"));
