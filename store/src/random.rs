//! Random numbers that need not be secret.

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use std::io;

/// A random number, by getrandom(2) itself.
///
/// Not by the crate of that name: it looks the function up by dlsym(3), finds none in a program that is linked statically, and reads
/// /dev/urandom instead. That is refused to docker (`dockerd_t`) by Debian's SELinux policy.
///
/// # Errors
/// The system call fails.
pub fn number() -> io::Result<u64> {
    let mut bytes = [0; 8];
    loop {
        // So few bytes are given whole or not at all (random(7)).
        match getrandom(&mut bytes, GetRandomFlags::empty()) {
            Ok(_) => return Ok(u64::from_ne_bytes(bytes)),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn numbers_differ() {
        let numbers: std::collections::BTreeSet<_> =
            (0..100).map(|_| super::number().unwrap()).collect();
        assert_eq!(numbers.len(), 100);
    }
}
