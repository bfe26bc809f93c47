//! `rocblas_shim_backend_use`: new handles get another backend, existing ones keep theirs.

use crate::machine::{Machine, file, line, name, own};
use std::fs;

#[test]
fn new_handles_get_the_other_backend_and_living_ones_keep_theirs() {
    let machine = Machine::with(2);
    let printed =
        machine.printed("mode create call mode use two mode name create call use one create call");
    let (one, two) = (line(1), line(2));
    let wanted = [
        "mode: direct\n",
        &one,
        "mode: direct\nuse two=0\nmode: routed\nname: two\n",
        &one,
        &two,
        "use one=0\n",
        &one,
        &two,
        &one,
    ];
    // It is opened when the shim is loaded.
    assert_eq!(printed, wanted.concat());
}

#[test]
fn eight_backends_at_once_and_no_ninth() {
    let machine = Machine::with(9);
    let words: Vec<String> =
        (2..=8).map(|number| format!("use {} create create", name(number))).collect();
    let ended =
        machine.run(&format!("create create {} call use nine create call", words.join(" ")));
    let ended = ended.success();
    let of_eight: String = (1..=8).map(|number| line(number).repeat(2)).collect();
    let used: String = (2..=8).map(|number| format!("use {}=0\n", name(number))).collect();
    let of_latest = line(8);
    assert_eq!(ended.stdout, format!("{used}{of_eight}use nine=11\n{of_eight}{of_latest}"));
    assert!(ended.stderr.contains("this process has 8 backends open"), "{}", ended.stderr);
}

#[test]
fn what_cannot_be_opened_changes_nothing_and_says_why() {
    let machine = Machine::with(2);
    fs::write(file(&machine.tree, 2), "no library").expect("write");
    let ended = machine.run("create use two use four use ./absent.so use  create call mode name");
    let ended = ended.success();
    let wanted = "use two=11\nuse four=11\nuse ./absent.so=11\nuse =11\n";
    let one = line(1);
    assert_eq!(ended.stdout, format!("{wanted}{one}{one}mode: direct\nname: one\n"));
    for why in [
        "backends/two/lib/librocblas.so.4: is a text file",
        "rocblas_shim_backend_use=four: is not the name of a backend in ",
        "./absent.so: does not exist",
        "rocblas_shim_backend_use: is empty",
    ] {
        assert!(ended.stderr.contains(why), "{why}: {}", ended.stderr);
    }
    assert_eq!(ended.stderr.matches("nothing was changed").count(), 4, "{}", ended.stderr);
}

#[test]
fn a_backend_whose_file_is_gone_goes_on_and_is_not_opened_again() {
    let machine = Machine::with(3);
    fs::remove_file(file(&machine.tree, 3)).expect("remove");
    let ended = machine.run("create use two create use three call").success();
    assert_eq!(ended.stdout, format!("use two=0\nuse three=11\n{}{}", line(1), line(2)));
    assert!(
        ended.stderr.contains("backends/three/lib: contains no librocblas.so"),
        "{}",
        ended.stderr
    );
}

#[test]
fn no_handle_is_no_handle_and_an_unknown_one_goes_to_the_default_once_said() {
    let machine = Machine::with(2);
    let ended =
        machine.run("null use two null unknown unknown use one unknown create call").success();
    let unknown = "unknown ``: 1000\n";
    let adopted = "unknown `two`: 1000\n";
    let one = line(1);
    assert_eq!(
        ended.stdout,
        format!("null: 1\nuse two=0\nnull: 1\n{unknown}{adopted}use one=0\n{adopted}{one}")
    );
    let message = "was not created through the shim: calls with it, and with other such handles, \
                go to backend two";
    assert_eq!(ended.stderr.matches(message).count(), 1, "{}", ended.stderr);
    assert_eq!(ended.stderr.lines().count(), 1, "{}", ended.stderr);
}

#[test]
fn a_freed_address_belongs_to_whoever_is_given_it() {
    let machine = Machine::with(2);
    // malloc returns the same address again; nothing remains of its first owner.
    let round = "use two create call destroy use one create call destroy ";
    let words = format!("use two use one {}mode", round.repeat(3));
    let used = "use two=0\n";
    let wanted = format!("{used}{}use one=0\n{}", line(2), line(1)).repeat(3);
    assert_eq!(machine.printed(&words), format!("{used}use one=0\n{wanted}mode: routed\n"));
}

#[test]
fn hundreds_of_handles_and_colliding_ones_are_told_apart() {
    for traits in [&[][..], &["-DCOLLIDES"]] {
        let machine = Machine::with(0);
        machine.add(1, traits);
        machine.add(2, traits);
        let (create, destroy) = ("create ".repeat(300), "destroy ".repeat(400));
        let words = format!("{create}use two {create}call {destroy}call use one create call");
        let (one, two) = (line(1), line(2));
        let wanted = [
            "use two=0\n",
            &one.repeat(300),
            &two.repeat(300),
            &one.repeat(200),
            "use one=0\n",
            &one.repeat(201),
        ];
        assert_eq!(machine.printed(words.trim()), wanted.concat(), "{traits:?}");
    }
}

#[test]
fn functions_without_a_handle_are_asked_of_whom_the_table_says() {
    let machine = Machine::with(3);
    let printed = machine.printed("sizes use two use three sizes tell");
    let first = "sizes: 1005, 0 1 99 10 10 1\nbatched: 12 77 77\n";
    // One backend needs no memory, another one does.
    let all = "sizes: 3005, 0 3 99 10 10 9\nbatched: 0 77 30\n";
    let told: String = (1..=3).map(|id| format!("backend {id} is told 12\n")).collect();
    assert_eq!(printed, format!("{first}use two=0\nuse three=0\n{all}{told}"));
}

#[test]
fn a_function_that_only_one_has_is_missing_for_handles_of_the_other() {
    let machine = Machine::with(1);
    machine.add(2, &["-DHAS_GEMM"]);
    let ended = machine.run("create gemm use two create gemm use one create gemm").success();
    let missing = "gemm: 2\n";
    assert_eq!(ended.stdout, format!("{missing}use two=0\ngemm: {}\nuse one=0\n{missing}", own(2)));
    let message = "backend one (";
    assert_eq!(ended.stderr.matches(message).count(), 1, "{}", ended.stderr);
}

#[test]
fn each_backend_sees_its_own_kernels_whatever_the_order() {
    for order in ["create use two create", "use two create use one create"] {
        let machine = Machine::with(2);
        for number in [1, 2] {
            let library = file(&machine.tree, number);
            let kernels = library.parent().expect("in lib").join("rocblas/library");
            fs::create_dir_all(&kernels).expect("make a directory");
        }
        let stream = order.replace("create", "create stream");
        let printed = machine.printed(&stream);
        for number in [1, 2] {
            let own = format!("kernels of backend {number}: ");
            let line = printed.lines().find(|line| line.starts_with(&own)).expect("asked");
            let place = format!("backends/{}/lib/rocblas/library", name(number));
            assert!(line.ends_with(&place), "{order}: {line}");
        }
    }
}

#[test]
fn a_trace_that_is_on_goes_on_while_a_second_backend_is_opened() {
    let machine = Machine::with(2);
    let traces = machine.tree.root().join("traces");
    let words =
        format!("create start {} call use two create call stop call mode", traces.display());
    let (one, two) = (line(1), line(2));
    let wanted = format!("{one}use two=0\n{one}{two}{one}{two}mode: routed\n");
    assert_eq!(machine.printed(&words), wanted);
    let trace = fs::read_dir(&traces).expect("a trace").next().expect("one").expect("an entry");
    assert!(trace.path().join("process.json").exists(), "{trace:?}");
}

#[test]
fn a_child_goes_on_with_both_and_opens_a_third() {
    let machine = Machine::with(3);
    let printed = machine.printed("create use two create fork use three create call");
    let rest = format!("use three=0\n{}{}{}", line(1), line(2), line(3));
    assert_eq!(printed, format!("use two=0\nchild\n{rest}parent, after 0\n{rest}"));
}

#[test]
fn backends_whose_data_the_loader_would_join_are_not_opened_together() {
    let machine = Machine::with(1);
    machine.add(2, &["-DUNIQUE"]);
    machine.add(3, &["-DUNIQUE"]);
    let ended = machine.run("create use two create use three create call").success();
    let wanted = format!("use two=0\nuse three=11\n{}{}{}", line(1), line(2), line(2));
    assert_eq!(ended.stdout, wanted);
    let message = "defines joined_data as STB_GNU_UNIQUE, as backend two does, so the loader would make both share one \
                copy: use them in separate processes; nothing was changed";
    assert_eq!(ended.stderr.matches(message).count(), 1, "{}", ended.stderr);
}

#[test]
fn a_backend_of_the_same_soname_is_opened_by_its_own_file() {
    let machine = Machine::with(0);
    machine.add_with_soname(1, "librocblas.so.5", "5.2.0", &[]);
    machine.add_with_soname(2, "librocblas.so.5", "5.0.2", &[]);
    let printed = machine.printed("create use two create call");
    assert_eq!(printed, format!("use two=0\n{}{}", line(1), line(2)));
}
