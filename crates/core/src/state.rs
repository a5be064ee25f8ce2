//! What apply reads and writes: slots, their history, the ledger. The store implements it over RocksDB,
//! tests and the simulator over a map.

use crate::content::Class;
use crate::ids::{CollectionName, Dot, Key, ReplicaId};
use crate::path::Path;
use crate::slot::{Partner, Slot, Superseded};
use crate::version_vector::VersionVector;

/// The full name of a slot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SlotName {
    /// Its collection.
    pub collection: CollectionName,
    /// Its key.
    pub key: Key,
    /// Its path within the key.
    pub path: Path,
}

/// One conflict, as stored: everything else about it is a view of the two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The slot.
    pub at: SlotName,
    /// The smaller version by (time, replica id).
    pub first: Partner,
    /// The greater one.
    pub second: Partner,
    /// Classes of the two, in the same order.
    pub classes: (Class, Class),
    /// Whether both writers saw nothing there.
    pub creates: bool,
    /// Whether `second` is the smallest partner of `first`.
    pub named_by_first: bool,
    /// Whether `first` is the smallest partner of `second`.
    pub named_by_second: bool,
}

/// A conflict's name: derived from the slot and the two dots, so equal in every region.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConflictId(pub u128);

/// Reads what is stored of one store, within one snapshot.
pub trait ReadState {
    /// What can go wrong below.
    type Error;

    /// The slot of that name; empty when there is none.
    ///
    /// # Errors
    /// When the storage fails.
    fn slot(&self, at: &SlotName) -> Result<Slot, Self::Error>;

    /// All slots strictly below that name's path, in path order.
    ///
    /// # Errors
    /// When the storage fails.
    fn below(&self, at: &SlotName) -> Result<Vec<(Path, Slot)>, Self::Error>;

    /// Superseded versions of one slot, class and origin with a sequence in `seqs` (from, to inclusive; never
    /// an empty range), ascending or descending, until `visit` answers `false`.
    ///
    /// # Errors
    /// When the storage fails.
    fn history(
        &self,
        at: &SlotName,
        class: Class,
        origin: ReplicaId,
        seqs: (u64, u64),
        descending: bool,
        visit: &mut dyn FnMut(Superseded) -> bool,
    ) -> Result<(), Self::Error>;

    /// The context with which the entry `dot` replaced versions of that slot
    /// ([`Entry::context_at`](crate::Entry::context_at)). `None` when it wrote nothing there, or is no
    /// longer kept.
    ///
    /// # Errors
    /// When the storage fails.
    fn context_of(&self, at: &SlotName, dot: Dot) -> Result<Option<VersionVector>, Self::Error>;

    /// The ledger row of that name.
    ///
    /// # Errors
    /// When the storage fails.
    fn ledger_row(&self, id: ConflictId) -> Result<Option<LedgerRow>, Self::Error>;
}

/// Writes it.
pub trait WriteState: ReadState {
    /// Stores a slot; an empty one is removed.
    fn put_slot(&mut self, at: &SlotName, slot: Slot);

    /// Stores a superseded version.
    fn put_history(&mut self, at: &SlotName, version: &Superseded);

    /// Stores a ledger row; `fresh` says that it was not there before.
    fn put_ledger_row(&mut self, id: ConflictId, row: &LedgerRow, fresh: bool);

    /// Removes a ledger row whose versions both found a smaller partner.
    fn remove_ledger_row(&mut self, id: ConflictId, row: &LedgerRow);
}
