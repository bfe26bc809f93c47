//! Writes markers, records and archives for tests, as TheRock's splitter does.

use rocblas_contract::kpack;

/// A value of msgpack.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// A 64-bit number.
    Number(u64),
    /// A string.
    Text(&'a str),
    /// An array.
    Array(Vec<Value<'a>>),
    /// A map.
    Map(Vec<(&'a str, Value<'a>)>),
}

impl Value<'_> {
    /// The encoded value, with 32-bit lengths.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let head = |kind: u8, length: usize| {
            let mut bytes = vec![kind];
            bytes.extend((length as u32).to_be_bytes());
            bytes
        };
        match self {
            Value::Number(number) => [&[0xcf][..], &number.to_be_bytes()].concat(),
            Value::Text(text) => [head(0xdb, text.len()), text.as_bytes().to_vec()].concat(),
            Value::Array(values) => {
                let values = values.iter().flat_map(Value::bytes);
                head(0xdd, self.len()).into_iter().chain(values).collect()
            }
            Value::Map(pairs) => {
                let pair = |(key, value): &(&str, Value<'_>)| {
                    [Value::Text(key).bytes(), value.bytes()].concat()
                };
                head(0xdf, self.len()).into_iter().chain(pairs.iter().flat_map(pair)).collect()
            }
        }
    }

    fn len(&self) -> usize {
        match self {
            Value::Array(values) => values.len(),
            Value::Map(pairs) => pairs.len(),
            _ => 0,
        }
    }
}

/// The content of the section `.rocm_kpack_ref`.
#[must_use]
pub fn reference(kernel_name: &str, paths: &[&str]) -> Vec<u8> {
    let paths = paths.iter().map(|path| Value::Text(path)).collect();
    let map = [
        (kpack::KERNEL_NAME, Value::Text(kernel_name)),
        (kpack::SEARCH_PATHS, Value::Array(paths)),
    ];
    Value::Map(map.to_vec()).bytes()
}

/// The content of the section `.hipFatBinSegment` of a split library with that many code objects.
#[must_use]
pub fn segments(count: u64) -> Vec<u8> {
    let record = |index: u64| {
        let words = [kpack::SPLIT_MAGIC, 1].map(u32::to_le_bytes).concat();
        [words, vec![0; 8], index.to_le_bytes().to_vec()].concat()
    };
    (0..count).flat_map(record).collect()
}

/// The layout of code objects in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Uncompressed.
    None,
    /// Each in a zstd frame.
    Zstd,
}

/// Builds an archive of code objects, each given with its key (`lib/librocblas.so.5#0`) and its
/// target.
#[must_use]
pub fn archive(scheme: Scheme, objects: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    let mut blobs = Vec::new();
    if scheme == Scheme::Zstd {
        bytes.extend((objects.len() as u32).to_le_bytes());
    }
    for (_, _, image) in objects {
        let stored = match scheme {
            Scheme::None => image.to_vec(),
            Scheme::Zstd => zstd::bulk::compress(image, 3).expect("compress"),
        };
        if scheme == Scheme::Zstd {
            bytes.extend((stored.len() as u32).to_le_bytes());
        }
        blobs.push(Value::Map(vec![
            ("offset", Value::Number(bytes.len() as u64)),
            ("size", Value::Number(stored.len() as u64)),
        ]));
        bytes.extend(stored);
    }
    let region = bytes.len() as u64 - 64;
    let mut toc: Vec<(&str, Vec<(&str, Value<'_>)>)> = Vec::new();
    for (ordinal, (key, target, image)) in objects.iter().enumerate() {
        let line = Value::Map(vec![
            ("type", Value::Text("hsaco")),
            ("ordinal", Value::Number(ordinal as u64)),
            ("original_size", Value::Number(image.len() as u64)),
        ]);
        match toc.iter_mut().find(|(known, _)| known == key) {
            Some((_, lines)) => lines.push((target, line)),
            None => toc.push((key, vec![(target, line)])),
        }
    }
    let mut targets: Vec<&str> = objects.iter().map(|(_, target, _)| *target).collect();
    targets.dedup();
    let toc = toc.into_iter().map(|(key, lines)| (key, Value::Map(lines))).collect();
    let mut map = vec![
        ("format_version", Value::Number(1)),
        ("group_name", Value::Text("blas_lib")),
        ("gfx_arches", Value::Array(targets.into_iter().map(Value::Text).collect())),
        ("toc", Value::Map(toc)),
    ];
    match scheme {
        Scheme::None => {
            map.push(("compression_scheme", Value::Text("none")));
            map.push(("blobs", Value::Array(blobs)));
        }
        Scheme::Zstd => {
            map.push(("compression_scheme", Value::Text("zstd-per-kernel")));
            map.push(("zstd_offset", Value::Number(64)));
            map.push(("zstd_size", Value::Number(region)));
        }
    }
    with_table(bytes, &Value::Map(map).bytes())
}

/// Builds an archive from these bytes, whose first 16 are overwritten with the header, and a table.
#[must_use]
pub fn with_table(mut bytes: Vec<u8>, table: &[u8]) -> Vec<u8> {
    let at = bytes.len() as u64;
    bytes[..4].copy_from_slice(super::archive::MAGIC);
    bytes[4..8].copy_from_slice(&super::archive::VERSION.to_le_bytes());
    bytes[8..16].copy_from_slice(&at.to_le_bytes());
    bytes.extend(table);
    bytes
}
