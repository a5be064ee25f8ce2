//! Which regions reach each other, and how fast.

use std::time::Duration;

/// How much slower a slow link is.
const SLOWDOWN: u32 = 20;

/// Partitions and slow links that are there now.
#[derive(Debug)]
pub(crate) struct Reach {
    /// How many partitions lie between two regions.
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

    /// Whether messages pass between two regions.
    pub(crate) fn is_open(&self, a: usize, b: usize) -> bool {
        self.parted[a][b] == 0
    }

    pub(crate) fn part(&mut self, a: usize, b: usize) {
        self.parted[a][b] += 1;
        self.parted[b][a] = self.parted[a][b];
    }

    pub(crate) fn join(&mut self, a: usize, b: usize) {
        self.parted[a][b] = self.parted[a][b].saturating_sub(1);
        self.parted[b][a] = self.parted[a][b];
    }

    pub(crate) fn slow_down(&mut self, from: usize, to: usize) {
        self.slow[from][to] = true;
    }

    pub(crate) fn speed_up(&mut self, from: usize, to: usize) {
        self.slow[from][to] = false;
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
