//! The lines of a run: shown when asked for, and hashed always. Equal runs have equal hashes.

use std::time::Duration;

/// Lines that were said.
#[derive(Debug)]
pub(super) struct Trace {
    hash: u64,

    /// The simulated time.
    pub(super) at: Duration,
    pub(super) is_shown: bool,
}

impl Default for Trace {
    fn default() -> Self {
        Trace {
            hash: 0xcbf2_9ce4_8422_2325,

            at: Duration::ZERO,
            is_shown: false,
        }
    }
}

impl Trace {
    /// Says a line at the present time.
    pub(super) fn say(&mut self, line: &str) {
        let line = format!("{:8.3} {line}", self.at.as_secs_f64());
        self.mix(line.as_bytes());

        if self.is_shown {
            use std::io::Write as _;
            // Whoever closes the pipe has read enough.
            let _ = writeln!(std::io::stdout(), "{line}");
        }
    }

    /// Takes bytes into the hash without showing them (FNV-1a).
    pub(super) fn mix(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.hash = (self.hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    pub(super) fn hash(&self) -> u64 {
        self.hash
    }
}
