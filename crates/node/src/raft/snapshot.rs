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

use crate::node::Inner;
use crate::surroundings::Work;

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
    Checkpoint(Arc<dyn engine::Read>, Work),
    /// A state that came from another node.
    Received(Spooled),
}

/// A stream that was received.
pub(crate) enum Spooled {
    /// In a file that goes with this.
    File(PathBuf),
    /// Where no node touches the machine's disk.
    Memory(Vec<u8>),
}

impl Drop for Spooled {
    fn drop(&mut self) {
        if let Spooled::File(path) = self {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// The pieces of a snapshot, made as they are taken, off the threads that serve requests.
pub(super) fn stream(
    head: Bytes,
    data: SnapshotData,
) -> io::Result<mpsc::Receiver<io::Result<Bytes>>> {
    let SnapshotData::Checkpoint(checkpoint, work) = data else {
        return Err(io::Error::other("a snapshot that is not to be sent"));
    };
    let mut sender = Sender::new(checkpoint).map_err(io::Error::other)?;
    let (pieces, taken) = mpsc::channel(PIECES);
    tokio::spawn(async move {
        if pieces.send(Ok(piece(&head))).await.is_err() {
            return;
        }
        for number in 0.. {
            let make = move || (sender.chunk(number), sender);
            let made = match work.run(make).await {
                Ok((made, back)) => {
                    sender = back;
                    made.map_err(io::Error::other).transpose()
                }
                Err(_) => return,
            };
            let Some(made) = made else { return };
            let is_last = made.is_err();
            // Nobody takes them any more when the connection is gone.
            let taken = pieces.send(made.map(|chunk| piece(&chunk))).await;
            if taken.is_err() || is_last {
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

/// Reads a stream into a file below the node's directory. Answers with its head.
pub(super) async fn spool(inner: &Inner, mut body: BodyDataStream) -> io::Result<(Bytes, Spooled)> {
    let mut spool = Spool::begin(inner).await?;
    let mut start = BytesMut::new();
    let mut head = None;
    while let Some(bytes) = body.next().await {
        let bytes = bytes.map_err(io::Error::other)?;
        if head.is_some() {
            spool.write(&bytes).await?;
            continue;
        }
        start.extend_from_slice(&bytes);
        head = take_head(&mut start)?;
        if head.is_some() {
            spool.write(&start.split()).await?;
        }
    }
    let spooled = spool.end().await?;
    let head = head.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
    Ok((head, spooled))
}

/// A stream that is being received.
struct Spool {
    spooled: Spooled,
    file: Option<tokio::fs::File>,
}

impl Spool {
    async fn begin(inner: &Inner) -> io::Result<Spool> {
        let Work::Threads = inner.surroundings.work else {
            let spooled = Spooled::Memory(Vec::new());
            return Ok(Spool {
                spooled,
                file: None,
            });
        };
        let name = format!("{SPOOL}-{}", rand::random::<u32>());
        let path = inner.config.data.join(name);
        let file = Some(tokio::fs::File::create(&path).await?);
        let spooled = Spooled::File(path);
        Ok(Spool { spooled, file })
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match (&mut self.spooled, &mut self.file) {
            (Spooled::Memory(all), _) => all.extend_from_slice(bytes),
            (Spooled::File(_), Some(file)) => file.write_all(bytes).await?,
            (Spooled::File(_), None) => {}
        }
        Ok(())
    }

    async fn end(self) -> io::Result<Spooled> {
        if let Some(mut file) = self.file {
            file.flush().await?;
        }
        Ok(self.spooled)
    }
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
    match spooled {
        Spooled::File(path) => install_from(BufReader::new(File::open(path)?), engine),
        Spooled::Memory(bytes) => install_from(bytes.as_slice(), engine),
    }
}

fn install_from(mut from: impl Read, engine: &Arc<dyn Engine>) -> io::Result<()> {
    let mut installer = Installer::begin(Arc::clone(engine)).map_err(io::Error::other)?;
    while let Some(chunk) = next(&mut from)? {
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
