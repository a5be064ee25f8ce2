//! One hash for names of things: FNV-1a of 128 bits. It names, it does not protect: whoever may choose the
//! bytes can make two of a kind.

/// A hash of the bytes fed to it, in order. How they were cut into pieces does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hash(u128);

impl Hash {
    const OFFSET: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;

    /// Of nothing yet.
    #[must_use]
    pub const fn new() -> Self {
        Self(Self::OFFSET)
    }

    /// One that stands at a value that [`Hash::value`] told.
    #[must_use]
    pub const fn at(value: u128) -> Self {
        Self(value)
    }

    /// Adds bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u128::from(byte)).wrapping_mul(Self::PRIME);
        }
    }

    /// The hash of all that was fed so far.
    #[must_use]
    pub const fn value(self) -> u128 {
        self.0
    }
}

impl Default for Hash {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// From the published test vectors of FNV-1a, 128 bits.
    #[test]
    fn it_is_fnv_1a() {
        let of = |text: &str| {
            let mut hash = Hash::new();
            hash.feed(text.as_bytes());
            hash.value()
        };
        assert_eq!(of(""), 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        assert_eq!(of("a"), 0xd228_cb69_6f1a_8caf_7891_2b70_4e4a_8964);
        assert_eq!(of("foobar"), 0x343e_1662_793c_64bf_6f0d_3597_ba44_6f18);
    }

    #[test]
    fn pieces_do_not_matter() {
        let mut pieces = Hash::new();
        pieces.feed(b"ab");
        pieces.feed(b"");
        pieces.feed(b"c");
        let mut whole = Hash::new();
        whole.feed(b"abc");
        assert_eq!(pieces, whole);
    }
}
