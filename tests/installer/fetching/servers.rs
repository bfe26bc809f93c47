//! How `fetch` handles what servers and networks do.

use super::{
    FILE, Fetching, SIZE, package, refused, run,
    server::{self, Act, Server},
};
use std::{
    fs,
    io::{BufRead, BufReader},
    os::unix::process::{CommandExt, ExitStatusExt},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};
use tests::{
    artefacts,
    interrupt::{self, Call, Interruption},
    skip::skip,
};

/// How a download ends.
enum End {
    /// The package is complete.
    Complete,
    /// Refused with these sentences; the partial file has this size, or does not exist.
    Refused(&'static [&'static str], Option<u64>),
}

/// A server's acts, how `fetch` ends, which requests the server got, and what `fetch` prints.
struct Case {
    name: &'static str,
    acts: Vec<Act>,
    end: End,
    asked: &'static [&'static str],
    said: &'static [&'static str],
}

fn case(
    name: &'static str,
    acts: &[Act],
    end: End,
    asked: &'static [&'static str],
    said: &'static [&'static str],
) -> Case {
    Case { name, acts: acts.to_vec(), end, asked, said }
}

fn cases() -> Vec<Case> {
    use Act::{
        Change, ChunkedAndMore, Close, CutAfter, Dated, Head, LieAboutLength, Redirect, Serve,
        StallAfter, WithoutLength, WithoutRanges, WrongPart,
    };
    use End::{Complete, Refused};
    const NO_MORE: &[&str] = &["has the SHA-256", "expected", "was removed"];
    vec![
        case(
            "serves",
            &[Serve],
            Complete,
            &[""],
            &["for Ubuntu 24.04: this is Ubuntu 24.04.1 LTS"],
        ),
        case(
            "cuts the connection",
            &[CutAfter(1_500_000), CutAfter(1000), Serve],
            Complete,
            &["", "bytes=1500000- \"first\"", "bytes=1501000- \"first\""],
            &["was lost after 1.43 MiB", "retrying in"],
        ),
        case(
            "cuts each connection, but not before a mebibyte",
            &[CutAfter(1_050_000), CutAfter(1_050_000), CutAfter(800_000), Serve],
            Complete,
            &[
                "",
                "bytes=1050000- \"first\"",
                "bytes=2100000- \"first\"",
                "bytes=2900000- \"first\"",
            ],
            &[],
        ),
        case(
            "sends a few bytes for each connection",
            &[CutAfter(10)],
            Refused(&["failed 3 times in a row", "30 B are in", "to resume"], Some(30)),
            &["", "bytes=10- \"first\"", "bytes=20- \"first\""],
            &[],
        ),
        case(
            "stalls",
            &[StallAfter(5000), Serve],
            Complete,
            &["", "bytes=5000- \"first\""],
            &["the connection was lost after 4.88 KiB"],
        ),
        case(
            "stalls before its answer",
            &[StallAfter(0), Serve],
            Complete,
            &["", ""],
            &["the connection was lost after 0 B"],
        ),
        case(
            "ignores ranges",
            &[CutAfter(5000), WithoutRanges],
            Complete,
            &["", "bytes=5000- \"first\""],
            &["cannot be resumed; starting over"],
        ),
        case(
            "changes the file",
            &[CutAfter(5000), Change],
            Refused(NO_MORE, None),
            &["", "bytes=5000- \"first\""],
            &["has changed"],
        ),
        case("knows the file's date only", &[Dated], Complete, &[""], &[]),
        case(
            "answers with another part",
            &[CutAfter(5000), WrongPart, Serve],
            Complete,
            &["", "bytes=5000- \"first\"", ""],
            &["responds with a part of another file; starting over"],
        ),
        case(
            "has no such range",
            &[CutAfter(5000), Head("HTTP/1.1 416 No\r\nContent-Range: bytes */4000\r\n"), Serve],
            Complete,
            &["", "bytes=5000- \"first\"", ""],
            &["is now shorter than the part; starting over"],
        ),
        case("says neither length nor range", &[WithoutLength], Complete, &[""], &[]),
        case(
            "is longer than the file, in chunks",
            &[ChunkedAndMore(1)],
            Refused(NO_MORE, None),
            &[""],
            &[],
        ),
        case(
            "never ends",
            &[ChunkedAndMore(8_000_000)],
            Refused(&["is larger than 9.54 MiB"], None),
            &[""],
            &[],
        ),
        case(
            "announces more than it sends",
            &[LieAboutLength(5)],
            Refused(&["failed 3 times in a row"], Some(SIZE as u64)),
            &["", "bytes=3000000-", "bytes=3000000-"],
            &["the connection was lost after 2.86 MiB"],
        ),
        case(
            "announces more than anything has",
            &[Head("HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n")],
            Refused(&["is larger than 9.54 MiB"], None),
            &[""],
            &[],
        ),
        case(
            "redirects",
            &[Redirect("/elsewhere/f"), Redirect("g"), Redirect("http://{}/last"), Serve],
            Complete,
            &["", "/elsewhere/f", "/elsewhere/g", "/last"],
            &[],
        ),
        case(
            "redirects to another host without TLS",
            &[Redirect("http://localhost:1/f")],
            Refused(&["redirects to http://localhost:1/f, which is not https"], None),
            &[""],
            &[],
        ),
        case(
            "redirects to a file",
            &[Redirect("file:///etc/passwd")],
            Refused(&["is not a URL of http or https"], None),
            &[""],
            &[],
        ),
        case(
            "redirects in a circle",
            &[Redirect("/f")],
            Refused(&["redirects more than 3 times"], None),
            &["", "/f", "/f", "/f"],
            &[],
        ),
        case(
            "redirects to nowhere",
            &[Head("HTTP/1.1 301 Moved\r\n")],
            Refused(&["but no Location header"], None),
            &[""],
            &[],
        ),
        case(
            "does not have it",
            &[Head("HTTP/1.1 404 Not Found\r\n")],
            Refused(&["responds with 404 Not Found"], None),
            &[""],
            &[],
        ),
        case(
            "is overloaded for a while",
            &[Head("HTTP/1.1 503 Busy\r\nRetry-After: 0\r\n"), Head("HTTP/1.1 500 Oh\r\n"), Serve],
            Complete,
            &["", "", ""],
            &["responds with 503", "retrying in 0.0 s"],
        ),
        case(
            "closes the connection",
            &[Close],
            Refused(&["failed 3 times in a row"], None),
            &["", "", ""],
            &[],
        ),
        case(
            "speaks something else",
            &[Head("SSH-2.0-OpenSSH_9.6\r\n")],
            Refused(&["failed 3 times in a row"], None),
            &["", "", ""],
            &[],
        ),
    ]
}

#[test]
fn whatever_a_server_does_the_file_is_the_package_or_is_not_there() {
    let package = package();
    let one = |case: Case| {
        let server = Server::new(&package, &case.acts);
        let fetching = Fetching::new(&server);
        let ended = fetching.fetch(&[]);
        let name = case.name;
        match case.end {
            End::Complete => {
                assert!(ended.status.success(), "{name}: {ended:?}");
                fetching.assert_complete();
            }
            End::Refused(sentences, part) => {
                assert_eq!(ended.status.code(), Some(1), "{name}: {ended:?}");
                for sentence in sentences {
                    assert!(ended.stderr.contains(sentence), "{name}: {sentence:?}: {ended:?}");
                }
                assert!(!fetching.file("").exists(), "{name}");
                let left = fs::metadata(fetching.file(".part")).ok().map(|part| part.len());
                assert_eq!(left, part, "{name}: {ended:?}");
            }
        }
        for sentence in case.said {
            assert!(ended.stderr.contains(sentence), "{name}: {sentence:?} is not in {ended:?}");
        }
        let path = format!("/pool/{FILE}");
        let asked = server.requests();
        let asked: Vec<&str> =
            asked.iter().map(|asked| asked.strip_prefix(&path).unwrap_or(asked).trim()).collect();
        assert_eq!(asked, case.asked, "{name}: {ended:?}");
    };
    // In two threads, because some cases wait.
    let cases = cases();
    assert!(cases.len() >= 20);
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for (number, case) in cases.into_iter().enumerate() {
        if number % 2 == 0 { &mut first } else { &mut second }.push(case);
    }
    thread::scope(|scope| {
        scope.spawn(|| first.into_iter().for_each(one));
        scope.spawn(|| second.into_iter().for_each(one));
    });
}

/// Starts `fetch` from a server that stalls after some bytes, and waits until the partial file contains them.
fn begun(fetching: &Fetching, bytes: u64) -> Child {
    // On a busy machine, `fetch` would give up on the server before this test has seen the partial file.
    let path = fetching.directory.path().join("catalogue.toml");
    let catalogue = fs::read_to_string(&path).expect("read the catalogue");
    let patient = catalogue.replace("stall-ms = 400", "stall-ms = 60000");
    assert_ne!(patient, catalogue);
    fs::write(path, patient).expect("write the catalogue");
    let mut command = fetching.command(&[]);
    let default = || {
        // SAFETY: a system call between fork and exec. A shell starts background processes with SIGINT
        // ignored, and children inherit that.
        unsafe { libc::signal(libc::SIGINT, libc::SIG_DFL) };
        Ok(())
    };
    // SAFETY: it makes a system call and does nothing else.
    unsafe { command.pre_exec(default) };
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    let child = child.expect("start the installer");
    let start = Instant::now();
    while fs::metadata(fetching.file(".part")).map_or(0, |part| part.len()) < bytes {
        assert!(start.elapsed() < Duration::from_secs(30), "no part");
        thread::sleep(Duration::from_millis(2));
    }
    child
}

/// Starts a download and interrupts it with a signal after some bytes.
fn interrupted(fetching: &Fetching, signal: i32) {
    let mut child = begun(fetching, 5000);
    let pid = i32::try_from(child.id()).expect("a PID");
    // SAFETY: signals a child that has not been waited for, so the PID is still the child's.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0);
    let status = child.wait().expect("wait");
    assert_eq!(status.signal(), Some(signal));
    assert_eq!(fetching.part(), 5000);
    assert!(!fetching.file("").exists());
}

#[test]
fn an_interrupted_download_is_resumed_and_says_so() {
    for (signal, second, resumed_at) in [
        (libc::SIGINT, Act::Serve, 5000),
        (libc::SIGKILL, Act::Serve, 5000),
        (libc::SIGTERM, Act::WithoutRanges, 0),
    ] {
        let server = Server::new(&package(), &[Act::StallAfter(5000), second]);
        let fetching = Fetching::new(&server);
        interrupted(&fetching, signal);
        let ended = fetching.fetch(&["--json"]).success();
        assert!(ended.stderr.contains(".part at 4.88 KiB"), "{ended:?}");
        let value: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
        assert_eq!(value["resumed_at"], resumed_at, "{value}");
        fetching.assert_complete();
        assert!(server.requests()[1].ends_with(" bytes=5000- \"first\""), "{server:?}");
    }
}

#[test]
fn killed_anywhere_the_same_command_completes_and_leaves_the_package_alone() {
    if let Err(why) = interrupt::permitted() {
        skip("interrupting the installer", why);
        return;
    }
    let server = Server::new(&package(), &[Act::Serve]);
    let fetching = Fetching::new(&server);
    let fetch = |how| {
        for name in fetching.names() {
            fs::remove_file(fetching.downloads().join(name)).expect("remove");
        }
        interrupt::run(&mut fetching.command(&[]), &fetching.downloads(), how).expect("traced")
    };
    let whole = fetch(Interruption::None);
    assert!(whole.ended.status.success(), "{:?}", whole.ended);
    fetching.assert_complete();
    // All writes of pieces are equivalent, and their number depends on the network.
    let is_piece = |call: &Call| call.name == "pwrite";
    let first = whole.calls.iter().position(is_piece).expect("a piece");
    let pieces = whole.calls.iter().filter(|call| is_piece(call)).count();
    let after = whole.calls.len() - first - pieces;
    assert!(first >= 2 && after >= 3, "{:?}", whole.calls);
    let before = first + 2;
    let mut killed = Vec::new();
    for place in 0..before {
        let outcome = fetch(Interruption::KillBefore(place));
        assert!(outcome.interrupted, "{place}");
        killed.push(outcome.calls.last().expect("a call").to_string());
        fetching.fetch(&[]).success();
        fetching.assert_complete();
    }
    // After the last piece, `fetch` is killed at the calls that it makes when the partial file is already
    // complete.
    let part = |bytes: &[u8]| fs::write(fetching.file(".part"), bytes).expect("write");
    let note = {
        fetch(Interruption::KillBefore(before - 1));
        fs::read(fetching.file(".part.json")).expect("a note")
    };
    let complete = |how| {
        for name in fetching.names() {
            fs::remove_file(fetching.downloads().join(name)).expect("remove");
        }
        part(&package());
        fs::write(fetching.file(".part.json"), &note).expect("write");
        interrupt::run(&mut fetching.command(&[]), &fetching.downloads(), how).expect("traced")
    };
    let rest = complete(Interruption::None);
    assert!(rest.ended.status.success(), "{:?}", rest.ended);
    fetching.assert_complete();
    for place in 0..rest.calls.len() {
        let outcome = complete(Interruption::KillBefore(place));
        assert!(outcome.interrupted, "{place}");
        killed.push(outcome.calls.last().expect("a call").to_string());
        fetching.fetch(&[]).success();
        fetching.assert_complete();
    }
    for call in ["rename", "unlink", "pwrite"] {
        assert!(killed.iter().any(|killed| killed.starts_with(call)), "{killed:?}");
    }
    println!("fetch: killed before {} calls", killed.len());
}

#[test]
fn a_file_that_changed_since_the_interruption_starts_anew() {
    let server = Server::new(&package(), &[Act::StallAfter(5000), Act::Change]);
    let fetching = Fetching::new(&server);
    interrupted(&fetching, libc::SIGINT);
    // The user now requests the new version.
    let mut changed = package();
    changed.reverse();
    fs::write(fetching.outside().join("changed"), &changed).expect("write");
    let digest = super::sha256(&fetching.outside().join("changed"));
    let ended = fetching.fetch(&["--sha256", &digest]).success();
    assert!(ended.stderr.contains("belongs to another download; starting over"), "{ended:?}");
    assert!(ended.stderr.contains("--sha256 is not the digest known for"), "{ended:?}");
    assert!(fs::read(fetching.file("")).expect("a file") == changed);
    assert_eq!(server.requests()[1], format!("/pool/{FILE}"), "{server:?}");
}

#[test]
fn a_date_is_a_validator_too() {
    let server = Server::new(&package(), &[Act::Dated]);
    let fetching = Fetching::new(&server);
    fetching.fetch(&[]).success();
    let note = format!(
        "{{\"url\":\"{}\",\"sha256\":\"{}\",\"size\":3000000,\
         \"validator\":{{\"last-modified\":\"Tue, 03 Dec 2024 10:00:00 GMT\"}}}}",
        server.url(),
        fetching.digest
    );
    fs::remove_file(fetching.file("")).expect("remove");
    fs::write(fetching.file(".part"), &package()[..100_000]).expect("write");
    fs::write(fetching.file(".part.json"), note).expect("write");
    fetching.fetch(&[]).success();
    fetching.assert_complete();
    let asked = &server.requests()[1];
    assert!(asked.ends_with("bytes=100000- Tue, 03 Dec 2024 10:00:00 GMT"), "{asked}");
}

#[test]
fn a_part_that_was_damaged_meanwhile_starts_anew_once() {
    let server = Server::new(&package(), &[Act::StallAfter(5000), Act::Serve]);
    let fetching = Fetching::new(&server);
    interrupted(&fetching, libc::SIGINT);
    fs::write(fetching.file(".part"), [0; 5000]).expect("write");
    let ended = fetching.fetch(&[]).success();
    assert!(ended.stderr.contains("has the wrong SHA-256; starting over"), "{ended:?}");
    fetching.assert_complete();
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn a_second_download_of_the_same_file_is_refused_while_the_first_runs() {
    let server = Server::new(&package(), &[Act::StallAfter(5000), Act::Serve]);
    let fetching = Fetching::new(&server);
    let mut first = begun(&fetching, 5000);
    refused(&fetching.fetch(&[]), &["another `installer fetch` is writing"]);
    assert_eq!(fetching.part(), 5000);
    first.kill().expect("kill");
    first.wait().expect("wait");
    fetching.fetch(&[]).success();
    fetching.assert_complete();
}

#[test]
fn a_file_that_does_not_fit_is_refused_before_its_first_byte() {
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 1000000000000000000\r\n";
    let server = Server::new(&[], &[Act::Head(head)]);
    let fetching = Fetching::new(&server);
    fetching.catalogue(&server.url(), "bytes = 9000000000000000000");
    refused(&fetching.fetch(&[]), &["not enough space", "888.18 PiB to download"]);
    assert!(fetching.names().is_empty(), "{:?}", fetching.names());
}

#[test]
fn a_proxy_is_used_but_not_for_exempt_hosts() {
    let server = Server::new(&package(), &[Act::Serve]);
    let fetching = Fetching::new(&server);
    let (proxy, asked) = server::proxy();
    let fetch = |no_proxy: &str| {
        let mut command = fetching.command(&[]);
        command.env("http_proxy", format!("http://{proxy}")).env("NO_PROXY", no_proxy);
        run(&mut command).success();
        fetching.assert_complete();
        fs::remove_file(fetching.file("")).expect("remove");
    };
    fetch("localhost,127.0.0.1");
    assert!(asked.lock().expect("no panic").is_empty());
    fetch("");
    let asked = asked.lock().expect("no panic").clone();
    assert_eq!(asked, [format!("CONNECT {} HTTP/1.1", server.address())]);
}

/// `openssl s_server`, which serves the files of a directory by HTTPS. It is killed when this is dropped.
struct Https {
    child: Child,
    address: String,
}

impl Https {
    fn new(fetching: &Fetching) -> Self {
        let directory = fetching.outside();
        let make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 \
                    -subj /CN=loopback -addext subjectAltName=IP:127.0.0.1 \
                    -addext basicConstraints=critical,CA:FALSE";
        run(Command::new("sh").args(["-c", make]).current_dir(&directory)).success();
        fs::copy(directory.join("package"), directory.join(FILE)).expect("copy");
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0", "-WWW", "-key", "key.pem"])
            .args(["-cert", "cert.pem"])
            .current_dir(&directory)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("start openssl");
        let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut said = lines.map_while(Result::ok);
        let address = said.find_map(|line| line.strip_prefix("ACCEPT ").map(str::to_owned));
        thread::spawn(move || said.for_each(drop));
        Self { child, address: address.expect("openssl says where it listens") }
    }
}

impl Drop for Https {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn https_needs_a_certificate_that_the_system_trusts() {
    // Older versions do not have `--version`.
    if Command::new("openssl").arg("version").output().is_err() {
        skip("a download by HTTPS", "this machine has no openssl");
        return;
    }
    let plain = Server::new(&package(), &[Act::Close]);
    let fetching = Fetching::new(&plain);
    let https = Https::new(&fetching);
    let url = format!("https://{}/{FILE}", https.address);
    let fetch = |trusted: &str| {
        let mut command = fetching.command(&["--source", &url]);
        // If SSL_CERT_DIR were set too, the system's directory of certificates would be used as well.
        command.env("SSL_CERT_FILE", fetching.outside().join(trusted)).env_remove("SSL_CERT_DIR");
        run(&mut command)
    };
    let other =
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout k -out other.pem -subj /CN=other";
    run(Command::new("sh").args(["-c", other]).current_dir(fetching.outside())).success();
    let ended = fetch("other.pem");
    refused(&ended, &["invalid peer certificate: UnknownIssuer"]);
    assert!(!ended.stderr.contains("retrying"), "{ended:?}");
    refused(&fetch("absent.pem"), &["no trusted certificates", "ca-certificates", "SSL_CERT_FILE"]);
    fetch("cert.pem").success();
    fetching.assert_complete();
}

#[test]
fn apply_refuses_a_url_and_names_the_command_for_it() {
    let machine = crate::machine::Machine::new();
    let shim = artefacts::shim().to_str().expect("UTF-8");
    for url in ["https://a.example/rocblas.deb", "HTTP://a.example/"] {
        let ended = machine.tree.installer(&["apply", "--shim", shim, "--backend", url]);
        refused(&ended, &[url, "is a URL", "installer fetch 6.3"]);
    }
}
