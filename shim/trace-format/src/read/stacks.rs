//! Matches call stacks with their calls, and addresses with files.

use super::walk::Record;
use crate::{call::Call, process::Module};
use std::collections::HashMap;

/// The stacks of calls that have not been read yet, by thread. A stack is recorded before its call.
#[derive(Clone, Debug, Default)]
pub struct Stacks(HashMap<u32, Latest>);

#[derive(Clone, Debug, Default)]
struct Latest {
    sequence: u64,
    frames: Vec<u64>,
}

impl Stacks {
    /// Processes a record of a thread, by its number in the trace.
    pub fn take(&mut self, thread: u32, record: &Record<'_>) {
        if let Record::Stack(stack) = record {
            let latest = self.0.entry(thread).or_default();
            latest.sequence = stack.sequence;
            latest.frames.clear();
            latest.frames.extend_from_slice(stack.frames);
        }
    }

    /// The return addresses of a call, the innermost first; empty if they were not recorded.
    #[must_use]
    pub fn of(&self, thread: u32, call: &Call<'_>) -> &[u64] {
        let latest = self.0.get(&thread).filter(|latest| latest.sequence == call.sequence());
        latest.map_or(&[], |latest| &latest.frames)
    }
}

/// The modules of a program, by address and time.
#[derive(Clone, Debug, Default)]
pub struct Modules(Vec<Module>);

impl Modules {
    /// The modules that a trace lists.
    #[must_use]
    pub fn of(mut modules: Vec<Module>) -> Self {
        modules.sort_by_key(|module| module.since);
        Self(modules)
    }

    /// All modules.
    #[must_use]
    pub fn all(&self) -> &[Module] {
        &self.0
    }

    /// The number of the module that contained the instruction before a return address at a time. If several
    /// were there in succession, it is the latest.
    #[must_use]
    pub fn find(&self, address: u64, ticks: u64) -> Option<usize> {
        let before = address.wrapping_sub(1);
        self.0.iter().rposition(|module| {
            let [start, end] = module.range;
            module.since <= ticks && (start..end).contains(&before)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::testing::{Writer, reader},
        *,
    };
    use crate::layout::event::MOST_FRAMES;

    #[test]
    fn a_stack_is_that_of_the_next_call_and_of_no_other() {
        let mut writer = Writer::new();
        let deep: Vec<u64> = (1..=MOST_FRAMES as u64).collect();
        writer.stack(&[0x10, 0x20]).call("rocblas_sscal", &[1]).call("rocblas_sscal", &[2]);
        writer.stack(&deep).call("rocblas_sscal", &[3]);
        // A stack of a call that is not in the trace: another event has its number.
        writer.stack(&[0x30]).handle(1, 0, 0).call("rocblas_sscal", &[4]);
        let mut reader = reader(&writer.bytes);
        let (mut stacks, mut found) = (Stacks::default(), Vec::new());
        while let Some(record) = reader.next().expect("readable") {
            stacks.take(1, &record);
            if let Record::Call(call) = record {
                found.push((call.argument(0), stacks.of(1, &call).to_vec()));
                assert_eq!(stacks.of(2, &call), [0; 0], "of another thread");
            }
        }
        let expected = [(1, vec![0x10, 0x20]), (2, vec![]), (3, deep), (4, vec![])];
        assert_eq!(found, expected);
        assert_eq!(reader.problems(), []);
    }

    #[test]
    fn a_stack_without_addresses_or_with_too_many_is_damage() {
        for frames in [vec![], vec![7; MOST_FRAMES + 1]] {
            let mut writer = Writer::new();
            writer.call("rocblas_sscal", &[1]).stack(&frames).call("rocblas_sscal", &[2]);
            let mut reader = reader(&writer.bytes);
            let mut calls = 0;
            while let Some(record) = reader.next().expect("readable") {
                assert!(record.is_call(), "{record:?}");
                calls += 1;
            }
            assert_eq!((calls, reader.problems().len()), (2, 1), "{}", frames.len());
        }
    }

    #[test]
    fn an_address_belongs_to_the_latest_module_that_was_there() {
        let module = |range, since: u64| Module {
            path: since.to_string(),
            range,
            since,
            ..Module::default()
        };
        let modules =
            Modules::of(vec![module([100, 150], 9), module([100, 200], 5), module([300, 310], 5)]);
        let at = |address, ticks| {
            modules.find(address, ticks).map(|number| modules.all()[number].path.as_str())
        };
        assert_eq!(
            [at(120, 4), at(120, 5), at(120, 9), at(180, 9)],
            [None, Some("5"), Some("9"), Some("5")]
        );
        // A call that does not return may be the last instruction of its module, and the first byte of a
        // module cannot follow a call in it.
        assert_eq!([at(310, 5), at(300, 5), at(250, 5), at(0, 5)], [Some("5"), None, None, None]);
    }
}
