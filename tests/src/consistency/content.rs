//! The content of a file, shared between all states that have it and compared by digest.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
};

/// Bytes and their BLAKE3 digest.
#[derive(Clone)]
pub struct Content(Arc<(Vec<u8>, blake3::Hash)>);

impl Content {
    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.0
    }

    /// The possible contents of the file after a power cut before its data was written: nothing, as many
    /// zeros, the first half.
    pub(super) fn incomplete(&self) -> [Self; 3] {
        let bytes = self.bytes();
        let half = bytes[..bytes.len() / 2].to_vec();
        [Vec::new(), vec![0; bytes.len()], half].map(Self::from)
    }
}

impl From<Vec<u8>> for Content {
    fn from(bytes: Vec<u8>) -> Self {
        let digest = blake3::hash(&bytes);
        Self(Arc::new((bytes, digest)))
    }
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        self.0.1 == other.0.1
    }
}

impl Eq for Content {}

impl Hash for Content {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.1.as_bytes()[..8].hash(state);
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes, {}", self.bytes().len(), &self.0.1.to_hex()[..8])
    }
}
