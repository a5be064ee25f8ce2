//! Messages of links to and from their Protocol Buffers forms. Frame types are never reused:
//! 1 to 15 go upstream, 16 and on downstream.

use bytes::Bytes;
use prost::Message;

use atoll_core::wire::pb::Vector;
use atoll_core::{RegionName, ReplicaId, StoreId, VersionVector};

use crate::frame::{BadLinkFrame, Unzstd, Zstd, read};
use crate::hearing::Row;
use crate::message::{
    Ack, Batch, Carries, Downstream, Heartbeat, Hello, Matrix, Ping, Pong, READER, Resume,
    Upstream, Want, Welcome, pb,
};

const HELLO: u8 = 1;
const ACK: u8 = 2;
const WANT: u8 = 3;
const RESUME: u8 = 4;
const PRUNE: u8 = 5;
const PING: u8 = 6;
const WELCOME: u8 = 16;
const BATCH: u8 = 17;
const HEARTBEAT: u8 = 18;
const PONG: u8 = 19;

const CODEC_PLAIN: u32 = 0;
const CODEC_ZSTD: u32 = 1;
const CARRIES_OWN: u32 = 1;
const CARRIES_EVERYTHING: u32 = 2;

pub(crate) fn pack_upstream(message: &Upstream) -> (u8, Vec<u8>) {
    match message {
        Upstream::Hello(hello) => (HELLO, pack_hello(hello)),
        Upstream::Ack(Ack {
            vector,
            consumed_bytes,
            known,
            hearing,
        }) => {
            let ack = pb::Ack {
                vector: Some(vector.into()),
                consumed_bytes: *consumed_bytes,
                known: pack_matrix(known),
                hearing: hearing.iter().map(pack_row).collect(),
            };
            (ACK, ack.encode_to_vec())
        }
        Upstream::Want(Want { origin, from, to }) => {
            let want = pb::Want {
                origin: origin.0,
                from: *from,
                to: *to,
            };
            (WANT, want.encode_to_vec())
        }
        Upstream::Resume(Resume {
            vector,
            carries,
            pruned,
        }) => {
            let resume = pb::Resume {
                vector: Some(vector.into()),
                carries: pack_carries(*carries),
                pruned: pruned.iter().map(|r| r.0).collect(),
            };
            (RESUME, resume.encode_to_vec())
        }
        Upstream::Prune(origins) => {
            let prune = pb::Prune {
                origins: origins.iter().map(|r| r.0).collect(),
            };
            (PRUNE, prune.encode_to_vec())
        }
        Upstream::Ping(Ping { id, sent_ms }) => {
            let ping = pb::Ping {
                id: *id,
                sent_ms: *sent_ms,
            };
            (PING, ping.encode_to_vec())
        }
    }
}

pub(crate) fn unpack_upstream(kind: u8, payload: Bytes) -> Result<Upstream, BadLinkFrame> {
    Ok(match kind {
        HELLO => Upstream::Hello(unpack_hello(read(payload)?)?),
        ACK => {
            let pb::Ack {
                vector,
                consumed_bytes,
                known,
                hearing,
            } = read(payload)?;
            let (vector, known) = (unpack_vector(vector)?, unpack_matrix(known)?);
            Upstream::Ack(Ack {
                vector,
                consumed_bytes,
                known,
                hearing: unpack_rows(hearing)?,
            })
        }
        WANT => {
            let pb::Want { origin, from, to } = read(payload)?;
            if from == 0 || to < from {
                return Err(malformed("a question for no entry"));
            }
            Upstream::Want(Want {
                origin: ReplicaId(origin),
                from,
                to,
            })
        }
        RESUME => {
            let pb::Resume {
                vector,
                carries,
                pruned,
            } = read(payload)?;
            Upstream::Resume(Resume {
                vector: unpack_vector(vector)?,
                carries: unpack_carries(carries)?,
                pruned: pruned.into_iter().map(ReplicaId).collect(),
            })
        }
        PRUNE => {
            let pb::Prune { origins } = read(payload)?;
            Upstream::Prune(origins.into_iter().map(ReplicaId).collect())
        }
        PING => {
            let pb::Ping { id, sent_ms } = read(payload)?;
            Upstream::Ping(Ping { id, sent_ms })
        }
        other => return Err(BadLinkFrame::UnknownType(other)),
    })
}

pub(crate) fn pack_downstream(message: &Downstream, zstd: &mut Zstd) -> (u8, Vec<u8>) {
    match message {
        Downstream::Welcome(Welcome {
            store,
            region,
            replica,
        }) => {
            let welcome = pb::Welcome {
                store: store.0,
                region: region.to_string(),
                replica: replica.0,
            };
            (WELCOME, welcome.encode_to_vec())
        }
        Downstream::Batch(batch) => (BATCH, pack_batch(batch, zstd)),
        Downstream::Heartbeat(Heartbeat {
            source_ms,
            vector,
            known,
            regions,
            hearing,
        }) => {
            let region = |(replica, name): &(ReplicaId, RegionName)| pb::Region {
                replica: replica.0,
                name: name.to_string(),
            };
            let heartbeat = pb::Heartbeat {
                source_ms: *source_ms,
                vector: Some(vector.into()),
                known: pack_matrix(known),
                regions: regions.iter().map(region).collect(),
                hearing: hearing.iter().map(pack_row).collect(),
            };
            (HEARTBEAT, heartbeat.encode_to_vec())
        }
        Downstream::Pong(Pong {
            id,
            sent_ms,
            source_ms,
        }) => {
            let pong = pb::Pong {
                id: *id,
                sent_ms: *sent_ms,
                source_ms: *source_ms,
            };
            (PONG, pong.encode_to_vec())
        }
    }
}

pub(crate) fn unpack_downstream(
    kind: u8,
    payload: Bytes,
    unzstd: &mut Unzstd,
) -> Result<Downstream, BadLinkFrame> {
    Ok(match kind {
        WELCOME => {
            let pb::Welcome {
                store,
                region,
                replica,
            } = read(payload)?;
            Downstream::Welcome(Welcome {
                store: StoreId(store),
                region: unpack_region(&region)?,
                replica: ReplicaId(replica),
            })
        }
        BATCH => Downstream::Batch(unpack_batch(read(payload)?, unzstd)?),
        HEARTBEAT => {
            let pb::Heartbeat {
                source_ms,
                vector,
                known,
                regions,
                hearing,
            } = read(payload)?;
            let region = |r: pb::Region| Ok((ReplicaId(r.replica), unpack_region(&r.name)?));
            Downstream::Heartbeat(Heartbeat {
                source_ms,
                vector: unpack_vector(vector)?,
                known: unpack_matrix(known)?,
                regions: regions.into_iter().map(region).collect::<Result<_, _>>()?,
                hearing: unpack_rows(hearing)?,
            })
        }
        PONG => {
            let pb::Pong {
                id,
                sent_ms,
                source_ms,
            } = read(payload)?;
            Downstream::Pong(Pong {
                id,
                sent_ms,
                source_ms,
            })
        }
        other => return Err(BadLinkFrame::UnknownType(other)),
    })
}

fn pack_hello(hello: &Hello) -> Vec<u8> {
    let Hello {
        version,
        store,
        region,
        replica,
        vector,
        carries,
        credit_bytes,
        pruned,
    } = hello;
    pb::Hello {
        version: *version,
        store: store.0,
        region: region.to_string(),
        replica: replica.0,
        vector: Some(vector.into()),
        carries: pack_carries(*carries),
        credit_bytes: *credit_bytes,
        pruned: pruned.iter().map(|r| r.0).collect(),
    }
    .encode_to_vec()
}

fn unpack_hello(hello: pb::Hello) -> Result<Hello, BadLinkFrame> {
    let pb::Hello {
        version,
        store,
        region,
        replica,
        vector,
        carries,
        credit_bytes,
        pruned,
    } = hello;
    Ok(Hello {
        version,
        store: StoreId(store),
        region: unpack_region(&region)?,
        replica: ReplicaId(replica),
        vector: unpack_vector(vector)?,
        carries: unpack_carries(carries)?,
        credit_bytes,
        pruned: pruned.into_iter().map(ReplicaId).collect(),
    })
}

fn pack_batch(batch: &Batch, zstd: &mut Zstd) -> Vec<u8> {
    let Batch {
        min_reader,
        count,
        entries,
    } = batch;
    let (codec, packed) = match zstd.squeeze(entries) {
        Some(squeezed) => (CODEC_ZSTD, squeezed.into()),
        None => (CODEC_PLAIN, entries.clone()),
    };
    pb::Batch {
        min_reader: *min_reader,
        codec,
        count: *count,
        plain_bytes: u32::try_from(entries.len()).expect("batches are bounded far below 4 GiB"),
        entries: packed,
    }
    .encode_to_vec()
}

fn unpack_batch(batch: pb::Batch, unzstd: &mut Unzstd) -> Result<Batch, BadLinkFrame> {
    let pb::Batch {
        min_reader,
        codec,
        count,
        plain_bytes,
        entries,
    } = batch;
    if min_reader > READER {
        return Err(BadLinkFrame::NewerEntries { needed: min_reader });
    }
    let entries = match codec {
        CODEC_PLAIN => entries,
        CODEC_ZSTD => unzstd.unsqueeze(&entries, plain_bytes as usize)?,
        other => return Err(BadLinkFrame::UnknownCodec(other)),
    };
    Ok(Batch {
        min_reader,
        count,
        entries,
    })
}

fn pack_carries(carries: Carries) -> u32 {
    match carries {
        Carries::OwnEntries => CARRIES_OWN,
        Carries::Everything => CARRIES_EVERYTHING,
    }
}

fn unpack_carries(number: u32) -> Result<Carries, BadLinkFrame> {
    match number {
        CARRIES_OWN => Ok(Carries::OwnEntries),
        CARRIES_EVERYTHING => Ok(Carries::Everything),
        other => Err(malformed(format!("a link that carries {other}"))),
    }
}

fn pack_matrix(matrix: &Matrix) -> Vec<pb::Known> {
    let known = |(replica, vector): &(ReplicaId, VersionVector)| pb::Known {
        replica: replica.0,
        vector: Some(vector.into()),
    };
    matrix.iter().map(known).collect()
}

fn unpack_matrix(known: Vec<pb::Known>) -> Result<Matrix, BadLinkFrame> {
    let row = |k: pb::Known| Ok((ReplicaId(k.replica), unpack_vector(k.vector)?));
    known.into_iter().map(row).collect()
}

fn pack_row(row: &Row) -> pb::Row {
    let Row {
        region,
        beat,
        hears,
        silent,
    } = row;
    let heard = |(region, carries): &(RegionName, Carries)| pb::Heard {
        region: region.to_string(),
        carries: pack_carries(*carries),
    };
    pb::Row {
        region: region.to_string(),
        beat: *beat,
        hears: hears.iter().map(heard).collect(),
        silent: silent.iter().map(ToString::to_string).collect(),
    }
}

fn unpack_rows(rows: Vec<pb::Row>) -> Result<Vec<Row>, BadLinkFrame> {
    let heard = |h: pb::Heard| Ok((unpack_region(&h.region)?, unpack_carries(h.carries)?));
    let row = |row: pb::Row| {
        let pb::Row {
            region,
            beat,
            hears,
            silent,
        } = row;
        Ok(Row {
            region: unpack_region(&region)?,
            beat,
            hears: hears.into_iter().map(heard).collect::<Result<_, _>>()?,
            silent: silent
                .iter()
                .map(|name| unpack_region(name))
                .collect::<Result<_, _>>()?,
        })
    };
    rows.into_iter().map(row).collect()
}

fn unpack_vector(vector: Option<Vector>) -> Result<VersionVector, BadLinkFrame> {
    vector.unwrap_or_default().try_into().map_err(malformed)
}

fn unpack_region(name: &str) -> Result<RegionName, BadLinkFrame> {
    name.parse().map_err(malformed)
}

fn malformed(what: impl std::fmt::Display) -> BadLinkFrame {
    BadLinkFrame::Malformed(what.to_string())
}
