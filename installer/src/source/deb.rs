//! Debian packages: an ar archive of `debian-binary`, `control.tar` and `data.tar`, the latter two
//! in any compression (deb(5)).
//!
//! ar headers are read here and not by the crate `ar`, which allocates the table of long names at
//! the size that the archive claims for it. A .deb has no long names.

use super::{
    Error, Intake,
    error::reading,
    stream::{Part, Stream},
    tarball,
};
use std::io::{self, Read};

/// What every ar archive begins with.
pub(super) const MAGIC: &[u8] = b"!<arch>\n";

/// Takes from a Debian package what the intake wants.
pub fn unpack(input: impl Read, intake: &mut Intake<'_>) -> Result<(), Error> {
    let mut stream = Stream::new(input, u64::MAX);
    let mut magic = [0; MAGIC.len()];
    read(&mut stream, &mut magic, intake)?;
    if magic != MAGIC {
        return Err(intake.damaged_file(None, 0, "this is no ar archive"));
    }
    let (mut is_package, mut has_data) = (false, false);
    while let Some(member) = member(&mut stream, intake)? {
        let start = stream.position();
        let name = &member.name[..];
        is_package |= name == b"debian-binary";
        let is_data = name.starts_with(b"data.tar");
        if is_package && (is_data || name.starts_with(b"control.tar")) {
            tarball::unpack(Part::new(&mut stream, member.size), intake)?;
        }
        has_data |= is_data;
        // ar pads to an even offset; the last member's padding may be missing.
        let rest = (start + member.size).saturating_sub(stream.position());
        let skipped = stream.skip(rest).and_then(|()| stream.fill(&mut [0][..member.padding()]));
        skipped.map_err(|e| intake.damaged_file(Some(name), stream.position(), reading(&e)))?;
    }
    match (is_package, has_data) {
        (true, true) => Ok(()),
        (true, false) => {
            let end = io::ErrorKind::UnexpectedEof.into();
            Err(intake.damaged_file(None, stream.position(), reading(&end)))
        }
        (false, _) => Err(intake.damaged_file(None, 0, "this ar archive is no Debian package")),
    }
}

struct Member {
    name: Vec<u8>,
    size: u64,
}

impl Member {
    fn padding(&self) -> usize {
        usize::from(self.size % 2 == 1)
    }
}

/// The next member's header: 60 bytes, of which the first 16 are the name, those from 48 to 58 the
/// size in decimal and the last two a mark.
fn member(stream: &mut Stream<impl Read>, intake: &Intake<'_>) -> Result<Option<Member>, Error> {
    let offset = stream.position();
    let mut header = [0; 60];
    match stream.fill(&mut header) {
        Ok(0) => return Ok(None),
        Ok(60) => {}
        Ok(_) => {
            let end = io::ErrorKind::UnexpectedEof.into();
            return Err(intake.damaged_file(None, stream.position(), reading(&end)));
        }
        Err(e) => return Err(intake.damaged_file(None, stream.position(), reading(&e))),
    }
    // GNU's ar ends a name with a slash, dpkg's does not.
    let name = header[..16].trim_ascii_end();
    let name = name.strip_suffix(b"/").unwrap_or(name).to_vec();
    let size = str::from_utf8(&header[48..58]).ok().and_then(|size| size.trim_end().parse().ok());
    match size {
        Some(size) if header[58..] == *b"`\n" => Ok(Some(Member { name, size })),
        _ => Err(intake.damaged_file(None, offset, "no member of the ar archive begins here")),
    }
}

fn read(
    stream: &mut Stream<impl Read>,
    buffer: &mut [u8],
    intake: &Intake<'_>,
) -> Result<(), Error> {
    let result = stream.read_exact(buffer);
    result.map_err(|e| intake.damaged_file(None, stream.position(), reading(&e)))
}
