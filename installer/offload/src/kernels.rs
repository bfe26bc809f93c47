//! The kernels in a bundle's code objects.

use crate::{Bundle, Entry, Malformed, ReadAt, code_object, compressed};
use std::{
    fmt::Display,
    io::{self, Read},
};

/// The longest code object that is decompressed, in bytes. Real ones have at most a fiftieth of that.
const LONGEST_IMAGE: u64 = 1 << 30;

/// The names of the kernels in one code object, in the form in which the runtime looks them up: mangled,
/// without the `.kd` suffix of their descriptors. An entry without code has none.
///
/// For a plain bundle, only the symbols are read; a compressed one is decompressed up to the end of the code
/// object, which is kept in memory. For several code objects use [`kernels_of`].
///
/// # Errors
/// If the bundle cannot be read or decompressed, if it does not contain the entry, or if the entry's code is
/// not an ELF file for AMD's processors with dynamic symbols.
pub fn kernels<R: ReadAt + ?Sized>(
    reader: &R,
    bundle: &Bundle,
    entry: &Entry,
) -> Result<Vec<String>, Malformed> {
    let found = of_entries(reader, bundle, vec![entry])?;
    Ok(found.into_iter().flat_map(|(_, kernels)| kernels).collect())
}

/// The kernels in each wanted code object, as returned by [`kernels`], ordered by offset. A compressed bundle
/// is decompressed once, holding one code object in memory at a time.
///
/// # Errors
/// As for [`kernels`].
pub fn kernels_of<'b, R: ReadAt + ?Sized>(
    reader: &R,
    bundle: &'b Bundle,
    wanted: impl FnMut(&&'b Entry) -> bool,
) -> Result<Vec<(&'b Entry, Vec<String>)>, Malformed> {
    of_entries(reader, bundle, bundle.entries.iter().filter(wanted).collect())
}

fn of_entries<'b, R: ReadAt + ?Sized>(
    reader: &R,
    bundle: &Bundle,
    mut entries: Vec<&'b Entry>,
) -> Result<Vec<(&'b Entry, Vec<String>)>, Malformed> {
    entries.retain(|entry| entry.size > 0);
    entries.sort_unstable_by_key(|entry| entry.offset);
    if bundle.compressed {
        return decompressed(reader, bundle, entries);
    }
    let end = bundle.offset.saturating_add(bundle.size);
    let kernels = entries.into_iter().map(|entry| {
        let start = bundle.offset.checked_add(entry.offset);
        let code = start.and_then(|start| Some(start..start.checked_add(entry.size)?));
        let code = code.filter(|code| code.end <= end);
        let code = code.ok_or_else(|| malformed(bundle, entry, "lies outside of its bundle"))?;
        Ok((entry, code_object::kernels(reader, code)?))
    });
    kernels.collect()
}

fn malformed(bundle: &Bundle, entry: &Entry, what: impl Display) -> Malformed {
    Malformed::new(bundle.offset, format!("the code of {}: {what}", entry.identifier))
}

fn decompressed<'b, R: ReadAt + ?Sized>(
    reader: &R,
    bundle: &Bundle,
    entries: Vec<&'b Entry>,
) -> Result<Vec<(&'b Entry, Vec<String>)>, Malformed> {
    let range = bundle.offset..bundle.offset.saturating_add(bundle.size);
    let mut stream = compressed::header(reader, range)?.decompress(reader)?;
    let mut position = 0;
    let mut found = Vec::with_capacity(entries.len());
    for entry in entries {
        if entry.size > LONGEST_IMAGE {
            return Err(malformed(bundle, entry, "is longer than 1 GiB"));
        }
        let skipped = entry.offset.checked_sub(position);
        let skipped = skipped.ok_or_else(|| malformed(bundle, entry, "overlaps another's"))?;
        let mut image = Vec::new();
        io::copy(&mut stream.by_ref().take(skipped), &mut io::sink())
            .and_then(|_| stream.by_ref().take(entry.size).read_to_end(&mut image))
            .map_err(|e| malformed(bundle, entry, e))?;
        if (image.len() as u64) < entry.size {
            return Err(malformed(bundle, entry, "is cut off"));
        }
        position = entry.offset + entry.size;
        let kernels = code_object::kernels(image.as_slice(), 0..entry.size)
            .map_err(|inner| malformed(bundle, entry, inner))?;
        found.push((entry, kernels));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        bundles,
        testing::{
            Counted, GFX90A, GFX906, HOST, Method, code_object, compress, forms, plain, section,
        },
    };

    fn only(bytes: &[u8]) -> Bundle {
        let mut found = bundles(bytes, 0..bytes.len() as u64);
        found.next().expect("a bundle").expect("well-formed")
    }

    fn sample() -> Vec<u8> {
        let (mi50, mi210) =
            (code_object(0x2f, &["a.kd", "a", "b.kd", "b"]), code_object(0x23f, &["a.kd", "a"]));
        plain(&[(HOST, &[]), (GFX906, &mi50), (GFX90A, &mi210)])
    }

    #[test]
    fn kernels_are_found_in_every_form() {
        let plain = sample();
        let forms = forms().map(|form| compress(form, &plain));
        for image in forms.chain([plain.clone()]) {
            let bytes = section(&[image]);
            let bundle = only(&bytes);
            let one = |index: usize| kernels(&bytes[..], &bundle, &bundle.entries[index]);
            assert_eq!(one(0), Ok(vec![]));
            assert_eq!(one(1).expect("well-formed"), ["a", "b"]);
            assert_eq!(one(2).expect("well-formed"), ["a"]);
            let mut disordered = bundle.clone();
            disordered.entries.reverse();
            for bundle in [bundle, disordered] {
                let all = kernels_of(&bytes[..], &bundle, |_| true).expect("well-formed");
                let all: Vec<_> = all
                    .iter()
                    .map(|(entry, found)| (&entry.identifier[..], found.join(" ")))
                    .collect();
                assert_eq!(all, [(GFX906, "a b".to_owned()), (GFX90A, "a".to_owned())]);
            }
        }
    }

    #[test]
    fn what_is_behind_the_wanted_code_is_not_decompressed() {
        let noise: Vec<u8> =
            (0..1_u32 << 18).flat_map(|n| n.wrapping_mul(n).to_le_bytes()).collect();
        let wanted = code_object(0x2f, &["a.kd"]);
        let plain = plain(&[(GFX906, &wanted), (GFX90A, &noise)]);
        for form in forms().filter(|form| form.0 == 3) {
            let image = compress(form, &plain);
            let bundle = only(&image);
            let reader = Counted::new(&image, image.len() as u64);
            let found = kernels(&reader, &bundle, &bundle.entries[0]).expect("well-formed");
            assert_eq!(found, ["a"]);
            let read = reader.read.get();
            assert!(read < image.len() as u64 / 2, "{form:?}: {read} of {}", image.len());
        }
    }

    #[test]
    fn an_entry_that_is_not_of_the_bundle_is_malformed() {
        let plain = sample();
        for image in [plain.clone(), compress((3, Method::Zstd), &plain)] {
            let bundle = only(&image);
            let good = &bundle.entries[1];
            for (offset, size) in [
                (u64::MAX, u64::MAX),
                (good.offset + 1, good.size),
                (good.offset, 1 << 40),
                (1 << 30, 1),
            ] {
                let entry = Entry { offset, size, ..good.clone() };
                assert!(kernels(&image[..], &bundle, &entry).is_err(), "{offset} {size}");
            }
        }
    }

    #[test]
    fn a_stream_of_another_length_than_said_is_malformed() {
        let mut object = code_object(0x2f, &["a.kd"]);
        object.extend([0; 100]);
        let plain = plain(&[(GFX906, &object)]);
        let shorter = compress((3, Method::Zstd), &plain[..plain.len() - 50]);
        let mut image = shorter;
        image[16..24].copy_from_slice(&(plain.len() as u64).to_le_bytes());
        let bundle = only(&image);
        assert!(kernels(&image[..], &bundle, &bundle.entries[0]).is_err());

        // Data beyond the length in the header is treated as absent.
        let whole = [&plain[..], &object].concat();
        let mut image = compress((3, Method::Zlib), &whole);
        image[16..24].copy_from_slice(&(plain.len() as u64).to_le_bytes());
        let bundle = only(&image);
        let beyond = Entry { offset: plain.len() as u64, ..bundle.entries[0].clone() };
        assert!(kernels(&image[..], &bundle, &bundle.entries[0]).is_ok());
        assert!(kernels(&image[..], &bundle, &beyond).is_err());
    }

    #[test]
    fn a_code_object_of_more_than_a_gigabyte_is_refused() {
        let image = compress((3, Method::Zstd), &sample());
        let mut bundle = only(&image);
        bundle.entries[1].size = LONGEST_IMAGE + 1;
        let error = kernels(&image[..], &bundle, &bundle.entries[1]).expect_err("too long");
        assert!(error.what.ends_with("is longer than 1 GiB"), "{error}");
    }

    #[test]
    fn errors_name_the_bundle_and_the_code() {
        let broken = plain(&[(GFX906, b"no ELF file")]);
        let bytes = section(&[sample(), compress((2, Method::Zlib), &broken)]);
        let bundle = bundles(&bytes[..], 0..bytes.len() as u64).last().expect("two");
        let bundle = bundle.expect("well-formed");
        let error = kernels(&bytes[..], &bundle, &bundle.entries[0]).expect_err("no code");
        assert_eq!(error.offset, bundle.offset);
        assert!(error.to_string().contains(GFX906), "{error}");
    }
}
