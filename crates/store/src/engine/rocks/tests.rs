//! What only a disk can do to an engine: damage, torn tails, strangers, other processes.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::collections::BTreeMap;

use rocksdb::{ColumnFamilyDescriptor, DB, DBRecoveryMode, Options};
use tempfile::TempDir;

use super::*;
use crate::{
    engine::conformance::{Rig, RocksRig, copy},
    format,
};

const ENTRY_BYTES: usize = 40;

/// What a killed process leaves that appended `count` entries, and where each ends in the write-ahead file.
fn killed(count: u8) -> (TempDir, Vec<u64>) {
    let rig = RocksRig::new();
    let ends = (0..count)
        .map(|number| {
            let mut batch = Batch::new();
            batch.put(Family::Raft, &[number], &[number; ENTRY_BYTES]);
            rig.engine().append(&batch, true).unwrap();
            fs::metadata(wal_file(rig.directory.path())).unwrap().len()
        })
        .collect();
    let left = tempfile::tempdir().unwrap();
    copy(rig.directory.path(), left.path());
    (left, ends)
}

fn wal_file(directory: &Path) -> PathBuf {
    wal::files(directory).unwrap().pop().unwrap()
}

fn entries(engine: &dyn Engine) -> Vec<u8> {
    let mut numbers = Vec::new();
    engine
        .scan_prefix(Family::Raft, b"", Direction::Forward, &mut |key, value| {
            assert_eq!(value, [key[0]; ENTRY_BYTES]);
            numbers.push(key[0]);
            ControlFlow::Continue(())
        })
        .unwrap();
    numbers
}

fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect()
}

/// The error of opening a directory, in which nothing may have changed.
fn refused(directory: &Path) -> OpenError {
    let before = files(directory);
    let error = RocksEngine::open(directory, &Settings::default())
        .err()
        .unwrap();
    assert!(
        files(directory) == before,
        "{error}: and yet something was written"
    );
    error
}

#[test]
fn a_tail_torn_at_any_byte_is_cut_after_the_last_whole_record() {
    let (left, ends) = killed(5);
    let [.., last, end] = ends[..] else {
        unreachable!()
    };
    for length in last..=end {
        let torn = tempfile::tempdir().unwrap();
        copy(left.path(), torn.path());
        fs::OpenOptions::new()
            .write(true)
            .open(wal_file(torn.path()))
            .unwrap()
            .set_len(length)
            .unwrap();
        let rig = RocksRig::on(torn);
        let whole = if length == end { 5 } else { 4 };
        assert_eq!(
            entries(rig.engine()),
            (0..whole).collect::<Vec<_>>(),
            "cut at {length}"
        );
        let mut batch = Batch::new();
        batch.put(Family::Raft, &[9], &[9; ENTRY_BYTES]);
        rig.engine().append(&batch, true).unwrap();
        assert_eq!(
            entries(rig.crash().engine()).last(),
            Some(&9),
            "goes on after {length}"
        );
    }
}

#[test]
fn a_bit_flipped_in_the_middle_is_a_named_error_that_touches_nothing() {
    let (left, ends) = killed(5);
    let (from, to) = (
        usize::try_from(ends[1]).unwrap(),
        usize::try_from(ends[2]).unwrap(),
    );
    let file = wal_file(left.path());
    let whole = fs::read(&file).unwrap();
    for place in from..to {
        for bit in [0, 2, 7] {
            let mut damaged = whole.clone();
            damaged[place] ^= 1 << bit;
            fs::write(&file, &damaged).unwrap();
            match refused(left.path()) {
                OpenError::Engine(EngineError::Corrupt {
                    file: named,
                    detail,
                }) => {
                    assert_eq!(named, file);
                    assert!(detail.contains(&format!("offset {}", ends[1])), "{detail}");
                }
                other => panic!("bit {bit} of byte {place}: {other}"),
            }
        }
    }
    fs::write(&file, &whole).unwrap();
    assert_eq!(entries(RocksRig::on(left).engine()), [0, 1, 2, 3, 4]);
}

#[test]
fn a_tail_of_zeroes_is_torn() {
    let (left, _) = killed(5);
    let file = wal_file(left.path());
    let longer = fs::metadata(&file).unwrap().len() + 100_000;
    fs::OpenOptions::new()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(longer)
        .unwrap();
    assert_eq!(entries(RocksRig::on(left).engine()), [0, 1, 2, 3, 4]);
}

/// Why `wal` exists: RocksDB's own modes drop whole records, or refuse what a crash leaves.
#[test]
fn rocksdb_alone_cannot_tell_a_torn_tail_from_corruption() {
    let with = |mode, damage: &dyn Fn(&mut Vec<u8>, usize)| {
        let (left, ends) = killed(5);
        let file = wal_file(left.path());
        let mut bytes = fs::read(&file).unwrap();
        damage(&mut bytes, usize::try_from(ends[1]).unwrap());
        fs::write(&file, bytes).unwrap();
        let mut options = Options::default();
        options.set_wal_recovery_mode(mode);
        let families = Family::ALL
            .map(|family| ColumnFamilyDescriptor::new(family.name(), Options::default()));
        let database = DB::open_cf_descriptors(&options, left.path(), families).ok()?;
        let raft = database.cf_handle("raft").unwrap();
        Some(
            (0..5)
                .filter(|number| database.get_cf(&raft, [*number]).unwrap().is_some())
                .count(),
        )
    };
    let length_in_the_middle = |bytes: &mut Vec<u8>, record: usize| bytes[record + 5] ^= 0x40;
    let payload_in_the_middle = |bytes: &mut Vec<u8>, record: usize| bytes[record + 30] ^= 1;
    let last_byte = |bytes: &mut Vec<u8>, _| *bytes.last_mut().unwrap() ^= 1;
    let cut = |bytes: &mut Vec<u8>, _| bytes.truncate(bytes.len() - 1);

    let tolerate = DBRecoveryMode::TolerateCorruptedTailRecords;
    assert_eq!(
        with(tolerate, &length_in_the_middle),
        Some(2),
        "three whole records are dropped in silence"
    );
    assert_eq!(with(tolerate, &payload_in_the_middle), None);
    assert_eq!(with(tolerate, &last_byte), None);
    assert_eq!(with(tolerate, &cut), Some(4));

    let point_in_time = DBRecoveryMode::PointInTime;
    assert_eq!(with(point_in_time, &length_in_the_middle), Some(2));
    assert_eq!(with(point_in_time, &payload_in_the_middle), Some(2));
    assert_eq!(with(point_in_time, &last_byte), Some(4));
    assert_eq!(with(point_in_time, &cut), Some(4));

    let absolute = DBRecoveryMode::AbsoluteConsistency;
    for damage in [
        &length_in_the_middle as &dyn Fn(&mut Vec<u8>, usize),
        &payload_in_the_middle,
        &last_byte,
        &cut,
    ] {
        assert_eq!(with(absolute, damage), None);
    }
}

#[test]
fn a_damaged_table_is_a_named_error_when_it_is_read() {
    let rig = RocksRig::new();
    for number in 0..50_u8 {
        let mut batch = Batch::new();
        batch.put(Family::State, &[number], &[number; 1000]);
        rig.engine().commit(&batch).unwrap();
    }
    let left = tempfile::tempdir().unwrap();
    rig.engine().flush().unwrap();
    copy(rig.directory.path(), left.path());
    let table = files(left.path())
        .into_keys()
        .find(|path| path.extension().is_some_and(|end| end == "sst"))
        .unwrap();
    let mut bytes = fs::read(&table).unwrap();
    bytes[100] ^= 1;
    fs::write(&table, bytes).unwrap();
    let rig = RocksRig::on(left);
    match rig.engine().get(Family::State, &[0]) {
        Err(EngineError::Corrupt { file, .. }) => assert_eq!(file, table),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_damaged_manifest_and_a_missing_table_are_named_errors() {
    let rig = RocksRig::new();
    let mut batch = Batch::new();
    batch.put(Family::State, b"key", b"value");
    rig.engine().commit(&batch).unwrap();
    rig.engine().flush().unwrap();
    let check = |name: &str, damage: &dyn Fn(&Path)| {
        let left = tempfile::tempdir().unwrap();
        copy(rig.directory.path(), left.path());
        let named = |path: &PathBuf| path.to_string_lossy().contains(name);
        damage(&files(left.path()).into_keys().find(named).unwrap());
        let error = RocksEngine::open(left.path(), &Settings::default())
            .err()
            .unwrap();
        assert!(
            matches!(error, OpenError::Engine(EngineError::Corrupt { .. })),
            "{name}: {error}"
        );
    };
    check("MANIFEST-", &|file| {
        let mut bytes = fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(file, bytes).unwrap();
    });
    check(".sst", &|file| fs::remove_file(file).unwrap());
}

#[test]
fn a_database_that_lost_its_current_file_is_not_taken_for_a_new_one() {
    let (left, _) = killed(3);
    fs::remove_file(left.path().join("CURRENT")).unwrap();
    let error = refused(left.path());
    let OpenError::Engine(EngineError::Corrupt { file, .. }) = error else {
        panic!("{error}")
    };
    assert!(file.ends_with("CURRENT"));
}

#[test]
fn a_crash_before_the_database_began_is_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    format::stamp(directory.path()).unwrap();
    fs::write(directory.path().join("MANIFEST-000001"), "half").unwrap();
    fs::write(directory.path().join("LOCK"), "").unwrap();
    assert_eq!(entries(RocksRig::on(directory).engine()), [0; 0]);
}

#[test]
fn a_directory_is_made_when_it_is_missing() {
    let above = tempfile::tempdir().unwrap();
    let directory = above.path().join("data/eu");
    drop(RocksEngine::open(&directory, &Settings::default()).unwrap());
    assert_eq!(
        fs::read_to_string(directory.join(format::FILE)).unwrap(),
        "atoll store\nformat 1\n"
    );
}

#[test]
fn an_open_directory_is_locked() {
    let rig = RocksRig::new();
    let directory = rig.directory.path();
    let error = RocksEngine::open(directory, &Settings::default())
        .err()
        .unwrap();
    assert_eq!(
        error,
        OpenError::Locked {
            directory: directory.into()
        }
    );
    drop(rig.restart());
}

#[test]
fn a_newer_format_is_refused_before_anything_is_written() {
    let (left, _) = killed(3);
    fs::write(left.path().join(format::FILE), "atoll store\nformat 2\n").unwrap();
    // Even a file that only the newer program can read must not matter.
    fs::write(wal_file(left.path()), "something new").unwrap();
    let error = refused(left.path());
    assert!(
        matches!(
            error,
            OpenError::NewerFormat {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{error}"
    );
}

#[test]
fn another_programs_database_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    drop(DB::open_default(directory.path()).unwrap());
    let error = refused(directory.path());
    assert!(matches!(error, OpenError::NotAtoll { .. }), "{error}");
}

#[test]
fn a_disk_with_less_than_the_reserve_takes_no_new_writes() {
    let directory = tempfile::tempdir().unwrap();
    let settings = Settings {
        reserve_bytes: u64::MAX,
        ..Settings::default()
    };
    let engine = RocksEngine::open(directory.path(), &settings).unwrap();
    let error = engine.writable().unwrap_err();
    assert!(
        matches!(
            error,
            EngineError::DiskFull {
                reserve_bytes: u64::MAX,
                ..
            }
        ),
        "{error}"
    );
    let mut batch = Batch::new();
    batch.put(Family::Raft, b"already promised", b"");
    engine.append(&batch, true).unwrap();
}

#[test]
fn engines_share_one_bound_on_memory() {
    let settings = Settings {
        memory: Memory::new(1 << 20, 4 << 20),
        ..Settings::default()
    };
    let directories = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let engines = directories
        .each_ref()
        .map(|directory| RocksEngine::open(directory.path(), &settings).unwrap());
    for number in 0..400_u32 {
        for engine in &engines {
            let mut batch = Batch::new();
            batch.put(Family::State, &number.to_be_bytes(), &[7; 100_000]);
            engine.commit(&batch).unwrap();
        }
    }
    let used = settings.memory.used_bytes();
    assert!(used < 24 << 20, "{used} bytes after 80 MB of writes");
}

#[test]
fn rocksdbs_messages_become_what_a_caller_can_tell_apart() {
    let directory = Path::new("/data/eu");
    let named = "block checksum mismatch in /data/eu/000012.sst: offset 0";
    assert_eq!(
        named_file(directory, named),
        Some(PathBuf::from("/data/eu/000012.sst"))
    );
    assert_eq!(named_file(directory, "bad block in /data/eu"), None);
    assert_eq!(named_file(directory, "bad block"), None);
}
