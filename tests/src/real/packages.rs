//! Installs Debian packages without root privileges: an apt with separate directories, and the sources of the
//! machine's Debian mirror with the suites that have the libraries.

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// The machine's Debian archive, and how it is verified.
pub(crate) struct Mirror {
    /// The archive's address.
    pub(crate) uri: String,
    /// A `Signed-By` field as the machine has it, with its continuation lines; may be empty.
    signed_by: String,
}

/// A package that can be downloaded.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(super) name: String,
    pub(super) version: String,
    /// The file name that apt uses.
    pub(super) file: String,
    pub(super) bytes: u64,
}

/// An apt with its own directories.
pub(crate) struct Apt {
    configuration: PathBuf,
    downloads: PathBuf,
}

/// Runs a program to its end. Returns its output, or its error message.
fn output(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.env("LC_ALL", "C").output().map_err(|e| format!("{program}: {e}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let complaints = String::from_utf8_lossy(&output.stderr);
    // apt's errors begin with E:, and the first is the cause of the others.
    let complaint = complaints
        .lines()
        .find(|line| line.starts_with("E:"))
        .or(complaints.lines().last())
        .unwrap_or("no message");
    Err(format!("{program} failed ({}): {complaint}", output.status))
}

/// The address of the first Debian archive for which apt has lists, and where its sources name it.
fn debian_archive(options: &[String]) -> Result<Option<(String, String)>, String> {
    let format = "$(REPO_URI)\t$(ORIGIN)\t$(LABEL)\t$(COMPONENT)\t$(SOURCESENTRY)";
    let query = ["indextargets", "--format", format, "Created-By: Packages"];
    let targets = output(Command::new("apt-get").args(options).args(query))?;
    Ok(targets.lines().find_map(|line| match line.split('\t').collect::<Vec<_>>()[..] {
        [uri, "Debian", "Debian", "main", entry] => Some((uri.to_owned(), entry.to_owned())),
        _ => None,
    }))
}

impl Mirror {
    /// The first Debian archive among the machine's own sources.
    pub(crate) fn of_this_machine(directory: &Path) -> Result<Self, String> {
        // apt knows a source only once it has fetched its lists, which a freshly installed machine has not
        // done: then they are fetched into a separate directory, which needs no privileges.
        let (uri, entry) = match debian_archive(&[])? {
            Some(archive) => archive,
            None => {
                let lists = directory.join("machine");
                fs::create_dir_all(lists.join("partial"))
                    .map_err(|e| format!("{}: {e}", lists.display()))?;
                let options = [
                    format!("-oDir::State::Lists={}", lists.display()),
                    format!("-oDir::Cache={}", lists.display()),
                ];
                // Unreachable other sources do not matter.
                let updated = output(Command::new("apt-get").args(&options).arg("update"));
                debian_archive(&options)?.ok_or_else(|| {
                    updated.err().unwrap_or("apt has no Debian archive among its sources".into())
                })?
            }
        };
        let file = entry.rsplit_once(':').map_or(entry.as_str(), |(file, _line)| file);
        let text = fs::read_to_string(file).map_err(|e| format!("{file}: {e}"))?;
        Ok(Self { signed_by: signed_by(&text, &uri), uri })
    }

    /// The key file with which the archive is verified, if the sources name one.
    pub(crate) fn keyring(&self) -> Option<&Path> {
        let value = self.signed_by.split_once(':')?.1.trim();
        Some(Path::new(value)).filter(|path| path.is_absolute())
    }

    /// A deb822 source.
    fn source(&self, suites: &str) -> String {
        let Self { uri, signed_by } = self;
        format!("Types: deb\nURIs: {uri}\nSuites: {suites}\nComponents: main\n{signed_by}")
    }
}

/// The `Signed-By` field of the stanza (or `[signed-by=...]` of the line) that names the archive;
/// empty if the machine trusts it in another way.
fn signed_by(sources: &str, uri: &str) -> String {
    let uri = uri.trim_end_matches('/');
    if let Some(line) = sources.lines().find(|l| l.starts_with("deb ") && l.contains(uri)) {
        let option = line.split(['[', ']', ' ']).find_map(|word| word.strip_prefix("signed-by="));
        return option.map(|path| format!("Signed-By: {path}\n")).unwrap_or_default();
    }
    let stanza = sources.split("\n\n").find(|stanza| stanza.contains(uri)).unwrap_or_default();
    let mut field = String::new();
    for line in stanza.lines() {
        let continues = line.starts_with([' ', '\t']) && !field.is_empty();
        if line.to_ascii_lowercase().starts_with("signed-by:") || continues {
            field.push_str(line);
            field.push('\n');
        } else if !field.is_empty() {
            break;
        }
    }
    field
}

impl Apt {
    /// An apt in that directory with the package lists of these suites.
    pub(crate) fn new(directory: &Path, suites: &str) -> Result<Self, String> {
        for program in ["apt-get", "apt-cache", "apt-config", "dpkg-deb", "tar"] {
            if !crate::run::exists(program) {
                return Err(format!("there is no {program}"));
            }
        }
        let mirror = Mirror::of_this_machine(directory)?;
        let failed = |e: std::io::Error| format!("{}: {e}", directory.display());
        for part in ["etc/parts", "lists/partial", "cache/archives/partial", "downloads"] {
            fs::create_dir_all(directory.join(part)).map_err(failed)?;
        }
        // Its own state and sources, with the machine's network settings and keys.
        let acquire = output(Command::new("apt-config").args(["dump", "Acquire"]))?;
        let machine = output(Command::new("apt-config").args([
            "shell",
            "KEYS",
            "Dir::Etc::trustedparts/d",
            "PASSWORDS",
            "Dir::Etc::netrcparts/d",
        ]))?;
        let machine: BTreeMap<&str, &str> = machine
            .lines()
            .filter_map(|line| line.split_once('='))
            .map(|(name, value)| (name, value.trim_matches('\'')))
            .collect();
        let here = directory.display();
        let mut text = format!(
            "{acquire}\
             Dir::Etc::main \"{here}/etc/none\";\n\
             Dir::Etc::parts \"{here}/etc/parts\";\n\
             Dir::Etc::sourcelist \"{here}/etc/real.sources\";\n\
             Dir::Etc::sourceparts \"{here}/etc/none\";\n\
             Dir::Etc::preferences \"{here}/etc/preferences\";\n\
             Dir::Etc::preferencesparts \"{here}/etc/none\";\n\
             Dir::State \"{here}\";\n\
             Dir::State::lists \"{here}/lists\";\n\
             Dir::State::status \"{here}/status\";\n\
             Dir::Cache \"{here}/cache\";\n\
             APT::Architecture \"amd64\";\n\
             APT::Architectures \"amd64\";\n\
             APT::Sandbox::User \"\";\n\
             Acquire::Languages \"none\";\n\
             Acquire::Retries \"3\";\n\
             Acquire::Check-Valid-Until \"false\";\n"
        );
        for (variable, key) in
            [("KEYS", "Dir::Etc::trustedparts"), ("PASSWORDS", "Dir::Etc::netrcparts")]
        {
            if let Some(value) = machine.get(variable) {
                text.push_str(&format!("{key} \"{value}\";\n"));
            }
        }
        let apt = Self {
            configuration: directory.join("apt.conf"),
            downloads: directory.join("downloads"),
        };
        // The suite with the newest version is used: by default experimental would have the lowest priority.
        let preferences = "Package: *\nPin: release a=experimental\nPin-Priority: 500\n";
        for (file, text) in [
            ("apt.conf", text.as_str()),
            ("etc/real.sources", &mirror.source(suites)),
            ("etc/preferences", preferences),
            ("status", ""),
        ] {
            fs::write(directory.join(file), text).map_err(failed)?;
        }
        apt.run("apt-get", &["update", "--error-on=any"])?;
        Ok(apt)
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        output(
            Command::new(program)
                .current_dir(&self.downloads)
                .env("APT_CONFIG", &self.configuration)
                .env_remove("DEBIAN_FRONTEND")
                .arg("-qq")
                .args(arguments),
        )
    }

    /// The newest version of a package; `None` if no suite has it.
    pub(crate) fn candidate(&self, name: &str) -> Result<Option<Candidate>, String> {
        let policy = self.run("apt-cache", &["policy", name])?;
        let version =
            policy.lines().find_map(|l| l.trim().strip_prefix("Candidate: ")).unwrap_or("(none)");
        if version == "(none)" {
            return Ok(None);
        }
        let record = self.run("apt-cache", &["show", &format!("{name}={version}")])?;
        let field = |key: &str| {
            let value = record.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
            value.ok_or_else(|| format!("apt prints no {key} for {name}"))
        };
        let bytes = field("Size")?.parse().map_err(|e| format!("the size of {name}: {e}"))?;
        let file = format!("{name}_{}_{}.deb", version.replace(':', "%3a"), field("Architecture")?);
        let (name, version) = (name.to_owned(), version.to_owned());
        Ok(Some(Candidate { name, version, file, bytes }))
    }

    /// Downloads a package, unless the file exists already. Returns the file.
    pub(crate) fn download(&self, candidate: &Candidate) -> Result<PathBuf, String> {
        let Candidate { name, version, file, .. } = candidate;
        self.run("apt-get", &["download", &format!("{name}={version}")])?;
        Ok(self.downloads.join(file))
    }
}

/// Unpacks a package's files into a directory, except those that match the patterns (`tar --exclude`).
pub(crate) fn unpack(package: &Path, directory: &Path, excluded: &[&str]) -> Result<(), String> {
    let mut reader = Command::new("dpkg-deb")
        .arg("--fsys-tarfile")
        .arg(package)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .map_err(|e| format!("dpkg-deb: {e}"))?;
    let archive = reader.stdout.take().expect("piped");
    let mut tar = Command::new("tar");
    tar.args(["--extract", "--no-same-owner", "--directory"]).arg(directory).stdin(archive);
    tar.args(excluded.iter().map(|pattern| format!("--exclude={pattern}")));
    let unpacked = output(&mut tar);
    let read = reader.wait().map_err(|e| format!("dpkg-deb: {e}"))?;
    unpacked?;
    if read.success() { Ok(()) } else { Err(format!("dpkg-deb failed on {}", package.display())) }
}

/// Whether the machine can run the programs in these packages.
pub(super) fn machine_fits() -> bool {
    env::consts::ARCH == "x86_64"
}
