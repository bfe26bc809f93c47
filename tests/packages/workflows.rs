//! The workflows of `.github`: valid, of pinned actions, with few rights, and of steps that people run by hand.

use serde::Deserialize;
use std::{
    collections::BTreeMap, env, fs, os::unix::fs::PermissionsExt, path::PathBuf, process::Command,
};
use tests::{artefacts::workspace, docker::tools::tool, run::run};

#[derive(Deserialize)]
struct Workflow {
    permissions: BTreeMap<String, String>,
    jobs: BTreeMap<String, Job>,
}

#[derive(Deserialize)]
struct Job {
    /// None where it is another workflow.
    #[serde(default)]
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    uses: Option<String>,
    run: Option<String>,
}

fn files(directory: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(workspace().join(directory)).expect("a directory");
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.expect("read").path()).collect();
    files.sort();
    files
}

fn workflows() -> Vec<(PathBuf, Workflow)> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("a text");
        let workflow = serde_saphyr::from_str(&text);
        let workflow = workflow.unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        (path, workflow)
    };
    files(".github/workflows").into_iter().map(read).collect()
}

#[test]
fn actionlint_finds_nothing() {
    let (Some(actionlint), Some(shellcheck)) = (tool("actionlint"), tool("shellcheck")) else {
        return;
    };
    let mut lint = Command::new(actionlint);
    lint.arg("-shellcheck").arg(shellcheck).args(files(".github/workflows"));
    run(lint.current_dir(workspace())).success();
}

#[test]
fn shellcheck_finds_nothing_in_what_steps_and_packages_run() {
    let Some(shellcheck) = tool("shellcheck") else { return };
    let packages = ["notice", "postinst", "prerm"];
    let packages = packages.map(|name| workspace().join("installer/packages/files").join(name));
    let mut check = Command::new(shellcheck);
    run(check.arg("--severity=warning").args(files(".ci")).args(packages)).success();
}

#[test]
fn actions_are_pinned_by_commit_and_no_workflow_may_write_by_default() {
    for (path, workflow) in workflows() {
        let rights: Vec<&str> = workflow.permissions.values().map(String::as_str).collect();
        assert_eq!(rights, ["read"], "{}", path.display());
        for used in
            workflow.jobs.values().flat_map(|job| &job.steps).filter_map(|step| step.uses.as_ref())
        {
            let (_, commit) = used.split_once('@').expect("a version");
            let is_commit = commit.len() == 40 && commit.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(is_commit, "{}: {used}", path.display());
        }
    }
}

/// A step runs scripts of the project, or an alias of cargo's, and nothing that only the forge has.
#[test]
fn every_step_is_a_command_that_people_run_by_hand() {
    let aliases = fs::read_to_string(workspace().join(".cargo/config.toml")).expect("aliases");
    let mut steps = 0;
    for (path, workflow) in workflows() {
        for line in
            workflow.jobs.values().flat_map(|job| &job.steps).filter_map(|step| step.run.as_ref())
        {
            let mut words = line.split_whitespace();
            let is_known = match (words.next(), words.next()) {
                (Some("cargo"), Some(alias)) => aliases.contains(&format!("\n{alias} = ")),
                (Some(script), _) => {
                    let file = workspace().join(script);
                    let mode = fs::metadata(&file).map(|metadata| metadata.permissions().mode());
                    script.starts_with(".ci/") && mode.is_ok_and(|mode| mode & 0o111 != 0)
                }
                _ => false,
            };
            assert!(is_known && line.trim().lines().count() == 1, "{}: {line}", path.display());
            steps += 1;
        }
    }
    assert!(steps > 4, "{steps}");
}

/// Runs a script of `.ci` with programs that write their arguments down instead of doing anything.
#[track_caller]
fn written_down(script: &str, arguments: &[&str], variables: &[(&str, &str)]) -> String {
    let place = tempfile::tempdir().expect("a directory");
    let log = place.path().join("log");
    for (name, prints) in [
        ("docker", r#"case "$*" in *RepoDigests*) echo "${@: -1}@sha256:1" ;; esac"#),
        ("cosign", ""),
        ("gh", ""),
        (
            "curl",
            r#"echo '{"name":"7.2.4"},{"name":"10.0"},{"name":"9.1-complete"},{"name":"7.13"}'"#,
        ),
        (
            "git",
            r#"case "$1" in ls-remote) printf '0123abc\tHEAD\n' ;; *) exec /usr/bin/git "$@" ;; esac"#,
        ),
    ] {
        let text = format!("#!/bin/bash\necho \"{name} $*\" >>{}\n{prints}\n", log.display());
        tests::program::script(place.path().join(name), &text);
    }
    let path = format!("{}:{}", place.path().display(), env::var("PATH").expect("a path"));
    let mut command = Command::new(workspace().join(script));
    command.args(arguments).env("PATH", path).envs(variables.iter().copied());
    run(command.env("GITHUB_OUTPUT", place.path().join("output"))).success();
    fs::read_to_string(log).expect("a log")
}

#[test]
fn images_are_built_pushed_and_signed_by_digest() {
    let built = written_down(".ci/images", &["example.org/shim"], &[]);
    assert!(built.contains("--file docker/shim.Dockerfile --tag example.org/shim:"), "{built}");
    assert!(built.contains("--build-arg SHIM_IMAGE=example.org/shim:"), "{built}");
    assert!(!built.contains("push") && !built.contains("cosign"), "{built}");
    let pushed = written_down(".ci/images", &["example.org/shim", "--push"], &[]);
    assert!(pushed.contains("docker push example.org/shim:"), "{pushed}");
    assert_eq!(pushed.matches("cosign sign --yes example.org/").count(), 2, "{pushed}");
    assert_eq!(pushed.matches("@sha256:1").count(), 2, "{pushed}");
}

#[test]
fn the_weekly_build_takes_the_newest_rocm_and_the_newest_llama_cpp() {
    let log = written_down(".ci/newest", &[], &[]);
    assert!(log.contains("--build-arg ROCM_IMAGE=docker.io/rocm/dev-ubuntu-24.04:10.0"), "{log}");
    assert!(log.contains("--build-arg LLAMA_COMMIT=0123abc"), "{log}");
}

#[test]
fn a_release_has_its_checksums_signed() {
    let place = tempfile::tempdir().expect("a directory");
    let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 *package.deb\n";
    fs::write(place.path().join("package.deb"), "").expect("write");
    fs::write(place.path().join("SHA256SUMS"), empty).expect("write");
    let directory = place.path().to_str().expect("UTF-8");
    let log = written_down(".ci/publish", &["v0.1.0", directory], &[]);
    assert!(log.contains("cosign sign-blob --yes"), "{log}");
    assert!(log.contains("gh release create v0.1.0"), "{log}");
    // In order: what is published has its signature.
    assert!(log.find("cosign") < log.find("gh release"), "{log}");
    fs::write(place.path().join("package.deb"), "other").expect("write");
    let mut publish = Command::new(workspace().join(".ci/publish"));
    let refused = run(publish.args(["v0.1.0", directory]).env("PATH", "/usr/bin:/bin"));
    assert!(!refused.status.success(), "{refused:?}");
}
