//! `[route]` and `ROCBLAS_SHIM_ROUTE`: each GPU's handles get their own backend.

use crate::machine::{Machine, file, line, name};
use rocblas_contract::serves::{Identity, SERVES, Serves};
use std::{
    fs::{self, File},
    os::unix::fs::symlink,
};
use tests::{real::recording, run::Ended, scenario::linked_client};

/// Two devices of different targets, on the recording HIP runtime.
const DEVICES: [(&str, &str); 2] =
    [("RECORDING_HIP_DEVICES", "2"), ("RECORDING_HIP_TARGET", "gfx906,gfx1100")];

/// Backends `one` and `two` on the recording HIP runtime.
fn machine() -> Machine {
    let machine = Machine::of(|tree| {
        let hip = tree.lib().join("libamdhip64.so.7");
        symlink(recording::runtime(), &hip).expect("link to the runtime");
        let hip = hip.to_str().expect("UTF-8");
        linked_client(tree, "backends.c", &[crate::machine::include(), "-DUSES_HIP", hip])
    });
    let hip = machine.tree.lib().join("libamdhip64.so.7");
    for number in [1, 2] {
        machine.add(number, &["-Wl,--no-as-needed", hip.to_str().expect("UTF-8")]);
    }
    machine
}

fn routed(machine: &Machine, route: &str, words: &str) -> Ended {
    let variables = [("ROCBLAS_SHIM_ROUTE", route), DEVICES[0], DEVICES[1]];
    machine.run_without_a_choice(words, &variables)
}

const BOTH: &str = "create device 1 create device 0 create call";

#[test]
fn each_gpu_gets_the_backend_of_its_rule() {
    let machine = machine();
    let both = [line(1), line(2), line(1)].concat();
    for route in [
        "gfx906=one,gfx1100=two",
        "gfx1100=two,default=one",
        "1=two,gfx1100=one,gfx906=one",
        "default=one,0000:04:00.0=two",
    ] {
        let ended = routed(&machine, route, BOTH).silent_success();
        assert_eq!(ended.stdout, both, "{route}");
    }
    // In the file, backends may be paths relative to it; a variable that names a backend takes precedence.
    let settings = "[route]\ngfx906 = 'one'\ngfx1100 = './backends/two/lib/librocblas.so.4'\n";
    fs::write(machine.tree.settings(), settings).expect("write");
    let of_two = line(2).replace("two", "librocblas.so.4");
    let ended = machine.run_without_a_choice(BOTH, &DEVICES).silent_success();
    assert_eq!(ended.stdout, [line(1), of_two, line(1)].concat());
    let ended = machine.run_with(BOTH, &DEVICES).silent_success();
    assert_eq!(ended.stdout, line(1).repeat(3));
}

#[test]
fn a_switch_at_run_time_is_for_all_gpus_until_the_settings_count_again() {
    let machine = machine();
    let words = "device 1 create use one create use - create device 0 create call name";
    let ended = routed(&machine, "gfx906=one,gfx1100=two", words).silent_success();
    let (one, two) = (line(1), line(2));
    let handles = [two.as_str(), &one, &two, &one].concat();
    assert_eq!(ended.stdout, format!("use one=0\nuse -=0\n{handles}name: one\n"));
}

#[test]
fn a_rule_that_leads_nowhere_fails_for_its_gpu_alone_and_says_so_once() {
    let machine = machine();
    let words = "create device 1 create create device 0 create call";
    let ended = routed(&machine, "gfx906=one,gfx1100=seven", words).success();
    assert_eq!(ended.stdout, format!("create=6\ncreate=6\n{}", line(1).repeat(2)));
    let message = "cannot create a handle for device 1 (gfx1100): cannot open a backend: ROCBLAS_SHIM_ROUTE=seven: \
                is not the name of a backend in ";
    assert_eq!(ended.stderr.matches(message).count(), 1, "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn a_backend_without_kernels_for_the_gpu_is_named() {
    let machine = machine();
    for (number, target) in [(1, "gfx906"), (2, "gfx1030")] {
        let library = file(&machine.tree, number);
        let kernels = library.parent().expect("in lib").join("rocblas/library");
        fs::create_dir_all(&kernels).expect("make a directory");
        fs::write(kernels.join(format!("TensileLibrary_lazy_{target}.dat")), "").expect("write");
    }
    let ended = routed(&machine, "gfx906=one,gfx1100=two", BOTH).success();
    assert_eq!(ended.stdout, format!("create=6\n{}", line(1).repeat(2)));
    let message = "the backend has no Tensile kernels for gfx1100 (device 1)";
    assert_eq!(ended.stderr.matches(message).count(), 1, "{}", ended.stderr);
    let directory = format!("backends/{}/lib/rocblas/library", name(2));
    assert!(ended.stderr.contains(&directory), "{}", ended.stderr);
}

/// Writes the facts that the installer writes next to a backend.
fn write_facts(machine: &Machine, number: u8, release: &str, gpus: &[&str]) {
    let library = file(&machine.tree, number);
    let identity = Identity::of(&File::open(&library).expect("open")).expect("read");
    let gpus = gpus.iter().map(|gpu| (*gpu).to_owned()).collect();
    let serves = Serves { release: release.to_owned(), gpus, library: identity };
    let prefix = library.parent().and_then(|lib| lib.parent()).expect("a prefix");
    fs::write(prefix.join(SERVES), serves.text()).expect("write");
}

#[test]
fn auto_gives_each_gpu_the_newest_backend_that_serves_it() {
    let machine = machine();
    write_facts(&machine, 1, "6.3.0", &["gfx900", "gfx906", "gfx1100"]);
    write_facts(&machine, 2, "7.0.2", &["gfx1100"]);
    let both = [line(1), line(2), line(1)].concat();
    fs::write(machine.tree.settings(), "backend = 'one'\n").expect("write");
    for route in ["auto", "gfx906=one,auto", "gfx1100=auto", "0=auto,1=auto"] {
        let ended = routed(&machine, route, BOTH).silent_success();
        assert_eq!(ended.stdout, both, "{route}");
    }
    let settings = "backend = 'one'\n[route]\ndefault = 'auto'\n";
    fs::write(machine.tree.settings(), settings).expect("write");
    let ended = machine.run_without_a_choice(BOTH, &DEVICES).silent_success();
    assert_eq!(ended.stdout, both);
    // 6.10 is newer than 6.3, and `auto` is not a valid name where a backend's name is required.
    write_facts(&machine, 2, "6.10.0", &["gfx906", "gfx1100"]);
    let ended = machine.run_without_a_choice(BOTH, &DEVICES).silent_success();
    assert_eq!(ended.stdout, line(2).repeat(3));
    let ended = machine.run_without_a_choice("use auto", &DEVICES).success();
    assert_eq!(ended.stdout, "use auto=11\n");
}

#[test]
fn auto_takes_an_exchanged_library_last_and_says_so() {
    let machine = machine();
    write_facts(&machine, 1, "6.3.0", &["gfx906", "gfx1100"]);
    write_facts(&machine, 2, "7.0.2", &["gfx1100"]);
    let stale = file(&machine.tree, 2);
    let mut bytes = fs::read(&stale).expect("read");
    bytes.push(0);
    fs::write(&stale, bytes).expect("write");
    fs::write(machine.tree.settings(), "backend = 'one'\n").expect("write");
    // Another backend's facts are not stale.
    let ended = routed(&machine, "auto", BOTH).silent_success();
    assert_eq!(ended.stdout, line(1).repeat(3));
    write_facts(&machine, 1, "6.3.0", &["gfx906"]);
    let ended = routed(&machine, "auto", BOTH).success();
    assert_eq!(ended.stdout, [line(1), line(2), line(1)].concat());
    let message = "rocblas-shim: error: the library of backend two has changed since the installer inspected it: it \
                is used for gfx1100 anyway; `installer apply` inspects it again\n";
    assert_eq!(ended.stderr, message);
}

#[test]
fn auto_without_a_backend_for_a_gpu_fails_for_that_one_alone() {
    let machine = machine();
    write_facts(&machine, 1, "6.3.0", &["gfx906"]);
    fs::write(machine.tree.settings(), "backend = 'one'\n").expect("write");
    let words = "create device 1 create create device 0 create call";
    let ended = routed(&machine, "auto", words).success();
    assert_eq!(ended.stdout, format!("create=6\ncreate=6\n{}", line(1).repeat(2)));
    let message = format!(
        "rocblas-shim: error: cannot create a handle for device 1 (gfx1100): no backend in {}/rocblas-shim/backends \
         is known to serve it: `installer backends list` says what each serves, and `installer backends add` adds one\n",
        machine.tree.lib().display()
    );
    assert_eq!(ended.stderr, message);
    // An unreadable file counts as missing.
    let two = file(&machine.tree, 2);
    let prefix = two.parent().and_then(|lib| lib.parent()).expect("a prefix");
    fs::write(prefix.join(SERVES), "gpus = \"gfx1100\"\n").expect("write");
    let ended = routed(&machine, "auto", words).success();
    assert_eq!(ended.stderr, message);
}

#[test]
fn what_is_no_rule_is_said_and_the_rest_of_the_settings_counts() {
    let machine = machine();
    let variables = [("ROCBLAS_SHIM_ROUTE", "mi50=one"), DEVICES[0], DEVICES[1]];
    let ended = machine.run_with(BOTH, &variables).success();
    assert_eq!(ended.stdout, line(1).repeat(3));
    let message = "setting ignored: ROCBLAS_SHIM_ROUTE: `mi50=one` is no rule for a GPU, such as gfx906=6.3.0";
    assert!(ended.stderr.contains(message), "{}", ended.stderr);
}
