//! Random numbers that need not be secret.

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};
use std::io;

/// A random number, by getrandom(2) itself.
///
/// Not through the crate of that name: it looks the function up with dlsym(3), finds none in a statically linked program, and reads
/// /dev/urandom instead. Debian's SELinux policy refuses that to docker (`dockerd_t`).
///
/// # Errors
/// The system call fails.
pub fn number() -> io::Result<u64> {
    let mut bytes = [0; 8];
    loop {
        // getrandom returns so few bytes all at once or not at all (random(7)).
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
