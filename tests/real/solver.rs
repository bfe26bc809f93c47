//! rocSOLVER through the shim. Its data on handles is tested in `../solver_data.rs`.

use tests::{
    artefacts::workspace,
    compile::compile,
    real::{Rocm, compared::Seen, root},
};

#[test]
fn factorisations_and_eigenvalues_run() {
    let Some(root) = root() else { return };
    let rocm = Rocm::shim_before(root, "librocblas.so.4");
    let source = workspace().join("tests/clients/real/solver_calls.c");
    let arguments = rocm.link_with(&["librocsolver.so.0", "librocblas.so.5", "libamdhip64.so.7"]);
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let program = compile(&source, &rocm.tree().root().join("solver_calls"), &arguments);
    let seen = Seen::of(&rocm, &program, &[], &[]);
    assert_eq!(seen.ended.stderr, "");
    for routine in ["getrf", "potrf", "geqrf", "syevd"] {
        for precision in ["s", "d"] {
            let name = format!("rocsolver_{precision}{routine}");
            assert_eq!(seen.line(&name), "0", "{seen:?}");
            let launches = seen.hip_of(&name);
            assert!(launches.iter().any(|line| line.starts_with("launch ")), "{name} did nothing");
        }
    }
}
