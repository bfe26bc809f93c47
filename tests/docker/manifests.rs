//! The Kubernetes manifests of `docker/kubernetes`, built by kubectl and validated against Kubernetes' own
//! schemas; and every Dockerfile of the project, checked by hadolint.

use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};
use tests::{
    artefacts::workspace,
    docker::tools::{dockerfiles, tool},
    run::{Ended, run},
    skip::skip,
};

const OVERLAYS: [&str; 4] = ["single", "dual", "traced", "rpc"];

fn kubernetes() -> PathBuf {
    workspace().join("docker/kubernetes")
}

fn kustomize(directory: &Path) -> Option<String> {
    let client = Command::new("kubectl").args(["version", "--client"]).output();
    if !client.is_ok_and(|output| output.status.success()) {
        skip("docker/kubernetes", "there is no kubectl");
        return None;
    }
    let ended = run(Command::new("kubectl").arg("kustomize").arg(directory)).silent_success();
    Some(ended.stdout)
}

/// The objects of a stream of documents, by `Kind/name`, with generated names stripped of their digests.
fn objects(stream: &str) -> BTreeMap<String, Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(stream).expect("YAML");
    let named = documents.into_iter().map(|object| {
        let [kind, name] = ["/kind", "/metadata/name"].map(|path| string(&object, path).to_owned());
        let name =
            if kind == "ConfigMap" { name.rsplit_once('-').expect("a digest").0 } else { &name };
        (format!("{kind}/{name}"), object)
    });
    named.collect()
}

fn overlay(name: &str) -> Option<BTreeMap<String, Value>> {
    kustomize(&kubernetes().join("overlays").join(name)).map(|stream| objects(&stream))
}

#[track_caller]
fn string<'a>(object: &'a Value, path: &str) -> &'a str {
    let value = object.pointer(path).unwrap_or_else(|| panic!("no {path} in {object:#}"));
    value.as_str().unwrap_or_else(|| panic!("{path} is {value}"))
}

/// The pod's specification in an object, if this kind of object has one.
fn pod(object: &Value) -> Option<&Value> {
    let path = match string(object, "/kind") {
        "Pod" => "/spec",
        "Deployment" | "StatefulSet" => "/spec/template/spec",
        "CronJob" => "/spec/jobTemplate/spec/template/spec",
        _ => return None,
    };
    Some(object.pointer(path).expect("a pod"))
}

fn validate(validator: &Path, stream: &str) -> Ended {
    let file = tempfile::Builder::new().suffix(".yaml").tempfile().expect("a file");
    fs::write(file.path(), stream).expect("write manifests");
    run(Command::new(validator).arg("--strict").arg(file.path()))
}

/// Checks the requirements of Kubernetes' own `restricted` standard for a pod, and more.
fn assert_hardened(name: &str, pod: &Value) {
    let what = format!("{name}: {pod:#}");
    let context = &pod["securityContext"];
    assert_eq!(context["runAsNonRoot"], true, "{what}");
    assert_eq!(context["runAsUser"], 10001, "{what}");
    assert_eq!(context["fsGroup"], 10001, "{what}");
    assert_eq!(context["seccompProfile"]["type"], "RuntimeDefault", "{what}");
    assert_eq!(pod["automountServiceAccountToken"], false, "{what}");
    assert_eq!(pod["enableServiceLinks"], false, "{what}");
    for host in ["hostNetwork", "hostPID", "hostIPC"] {
        assert!(pod[host].is_null(), "{what}");
    }
    for volume in pod["volumes"].as_array().expect("volumes") {
        assert!(volume["hostPath"].is_null(), "{what}");
    }
    for container in pod["containers"].as_array().expect("containers") {
        let own = &container["securityContext"];
        assert_eq!(own["allowPrivilegeEscalation"], false, "{what}");
        assert_eq!(own["readOnlyRootFilesystem"], true, "{what}");
        assert_eq!(own["capabilities"], json!({"drop": ["ALL"]}), "{what}");
        assert!(own["privileged"].is_null(), "{what}");
        let resources = &container["resources"];
        for path in ["/requests/cpu", "/requests/memory", "/limits/memory"] {
            assert!(resources.pointer(path).is_some(), "{path} of {what}");
        }
        // A GPU can only be used by members of its group.
        let has_gpu = !resources["limits"]["amd.com/gpu"].is_null();
        assert_eq!(has_gpu, context["supplementalGroups"].is_array(), "{what}");
    }
}

#[test]
fn every_overlay_is_valid_and_every_pod_is_hardened() {
    let there: BTreeSet<_> = fs::read_dir(kubernetes().join("overlays"))
        .expect("read the overlays")
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("UTF-8"))
        .collect();
    assert_eq!(there, OVERLAYS.map(str::to_owned).into(), "an overlay that is not tested");
    let loader = fs::read_to_string(kubernetes().join("loader.yaml")).expect("read loader.yaml");
    let mut streams = vec![loader];
    for name in OVERLAYS {
        let Some(stream) = kustomize(&kubernetes().join("overlays").join(name)) else { return };
        streams.push(stream);
    }
    let validator = tool("kubernetes-validate");
    for stream in streams {
        assert!(!stream.contains("HSA_OVERRIDE"), "{stream}");
        assert!(!stream.contains("namespace:"), "for one namespace only: {stream}");
        let objects = objects(&stream);
        for (name, object) in &objects {
            if let Some(pod) = pod(object) {
                assert_hardened(name, pod);
            }
        }
        if let Some(validator) = &validator {
            let ended = validate(validator, &stream).success();
            assert_eq!(ended.stdout.matches(" passed for ").count(), objects.len(), "{ended:?}");
        }
    }
}

#[test]
fn the_validator_finds_what_is_wrong() {
    let Some(validator) = tool("kubernetes-validate") else { return };
    let Some(stream) = kustomize(&kubernetes().join("overlays/single")) else { return };
    for (right, wrong) in [
        ("replicas: 1", "replicas: one"),
        ("readOnlyRootFilesystem:", "readonlyRootFilesystem:"),
        ("periodSeconds: 30", "periodSecond: 30"),
        ("accessModes:\n  - ReadWriteOnce", "accessModes: ReadWriteOnce"),
    ] {
        assert!(stream.contains(right), "{right}: {stream}");
        let ended = validate(&validator, &stream.replace(right, wrong));
        assert!(!ended.status.success(), "{wrong} passed: {ended:?}");
    }
}

#[test]
fn a_server_has_one_gpu_and_time_to_load() {
    let Some(objects) = overlay("single") else { return };
    let server = &objects["Deployment/llama-server"];
    assert_eq!(server["spec"]["replicas"], 1);
    assert_eq!(server["spec"]["strategy"]["type"], "Recreate");
    let pod = pod(server).expect("a pod");
    assert_eq!(pod["securityContext"]["supplementalGroups"], json!([109]));
    let container = &pod["containers"][0];
    assert_eq!(container["resources"]["limits"]["amd.com/gpu"], 1);
    assert_eq!(container["image"], "registry.example/llama-gfx906:1");
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        assert_eq!(container[probe]["httpGet"], json!({"path": "/health", "port": "http"}));
    }
    let start = &container["startupProbe"];
    let [period, failures] = ["periodSeconds", "failureThreshold"]
        .map(|key| start[key].as_u64().unwrap_or_else(|| panic!("no {key}: {start}")));
    assert_eq!(period * failures, 1800, "a large model is not loaded by then");
    assert_eq!(container["ports"], json!([{"name": "http", "containerPort": 8080}]));
    let mounts = &container["volumeMounts"];
    assert_eq!(mounts[0], json!({"name": "models", "mountPath": "/models", "readOnly": true}));
    assert_eq!(mounts[1], json!({"name": "tmp", "mountPath": "/tmp"}));
    assert_eq!(container["args"][0], "--model");
    assert_eq!(container["args"][1], "/models/$(MODEL)");
    assert_eq!(objects["ConfigMap/llama-server"]["data"]["MODEL"], "model.gguf");
    let generated = string(&objects["ConfigMap/llama-server"], "/metadata/name");
    assert_eq!(string(container, "/envFrom/0/configMapRef/name"), generated);
    let service = &objects["Service/llama-server"]["spec"];
    assert_eq!(service["selector"], server["spec"]["selector"]["matchLabels"]);
    assert_eq!(service["ports"][0]["port"], 8080);
    assert!(service["type"].is_null(), "reached from outside: {service}");
    let claim = &objects["PersistentVolumeClaim/models"]["spec"];
    assert_eq!(claim["accessModes"], json!(["ReadWriteOnce"]));
}

#[test]
fn two_gpus_are_asked_for_and_used() {
    let Some(objects) = overlay("dual") else { return };
    let container = &pod(&objects["Deployment/llama-server"]).expect("a pod")["containers"][0];
    assert_eq!(container["resources"]["limits"]["amd.com/gpu"], 2);
    let arguments = container["args"].as_array().expect("arguments");
    let expected = ["--jinja", "--split-mode", "layer", "--tensor-split", "1,1"];
    assert!(arguments.ends_with(&expected.map(Value::from)), "{arguments:?}");
}

fn assert_traced(objects: &BTreeMap<String, Value>, name: &str) {
    let pod = pod(&objects[name]).expect("a pod");
    let container = &pod["containers"][0];
    let has = |list: &Value, wanted: Value| {
        assert!(list.as_array().is_some_and(|list| list.contains(&wanted)), "{wanted}: {pod:#}");
    };
    has(&container["env"], json!({"name": "ROCBLAS_SHIM_TRACE", "value": "/traces"}));
    let options = json!({"name": "ROCBLAS_SHIM_TRACE_OPTIONS", "value": "limit=4G"});
    has(&container["env"], options);
    has(&container["volumeMounts"], json!({"name": "traces", "mountPath": "/traces"}));
    let claim = json!({"name": "traces", "persistentVolumeClaim": {"claimName": "traces"}});
    has(&pod["volumes"], claim);
}

#[test]
fn traces_of_every_pod_are_on_one_volume_with_the_report() {
    let Some(objects) = overlay("traced") else { return };
    assert_traced(&objects, "Deployment/llama-server");
    let claim = &objects["PersistentVolumeClaim/traces"]["spec"];
    assert_eq!(claim["accessModes"], json!(["ReadWriteMany"]));
    let report = &objects["CronJob/trace-report"];
    assert_eq!(report["spec"]["suspend"], true, "it runs by itself");
    let pod = pod(report).expect("a pod");
    let container = &pod["containers"][0];
    let command = ["installer", "trace", "report", "/traces", "--output", "/traces/report.html"];
    assert_eq!(container["command"], json!(command));
    assert_eq!(container["image"], "registry.example/llama-gfx906:1");
    assert_eq!(container["volumeMounts"][0], json!({"name": "traces", "mountPath": "/traces"}));
    assert!(container["resources"]["limits"]["amd.com/gpu"].is_null(), "{container}");
}

#[test]
fn rpc_servers_are_named_and_reached_by_llama_server_only() {
    let Some(objects) = overlay("rpc") else { return };
    let servers = &objects["StatefulSet/rpc-server"];
    let labels = &servers["spec"]["selector"]["matchLabels"];
    let replicas = servers["spec"]["replicas"].as_u64().expect("a number");
    let service = &objects["Service/rpc-server"];
    assert_eq!(service["spec"]["clusterIP"], "None");
    assert_eq!(service["spec"]["selector"], *labels);
    assert_eq!(servers["spec"]["serviceName"], service["metadata"]["name"]);

    let names: Vec<_> = (0..replicas).map(|n| format!("rpc-server-{n}.rpc-server:50052")).collect();
    let llama = pod(&objects["Deployment/llama-server"]).expect("a pod");
    let arguments = llama["containers"][0]["args"].as_array().expect("arguments");
    let expected = ["--rpc".to_owned(), names.join(",")].map(Value::from);
    assert!(arguments.ends_with(&expected), "{arguments:?}");

    let rpc = pod(servers).expect("a pod");
    assert_eq!(rpc["securityContext"]["supplementalGroups"], json!([109]));
    let container = &rpc["containers"][0];
    assert_eq!(container["command"], json!(["rpc-server"]));
    assert_eq!(container["args"], json!(["--host", "0.0.0.0", "--port", "50052", "-c"]));
    assert_eq!(container["resources"]["limits"]["amd.com/gpu"], 1);
    let template = &servers["spec"]["volumeClaimTemplates"][0];
    assert_eq!(container["volumeMounts"][0]["name"], template["metadata"]["name"]);
    assert_eq!(container["env"][1]["value"], container["volumeMounts"][0]["mountPath"]);

    let policy = &objects["NetworkPolicy/rpc-server"]["spec"];
    let client = &objects["Deployment/llama-server"]["spec"]["template"]["metadata"]["labels"];
    let from = &policy["ingress"][0]["from"][0]["podSelector"]["matchLabels"];
    assert_eq!(policy["podSelector"]["matchLabels"], *labels);
    assert_eq!(from["app.kubernetes.io/name"], client["app.kubernetes.io/name"]);
    assert_eq!(policy["ingress"][0]["ports"], json!([{"protocol": "TCP", "port": 50052}]));
    assert_eq!(policy["ingress"].as_array().map(Vec::len), Some(1));
    assert_eq!(policy["policyTypes"], json!(["Ingress", "Egress"]));
    assert_eq!(policy["egress"], json!([]));
}

/// Runs the probe's command while this process listens on the port, and after it has stopped.
#[test]
fn a_probe_sees_whether_rpc_server_listens_without_connecting() {
    let Some(objects) = overlay("rpc") else { return };
    let container = &pod(&objects["StatefulSet/rpc-server"]).expect("a pod")["containers"][0];
    let probe = &container["startupProbe"]["exec"]["command"];
    for other in ["readinessProbe", "livenessProbe"] {
        assert_eq!(container[other]["exec"]["command"], *probe);
    }
    let words: Vec<_> = probe.as_array().expect("words").iter().map(Value::as_str).collect();
    let words: Vec<_> = words.into_iter().map(|word| word.expect("a word")).collect();
    let listens = || run(Command::new(words[0]).args(&words[1..])).status.success();
    let listener = match std::net::TcpListener::bind("0.0.0.0:50052") {
        Ok(listener) => listener,
        Err(e) => return skip("the probe of rpc-server", &format!("port 50052: {e}")),
    };
    assert!(listens());
    drop(listener);
    assert!(!listens());
}

/// As documented in rpc/kustomization.yaml.
#[test]
fn tracing_reaches_rpc_servers_too() {
    // kustomize reads no files outside the directory of an overlay, so all of it is copied.
    let copy = tempfile::tempdir().expect("a directory");
    run(Command::new("cp").arg("-r").arg(kubernetes()).arg(copy.path())).silent_success();
    let overlay = copy.path().join("kubernetes/overlays/rpc");
    let file = overlay.join("kustomization.yaml");
    let text = fs::read_to_string(&file).expect("read the overlay");
    fs::write(file, text + "components: [../../components/tracing]\n").expect("write the overlay");
    let Some(stream) = kustomize(&overlay) else { return };
    let objects = objects(&stream);
    assert_traced(&objects, "Deployment/llama-server");
    assert_traced(&objects, "StatefulSet/rpc-server");
}

/// hadolint with a configuration that ignores nothing: only exceptions in the Dockerfile itself count.
fn hadolint_alone(hadolint: &Path) -> Command {
    let settings = workspace().join("tests/docker/hadolint.yaml");
    let mut command = Command::new(hadolint);
    command.arg("--config").arg(settings);
    command
}

#[test]
fn hadolint_has_no_complaint_and_every_exception_says_why() {
    let Some(hadolint) = tool("hadolint") else { return };
    for directory in ["docker", "examples/docker"] {
        let directory = workspace().join(directory);
        if !directory.is_dir() {
            continue;
        }
        for file in dockerfiles(&directory) {
            let ended = run(hadolint_alone(&hadolint).arg(&file));
            let ended = ended.silent_success();
            assert_eq!(ended.stdout, "", "{}", file.display());
            let text = fs::read_to_string(&file).expect("read a Dockerfile");
            assert_eq!(unexplained(&text), Vec::<&str>::new(), "{}", file.display());
        }
    }
}

/// Lines that disable a rule without a comment before them.
fn unexplained(dockerfile: &str) -> Vec<&str> {
    let lines: Vec<_> = dockerfile.lines().collect();
    let is_comment = |line: &str| line.starts_with("# ") && !line.starts_with("# hadolint ");
    let found = lines.iter().enumerate().filter(|(at, line)| {
        line.contains("hadolint ")
            && line.contains("ignore=")
            && !(line.starts_with("# hadolint ignore=") && *at > 0 && is_comment(lines[at - 1]))
    });
    found.map(|(_, line)| *line).collect()
}

#[test]
fn hadolint_and_the_rule_about_exceptions_find_what_is_wrong() {
    const WHY: &str = "# Only what the distribution has is wanted.\n";
    let wrong =
        "FROM debian:12\nRUN apt-get update && apt-get install -y --no-install-recommends gcc\n";
    let ignored = wrong.replace("RUN", "# hadolint ignore=DL3008,DL3009\nRUN");
    let explained = wrong.replace("RUN", &format!("{WHY}# hadolint ignore=DL3008,DL3009\nRUN"));
    assert_eq!(unexplained(&ignored), ["# hadolint ignore=DL3008,DL3009"]);
    assert_eq!(unexplained(&explained), Vec::<&str>::new());
    let everywhere = format!("{WHY}# hadolint global ignore=DL3008\nFROM debian:12\n");
    assert_eq!(unexplained(&everywhere), ["# hadolint global ignore=DL3008"]);
    let Some(hadolint) = tool("hadolint") else { return };
    for (content, rule) in [(wrong, Some("DL3008")), (&explained, None)] {
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), content).expect("write a Dockerfile");
        let ended = run(hadolint_alone(&hadolint).arg(file.path()));
        assert_eq!(ended.status.success(), rule.is_none(), "{ended:?}");
        assert!(ended.stdout.contains(rule.unwrap_or("")), "{ended:?}");
    }
}
