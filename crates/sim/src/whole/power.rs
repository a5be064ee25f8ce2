//! The power switch of a simulated machine, between its node and everything outside.
//!
//! A process that is killed does nothing more, from one instruction to the next. A task of a runtime cannot be
//! stopped there: it goes on to its next await. So the switch cuts what it could still do: from the write at
//! which it goes off on, nothing reaches the disk and nothing leaves over the network. The harness drops the
//! runtime a moment later.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// One life of a machine.
#[derive(Clone)]
pub(super) struct Power(Arc<Switch>);

struct Switch {
    is_off: AtomicBool,
    /// Writes to go until it goes off by itself.
    writes_left: AtomicU64,
}

impl Power {
    pub(super) fn on() -> Power {
        Power(Arc::new(Switch {
            is_off: AtomicBool::new(false),
            writes_left: AtomicU64::new(u64::MAX),
        }))
    }

    pub(super) fn is_off(&self) -> bool {
        self.0.is_off.load(Ordering::Relaxed)
    }

    pub(super) fn cut(&self) {
        self.0.is_off.store(true, Ordering::Relaxed);
    }

    /// Lets so many writes pass, and goes off at the next.
    pub(super) fn cut_after(&self, writes: u64) {
        self.0.writes_left.store(writes, Ordering::Relaxed);
    }

    /// Before each write: whether it may be made.
    pub(super) fn lets_write(&self) -> bool {
        if self.is_off() {
            return false;
        }
        let left = self.0.writes_left.load(Ordering::Relaxed);
        if left == 0 {
            self.cut();
            return false;
        }
        if left != u64::MAX {
            self.cut_after(left - 1);
        }
        true
    }
}
