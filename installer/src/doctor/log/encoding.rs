//! Converts a log to UTF-8: PowerShell and some editors write UTF-16, which the first bytes show.

/// How many bytes are needed to detect the encoding of a text without a byte order mark.
const SAMPLE: usize = 4096;

/// The encoding of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// UTF-8, or close enough.
    Utf8,
    /// UTF-16, little endian.
    Utf16Le,
    /// UTF-16, big endian.
    Utf16Be,
}

impl Encoding {
    /// Detects the encoding from the first bytes of a text: the byte order mark, or the pattern of its
    /// characters. A UTF-8 mark is part of the first line.
    pub(super) fn of(start: &[u8]) -> Self {
        match start {
            [0xff, 0xfe, ..] => Self::Utf16Le,
            [0xfe, 0xff, ..] => Self::Utf16Be,
            _ => Self::without_mark(&start[..start.len().min(SAMPLE)]),
        }
    }

    /// Most characters of a log are ASCII, so one byte of each UTF-16 unit is zero. Zeros in both positions
    /// are the hole that logrotate's `copytruncate` leaves.
    fn without_mark(sample: &[u8]) -> Self {
        let (units, _) = sample.as_chunks::<2>();
        let [mut first, mut second] = [0; 2];
        for [one, other] in units {
            first += usize::from(*one == 0);
            second += usize::from(*other == 0);
        }
        let is_most = |zeros: usize, others: usize| zeros * 2 > units.len() && others * 8 < zeros;
        if is_most(second, first) {
            Self::Utf16Le
        } else if is_most(first, second) {
            Self::Utf16Be
        } else {
            Self::Utf8
        }
    }

    /// Appends the text of `bytes`, and returns how many of them belong to an incomplete unit.
    pub(super) fn decode(self, bytes: &[u8], text: &mut Vec<u8>) -> usize {
        let unit = match self {
            Self::Utf8 => {
                text.extend_from_slice(bytes);
                return 0;
            }
            Self::Utf16Le => u16::from_le_bytes,
            Self::Utf16Be => u16::from_be_bytes,
        };
        let (pairs, odd) = bytes.as_chunks::<2>();
        let mut length = pairs.len();
        // The first half of a surrogate pair waits for the second.
        if pairs.last().is_some_and(|last| (0xd800..0xdc00).contains(&unit(*last))) && length > 1 {
            length -= 1;
        }
        for character in char::decode_utf16(pairs[..length].iter().map(|pair| unit(*pair))) {
            let character = character.unwrap_or(char::REPLACEMENT_CHARACTER);
            text.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
        (pairs.len() - length) * 2 + odd.len()
    }
}
