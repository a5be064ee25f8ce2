//! Which regions reach each other, and how fast.
//!
//! A connection is opened by one region to another. A cut may go one way: the first does not reach the second
//! with connections that it opens, while those that the second opens to the first are well.

use std::time::Duration;

/// How much slower a slow link is.
const SLOWDOWN: u32 = 20;

/// Cuts and slow links that are there now.
#[derive(Debug)]
pub(crate) struct Reach {
    /// How many cuts keep one region from opening connections to another.
    parted: Vec<Vec<u32>>,
    slow: Vec<Vec<bool>>,
}

impl Reach {
    pub(crate) fn new(regions: usize) -> Self {
        Reach {
            parted: vec![vec![0; regions]; regions],
            slow: vec![vec![false; regions]; regions],
        }
    }

    /// There is one more region.
    pub(crate) fn grow(&mut self) {
        for row in &mut self.parted {
            row.push(0);
        }
        for row in &mut self.slow {
            row.push(false);
        }
        let regions = self.parted.len() + 1;
        self.parted.push(vec![0; regions]);
        self.slow.push(vec![false; regions]);
    }

    /// Whether connections that `caller` opens to `called` are well.
    pub(crate) fn is_open(&self, caller: usize, called: usize) -> bool {
        self.parted[caller][called] == 0
    }

    pub(crate) fn part(&mut self, caller: usize, called: usize) {
        self.parted[caller][called] += 1;
    }

    pub(crate) fn join(&mut self, caller: usize, called: usize) {
        let cuts = &mut self.parted[caller][called];
        *cuts = cuts.saturating_sub(1);
    }

    pub(crate) fn slow_down(&mut self, from: usize, to: usize) {
        self.slow[from][to] = true;
    }

    pub(crate) fn speed_up(&mut self, from: usize, to: usize) {
        self.slow[from][to] = false;
    }

    /// No link is slow any more.
    pub(crate) fn speed_up_all(&mut self) {
        self.slow.iter_mut().for_each(|row| row.fill(false));
    }

    /// How long a message takes that usually takes `usual`.
    pub(crate) fn delay(&self, from: usize, to: usize, usual: Duration) -> Duration {
        if self.slow[from][to] {
            usual * SLOWDOWN
        } else {
            usual
        }
    }

    /// Everything is well again.
    pub(crate) fn mend(&mut self) {
        *self = Reach::new(self.parted.len());
    }
}
