//! The bytes of a log as UTF-8: PowerShell and some editors write UTF-16, which its first bytes tell.

/// As many bytes as tell how a text without a byte order mark is encoded.
const SAMPLE: usize = 4096;

/// How a text is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    /// UTF-8, or what is near enough.
    Utf8,
    /// UTF-16, the low byte first.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
}

impl Encoding {
    /// By the first bytes of a text: the byte order mark, or how its characters look. A mark of UTF-8 is part
    /// of the first line.
    pub(super) fn of(start: &[u8]) -> Self {
        match start {
            [0xff, 0xfe, ..] => Self::Utf16Le,
            [0xfe, 0xff, ..] => Self::Utf16Be,
            _ => Self::without_mark(&start[..start.len().min(SAMPLE)]),
        }
    }

    /// Most characters of a log are ASCII, and then one byte of each unit of UTF-16 is zero. Zeros at both
    /// places are the hole that `copytruncate` of logrotate leaves.
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

    /// Appends the text of `bytes`, and returns how many of them are of a unit that is not complete.
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
        // The first half of a pair waits for the second.
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
