//! What a certificate is told apart by: SHA-256 of its DER form, as `openssl x509 -fingerprint -sha256` shows it,
//! without the colons.

use ring::digest::{SHA256, digest};

/// A certificate's fingerprint in hexadecimal digits, from its DER form.
#[must_use]
pub fn fingerprint(certificate: &[u8]) -> String {
    let bytes = digest(&SHA256, certificate);
    bytes.as_ref().iter().fold(String::new(), |mut text, byte| {
        for digit in [byte >> 4, byte & 0xf] {
            text.extend(char::from_digit(u32::from(digit), 16));
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_sha_256_in_hexadecimal_digits() {
        let of_nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(fingerprint(b""), of_nothing);
    }
}
