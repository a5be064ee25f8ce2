//! What must hold when whole nodes were tormented, one file each. A file says by which fault, put in by hand, it
//! was seen to fail; those that do not are there for their definition.

pub(super) mod acknowledged;
pub(super) mod dots;
pub(super) mod equal;
pub(super) mod linearizable;
pub(super) mod majority;
pub(super) mod once;
pub(super) mod sessions;
