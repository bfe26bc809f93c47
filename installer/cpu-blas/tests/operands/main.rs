//! Checks the operands of `rocblas_abi::operands` against the routines of this crate. For random arguments of
//! each function that this crate implements:
//!
//! - changes to anything that an operand does not read, including gaps, padding and other triangles, change
//!   no result;
//! - nothing outside of what an operand writes is written, and all of a pure output is written;
//! - each element that an operand reads affects a result.
//!
//! The arguments and memory come from `tests::valid`.

mod callee;

use callee::{Callee, handle};
use rocblas_abi::{c_exports, operands};
use std::collections::BTreeSet;
use tests::valid::{Arguments, Memory, Random};

/// How many calls of each function are examined.
const ROUNDS: u64 = 60;
/// How many elements of an operand are changed, one at a time.
const CHANGES: usize = 12;

/// What has been observed over the rounds of a function.
#[derive(Default)]
struct Seen {
    /// The parameters whose written elements have all changed in a single call.
    written: BTreeSet<u8>,
    /// The parameters of which an element has affected a result.
    read: BTreeSet<u8>,
    calls: usize,
}

/// Examines one call; `false` if its arguments are not valid.
fn examine(callee: &Callee, seed: u64, seen: &mut Seen) -> bool {
    let mut random = Random::new(seed);
    let arguments = Arguments::random(callee.function, &mut random);
    let what = || format!("{} {arguments}", callee.function.name);
    let found = arguments.operands();
    let is_read: Vec<bool> =
        found.iter().map(|operand| operand.is_read(|scalar| arguments.is_zero(scalar))).collect();
    let memory = Memory::new(&found, &mut random);
    let run = |memory: &Memory| {
        let mut memory = memory.clone();
        let (words, _tables) = arguments.words(handle(), &found, &mut memory);
        (callee.call(&words), memory)
    };

    let (status, after) = run(&memory);
    if status != 0 && arguments.has_zero_increment() {
        return false;
    }
    assert_eq!(status, 0, "{}", what());
    seen.calls += 1;

    // Replace everything that is not read by garbage, mostly NaNs.
    let mut garbage = memory.clone();
    garbage.spoil(&is_read);
    let (_, with_garbage) = run(&garbage);
    for (number, operand) in found.iter().enumerate() {
        let name = arguments.name(operand.parameter);
        for place in memory.places(number) {
            let got = with_garbage.element(place);
            if operand.is_written() && place.used {
                assert_eq!(
                    got,
                    after.element(place),
                    "{name}[{place}] depends on what is not read: {}",
                    what()
                );
            } else {
                assert_eq!(got, garbage.element(place), "{name}[{place}] is written: {}", what());
            }
        }
    }

    let written: Vec<usize> =
        (0..found.len()).filter(|number| found[*number].is_written()).collect();
    for number in &written {
        let mut places = memory.places(*number).filter(|place| place.used).peekable();
        if places.peek().is_some() && places.all(|p| memory.element(p) != after.element(p)) {
            seen.written.insert(found[*number].parameter);
        }
    }

    // With an increment of zero, earlier writes are overwritten.
    let is_lossless = !arguments.has_zero_increment();
    let outputs =
        written.iter().flat_map(|number| memory.places(*number)).filter(|p| p.used).count();
    for (number, operand) in found.iter().enumerate() {
        if !is_read[number] || outputs == 0 || !is_lossless {
            continue;
        }
        let places: Vec<_> = memory.places(number).filter(|place| place.used).collect();
        for _ in 0..CHANGES.min(places.len()) {
            let place = places[random.below(places.len() as u64) as usize];
            let matters = (0..Memory::ATTEMPTS).any(|attempt| {
                let mut changed = memory.clone();
                changed.change(operand.element, place, attempt);
                let (_, result) = run(&changed);
                written.iter().any(|output| {
                    let mut outputs = memory.places(*output).filter(|place| place.used);
                    outputs.any(|output| result.element(output) != after.element(output))
                })
            });
            let name = arguments.name(operand.parameter);
            let is_idle = arguments.has_idle_elements(operand);
            assert!(matters || is_idle, "{name}[{place}] does not matter: {}", what());
            assert!(!matters || !arguments.is_aid(operand), "{name} matters: {}", what());
            if matters {
                seen.read.insert(operand.parameter);
            }
        }
    }
    true
}

#[test]
fn operands_are_what_functions_read_and_write() {
    let mut covered = 0;
    let mut aids = BTreeSet::new();
    for function in c_exports().iter().filter(|f| operands::is_described(f.index.into())) {
        let name = function.name;
        let callee = Callee::of(function).unwrap_or_else(|| panic!("{name} is not implemented"));
        let mut seen = Seen::default();
        for round in 0..ROUNDS {
            examine(&callee, round << 16 | u64::from(function.index), &mut seen);
        }
        assert!(seen.calls > ROUNDS as usize / 2, "only {} calls of {name}", seen.calls);
        let arguments = Arguments::random(function, &mut Random::new(1));
        for operand in arguments.operands().iter() {
            let parameter = operand.parameter;
            let param = function.params[usize::from(parameter)].name;
            let is_seen = !operand.is_written() || seen.written.contains(&parameter);
            assert!(is_seen, "{param} of {name} is never written");
            if arguments.is_aid(operand) {
                aids.insert((name, param));
                continue;
            }
            let is_seen = !operand.is_read(|_| false) || seen.read.contains(&parameter);
            assert!(is_seen, "{param} of {name} never matters");
        }
        covered += 1;
    }
    assert_eq!(covered, 1172, "functions that are described");
    // rocBLAS may read these, but a correct result does not depend on them.
    let known = ["rocblas_trsm_batched_ex", "rocblas_trsm_ex", "rocblas_trsm_strided_batched_ex"];
    assert_eq!(aids.into_iter().collect::<Vec<_>>(), known.map(|name| (name, "invA")));
}
