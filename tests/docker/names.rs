//! The step of `docker/Dockerfile` that builds llama.cpp, run on this machine on projects with the names that
//! llama.cpp's targets have had.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};
use tests::{artefacts::workspace, run::run, skip::skip};

/// The programs of a version of llama.cpp; `RPC` is replaced with the name of the one that lends a GPU.
const PROJECT: &str = "\
cmake_minimum_required(VERSION 3.21)
project(llama.cpp C)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/bin)
foreach(program llama-server llama-cli llama-bench RPC)
    add_executable(${program} main.c)
endforeach()
file(WRITE ${CMAKE_BINARY_DIR}/arguments
    \"${GPU_TARGETS} ${LLAMA_BUILD_NUMBER} ${LLAMA_BUILD_UI} ${LLAMA_USE_PREBUILT_UI}\")
";

/// The shell command of the build step, without its comments and the instruction.
fn step() -> String {
    let file = fs::read_to_string(workspace().join("docker/Dockerfile")).expect("read");
    let steps = file.split("\nRUN ").skip(1);
    let mut steps = steps.filter(|step| step.starts_with("HIPCXX"));
    let step = steps.next().expect("a step that builds");
    let end = step.match_indices('\n').find(|(at, _)| !step[..*at].ends_with('\\'));
    step[..end.map_or(step.len(), |(at, _)| at)].to_owned()
}

/// Runs the step in a directory and installs the programs below it. Returns the values that CMake was given;
/// `None` without CMake.
fn build(directory: &Path, rpc: &str, variables: &[(&str, &str)]) -> Option<String> {
    if !run(Command::new("sh").args(["-c", "command -v cmake"])).status.success() {
        skip("the step that builds llama.cpp", "no CMake");
        return None;
    }
    let tools = directory.join("tools");
    fs::create_dir(&tools).expect("make a directory");
    let hipconfig = tools.join("hipconfig");
    fs::write(&hipconfig, "#!/bin/sh\necho /opt/rocm\n").expect("write");
    fs::set_permissions(&hipconfig, fs::Permissions::from_mode(0o755)).expect("set the mode");
    fs::write(directory.join("CMakeLists.txt"), PROJECT.replace("RPC", rpc)).expect("write");
    fs::write(directory.join("main.c"), "int main(void) { return 0; }\n").expect("write");
    let app = directory.join("app");
    let step = step().replace("/app", app.to_str().expect("UTF-8"));
    let path = std::env::var("PATH").expect("a path");
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", &step]).current_dir(directory);
    command.env("PATH", format!("{}:{path}", tools.display()));
    command.env("GPU_TARGETS", "gfx906;gfx1030").env("CMAKE_ARGS", "-DGGML_NATIVE=OFF");
    run(command.env("LLAMA_BUILD", "").envs(variables.iter().copied())).success();
    Some(fs::read_to_string(directory.join("build/arguments")).expect("what CMake was given"))
}

#[test]
fn the_server_that_lends_a_gpu_has_its_old_and_its_new_name() {
    for (rpc, other) in [("rpc-server", "ggml-rpc-server"), ("ggml-rpc-server", "rpc-server")] {
        let directory = tempfile::tempdir().expect("a directory");
        let Some(given) = build(directory.path(), rpc, &[]) else { return };
        assert_eq!(given, "gfx906;gfx1030  OFF OFF", "nothing is downloaded");
        let app = directory.path().join("app");
        for program in ["llama-server", "llama-cli", "llama-bench", rpc] {
            assert!(app.join(program).symlink_metadata().expect("there").is_file(), "{program}");
        }
        assert_eq!(fs::read_link(app.join(other)).expect("a link"), Path::new(rpc));
        assert!(run(&mut Command::new(app.join(other))).status.success());
    }
}

#[test]
fn a_build_has_the_number_and_the_user_interface_that_are_asked_for() {
    let directory = tempfile::tempdir().expect("a directory");
    let variables = [("LLAMA_BUILD", "10621"), ("CMAKE_ARGS", "-DLLAMA_USE_PREBUILT_UI=ON")];
    let Some(given) = build(directory.path(), "ggml-rpc-server", &variables) else { return };
    assert_eq!(given, "gfx906;gfx1030 10621 OFF ON");
}
