//! Decides values: ids, clocks, version vectors, entries, data types, policies, conflicts.
//!
//! Everything here is a pure function of its arguments: no I/O, no clock, no random number, no
//! async runtime. The other rooms ask; this one answers. Where a conflict is decided: [`conflict`]
//! says which versions are concurrent, [`view`] says what a reader sees of them.
//!
//! - [`intent`]: what a client asks for → [`expand`]: the slot writes it means, given the state
//! - [`entry`]: one committed atomic write, as it travels → [`apply`]: what it does to the state
//! - [`member`], [`layout`]: who the regions are and how they are linked, as entries carry it
//! - [`slot`]: the stored form of one register, field, element or counter
//! - [`view`]: the answer a reader gets under a declared policy

pub mod apply;
pub mod collection;
pub mod conflict;
pub mod content;
pub mod counter;
pub mod document;
pub mod entry;
pub mod expand;
pub mod hash;
pub mod hlc;
pub mod idempotency;
pub mod ids;
pub mod intent;
pub mod layout;
pub mod map;
pub mod member;
pub mod path;
pub mod set;
pub mod slot;
pub mod state;
pub mod token;
pub mod version_vector;
pub mod view;
pub mod wire;

pub use collection::{CollectionSpec, DataType, Policy, UpdateDelete};
pub use content::{Content, Value};
pub use entry::{Entry, Operation, SlotWrite};
pub use hlc::Timestamp;
pub use idempotency::{Idempotency, IdempotencyKey};
pub use ids::{CollectionName, Dot, Key, RegionName, ReplicaId, StoreId};
pub use layout::Layout;
pub use member::{MemberChange, MemberState};
pub use path::Path;
pub use slot::{Slot, Version};
pub use version_vector::VersionVector;
