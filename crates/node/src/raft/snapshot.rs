//! Snapshots: a region's whole state on its way to a node that lacks too much of the log.
//!
//! The stream: pieces, each with its length (4 bytes, little-endian) before it. The first is the head
//! ([`super::message`]), the others are the store's own chunks, which check themselves
//! ([`atoll_store::transfer`]). What is received is spooled to a file: the state that is there goes only once
//! the new one has arrived.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::body::BodyDataStream;
use bytes::{Buf, BufMut, Bytes, BytesMut};
use futures_util::StreamExt;
use tokio::io::AsyncWriteExt;
use tokio::sync::mpsc;

use atoll_store::engine::{self, Engine};
use atoll_store::transfer::{CHUNK_BYTES, Installer, Sender};

/// Pieces under way to the connection.
const PIECES: usize = 4;
/// A chunk, or one pair that is larger alone.
const PIECE_BYTES_MAX: usize = 64 << 20;
const LENGTH_BYTES: usize = 4;
const SPOOL: &str = "incoming-state";

/// What a snapshot is, besides its place in the log.
pub(crate) enum SnapshotData {
    /// The state on this node's disk, flushed; nobody asks to be sent it.
    Flushed,
    /// The state at one instant, to be sent.
    Checkpoint(Arc<dyn engine::Read>),
    /// A state that came from another node.
    Received(Spooled),
}

/// A stream that was received, in a file that goes with this.
pub(crate) struct Spooled(PathBuf);

impl Drop for Spooled {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The pieces of a snapshot, made as they are taken, on a thread of their own.
pub(super) fn stream(
    head: Bytes,
    data: SnapshotData,
) -> io::Result<mpsc::Receiver<io::Result<Bytes>>> {
    let SnapshotData::Checkpoint(checkpoint) = data else {
        return Err(io::Error::other("a snapshot that is not to be sent"));
    };
    let mut sender = Sender::new(checkpoint).map_err(io::Error::other)?;
    let (pieces, taken) = mpsc::channel(PIECES);
    tokio::task::spawn_blocking(move || {
        if pieces.blocking_send(Ok(piece(&head))).is_err() {
            return;
        }
        for number in 0.. {
            let made = sender.chunk(number).map_err(io::Error::other).transpose();
            let Some(made) = made else { return };
            let is_last = made.is_err();
            // Nobody takes them any more when the connection is gone.
            if pieces
                .blocking_send(made.map(|chunk| piece(&chunk)))
                .is_err()
                || is_last
            {
                return;
            }
        }
    });
    Ok(taken)
}

fn piece(bytes: &Bytes) -> Bytes {
    let length = u32::try_from(bytes.len()).expect("pieces are bounded far below 4 GiB");
    let mut piece = BytesMut::with_capacity(LENGTH_BYTES + bytes.len());
    piece.put_u32_le(length);
    piece.put_slice(bytes);
    piece.freeze()
}

/// Reads a stream into a file below `data`. Answers with its head.
pub(super) async fn spool(data: &Path, mut body: BodyDataStream) -> io::Result<(Bytes, Spooled)> {
    let path = data.join(format!("{SPOOL}-{}", rand::random::<u32>()));
    let mut file = tokio::fs::File::create(&path).await?;
    let spooled = Spooled(path);
    let mut start = BytesMut::new();
    let mut head = None;
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(io::Error::other)?;
        if head.is_some() {
            file.write_all(&bytes).await?;
            continue;
        }
        start.extend_from_slice(&bytes);
        head = take_head(&mut start)?;
        if head.is_some() {
            file.write_all(&start.split()).await?;
        }
    }
    file.flush().await?;
    let head = head.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    Ok((head, spooled))
}

/// The first piece, once it is whole.
fn take_head(start: &mut BytesMut) -> io::Result<Option<Bytes>> {
    let Some(length) = start.first_chunk::<LENGTH_BYTES>() else {
        return Ok(None);
    };
    let length = u32::from_le_bytes(*length) as usize;
    if length > CHUNK_BYTES {
        return Err(io::Error::other("the head of a snapshot is too long"));
    }
    if start.len() < LENGTH_BYTES + length {
        return Ok(None);
    }
    start.advance(LENGTH_BYTES);
    Ok(Some(start.split_to(length).freeze()))
}

/// Puts a received state in the place of the engine's.
pub(super) fn install(spooled: &Spooled, engine: &Arc<dyn Engine>) -> io::Result<()> {
    let mut file = BufReader::new(File::open(&spooled.0)?);
    let mut installer = Installer::begin(Arc::clone(engine)).map_err(io::Error::other)?;
    while let Some(chunk) = next(&mut file)? {
        installer.push(&chunk).map_err(io::Error::other)?;
    }
    let installed = installer.finish().map_err(io::Error::other)?;
    tracing::info!(pairs = installed.pairs, "the region's state was taken over");
    Ok(())
}

fn next(file: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; LENGTH_BYTES];
    match file.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = u32::from_le_bytes(length) as usize;
    if length > PIECE_BYTES_MAX {
        return Err(io::Error::other("a piece of a snapshot is too long"));
    }
    let mut chunk = vec![0; length];
    file.read_exact(&mut chunk)?;
    Ok(Some(chunk))
}

/// Removes what an earlier run was receiving.
pub(crate) fn clear_spools(data: &Path) {
    for entry in std::fs::read_dir(data).into_iter().flatten().flatten() {
        if entry.file_name().to_string_lossy().starts_with(SPOOL) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}
