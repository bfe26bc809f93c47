//! SHA-256 digests: parsing them, and computing those of files.

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use std::{fmt, fs::File, io, os::unix::fs::FileExt, str::FromStr};

/// A SHA-256 digest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct Sha256([u8; 32]);

impl FromStr for Sha256 {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let not = || format!("{text:?} is not a SHA-256 digest, which has 64 hexadecimal digits");
        if text.len() != 64 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(not());
        }
        let mut digest = [0; 32];
        for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
            *byte = u8::from_str_radix(&text[at..at + 2], 16).map_err(|_| not())?;
        }
        Ok(Self(digest))
    }
}

impl TryFrom<String> for Sha256 {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Sha256> for String {
    fn from(digest: Sha256) -> Self {
        digest.to_string()
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl Sha256 {
    /// The digest of a whole file, regardless of its current position.
    pub fn of(file: &File) -> io::Result<Self> {
        let mut context = Context::new(&SHA256);
        let mut buffer = vec![0; 1 << 16];
        let mut at = 0;
        loop {
            match file.read_at(&mut buffer, at) {
                Ok(0) => break,
                Ok(read) => {
                    context.update(&buffer[..read]);
                    at += read as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(e),
            }
        }
        let mut digest = [0; 32];
        digest.copy_from_slice(context.finish().as_ref());
        Ok(Self(digest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    #[test]
    fn a_digest_is_64_hexadecimal_digits_of_either_case() {
        let text = "4859f43ce53e3adaed9a7c6c4bfc453fbf1264a65afb1778207e98f84d6bf41a";
        let digest: Sha256 = text.parse().expect("a digest");
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.to_uppercase().parse(), Ok(digest));
        for text in ["", &text[1..], &format!("{text}0"), &text.replace('4', "g"), &"é".repeat(32)]
        {
            assert!(text.parse::<Sha256>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_file_has_the_digest_that_sha256sum_prints() {
        // From FIPS 180-2.
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(b"abc").expect("write");
        assert_eq!(Sha256::of(&file).expect("read").to_string(), abc);
    }
}
