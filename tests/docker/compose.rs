//! The Compose files of `docker/`, in the combinations that their comments document, as the Compose tools
//! parse them; and the errors that users get if they have not filled in `.env`.

use serde_json::Value;
use std::{fs, io::Write, process::Command, sync::OnceLock};
use tests::{
    artefacts::workspace,
    docker::tools::compose_v2,
    run::{Ended, run},
    skip::skip,
};

/// Values for the variables that have no default in any of the files.
const FILLED_IN: [(&str, &str); 5] = [
    ("MODELS", "/srv/models"),
    ("MODEL", "qwen3 8b.gguf"),
    ("RENDER_GID", "109"),
    ("RPC_BIND", "10.0.0.11"),
    ("RPC_SERVERS", "10.0.0.11:50052,10.0.0.12:50052"),
];

/// The combinations that the comments of the files tell users to run.
const COMBINATIONS: [&[&str]; 9] = [
    &["compose.yaml"],
    &["compose.yaml", "compose.dual.yaml"],
    &["compose.yaml", "compose.trace.yaml"],
    &["compose.yaml", "compose.dual.yaml", "compose.trace.yaml"],
    &["compose.yaml", "compose.stock.yaml"],
    &["compose.yaml", "compose.trace.yaml", "compose.stock.yaml"],
    &["compose.rpc.yaml"],
    &["compose.yaml", "compose.rpc-head.yaml"],
    &["compose.yaml", "compose.trace.yaml", "compose.rpc-head.yaml"],
];

/// The command line of each Compose tool: those on this machine, and Debian's Compose v2 if none of them is
/// v2.
pub(super) fn tools() -> &'static [Vec<String>] {
    static FOUND: OnceLock<Vec<Vec<String>>> = OnceLock::new();
    FOUND.get_or_init(|| {
        let mut found = Vec::new();
        let mut has_v2 = false;
        for words in [&["docker-compose"][..], &["docker", "compose"]] {
            let mut version = Command::new(words[0]);
            version.args(&words[1..]).args(["version", "--short"]);
            if let Some(output) = version.output().ok().filter(|output| output.status.success()) {
                has_v2 |= !output.stdout.starts_with(b"1.");
                found.push(words.iter().map(ToString::to_string).collect());
            }
        }
        if !has_v2 {
            match compose_v2() {
                Ok(program) => found.push(vec![program.to_string_lossy().into_owned()]),
                // Not a skip, because the other tool can read the files. Like the messages of skips, this
                // bypasses the test harness, which would capture it.
                Err(why) => {
                    let line = format!("Compose v2 is not here and was not asked: {why}\n");
                    std::io::stderr().write_all(line.as_bytes()).expect("print");
                }
            }
        }
        if found.is_empty() {
            skip("docker/compose*.yaml", "there is no Compose tool");
        }
        found
    })
}

/// `docker-compose -f FILE... config` with only these variables set.
fn config(tool: &[String], files: &[&str], variables: &[(&str, &str)]) -> Ended {
    let mut command = Command::new(&tool[0]);
    command.current_dir(workspace().join("docker")).args(&tool[1..]);
    // The user's own settings must not affect the test.
    let none = tempfile::NamedTempFile::new().expect("an empty file");
    command.arg("--env-file").arg(none.path()).args(["--profile", "*"]);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    for file in files {
        command.args(["-f", file]);
    }
    run(command.arg("config").envs(variables.iter().copied()))
}

fn parsed(tool: &[String], files: &[&str], more: &[(&str, &str)]) -> Value {
    let variables = [&FILLED_IN, more].concat();
    let ended = config(tool, files, &variables).success();
    assert!(!ended.stderr.to_lowercase().contains("warn"), "{files:?}: {ended:?}");
    serde_saphyr::from_str(&ended.stdout).unwrap_or_else(|e| panic!("{files:?}: {e}\n{ended:?}"))
}

/// Runs a check on a service of a combination, with each tool.
fn service(files: &[&str], name: &str, more: &[(&str, &str)], check: impl Fn(&Value)) {
    for tool in tools() {
        let file = parsed(tool, files, more);
        let service = &file["services"][name];
        assert!(service.is_object(), "{files:?} have no {name}: {file:#}");
        check(service);
    }
}

/// The words of a command or an entry point; docker-compose prints a string as it is in the file.
fn words(command: &Value) -> Vec<String> {
    match command {
        Value::Array(words) => words.iter().map(text).collect(),
        Value::String(line) => {
            let mut shell = Command::new("bash");
            let line = format!("printf '%s\\n' {line}");
            run(shell.args(["-c", &line])).success().stdout.lines().map(str::to_owned).collect()
        }
        other => panic!("{other} is no command"),
    }
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// `SOURCE:TARGET` of each mount or device, from either tool's format. Sorted by target, because a source may
/// be anywhere, including the project's directory.
fn pairs(list: &Value) -> Vec<String> {
    let pair = |value: &Value| match value {
        Value::String(short) => short.strip_suffix(":rw").unwrap_or(short).to_owned(),
        long => format!(
            "{}:{}{}",
            text(&long["source"]),
            text(&long["target"]),
            if long["read_only"] == true { ":ro" } else { "" }
        ),
    };
    let mut pairs: Vec<_> = list.as_array().into_iter().flatten().map(pair).collect();
    pairs.sort_by_cached_key(|pair| pair.split_once(':').map(|(_, target)| target.to_owned()));
    pairs
}

/// `ADDRESS:PORT` on the host, and the container's port.
fn ports(service: &Value) -> Vec<String> {
    let port = |value: &Value| match value {
        Value::String(short) => short.trim_end_matches("/tcp").to_owned(),
        long => {
            let [host, published, target] =
                ["host_ip", "published", "target"].map(|key| text(&long[key]));
            format!("{host}:{published}:{target}")
        }
    };
    service["ports"].as_array().into_iter().flatten().map(port).collect()
}

fn traces() -> String {
    format!("{}:/traces", workspace().join("docker/traces").display())
}

#[test]
fn every_documented_combination_is_valid_and_every_service_is_hardened() {
    for (tool, files) in tools().iter().flat_map(|tool| COMBINATIONS.map(|files| (tool, files))) {
        let file = parsed(tool, files, &[]);
        let services = file["services"].as_object().expect("services");
        for (name, service) in services.iter().filter(|(name, _)| *name != "shim") {
            let what = format!("{name} of {files:?}: {service:#}");
            assert_eq!(service["read_only"], true, "{what}");
            assert_eq!(service["cap_drop"], serde_json::json!(["ALL"]), "{what}");
            let options = service["security_opt"].as_array().expect("security options");
            assert!(options.iter().any(|option| option == "no-new-privileges:true"), "{what}");
            assert_ne!(service["privileged"], true, "{what}");
            assert_eq!(text(&service["tmpfs"][0]).split(':').next(), Some("/tmp"), "{what}");
            assert_eq!(service["logging"]["driver"], "json-file", "{what}");
            assert_eq!(service["logging"]["options"]["max-size"], "10m", "{what}");
            assert_eq!(text(&service["logging"]["options"]["max-file"]), "3", "{what}");
            for network in ports(service) {
                assert!(!network.starts_with("0.0.0.0"), "{what}");
            }
            // This service changes the owner of a directory and does nothing else.
            if name.ends_with("owner") {
                assert_eq!(service["user"], "0:0", "{what}");
                assert_eq!(service["cap_add"], serde_json::json!(["CHOWN"]), "{what}");
                assert_eq!(service["network_mode"], "none", "{what}");
                assert_eq!(words(&service["entrypoint"])[..2], ["chown", "10001:10001"]);
            } else {
                assert!(service["user"].is_null() && service["cap_add"].is_null(), "{what}");
            }
        }
        assert!(!file.to_string().contains("HSA_OVERRIDE"), "{files:?}: {file:#}");
    }
}

#[test]
fn the_server_has_one_gpu_its_model_and_a_port_of_this_host() {
    service(&["compose.yaml"], "llama", &[], |llama| {
        assert_eq!(pairs(&llama["devices"]), ["/dev/dri:/dev/dri", "/dev/kfd:/dev/kfd"]);
        assert_eq!(llama["group_add"], serde_json::json!(["109", "44"]));
        assert_eq!(pairs(&llama["volumes"]), ["/srv/models:/models:ro"]);
        assert_eq!(ports(llama), ["127.0.0.1:8080:8080"]);
        assert_eq!(llama["restart"], "unless-stopped");
        assert_eq!(llama["stop_grace_period"], "30s");
        assert_eq!(llama["environment"]["HIP_VISIBLE_DEVICES"], "0");
        assert_eq!(llama["image"], "llama-gfx906");
        let arguments = &llama["build"]["args"];
        assert_eq!(arguments["SHIM_IMAGE"], "rocblas-shim");
        assert_eq!(arguments["GPU_TARGETS"], "gfx906");
        assert_eq!(arguments["ORIGINAL"], "delete");
        assert_eq!(arguments["SLIM"], "yes");
        let expected =
            ["--model", "/models/qwen3 8b.gguf", "--n-gpu-layers", "99", "--ctx-size", "8192"];
        assert_eq!(words(&llama["command"]), [&expected[..], &["--jinja"]].concat());
    });
}

#[test]
fn variables_reach_the_server() {
    let variables = [
        ("GPU", "1"),
        ("BIND", "0.0.0.0"),
        ("PORT", "9000"),
        ("CTX_SIZE", "32768"),
        ("VIDEO_GID", "39"),
        ("LLAMA_ARGS", "--no-mmap --cache-type-k q8_0"),
    ];
    service(&["compose.yaml"], "llama", &variables, |llama| {
        assert_eq!(llama["environment"]["HIP_VISIBLE_DEVICES"], "1");
        assert_eq!(ports(llama), ["0.0.0.0:9000:8080"]);
        assert_eq!(llama["group_add"], serde_json::json!(["109", "39"]));
        let words = words(&llama["command"]);
        assert_eq!(words[5..], ["32768", "--jinja", "--no-mmap", "--cache-type-k", "q8_0"]);
    });
}

#[test]
fn the_shim_is_built_from_the_project_and_not_started() {
    service(&["compose.yaml"], "shim", &[], |shim| {
        let context = text(&shim["build"]["context"]);
        let context = fs::canonicalize(context).expect("the build's context");
        assert_eq!(context, fs::canonicalize(workspace()).expect("the project"));
        assert_eq!(shim["build"]["dockerfile"], "docker/shim.Dockerfile");
        assert_eq!(shim["profiles"], serde_json::json!(["build"]));
    });
}

#[test]
fn the_benchmark_runs_once_beside_the_server() {
    let more = [("BENCH_ARGS", "-fa 1")];
    service(&["compose.yaml"], "bench", &more, |bench| {
        assert_eq!(bench["profiles"], serde_json::json!(["bench"]));
        assert_eq!(words(&bench["entrypoint"]), ["llama-bench-table"]);
        let expected = ["--model", "/models/qwen3 8b.gguf", "--", "-fa", "1"];
        assert_eq!(words(&bench["command"]), expected);
        assert_eq!(bench["environment"]["LLAMA_URL"], "http://llama:8080");
        assert!(bench["restart"].is_null() && bench["ports"].is_null(), "{bench:#}");
        assert_eq!(pairs(&bench["devices"]).len(), 2);
    });
}

#[test]
fn two_gpus_share_the_layers() {
    let files = ["compose.yaml", "compose.dual.yaml"];
    service(&files, "llama", &[("TENSOR_SPLIT", "3,2")], |llama| {
        assert_eq!(llama["environment"]["HIP_VISIBLE_DEVICES"], "0,1");
        let words = words(&llama["command"]);
        assert!(words.windows(2).any(|pair| pair == ["--split-mode", "layer"]), "{words:?}");
        assert!(words.windows(2).any(|pair| pair == ["--tensor-split", "3,2"]), "{words:?}");
        assert_eq!(llama["group_add"], serde_json::json!(["109", "44"]));
    });
    service(&files, "bench", &[], |bench| {
        assert_eq!(bench["environment"]["HIP_VISIBLE_DEVICES"], "0,1");
        assert!(words(&bench["command"]).ends_with(&["--tensor-split".into(), "1/1".into()]));
    });
}

#[test]
fn a_traced_server_writes_where_the_report_reads() {
    let files = ["compose.yaml", "compose.trace.yaml"];
    service(&files, "llama", &[("TRACE_OPTIONS", "ring=64M")], |llama| {
        assert_eq!(llama["environment"]["ROCBLAS_SHIM_TRACE"], "/traces");
        assert_eq!(llama["environment"]["ROCBLAS_SHIM_TRACE_OPTIONS"], "ring=64M");
        assert_eq!(llama["environment"]["HIP_VISIBLE_DEVICES"], "0");
        assert_eq!(pairs(&llama["volumes"]), ["/srv/models:/models:ro".into(), traces()]);
        let condition = &llama["depends_on"]["traces-owner"]["condition"];
        assert_eq!(*condition, "service_completed_successfully");
    });
    for (name, what) in [
        ("report", &["report", "/traces", "--output", "/traces/report.html"][..]),
        ("summary", &["summary", "/traces"]),
    ] {
        service(&files, name, &[], |one| {
            assert_eq!(words(&one["entrypoint"]), [&["installer", "trace"], what].concat());
            assert_eq!(one["profiles"], serde_json::json!(["trace"]));
            assert_eq!(pairs(&one["volumes"]), [traces()]);
            assert!(one["devices"].is_null(), "{one:#}");
        });
    }
}

#[test]
fn traces_can_go_to_another_directory() {
    let files = ["compose.yaml", "compose.trace.yaml"];
    let more = [("TRACES", "/var/tmp/t")];
    for name in ["llama", "traces-owner", "report"] {
        service(&files, name, &more, |one| {
            assert!(pairs(&one["volumes"]).contains(&"/var/tmp/t:/traces".into()), "{one:#}");
        });
    }
}

#[test]
fn the_stock_library_serves_another_port_of_the_same_image() {
    let files = ["compose.yaml", "compose.stock.yaml"];
    for (name, trace, port) in
        [("llama", "/traces/shim", "8080"), ("stock", "/traces/stock", "8081")]
    {
        service(&files, name, &[], |server| {
            assert_eq!(server["image"], "llama-gfx906-kept");
            assert_eq!(server["build"]["args"]["ORIGINAL"], "keep");
            assert_eq!(server["build"]["args"]["SLIM"], "yes");
            assert_eq!(server["build"]["args"]["SHIM_IMAGE"], "rocblas-shim");
            assert_eq!(ports(server), [format!("127.0.0.1:{port}:8080")]);
            assert_eq!(server["environment"]["ROCBLAS_SHIM_TRACE"], trace);
            assert_eq!(pairs(&server["devices"]).len(), 2);
            assert_eq!(server["group_add"], serde_json::json!(["109", "44"]));
            let chosen = &server["environment"]["ROCBLAS_SHIM_BACKEND"];
            assert_eq!(chosen.as_str(), (name == "stock").then_some("7.0.2"));
        });
    }
    service(&files, "diff", &[], |diff| {
        let expected = ["installer", "trace", "diff", "/traces/shim", "/traces/stock"];
        assert_eq!(words(&diff["entrypoint"]), expected);
        assert_eq!(pairs(&diff["volumes"]), [traces() + ":ro"]);
    });
    for tool in tools() {
        let file = parsed(tool, &files, &[]);
        let [llama, stock] = ["llama", "stock"].map(|name| &file["services"][name]);
        assert_eq!(words(&llama["command"]), words(&stock["command"]));
    }
}

#[test]
fn rpc_servers_listen_on_a_private_address_only() {
    service(&["compose.rpc.yaml"], "rpc", &[("GPUS", "0,1")], |rpc| {
        assert_eq!(ports(rpc), ["10.0.0.11:50052:50052"]);
        assert_eq!(rpc["init"], true);
        assert_eq!(words(&rpc["entrypoint"]), ["rpc-server"]);
        assert_eq!(words(&rpc["command"]), ["--host", "0.0.0.0", "--port", "50052", "-c"]);
        assert_eq!(rpc["environment"]["HIP_VISIBLE_DEVICES"], "0,1");
        assert_eq!(rpc["environment"]["LLAMA_CACHE"], "/cache");
        assert_eq!(rpc["environment"]["ROCBLAS_SHIM_TRACE"], "off");
        assert_eq!(pairs(&rpc["devices"]), ["/dev/dri:/dev/dri", "/dev/kfd:/dev/kfd"]);
        assert_eq!(rpc["group_add"], serde_json::json!(["109", "44"]));
    });
    service(&["compose.yaml", "compose.rpc-head.yaml"], "llama", &[], |llama| {
        let words = words(&llama["command"]);
        let pair = ["--rpc", "10.0.0.11:50052,10.0.0.12:50052"];
        assert!(words.windows(2).any(|words| words == pair), "{words:?}");
        assert_eq!(ports(llama), ["127.0.0.1:8080:8080"]);
    });
}

#[test]
fn a_variable_that_is_not_set_is_asked_for() {
    for (files, variable, message) in [
        (COMBINATIONS[0], "MODELS", "set MODELS to the absolute path of the directory"),
        (COMBINATIONS[0], "MODEL", "set MODEL to the name of a .gguf file in MODELS"),
        (
            COMBINATIONS[0],
            "RENDER_GID",
            "set RENDER_GID to the number that `stat -c %g /dev/kfd` prints",
        ),
        (COMBINATIONS[6], "RPC_BIND", "set RPC_BIND to this host's address on a private network"),
        (COMBINATIONS[7], "RPC_SERVERS", "set RPC_SERVERS to HOST:PORT of each rpc-server"),
    ] {
        for (tool, value) in tools().iter().flat_map(|tool| [None, Some("")].map(|v| (tool, v))) {
            let others = FILLED_IN.iter().copied().filter(|(name, _)| *name != variable);
            let variables: Vec<_> = others.chain(value.map(|value| (variable, value))).collect();
            let ended = config(tool, files, &variables);
            assert!(!ended.status.success(), "{variable} is not missed: {ended:?}");
            assert!(ended.stderr.contains(message), "{variable}: {ended:?}");
        }
    }
}

/// `env.example` as a user copies it: first unchanged, then with the empty values filled in.
#[test]
fn the_example_of_settings_names_every_variable_and_works() {
    let docker = workspace().join("docker");
    let example = fs::read_to_string(docker.join("env.example")).expect("read env.example");
    let documented = |name: &str| {
        let line = |line: &str| line.strip_prefix('#').unwrap_or(line).starts_with(name);
        example.lines().any(|text| line(text) && text.contains(&format!("{name}=")))
    };
    for file in COMBINATIONS.concat() {
        let content = fs::read_to_string(docker.join(file)).expect("read a Compose file");
        for variable in content.split("${").skip(1) {
            let end = variable.find([':', '}']).expect("the end of a variable");
            assert!(documented(&variable[..end]), "{} of {file}", &variable[..end]);
        }
    }
    let filled_in = example
        .replace("\nMODELS=\n", "\nMODELS=/srv/models\n")
        .replace("\nMODEL=\n", "\nMODEL=a model.gguf\n")
        .replace("\nRENDER_GID=\n", "\nRENDER_GID=109\n");
    let settings = tempfile::tempdir().expect("a directory");
    for (name, content, valid) in [("copied", &example, false), ("filled-in", &filled_in, true)] {
        let path = settings.path().join(name);
        fs::write(&path, content).expect("write settings");
        for tool in tools() {
            let mut command = Command::new(&tool[0]);
            command
                .args(&tool[1..])
                .arg("--env-file")
                .arg(&path)
                .arg("config")
                .current_dir(&docker);
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
            let ended = run(&mut command);
            assert_eq!(ended.status.success(), valid, "{ended:?}");
            // Which missing variable is reported first depends on the tool.
            let said = if valid { "/models/a model.gguf" } else { ": set " };
            assert!(format!("{ended:?}").contains(said), "{said}: {ended:?}");
        }
    }
}
