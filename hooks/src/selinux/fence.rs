//! The fence: capprof's own record, whose arrival proves that everything before it has arrived.

use capprof_store::random;
use rustix::time::{ClockId, clock_gettime};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// The time limit for the fence to arrive.
pub(super) const FENCE_TIMEOUT: Duration = Duration::from_secs(2);

/// Milliseconds since 1970, by the clock that records carry, which processes with CAP_SYS_TIME can set.
pub(super) fn milliseconds_since_epoch() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .ok()
        .and_then(|elapsed| u64::try_from(elapsed.as_millis()).ok())
        .unwrap_or_default()
}

/// The nonce of a fence, in hexadecimal.
pub(super) fn nonce() -> String {
    random::number().map_or_else(
        |_| format!("{:x}", milliseconds_since_epoch()),
        |nonce| format!("{nonce:016x}"),
    )
}

/// Milliseconds since boot, by a clock that cannot be set.
pub(super) fn milliseconds_since_boot() -> u64 {
    Duration::try_from(clock_gettime(ClockId::Boottime))
        .ok()
        .and_then(|elapsed| u64::try_from(elapsed.as_millis()).ok())
        .unwrap_or_default()
}

/// The rest of [`FENCE_TIMEOUT`]. Only the time spent waiting counts: a host that was suspended in between had no time to deliver.
#[derive(Debug)]
pub(super) struct Backoff {
    left: Duration,
    pause: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self {
            left: FENCE_TIMEOUT,
            pause: Duration::from_millis(1),
        }
    }
}

impl Backoff {
    /// Waits a little. Returns false, at once, if the time is used up.
    pub(super) fn wait(&mut self) -> bool {
        if self.left.is_zero() {
            return false;
        }
        std::thread::sleep(self.pause);
        self.left = self.left.saturating_sub(self.pause);
        self.pause = (self.pause * 2).min(Duration::from_millis(20));
        true
    }
}
