//! An archive: a header, code objects, and at the end a msgpack table that locates them.
//!
//! The header is little-endian: `KPAK`, a 32-bit version (1), and the 64-bit offset of the table, which
//! extends to the end of the file. The code objects are either stored uncompressed (`none`), each with an
//! offset and a size in the table, or in one region of zstd frames (`zstd-per-kernel`): a 32-bit count, then
//! each frame preceded by its 32-bit length.

use super::msgpack::Values;
use crate::{
    Malformed, ReadAt, code_object, number,
    read_at::{Window, fill},
};
use std::{collections::BTreeMap, io::Read, ops::Range};

/// The magic number of an archive.
pub(super) const MAGIC: &[u8; 4] = b"KPAK";
pub(super) const VERSION: u32 = 1;

/// The longest table that is read, in bytes: an entry takes a hundred.
const LONGEST_TABLE: u64 = 16 << 20;

/// The runtime's limits for the number of frames and the length of the region.
const MOST_FRAMES: u64 = 1 << 20;
const LONGEST_REGION: u64 = 4 << 30;

/// The longest code object that is decompressed, and the maximum expansion ratio of a frame. Short frames may
/// expand to a megabyte.
const LONGEST_OBJECT: u64 = 1 << 30;
const MOST_EXPANSION: u64 = 128;
const SHORT: u64 = 1 << 20;

/// The header and the table of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Archive {
    /// The targets that its table lists.
    pub targets: Vec<String>,
    /// By library name and record index (`lib/librocblas.so.5#0`), then by target.
    objects: BTreeMap<String, BTreeMap<String, Object>>,
    payload: Payload,
}

/// A code object in an archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Object {
    /// Its number in the archive.
    ordinal: u64,
    /// Its decompressed length, in bytes.
    pub size: u64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Payload {
    /// The position of each code object.
    Plain(Vec<Range<u64>>),
    /// The position of the region of frames.
    Frames(Range<u64>),
}

/// The values of a table read so far.
#[derive(Default)]
struct Table {
    scheme: Option<String>,
    targets: Vec<String>,
    objects: BTreeMap<String, BTreeMap<String, Object>>,
    blobs: Option<Vec<(u64, u64)>>,
    zstd_offset: Option<u64>,
    zstd_size: Option<u64>,
}

impl Archive {
    /// Reads the header and the table of an archive of `length` bytes.
    ///
    /// # Errors
    /// If it is not an archive, has another version or compression, or does not contain a code object of its
    /// table.
    pub fn read<R: ReadAt + ?Sized>(reader: &R, length: u64) -> Result<Self, Malformed> {
        let mut header = [0; 16];
        let read = fill(&mut Window::new(reader, 0..length), &mut header)
            .map_err(|e| Malformed::reading(0, "the header of a kpack archive", &e))?;
        if !header[..read].starts_with(MAGIC) {
            return Err(Malformed::new(0, "no kpack archive begins here"));
        }
        if read < header.len() {
            return Err(Malformed::new(0, "the header of a kpack archive is cut off"));
        }
        if number::<4>(&header, 4) != Some(VERSION.into()) {
            return Err(Malformed::new(4, "a kpack archive has an unknown version"));
        }
        let start = number::<8>(&header, 8).unwrap_or_default();
        if start < header.len() as u64 || start >= length {
            return Err(Malformed::new(8, "the table of a kpack archive lies outside of it"));
        }
        if length - start > LONGEST_TABLE {
            let what = "the table of a kpack archive is longer than 16 MiB";
            return Err(Malformed::new(start, what));
        }
        let mut bytes = Vec::new();
        Window::new(reader, start..length)
            .read_to_end(&mut bytes)
            .map_err(|e| Malformed::reading(start, "the table of a kpack archive", &e))?;
        if (bytes.len() as u64) < length - start {
            return Err(Malformed::new(start, "the table of a kpack archive is cut off"));
        }
        Table::parse(&bytes, start)?.finish(header.len() as u64..start)
    }

    /// The code objects of a library, by target; `kernel_name` comes from its marker.
    pub fn objects(&self, kernel_name: &str) -> impl Iterator<Item = (&str, &Object)> {
        let is_of = move |key: &str| {
            let index = key.strip_prefix(kernel_name).and_then(|rest| rest.strip_prefix('#'));
            index.is_some_and(|i| !i.is_empty() && i.bytes().all(|byte| byte.is_ascii_digit()))
        };
        let own = self.objects.iter().filter(move |(key, _)| is_of(key));
        own.flat_map(|(_, objects)| {
            objects.iter().map(|(target, object)| (target.as_str(), object))
        })
    }

    /// The names of the kernels of the requested code objects, in their order.
    ///
    /// # Errors
    /// If one cannot be read or decompressed, differs in size from the table, or is not an ELF file for AMD's
    /// processors with dynamic symbols.
    pub fn kernels<R: ReadAt + ?Sized>(
        &self,
        reader: &R,
        objects: &[&Object],
    ) -> Result<Vec<Vec<String>>, Malformed> {
        let region = match &self.payload {
            Payload::Plain(blobs) => {
                let of = |object: &&Object| code_object::kernels(reader, blob(blobs, object)?);
                return objects.iter().map(of).collect();
            }
            Payload::Frames(region) => region,
        };
        let last = objects.iter().map(|object| object.ordinal).max().unwrap_or_default();
        let frames = frames(reader, region.clone(), last)?;
        let of = |object: &&Object| {
            let frame = usize::try_from(object.ordinal).ok().and_then(|at| frames.get(at));
            let frame = frame.ok_or_else(|| {
                Malformed::new(region.start, "a kpack archive lacks a code object of its table")
            })?;
            let image = decompress(reader, frame.clone(), object.size)?;
            code_object::kernels(&image[..], 0..image.len() as u64)
                .map_err(|inner| Malformed { offset: frame.start, ..inner })
        };
        objects.iter().map(of).collect()
    }
}

impl Table {
    fn parse(bytes: &[u8], base: u64) -> Result<Self, Malformed> {
        let mut values = Values::new(bytes, base);
        let mut table = Self::default();
        for _ in 0..values.map()? {
            match values.text()? {
                "format_version" => {
                    if values.number()? != VERSION.into() {
                        return Err(values.malformed("a kpack table has an unknown version"));
                    }
                }
                "compression_scheme" => table.scheme = Some(values.text()?.to_owned()),
                "gfx_arches" => {
                    let targets = (0..values.array()?).map(|_| values.text().map(str::to_owned));
                    table.targets = targets.collect::<Result<_, _>>()?;
                }
                "toc" => table.objects = objects(&mut values)?,
                "blobs" => {
                    let blobs = (0..values.array()?).map(|_| {
                        let blob = fields(&mut values, ["offset", "size"])?;
                        Ok((blob[0], blob[1]))
                    });
                    table.blobs = Some(blobs.collect::<Result<_, Malformed>>()?);
                }
                "zstd_offset" => table.zstd_offset = Some(values.number()?),
                "zstd_size" => table.zstd_size = Some(values.number()?),
                _ => values.skip()?,
            }
        }
        match values.is_at_end() {
            true => Ok(table),
            false => Err(values.malformed("bytes follow the table of a kpack archive")),
        }
    }

    /// Checks the table against `room`, the range between the header and the table.
    fn finish(self, room: Range<u64>) -> Result<Archive, Malformed> {
        let malformed = |what: &'static str| Malformed::new(room.end, what);
        let within = |offset: u64, size: u64| {
            let end = offset.checked_add(size).filter(|end| *end <= room.end)?;
            (offset >= room.start).then_some(offset..end)
        };
        let all = || self.objects.values().flat_map(BTreeMap::values);
        let payload = match self.scheme.as_deref() {
            Some("none") => {
                let blobs =
                    self.blobs.as_ref().ok_or_else(|| malformed("a kpack table lacks `blobs`"))?;
                let ranges = blobs.iter().map(|(offset, size)| within(*offset, *size));
                let ranges = ranges.collect::<Option<Vec<_>>>();
                let ranges = ranges.ok_or_else(|| {
                    malformed("a code object of a kpack table lies outside of the archive")
                })?;
                if overlap(&ranges) {
                    return Err(malformed("code objects of a kpack table overlap each other"));
                }
                for object in all() {
                    blob(&ranges, object)?;
                }
                Payload::Plain(ranges)
            }
            Some("zstd-per-kernel") => {
                let region = self.zstd_offset.zip(self.zstd_size);
                let (offset, size) = region
                    .ok_or_else(|| malformed("a kpack table lacks `zstd_offset` or `zstd_size`"))?;
                let region = within(offset, size).filter(|_| size <= LONGEST_REGION);
                Payload::Frames(region.ok_or_else(|| {
                    malformed("the compressed code of a kpack table lies outside of the archive")
                })?)
            }
            Some(_) => return Err(malformed("a kpack archive has an unknown way of compression")),
            None => return Err(malformed("a kpack table does not say how it is compressed")),
        };
        if all().any(|object| object.ordinal >= MOST_FRAMES || object.size > LONGEST_OBJECT) {
            return Err(malformed(
                "a code object of a kpack table has an impossible number or size",
            ));
        }
        Ok(Archive { targets: self.targets, objects: self.objects, payload })
    }
}

/// The value of `toc`.
fn objects(
    values: &mut Values<'_>,
) -> Result<BTreeMap<String, BTreeMap<String, Object>>, Malformed> {
    let mut all = BTreeMap::new();
    for _ in 0..values.map()? {
        let key = values.text()?.to_owned();
        let mut of_key = BTreeMap::new();
        for _ in 0..values.map()? {
            let target = values.text()?.to_owned();
            let [ordinal, size] = fields(values, ["ordinal", "original_size"])?;
            of_key.insert(target, Object { ordinal, size });
        }
        all.insert(key, of_key);
    }
    Ok(all)
}

/// The numbers of a map with these keys; others are skipped.
fn fields<const N: usize>(
    values: &mut Values<'_>,
    names: [&str; N],
) -> Result<[u64; N], Malformed> {
    let mut found = [None; N];
    for _ in 0..values.map()? {
        let key = values.text()?;
        match names.iter().position(|name| *name == key) {
            Some(at) => found[at] = Some(values.number()?),
            None => values.skip()?,
        }
    }
    let mut numbers = [0; N];
    for (at, number) in numbers.iter_mut().enumerate() {
        *number = found[at].ok_or_else(|| {
            values.malformed(format!("an entry of a kpack table lacks `{}`", names[at]))
        })?;
    }
    Ok(numbers)
}

/// The position of an uncompressed code object.
fn blob(blobs: &[Range<u64>], object: &Object) -> Result<Range<u64>, Malformed> {
    let range = usize::try_from(object.ordinal).ok().and_then(|at| blobs.get(at)).cloned();
    let range = range
        .ok_or_else(|| Malformed::new(0, "a kpack archive lacks a code object of its table"))?;
    if range.end - range.start != object.size {
        return Err(Malformed::new(
            range.start,
            "a code object has not the size of its kpack table",
        ));
    }
    Ok(range)
}

fn overlap(ranges: &[Range<u64>]) -> bool {
    let mut sorted: Vec<&Range<u64>> = ranges.iter().filter(|range| !range.is_empty()).collect();
    sorted.sort_unstable_by_key(|range| range.start);
    sorted.windows(2).any(|pair| pair[1].start < pair[0].end)
}

/// The positions of the frames up to number `last`.
fn frames<R: ReadAt + ?Sized>(
    reader: &R,
    region: Range<u64>,
    last: u64,
) -> Result<Vec<Range<u64>>, Malformed> {
    let mut at = region.start;
    let mut next = |skip: u64| {
        let start = at.checked_add(skip).filter(|start| *start <= region.end);
        let field = start.and_then(|start| Some(start..start.checked_add(4)?));
        let field = field.filter(|field| field.end <= region.end).ok_or_else(|| {
            Malformed::new(at, "a frame of a kpack archive lies outside of its region")
        })?;
        let mut bytes = [0; 4];
        let read = fill(&mut Window::new(reader, field.clone()), &mut bytes)
            .map_err(|e| Malformed::reading(at, "the frames of a kpack archive", &e))?;
        if read < bytes.len() {
            return Err(Malformed::new(at, "the frames of a kpack archive are cut off"));
        }
        at = field.end;
        Ok((u64::from(u32::from_le_bytes(bytes)), field.end))
    };
    let (count, _) = next(0)?;
    if count > MOST_FRAMES {
        return Err(Malformed::new(region.start, "a kpack archive claims too many frames"));
    }
    let mut frames = Vec::new();
    let mut before = 0;
    for _ in 0..count.min(last.saturating_add(1)) {
        let (length, start) = next(before)?;
        let end = start.checked_add(length).filter(|end| *end <= region.end);
        let end = end.ok_or_else(|| {
            Malformed::new(start, "a frame of a kpack archive lies outside of its region")
        })?;
        frames.push(start..end);
        before = length;
    }
    Ok(frames)
}

/// A code object of exactly `size` bytes.
fn decompress<R: ReadAt + ?Sized>(
    reader: &R,
    frame: Range<u64>,
    size: u64,
) -> Result<Vec<u8>, Malformed> {
    let start = frame.start;
    let most = MOST_EXPANSION.saturating_mul(frame.end - start).clamp(SHORT, LONGEST_OBJECT);
    if size > most {
        let what =
            format!("a code object claims to be {size} bytes, more than its frame may become");
        return Err(Malformed::new(start, what));
    }
    let failed = |e: &std::io::Error| Malformed::reading(start, "a frame of a kpack archive", e);
    let stream = zstd::Decoder::new(Window::new(reader, frame)).map_err(|e| failed(&e))?;
    let mut image = Vec::new();
    let read = stream.single_frame().take(size + 1).read_to_end(&mut image);
    if read.map_err(|e| failed(&e))? as u64 != size {
        return Err(Malformed::new(start, "a code object has not the size of its kpack table"));
    }
    Ok(image)
}
