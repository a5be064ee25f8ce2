//! Each invariant notices a fault that is put in for it: the proof that it can fail.
