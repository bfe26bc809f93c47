//! Many threads with handles of two backends that come and go at the same addresses, while the default is
//! switched and traces are started and stopped: no call reaches a backend that did not make its handle.

use crate::machine::{Machine, include};
use std::time::Duration;
use tests::{
    run::{client, run_within},
    scenario::linked_client,
};

#[test]
fn of_ten_million_calls_none_goes_to_the_wrong_backend() {
    let machine = Machine::of(|tree| {
        linked_client(tree, "routed_threads.c", &[include(), "-O2", "-pthread"])
    });
    machine.add(1, &["-O2", "-DHAS_GEMM"]);
    machine.add(2, &["-O2", "-DHAS_GEMM"]);
    let mut command = client(&machine.tree, &machine.program);
    command.env("ROCBLAS_SHIM_BACKEND", "one").arg(machine.tree.root().join("traces"));
    let ended = run_within(&mut command, Duration::from_secs(120)).silent_success();
    let numbers: Vec<u64> =
        ended.stdout.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    let [calls, wrong, switches, traces, of_one, of_two] = numbers[..] else {
        panic!("{ended:?}");
    };
    assert_eq!((wrong, switches), (0, 1_000), "{ended:?}");
    assert!(calls >= 10_000_000 && traces >= 3, "{ended:?}");
    assert!(of_one > calls / 10 && of_two > calls / 10, "{ended:?}");
}
