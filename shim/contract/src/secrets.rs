//! Removes secrets from a process's command line and environment before they are recorded: passwords are
//! passed in both, and traces and reports are attached to public bug reports.
//!
//! Names are checked first: a variable is recorded only if its name has a prefix of ROCm, the loader, the shim
//! or llama.cpp's GPU code, and the value of an option or variable with a secret name is replaced by
//! [`HIDDEN`]. Then values are checked: access tokens are recognised by their issuers' prefixes, and user
//! names, passwords and secret parameters are removed from URLs. When in doubt, a value is hidden.

use std::borrow::Cow;

/// The replacement for a secret.
pub const HIDDEN: &str = "***";

/// Prefixes of the names of variables of ROCm, the loader, the shim and llama.cpp's GPU code.
const RECORDED: [&str; 11] = [
    "AMD_",
    "GGML_CUDA_",
    "GPU_",
    "HIP",
    "HSA_",
    "LD_",
    "RECORDING_HIP_",
    "ROCBLAS_",
    "ROCM_",
    "ROCR_",
    "TENSILE_",
];

/// Parts of names of options and variables whose values are secret, in lower case.
const SECRET: [&str; 11] = [
    "key",
    "token",
    "secret",
    "pass",
    "pwd",
    "credential",
    "auth",
    "bearer",
    "cookie",
    "signature",
    "private",
];

/// Parts of names that contain one of the above but are not secret: language models have tokens too, and
/// programs count them.
const HARMLESS: [&str; 12] = [
    "tokenize",
    "max-tokens",
    "max_tokens",
    "min-tokens",
    "min_tokens",
    "new-tokens",
    "new_tokens",
    "num-tokens",
    "num_tokens",
    "batched-tokens",
    "bypass",
    "keyframe",
];

/// Short options whose value is secret: `-hft` is llama.cpp's short form of `--hf-token`.
const SHORT: [&str; 1] = ["-hft"];

/// Prefixes of access tokens: of Hugging Face, OpenAI and Anthropic, GitHub, GitLab, Slack and AWS, and of
/// JSON Web Tokens.
const TOKENS: [&str; 10] =
    ["hf_", "sk-", "ghp_", "gho_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "AKIA", "eyJ"];

/// The length of the shortest access token.
const SHORTEST_TOKEN: usize = 20;

/// Whether an environment variable may be recorded, after its value has passed through [`value`].
#[must_use]
pub fn is_recorded(variable: &str) -> bool {
    RECORDED.iter().any(|start| variable.starts_with(start)) && !is_secret(variable)
}

/// Whether an option, a variable or a URL parameter with this name is secret.
#[must_use]
pub fn is_secret(name: &str) -> bool {
    let mut name = name.to_ascii_lowercase();
    for harmless in HARMLESS {
        name = name.replace(harmless, "");
    }
    SECRET.iter().any(|part| name.contains(part))
}

/// A command line without its secrets.
pub fn arguments<S: AsRef<str>>(words: impl IntoIterator<Item = S>) -> Vec<String> {
    let mut hides_next = false;
    words
        .into_iter()
        .map(|word| {
            let word = word.as_ref();
            // `--password --verbose`: `--password` has no value; it prompts at a terminal, or is a switch.
            let is_value = hides_next && !word.starts_with("--");
            hides_next = false;
            if is_value {
                return HIDDEN.to_owned();
            }
            if is_option(word) {
                hides_next = SHORT.contains(&word) || is_secret(word);
                return word.to_owned();
            }
            value(word).into_owned()
        })
        .collect()
}

/// Whether a word is the name of an option without a value.
fn is_option(word: &str) -> bool {
    word.starts_with('-')
        && word
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        && !word.trim_start_matches('-').is_empty()
}

/// A word without its secrets: the value of an option or a variable, or `NAME=VALUE`.
#[must_use]
pub fn value(word: &str) -> Cow<'_, str> {
    if let Some((name, rest)) = word.split_once('=')
        && is_plain(name)
    {
        return match is_secret(name) {
            true => format!("{name}={HIDDEN}").into(),
            false => format!("{name}={}", value(rest)).into(),
        };
    }
    let clean: Cow<'_, str> = if is_url(word) { url(word).into() } else { word.into() };
    // Source code, JSON, a header, a nested command line, or the rest of a URL is not parsed: if it contains
    // a secret, all of it is hidden. What was replaced above is no longer secret.
    let rest = clean.replace(&format!("={HIDDEN}"), " ");
    if has_token(&rest) || has_secret_assignment(&rest) || (!is_url(word) && has_user(word)) {
        return HIDDEN.into();
    }
    clean
}

/// Whether it is a URL, or several separated by commas, but not other text that contains a URL.
fn is_url(word: &str) -> bool {
    word.contains("://") && !word.contains([' ', '\t', '\n', '"', '\'', '{', '}', '(', ')'])
}

/// Whether a text contains a URL with a user name or a password.
fn has_user(text: &str) -> bool {
    text.contains("://") && text.contains('@')
}

fn has_token(text: &str) -> bool {
    text.split(|c: char| !is_of_token(c) && c != '.').any(is_token)
}

/// Whether it has the form of an option's or a variable's name.
fn is_plain(name: &str) -> bool {
    name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
}

fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

fn is_token(word: &str) -> bool {
    // A file name is not a token: tokens have no dots, except between the three parts of a JSON Web Token.
    word.len() >= SHORTEST_TOKEN
        && TOKENS.iter().any(|start| word.starts_with(start))
        && (word.starts_with("eyJ") || word.chars().all(is_of_token))
}

/// Whether a text assigns a value to a secret name: `"api_key": "..."`, `Authorization: ...`, `TOKEN=...`,
/// `--api-key ...`.
fn has_secret_assignment(text: &str) -> bool {
    let words = text.split(|c: char| !is_of_token(c)).filter(|word| is_secret(word));
    words.into_iter().any(|word| {
        let end = word.as_ptr().addr() - text.as_ptr().addr() + word.len();
        let behind = text[end..].trim_start_matches(['"', '\'', ']', ')', ' ', '\t']);
        word.starts_with("--") || behind.starts_with([':', '=', ','])
    })
}

/// URLs without user names, passwords and secret parameters.
fn url(word: &str) -> String {
    let mut clean = String::with_capacity(word.len());
    let mut rest = word;
    while let Some(start) = rest.find("://") {
        let (before, after) = rest.split_at(start + 3);
        clean.push_str(before);
        let authority = after.find(['/', '?', '#', ',']).unwrap_or(after.len());
        rest = match after[..authority].rfind('@') {
            Some(at) => {
                clean.push_str(HIDDEN);
                &after[at..]
            }
            // A password may contain any of those characters; then there is a colon before the `@`.
            None if after[..authority].contains(':') && after[authority..].contains('@') => {
                clean.push_str(HIDDEN);
                &after[authority + after[authority..].rfind('@').unwrap_or_default()..]
            }
            None => after,
        };
    }
    clean.push_str(rest);
    // Each parameter ends with the character that starts the next one.
    let parameters = clean.split_inclusive(['?', '&', '#', ';', ',']).map(|piece| {
        let end = piece.find(['?', '&', '#', ';', ',']).unwrap_or(piece.len());
        match piece[..end].split_once('=') {
            Some((name, _)) if is_secret(name) => format!("{name}={HIDDEN}{}", &piece[end..]),
            _ => piece.to_owned(),
        }
    });
    parameters.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(words: &[&str]) -> String {
        arguments(words).join(" ")
    }

    #[test]
    fn variables_of_rocm_are_recorded_unless_their_names_are_secret() {
        for name in [
            "ROCBLAS_SHIM_BACKEND",
            "HIP_VISIBLE_DEVICES",
            "HIPBLASLT_LOG_LEVEL",
            "LD_LIBRARY_PATH",
            "AMD_LOG_LEVEL",
            "GGML_CUDA_DISABLE_GRAPHS",
        ] {
            assert!(is_recorded(name), "{name}");
        }
        for name in ["HF_TOKEN", "LLAMA_API_KEY", "HOME", "ROCM_API_TOKEN", "HIP_PASSWORD"] {
            assert!(!is_recorded(name), "{name}");
        }
    }

    #[test]
    fn values_of_options_with_secret_names_are_hidden() {
        assert_eq!(
            line(&["llama-server", "--api-key", "hush", "-m", "x.gguf", "--api-key-file", "/k"]),
            "llama-server --api-key *** -m x.gguf --api-key-file ***"
        );
        assert_eq!(line(&["s", "--api-key=hush", "--port=80"]), "s --api-key=*** --port=80");
        assert_eq!(line(&["s", "-hft", "hush", "-hf", "org/model"]), "s -hft *** -hf org/model");
        assert_eq!(line(&["s", "--env=HF_TOKEN=hush"]), "s --env=HF_TOKEN=***");
        assert_eq!(line(&["s", r#"--config={"api_key":"hush"}"#]), "s --config=***");
        assert_eq!(line(&["s", "--header=Authorization: Bearer hush"]), "s --header=***");
        assert_eq!(
            line(&["s", "API_TOKENS=hush", "--max-tokens=9"]),
            "s API_TOKENS=*** --max-tokens=9"
        );
        assert_eq!(line(&["s", "--PASSWORD", "-hush"]), "s --PASSWORD ***");
        assert_eq!(line(&["env", "HF_TOKEN=hush", "A=b", "s"]), "env HF_TOKEN=*** A=b s");
        assert_eq!(line(&["s", "--ask-password", "--verbose"]), "s --ask-password --verbose");
    }

    #[test]
    fn tokens_are_recognised_by_their_prefixes() {
        let token = "hf_abcdefghijklmnopqrstuvwxyz";
        assert_eq!(line(&["s", token, "--login", token]), "s *** --login ***");
        assert_eq!(line(&["s", &format!("--x={token}")]), "s --x=***");
        assert_eq!(line(&["s", "-c", &format!("login('{token}')")]), "s -c ***");
        assert_eq!(line(&["sk-learn.py", "hf_model", "eyJ"]), "sk-learn.py hf_model eyJ");
    }

    #[test]
    fn urls_lose_users_passwords_and_secret_parameters() {
        for (with, without) in [
            ("https://u:p@host/x", "https://***@host/x"),
            ("http_proxy=http://u@proxy:1", "http_proxy=http://***@proxy:1"),
            ("--url=https://h/x?a=1&token=t#f", "--url=https://h/x?a=1&token=***#f"),
            ("https://h/#access_token=t", "https://h/#access_token=***"),
            ("http://a?b=1,http://c?token=x", "http://a?b=1,http://c?token=***"),
            ("http://u:p/w@h/x", "http://***@h/x"),
            ("https://h:80/x", "https://h:80/x"),
            ("https://h/x/hf_abcdefghijklmnopqrstuvwxyz", "***"),
            ("http://a@h1,http://b:c@h2", "http://***@h1,http://***@h2"),
            ("https://h/@x?a=1", "https://h/@x?a=1"),
            ("--auth-url=https://h/secret", "--auth-url=***"),
        ] {
            assert_eq!(line(&["s", with]), format!("s {without}"));
        }
    }

    #[test]
    fn texts_that_contain_a_secret_are_hidden_completely() {
        for text in [
            r#"{"api_key": "hush"}"#,
            "Authorization: Bearer hush",
            "import os; os.environ['HF_TOKEN'] = 'hush'",
            "os.environ.setdefault('HF_TOKEN', 'hush')",
            "exec llama-server --api-key hush",
            "exec llama-server --api-key hush --model-url https://h/m.gguf",
            "exec curl http://u:hush@h/",
            r#"{"api_key":"hush","base":"https://h"}"#,
            "login:hf_abcdefghijklmnopqrstuvwxyz",
        ] {
            assert_eq!(line(&["s", "-x", text]), "s -x ***", "{text}");
        }
    }

    #[test]
    fn values_that_are_not_secret_are_kept() {
        let words = [
            "llama-server",
            "--max-tokens",
            "100",
            "--tokenizer",
            "t.json",
            "--keep",
            "5",
            "-p",
            "What opens a door? A key.",
            "--override-tensor",
            "ssm_=CPU",
            "--chat-template-kwargs",
            r#"{"enable_thinking": false}"#,
            "-",
            "--",
            "-1",
            "",
        ];
        assert_eq!(arguments(words), words);
    }

    #[test]
    fn a_command_line_without_secrets_is_not_changed_again() {
        let once =
            arguments(["s", "--api-key", "a", "https://u:p@h/?key=k", "K_TOKEN=t", "{\"key\":1}"]);
        assert_eq!(arguments(&once), once);
    }
}
