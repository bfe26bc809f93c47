//! The digests of a trace, by the call whose operands they describe.

use crate::trace::Opened;
use anyhow::Result;
use rocblas_trace::{
    layout::Due,
    read::{CallId, Digest, Record},
};
use std::collections::BTreeMap;

/// All digests of a trace, ordered by call and parameter, 88 bytes each. They cannot be read along with the
/// calls, because they come later and in another thread.
#[derive(Debug, Default)]
pub(super) struct Digests {
    sorted: Vec<Digest>,
    /// Why calls have no digest, and how many calls for each reason.
    pub(super) skipped: BTreeMap<u8, u64>,
}

impl Digests {
    /// Reads the whole trace.
    pub(super) fn read(opened: Opened) -> Result<Self> {
        let mut digests = Self::default();
        for mut thread in opened.threads {
            // The summary of the trace reports what could not be read.
            while let Ok(Some(record)) = thread.next() {
                match record {
                    Record::Digest(digest) => digests.sorted.push(digest),
                    Record::Skipped(skipped) if skipped.due == Due::Check => {
                        *digests.skipped.entry(skipped.reason as u8).or_default() += skipped.count;
                    }
                    _ => {}
                }
            }
        }
        digests.sort();
        Ok(digests)
    }

    fn sort(&mut self) {
        self.sorted.sort_by_key(|digest| (digest.call, !digest.is_before, digest.parameter));
    }

    /// The digests of a call.
    pub(super) fn of(&self, call: CallId) -> OfCall<'_> {
        let start = self.sorted.partition_point(|digest| digest.call < call);
        let len = self.sorted[start..].partition_point(|digest| digest.call == call);
        let all = &self.sorted[start..start + len];
        let (inputs, outputs) = all.split_at(all.partition_point(|digest| digest.is_before));
        OfCall { inputs, outputs }
    }

    /// The calls that have an output with this hash.
    pub(super) fn with_output(&self, parameter: u8, hash: u64) -> impl Iterator<Item = CallId> {
        let is_it = move |digest: &&Digest| {
            !digest.is_before && (digest.parameter, digest.hash) == (parameter, hash)
        };
        self.sorted.iter().filter(is_it).map(|digest| digest.call)
    }
}

/// The digests of a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct OfCall<'a> {
    /// Digests of the inputs.
    pub(super) inputs: &'a [Digest],
    /// Digests of the outputs.
    pub(super) outputs: &'a [Digest],
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_by_their_call_in_any_order() {
        let digest = |thread, sequence, parameter, is_before| Digest {
            begin: 0,
            call: CallId { thread, sequence },
            parameter,
            is_before,
            hash: 0,
            not_finite: 0,
            sum: 0.0,
            absolute: 0.0,
            projection: 0.0,
            largest: 0.0,
        };
        let all =
            [(2, 5, 7), (1, 9, 3), (2, 5, 4), (2, 6, 7)].map(|(t, s, p)| digest(t, s, p, false));
        let inputs = [(2, 5, 9), (2, 5, 2)].map(|(t, s, p)| digest(t, s, p, true));
        let mut digests = Digests { sorted: [&all[..], &inputs].concat(), ..Digests::default() };
        digests.sort();
        let parameters = |thread, sequence| {
            let of = digests.of(CallId { thread, sequence });
            let of = [of.inputs, of.outputs];
            of.map(|of| of.iter().map(|digest| digest.parameter).collect::<Vec<u8>>())
        };
        assert_eq!(parameters(2, 5), [vec![2, 9], vec![4, 7]]);
        assert_eq!(parameters(1, 9), [vec![], vec![3]]);
        let none = [const { Vec::<u8>::new() }; 2];
        assert_eq!(parameters(1, 5), none);
        assert_eq!(parameters(3, 0), none);
    }
}
