//! The download itself: each attempt resumes where the previous one failed, until the file is complete
//! or another attempt would not help.

use super::{
    catalogue::Limits,
    client::{Answer, Client, Failure, Url},
    digest::Sha256,
    target::{Note, Part, Target},
};
use crate::progress::Bar;
use anyhow::{Context, Result, anyhow};
use indicatif::HumanBytes;
use std::{io::Read, thread, time::Duration};

/// Receiving this many bytes resets the count of failures. Fewer do not: a server that sends one byte per
/// connection must not keep us busy forever.
const PROGRESS: u64 = 1 << 20;

/// A download, and what it needs.
pub(super) struct Download<'a> {
    pub(super) client: &'a Client,
    pub(super) limits: &'a Limits,
    pub(super) url: &'a Url,
    /// What the file must have.
    pub(super) sha256: Sha256,
    pub(super) target: &'a Target,
    pub(super) notice: &'a dyn Fn(&str),
}

impl Download<'_> {
    /// Downloads what a part lacks.
    pub(super) fn complete(&self, part: &mut Part<'_>) -> Result<()> {
        self.begin(part)?;
        let (mut failures, mut before) = (0, part.length());
        let mut bar = None;
        loop {
            let (error, wait) = match self.attempt(part, &mut bar) {
                Ok(()) => return Ok(()),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(error, wait)) => (error, wait),
            };
            if part.length().saturating_sub(before) >= PROGRESS {
                failures = 0;
            }
            before = part.length();
            failures += 1;
            if failures > self.limits.retries {
                let mut what = format!("the download failed {failures} times in a row");
                if part.length() > 0 {
                    what += &format!(
                        "; {} are in {}, run the same command to resume",
                        HumanBytes(part.length()),
                        self.target.part_path().display()
                    );
                }
                return Err(error.context(what));
            }
            let wait = wait.unwrap_or_else(|| self.limits.pause(failures));
            (self.notice)(&format!("{error:#}; retrying in {}", seconds(wait)));
            thread::sleep(wait);
        }
    }

    /// Decides whether an earlier part can be resumed, and says so.
    fn begin(&self, part: &mut Part<'_>) -> Result<()> {
        if part.length() == 0 {
            return Ok(());
        }
        let shown = self.target.part_path();
        let length = HumanBytes(part.length());
        let is_of_this =
            |note: &Note| note.url == self.url.to_string() && note.sha256 == self.sha256;
        match part.note() {
            Some(note) if is_of_this(note) => {
                (self.notice)(&format!("resuming {} at {length}", shown.display()));
                Ok(())
            }
            _ => {
                (self.notice)(&format!(
                    "{} belongs to another download; starting over",
                    shown.display()
                ));
                part.restart(self.note(None, None))
            }
        }
    }

    fn note(&self, size: Option<u64>, validator: Option<super::client::Validator>) -> Note {
        Note { url: self.url.to_string(), sha256: self.sha256, size, validator }
    }

    /// One request, for what is still missing.
    fn attempt(&self, part: &mut Part<'_>, bar: &mut Option<Bar>) -> Result<(), Failure> {
        let known = part.note().and_then(|note| note.size);
        if known == Some(part.length()) && part.length() > 0 {
            return Ok(());
        }
        let before = part.note().and_then(|note| note.validator.clone());
        let offset = part.length();
        let (start, size, validator, body) =
            match self.client.get(self.url, offset, before.as_ref())? {
                Answer::Content { start, size, validator, body } => (start, size, validator, body),
                Answer::NoSuchRange { size } if size == Some(offset) => return Ok(()),
                Answer::NoSuchRange { .. } => {
                    return self.start_over(part, "is now shorter than the part");
                }
            };
        if start != 0 {
            let same = start == offset
                && (known.is_none() || size.is_none() || known == size)
                && (before.is_none() || validator.is_none() || before == validator);
            if !same {
                return self.start_over(part, "responds with a part of another file");
            }
        } else {
            if offset > 0 {
                (self.notice)(&format!(
                    "{} has changed or cannot be resumed; starting over",
                    self.url
                ));
            }
            part.restart(self.note(size, validator))?;
        }
        let size = size.or_else(|| part.note().and_then(|note| note.size));
        self.check_room(part.length(), size)?;
        // One bar for all attempts, so that the rate is that of the whole download.
        let bar = bar.get_or_insert_with(|| {
            let name = self.target.path().file_name().unwrap_or_default().to_string_lossy();
            Bar::download(&name, size)
        });
        bar.continue_at(part.length());
        self.copy(body, part, size, bar)
    }

    /// Empties a part that cannot be resumed. Counts as a failed attempt, so that a server which always
    /// responds like this is given up on.
    fn start_over(&self, part: &mut Part<'_>, why: &str) -> Result<(), Failure> {
        part.restart(self.note(None, None))?;
        Err(Failure::Passing(anyhow!("{} {why}; starting over", self.url), Some(Duration::ZERO)))
    }

    /// Fails if the file system has no room for the rest of the file.
    fn check_room(&self, have: u64, size: Option<u64>) -> Result<()> {
        let Some(size) = size else { return Ok(()) };
        self.check_size(size)?;
        let missing = size.saturating_sub(have);
        let shown = self.target.path().display();
        let free = self.target.free();
        let free = free.with_context(|| format!("cannot read the free space for {shown}"))?;
        if missing > free {
            return Err(anyhow!(
                "not enough space for {shown}: {} to download, {} available",
                HumanBytes(missing),
                HumanBytes(free)
            ));
        }
        Ok(())
    }

    fn check_size(&self, size: u64) -> Result<()> {
        let most = self.limits.bytes;
        if size > most {
            return Err(anyhow!(
                "{} is larger than {}, the limit for a package",
                self.url,
                HumanBytes(most)
            ));
        }
        Ok(())
    }

    fn copy(
        &self,
        mut body: Box<dyn Read>,
        part: &mut Part<'_>,
        size: Option<u64>,
        bar: &Bar,
    ) -> Result<(), Failure> {
        let mut buffer = vec![0; 1 << 16];
        loop {
            let read = match body.read(&mut buffer) {
                Ok(read) => read,
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(e) => {
                    let have = HumanBytes(part.length());
                    let error = anyhow!("{}: the connection was lost after {have}: {e}", self.url);
                    return Err(Failure::Passing(error, None));
                }
            };
            if read == 0 {
                break;
            }
            let length = part.length() + read as u64;
            if size.is_some_and(|size| length > size) {
                part.restart(self.note(None, None))?;
                return Err(anyhow!("{} sends more bytes than it announced", self.url).into());
            }
            if let Err(error) = self.check_size(length) {
                part.restart(self.note(None, None))?;
                return Err(error.into());
            }
            part.append(&buffer[..read])?;
            bar.advance(read as u64);
        }
        match size {
            Some(size) if size != part.length() => {
                let (have, size) = (HumanBytes(part.length()), HumanBytes(size));
                let error = anyhow!("{}: ended after {have} of {size}", self.url);
                Err(Failure::Passing(error, None))
            }
            _ => Ok(()),
        }
    }
}

fn seconds(wait: Duration) -> String {
    format!("{:.1} s", wait.as_secs_f64())
}
