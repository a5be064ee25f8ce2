//! Link frames: magic `AL`, version (1 byte), type (1), length (4, little-endian), CRC32C of the payload
//! (4), payload.
//!
//! An [`Encoder`] and a [`Decoder`] belong to one direction of one link and keep what compression reuses.
//! Batches above [`COMPRESS_FROM_BYTES`] travel as zstd where that is smaller. Everything is bounded: a
//! frame and what it unpacks to are at most [`FRAME_BYTES_MAX`].

use std::marker::PhantomData;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

use crate::layout;
use crate::message::{Downstream, LINK_VERSION, READER, Upstream};

/// Largest payload, packed and unpacked. The largest request (16 MiB) becomes one entry with room to spare.
pub const FRAME_BYTES_MAX: usize = 64 << 20;
/// Batches below this stay plain.
pub const COMPRESS_FROM_BYTES: usize = 4096;
/// Bytes before the payload.
pub const LINK_HEADER_BYTES: usize = 12;
const MAGIC: [u8; 2] = *b"AL";
const ZSTD_LEVEL: i32 = 1;

/// Bytes on a link that cannot be read. The link stops; the name says who has to act.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadLinkFrame {
    /// Another magic.
    #[error("bytes that are no link frame: the peer is not an Atoll node")]
    NotAFrame,
    /// A newer conversation.
    #[error("a link frame of version {0}; this node knows {LINK_VERSION}: upgrade it")]
    UnknownVersion(u8),
    /// A type that this direction does not have.
    #[error("a link frame of unknown type {0}: upgrade this node")]
    UnknownType(u8),
    /// A codec that is not known.
    #[error("a batch of unknown codec {0}: upgrade this node")]
    UnknownCodec(u32),
    /// Entries for newer readers.
    #[error("a batch for readers from {needed} on; this node is reader {READER}: upgrade it")]
    NewerEntries {
        /// The least reader.
        needed: u32,
    },
    /// Over the bound.
    #[error("a link frame of {bytes} bytes; at most {FRAME_BYTES_MAX} are allowed")]
    TooLarge {
        /// As claimed.
        bytes: u64,
    },
    /// The checksum does not fit.
    #[error("a link frame whose checksum does not fit: it was damaged on the way")]
    Checksum,
    /// The payload says something impossible.
    #[error("a link frame that cannot be read: {0}")]
    Malformed(String),
}

/// A message of one direction.
pub trait LinkMessage: Sized + private::Sealed {
    /// Its frame type and payload.
    #[doc(hidden)]
    fn pack(&self, zstd: &mut Zstd) -> (u8, Vec<u8>);
    /// The message in a frame.
    #[doc(hidden)]
    fn unpack(kind: u8, payload: Bytes, unzstd: &mut Unzstd) -> Result<Self, BadLinkFrame>;
}

mod private {
    pub trait Sealed {}
    impl Sealed for super::Upstream {}
    impl Sealed for super::Downstream {}
}

/// Makes frames.
#[derive(Default)]
pub struct Encoder {
    zstd: Zstd,
}

impl Encoder {
    /// Compresses what is worth it.
    #[must_use]
    pub fn new() -> Self {
        Encoder::default()
    }

    /// The frame of a message.
    pub fn encode<M: LinkMessage>(&mut self, message: &M) -> Bytes {
        let (kind, payload) = message.pack(&mut self.zstd);
        let length = u32::try_from(payload.len()).expect("batches are bounded far below 4 GiB");
        let mut out = BytesMut::with_capacity(LINK_HEADER_BYTES + payload.len());
        out.put_slice(&MAGIC);
        out.put_u8(LINK_VERSION);
        out.put_u8(kind);
        out.put_u32_le(length);
        out.put_u32_le(crc32c::crc32c(&payload));
        out.put_slice(&payload);
        out.freeze()
    }
}

/// Reads frames of one direction from chunks of any size.
pub struct Decoder<M> {
    buffer: BytesMut,
    unzstd: Unzstd,
    message: PhantomData<fn() -> M>,
}

impl<M: LinkMessage> Default for Decoder<M> {
    fn default() -> Self {
        Decoder::new()
    }
}

impl<M: LinkMessage> Decoder<M> {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Self {
        Decoder {
            buffer: BytesMut::new(),
            unzstd: Unzstd::default(),
            message: PhantomData,
        }
    }

    /// More bytes arrived.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole message, or `None` until more bytes arrive.
    ///
    /// # Errors
    /// [`BadLinkFrame`]; what follows on this link cannot be read either.
    #[allow(
        clippy::should_implement_trait,
        reason = "it fails and resumes, unlike an iterator"
    )]
    pub fn next(&mut self) -> Result<Option<M>, BadLinkFrame> {
        if self.buffer.len() < LINK_HEADER_BYTES {
            return Ok(None);
        }
        let mut header = &self.buffer[..LINK_HEADER_BYTES];
        if header[..2] != MAGIC {
            return Err(BadLinkFrame::NotAFrame);
        }
        header.advance(2);
        let version = header.get_u8();
        if version != LINK_VERSION {
            return Err(BadLinkFrame::UnknownVersion(version));
        }
        let kind = header.get_u8();
        let length = header.get_u32_le() as usize;
        let sum = header.get_u32_le();
        if length > FRAME_BYTES_MAX {
            return Err(BadLinkFrame::TooLarge {
                bytes: length as u64,
            });
        }
        let whole = LINK_HEADER_BYTES + length;
        if self.buffer.len() < whole {
            return Ok(None);
        }
        let mut payload = self.buffer.split_to(whole).freeze();
        payload.advance(LINK_HEADER_BYTES);
        if crc32c::crc32c(&payload) != sum {
            return Err(BadLinkFrame::Checksum);
        }
        M::unpack(kind, payload, &mut self.unzstd).map(Some)
    }
}

impl LinkMessage for Upstream {
    fn pack(&self, _: &mut Zstd) -> (u8, Vec<u8>) {
        layout::pack_upstream(self)
    }

    fn unpack(kind: u8, payload: Bytes, _: &mut Unzstd) -> Result<Self, BadLinkFrame> {
        layout::unpack_upstream(kind, payload)
    }
}

impl LinkMessage for Downstream {
    fn pack(&self, zstd: &mut Zstd) -> (u8, Vec<u8>) {
        layout::pack_downstream(self, zstd)
    }

    fn unpack(kind: u8, payload: Bytes, unzstd: &mut Unzstd) -> Result<Self, BadLinkFrame> {
        layout::unpack_downstream(kind, payload, unzstd)
    }
}

/// A compressor kept between batches: setting one up costs more than a small batch.
#[derive(Default)]
pub struct Zstd(Option<zstd::bulk::Compressor<'static>>);

impl Zstd {
    /// The smaller form of `plain`; `None` when that is `plain` itself.
    pub(crate) fn squeeze(&mut self, plain: &[u8]) -> Option<Vec<u8>> {
        if plain.len() < COMPRESS_FROM_BYTES {
            return None;
        }
        if self.0.is_none() {
            self.0 = zstd::bulk::Compressor::new(ZSTD_LEVEL).ok();
        }
        let squeezed = self.0.as_mut()?.compress(plain).ok()?;
        (squeezed.len() < plain.len()).then_some(squeezed)
    }
}

/// A decompressor kept between batches, for the same reason.
#[derive(Default)]
pub struct Unzstd(Option<zstd::bulk::Decompressor<'static>>);

impl Unzstd {
    /// Unpacks to exactly `plain_bytes`.
    pub(crate) fn unsqueeze(
        &mut self,
        squeezed: &[u8],
        plain_bytes: usize,
    ) -> Result<Bytes, BadLinkFrame> {
        if plain_bytes > FRAME_BYTES_MAX {
            return Err(BadLinkFrame::TooLarge {
                bytes: plain_bytes as u64,
            });
        }
        let unpack = |e| BadLinkFrame::Malformed(format!("a batch that does not unpack: {e}"));
        let zstd = match &mut self.0 {
            Some(zstd) => zstd,
            none => none.insert(zstd::bulk::Decompressor::new().map_err(unpack)?),
        };
        let plain = zstd.decompress(squeezed, plain_bytes).map_err(unpack)?;
        if plain.len() != plain_bytes {
            return Err(BadLinkFrame::Malformed(
                "a batch of another length than it says".into(),
            ));
        }
        Ok(plain.into())
    }
}

pub(crate) fn read<P: Message + Default>(payload: Bytes) -> Result<P, BadLinkFrame> {
    P::decode(payload).map_err(|e| BadLinkFrame::Malformed(e.to_string()))
}
