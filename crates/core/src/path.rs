//! Paths: where in a key's value a slot lies, as bytes that sort like the segments they name.
//!
//! Each segment is written with 0x00 → 0x00 0xFF and ended by 0x00 0x01, so a path is a prefix of
//! exactly the paths below it, and byte order is segment order. The root is the empty path.

use bytes::Bytes;

/// Longest path in bytes, encoded: a limit of the format, equal in every region.
pub const PATH_BYTES_MAX: usize = 4096;

/// The place of a slot within a key's value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Path(Bytes);

impl Path {
    /// The path of the whole value.
    #[must_use]
    pub const fn root() -> Self {
        Path(Bytes::new())
    }

    /// The path of `segment` below this one.
    #[must_use]
    pub fn child(&self, segment: &[u8]) -> Path {
        let mut bytes = Vec::with_capacity(self.0.len() + segment.len() + 2);
        bytes.extend_from_slice(&self.0);
        write_segment(&mut bytes, segment);
        Path(bytes.into())
    }

    /// From the encoded form; `None` when it is not one.
    #[must_use]
    pub fn from_encoded(bytes: Bytes) -> Option<Path> {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            rest = read_segment(rest)?.1;
        }
        (bytes.len() <= PATH_BYTES_MAX).then_some(Path(bytes))
    }

    /// The encoded form.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The encoded form, shared.
    #[must_use]
    pub fn bytes(&self) -> Bytes {
        self.0.clone()
    }

    /// Whether this is the path of the whole value.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The segments from the root down.
    #[must_use]
    pub fn segments(&self) -> Vec<Vec<u8>> {
        let mut segments = Vec::new();
        let mut rest = &self.0[..];
        while let Some((segment, tail)) = read_segment(rest) {
            segments.push(segment);
            rest = tail;
        }
        segments
    }

    /// The paths strictly above this one, from the root down.
    #[must_use]
    pub fn above(&self) -> Vec<Path> {
        let mut paths = Vec::new();
        let mut rest = &self.0[..];
        while let Some((_, tail)) = read_segment(rest) {
            paths.push(Path(self.0.slice(..self.0.len() - rest.len())));
            rest = tail;
        }
        paths
    }

    /// As a JSON Pointer (RFC 6901), for people; segments that are not UTF-8 are shown lossily.
    #[must_use]
    pub fn pointer(&self) -> String {
        let escape = |s: Vec<u8>| {
            String::from_utf8_lossy(&s)
                .replace('~', "~0")
                .replace('/', "~1")
        };
        self.segments()
            .into_iter()
            .map(|s| format!("/{}", escape(s)))
            .collect()
    }
}

/// Appends `segment` in the order-preserving form.
pub fn write_segment(out: &mut Vec<u8>, segment: &[u8]) {
    for &byte in segment {
        out.push(byte);
        if byte == 0 {
            out.push(0xFF);
        }
    }
    out.extend_from_slice(&[0, 1]);
}

/// Reads one segment; `None` at the end or when the bytes are not a segment.
#[must_use]
pub fn read_segment(bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut segment = Vec::new();
    let mut i = 0;
    loop {
        match (*bytes.get(i)?, bytes.get(i + 1)) {
            (0, Some(1)) => return Some((segment, &bytes[i + 2..])),
            (0, Some(0xFF)) => {
                segment.push(0);
                i += 2;
            }
            (0, _) => return None,
            (byte, _) => {
                segment.push(byte);
                i += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(segments: &[&str]) -> Path {
        let root = Path::root();
        segments.iter().fold(root, |p, s| p.child(s.as_bytes()))
    }

    #[test]
    fn a_path_names_those_above_it_from_the_root_down() {
        assert!(Path::root().above().is_empty());
        let expected = [path(&[]), path(&["a"]), path(&["a", "\0"])];
        assert_eq!(path(&["a", "\0", "c"]).above(), expected);
    }

    #[test]
    fn paths_are_shown_as_json_pointers() {
        assert_eq!(Path::root().pointer(), "");
        assert_eq!(path(&["a/b", "~", ""]).pointer(), "/a~1b/~0/");
    }

    #[test]
    fn bytes_that_are_no_path_are_refused() {
        let too_long = [vec![b'a'; PATH_BYTES_MAX - 1], vec![0, 1]].concat();
        for bytes in [&b"a"[..], b"a\0", b"a\0\x02", b"\0\xff", &too_long] {
            let bytes = Bytes::copy_from_slice(bytes);
            assert_eq!(Path::from_encoded(bytes.clone()), None, "{bytes:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(10_000) })]

        #[test]
        fn paths_come_back_and_sort_like_their_segments(
            a in prop::collection::vec(prop::collection::vec(0u8..4, 0..4), 0..4),
            b in prop::collection::vec(prop::collection::vec(0u8..4, 0..4), 0..4),
        ) {
            let path = |s: &[Vec<u8>]| s.iter().fold(Path::root(), |p, segment| p.child(segment));
            let (pa, pb) = (path(&a), path(&b));
            prop_assert_eq!(&pa.segments(), &a);
            prop_assert_eq!(pa.cmp(&pb), a.cmp(&b));
            prop_assert_eq!(pb.as_bytes().starts_with(pa.as_bytes()), b.starts_with(&a));
            prop_assert!(Path::from_encoded(pa.bytes()).is_some());
        }
    }
}
