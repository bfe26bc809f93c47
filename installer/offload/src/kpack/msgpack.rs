//! The subset of msgpack that the marker and the tables of archives use: maps, arrays, strings and unsigned
//! numbers. Any other value can be skipped.
//!
//! A count larger than the number of remaining bytes is rejected, so a false count cannot cause large
//! allocations or long loops. Skipping counts the remaining values instead of recursing.

use crate::Malformed;

/// The remaining bytes.
pub(super) struct Values<'a> {
    bytes: &'a [u8],
    at: usize,
    /// The file offset of the bytes, for errors.
    base: u64,
}

/// The header of a value: its type, and how many values or bytes belong to it.
enum Head {
    Number(u64),
    String(u64),
    Array(u64),
    Map(u64),
    /// Nil, a boolean, a float, bytes, a negative number or an extension.
    Other(u64),
}

impl<'a> Values<'a> {
    pub(super) fn new(bytes: &'a [u8], base: u64) -> Self {
        Self { bytes, at: 0, base }
    }

    /// An error at the next value.
    pub(super) fn malformed(&self, what: impl Into<std::borrow::Cow<'static, str>>) -> Malformed {
        Malformed::new(self.base.saturating_add(self.at as u64), what)
    }

    /// The number of pairs of the next map.
    pub(super) fn map(&mut self) -> Result<u64, Malformed> {
        match self.head()? {
            Head::Map(pairs) => Ok(pairs),
            _ => Err(self.malformed("msgpack has something else where a map belongs")),
        }
    }

    /// The number of values of the next array.
    pub(super) fn array(&mut self) -> Result<u64, Malformed> {
        match self.head()? {
            Head::Array(values) => Ok(values),
            _ => Err(self.malformed("msgpack has something else where an array belongs")),
        }
    }

    pub(super) fn number(&mut self) -> Result<u64, Malformed> {
        match self.head()? {
            Head::Number(number) => Ok(number),
            _ => Err(self.malformed("msgpack has something else where a number belongs")),
        }
    }

    pub(super) fn text(&mut self) -> Result<&'a str, Malformed> {
        let Head::String(length) = self.head()? else {
            return Err(self.malformed("msgpack has something else where a string belongs"));
        };
        let bytes = self.take(length)?;
        let text = str::from_utf8(bytes).ok().filter(|text| !text.contains(char::is_control));
        text.ok_or_else(|| self.malformed("a string of msgpack is no text"))
    }

    /// Skips a value of any type with everything in it.
    pub(super) fn skip(&mut self) -> Result<(), Malformed> {
        let mut values: u64 = 1;
        // Each iteration consumes at least a byte, so this ends at the latest with the last byte.
        while let Some(others) = values.checked_sub(1) {
            let inner = match self.head()? {
                Head::Number(_) => 0,
                Head::Array(values) => values,
                Head::Map(pairs) => 2 * pairs,
                Head::String(length) | Head::Other(length) => {
                    self.take(length)?;
                    0
                }
            };
            values = others.saturating_add(inner);
        }
        Ok(())
    }

    /// Whether all bytes were read.
    pub(super) fn is_at_end(&self) -> bool {
        self.at == self.bytes.len()
    }

    fn head(&mut self) -> Result<Head, Malformed> {
        let first = self.take(1)?[0];
        let head = match first {
            0x00..=0x7f => Head::Number(first.into()),
            0x80..=0x8f => Head::Map((first & 0x0f).into()),
            0x90..=0x9f => Head::Array((first & 0x0f).into()),
            0xa0..=0xbf => Head::String((first & 0x1f).into()),
            0xc4..=0xc6 => Head::Other(self.big_endian(1 << (first - 0xc4))?),
            // An extension has a byte for its type as well.
            0xc7..=0xc9 => Head::Other(self.big_endian(1 << (first - 0xc7))? + 1),
            0xca => Head::Other(4),
            0xcb => Head::Other(8),
            0xcc..=0xcf => Head::Number(self.big_endian(1 << (first - 0xcc))?),
            0xd0..=0xd3 => Head::Other(1 << (first - 0xd0)),
            0xd4..=0xd8 => Head::Other((1 << (first - 0xd4)) + 1),
            0xd9..=0xdb => Head::String(self.big_endian(1 << (first - 0xd9))?),
            0xdc | 0xdd => Head::Array(self.big_endian(2 << (first - 0xdc))?),
            0xde | 0xdf => Head::Map(self.big_endian(2 << (first - 0xde))?),
            0xc0 | 0xc2 | 0xc3 | 0xe0..=0xff => Head::Other(0),
            0xc1 => return Err(self.malformed("a value of msgpack has an unknown type")),
        };
        let left = (self.bytes.len() - self.at) as u64;
        // A count has 32 bits, so twice that does not overflow.
        let least = match head {
            Head::Array(values) => values,
            Head::Map(pairs) => 2 * pairs,
            _ => 0,
        };
        if least > left {
            return Err(self.malformed(format!("{least} values of msgpack in {left} bytes")));
        }
        Ok(head)
    }

    fn big_endian(&mut self, length: u64) -> Result<u64, Malformed> {
        let bytes = self.take(length)?;
        Ok(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Malformed> {
        let rest = &self.bytes[self.at..];
        let taken = usize::try_from(length).ok().and_then(|length| rest.get(..length));
        let taken = taken.ok_or_else(|| self.malformed("a value of msgpack is cut off"))?;
        self.at += taken.len();
        Ok(taken)
    }
}
