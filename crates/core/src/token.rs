//! Opaque tokens for clients: sessions, contexts, cursors.
//!
//! Layout: version (1 byte, now 1) · kind (1) · store id (8, big-endian) · components (1) · per component
//! replica id (8) and sequence (8) · CRC32C of all before (4); written in unpadded base64url. A token is
//! never trusted further than "wait until this is covered".

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::ids::{Dot, ReplicaId, StoreId};
use crate::version_vector::VersionVector;

/// Longest token in bytes of text: 255 components.
pub const TOKEN_BYTES_MAX: usize = 5500;
const VERSION: u8 = 1;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenKind {
    /// `Atoll-Session`: answers must cover it.
    Session,
    /// `Atoll-Context`: what a read saw.
    Context,
    /// A cursor of `/v1/changes`: what was delivered.
    Cursor,
}

impl TokenKind {
    fn ordinal(self) -> u8 {
        match self {
            TokenKind::Session => 1,
            TokenKind::Context => 2,
            TokenKind::Cursor => 3,
        }
    }
}

/// A token that cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidToken {
    /// Not ours, cut, or changed on the way.
    #[error("the token is damaged or was not made by Atoll; drop it and start without one")]
    Damaged,
    /// Made by a newer version.
    #[error(
        "the token has version {0}, and this node knows {VERSION}; upgrade the node or drop the token"
    )]
    UnknownVersion(u8),
    /// A session where a context was needed, or the like.
    #[error("the token is of another kind than this place takes")]
    WrongKind,
    /// Of another store.
    #[error("the token belongs to store {theirs}, and this is store {ours}")]
    ForeignStore {
        /// The store that it was made by.
        theirs: StoreId,
        /// This store.
        ours: StoreId,
    },
}

/// Writes a token.
#[must_use]
pub fn write(kind: TokenKind, store: StoreId, vector: &VersionVector) -> String {
    let mut bytes = Vec::with_capacity(15 + 16 * vector.len());
    bytes.extend_from_slice(&[VERSION, kind.ordinal()]);
    bytes.extend_from_slice(&store.0.to_be_bytes());
    bytes.push(u8::try_from(vector.len()).unwrap_or(u8::MAX));
    for (replica, seq) in vector.iter().take(usize::from(u8::MAX)) {
        bytes.extend_from_slice(&replica.0.to_be_bytes());
        bytes.extend_from_slice(&seq.to_be_bytes());
    }
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_be_bytes());
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Reads a token.
///
/// # Errors
/// [`InvalidToken`].
pub fn read(kind: TokenKind, store: StoreId, text: &str) -> Result<VersionVector, InvalidToken> {
    if text.len() > TOKEN_BYTES_MAX {
        return Err(InvalidToken::Damaged);
    }
    let bytes = URL_SAFE_NO_PAD
        .decode(text)
        .map_err(|_| InvalidToken::Damaged)?;
    let (body, sum) = bytes.split_last_chunk::<4>().ok_or(InvalidToken::Damaged)?;
    if crc32c::crc32c(body) != u32::from_be_bytes(*sum) {
        return Err(InvalidToken::Damaged);
    }
    let (&[version, kind_given], body) =
        body.split_first_chunk::<2>().ok_or(InvalidToken::Damaged)?;
    if version != VERSION {
        return Err(InvalidToken::UnknownVersion(version));
    }
    let (theirs, body) = body.split_first_chunk::<8>().ok_or(InvalidToken::Damaged)?;
    let theirs = StoreId(u64::from_be_bytes(*theirs));
    if theirs != store {
        return Err(InvalidToken::ForeignStore {
            theirs,
            ours: store,
        });
    }
    if kind_given != kind.ordinal() {
        return Err(InvalidToken::WrongKind);
    }
    let (&count, body) = body.split_first().ok_or(InvalidToken::Damaged)?;
    if body.len() != usize::from(count) * 16 {
        return Err(InvalidToken::Damaged);
    }
    let number = |bytes: &[u8]| bytes.try_into().map(u64::from_be_bytes).unwrap_or_default();
    let components = body.chunks_exact(16);
    let mut vector = VersionVector::new();
    for component in components {
        vector.raise(Dot {
            replica: ReplicaId(number(&component[..8])),
            seq: number(&component[8..]),
        });
    }
    Ok(vector)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vector() -> VersionVector {
        [(ReplicaId(7), 3), (ReplicaId(1), u64::MAX)]
            .into_iter()
            .collect()
    }

    #[test]
    fn a_token_comes_back() {
        let text = write(TokenKind::Session, StoreId(9), &vector());
        assert_eq!(read(TokenKind::Session, StoreId(9), &text), Ok(vector()));
    }

    #[test]
    fn every_changed_character_is_noticed() {
        let text = write(TokenKind::Context, StoreId(9), &vector());
        for at in 0..text.len() {
            let mut forged = text.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            let forged = String::from_utf8(forged).expect("ASCII");
            assert!(
                read(TokenKind::Context, StoreId(9), &forged).is_err(),
                "at {at}"
            );
        }
    }

    #[test]
    fn foreign_and_wrong_tokens_are_named() {
        let text = write(TokenKind::Session, StoreId(9), &vector());
        assert!(matches!(
            read(TokenKind::Session, StoreId(8), &text),
            Err(InvalidToken::ForeignStore { .. })
        ));
        assert_eq!(
            read(TokenKind::Cursor, StoreId(9), &text),
            Err(InvalidToken::WrongKind)
        );
        assert_eq!(
            read(TokenKind::Session, StoreId(9), ""),
            Err(InvalidToken::Damaged)
        );
    }
}
