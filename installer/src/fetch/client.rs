//! HTTP: one GET, through a proxy and redirects if needed, with each failure classified as temporary or
//! final.

use super::catalogue::Limits;
use anyhow::{Context, Result, anyhow, bail};
use serde::{Deserialize, Serialize};
use std::{env, io::Read, sync::OnceLock, time::Duration};
use ureq::{
    Agent, Body, Proxy,
    config::Config,
    http::{HeaderMap, Response, Uri, header, uri::Scheme},
    tls::{Certificate, RootCerts, TlsConfig},
};

/// The longest wait that a server may request.
const MOST_WAIT: Duration = Duration::from_secs(60);
/// Longer than any validator of a well-behaved server.
const MOST_VALIDATOR: usize = 256;

/// An absolute URL of http or https.
#[derive(Clone, Debug)]
pub(super) struct Url(Uri);

impl Url {
    pub(super) fn parse(text: &str) -> Result<Self> {
        let not = || format!("{text:?} is not a URL of http or https");
        let uri: Uri = text.parse().with_context(not)?;
        let is_http = uri.scheme().is_some_and(|s| *s == Scheme::HTTP || *s == Scheme::HTTPS);
        if !is_http || uri.host().is_none_or(str::is_empty) {
            bail!(not());
        }
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            bail!("a URL with a user name or password is not supported");
        }
        Ok(Self(uri))
    }

    fn is_https(&self) -> bool {
        self.0.scheme() == Some(&Scheme::HTTPS)
    }

    fn host(&self) -> &str {
        self.0.host().unwrap_or_default()
    }

    /// Resolves a `Location` header (RFC 3986, 4.2), without dot segments, which no package server sends.
    fn join(&self, location: &str) -> Result<Self> {
        let location = location.split('#').next().unwrap_or_default();
        let scheme = self.0.scheme_str().unwrap_or_default();
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        if location.starts_with("//") {
            return Self::parse(&format!("{scheme}:{location}"));
        }
        if location.starts_with('/') {
            return Self::parse(&format!("{scheme}://{authority}{location}"));
        }
        if location.split(['/', '?']).next().is_some_and(|first| first.contains(':')) {
            return Self::parse(location);
        }
        let directory = self.0.path().rsplit_once('/').map_or("", |(directory, _)| directory);
        Self::parse(&format!("{scheme}://{authority}{directory}/{location}"))
    }

    /// Follows a redirect: to https, or within one host, but never from https to http.
    fn redirected(&self, location: &str) -> Result<Self> {
        let to = self.join(location)?;
        let same_host = to.host().eq_ignore_ascii_case(self.host());
        if to.is_https() || (!self.is_https() && same_host) {
            return Ok(to);
        }
        bail!("{self} redirects to {to}, which is not https");
    }
}

impl std::fmt::Display for Url {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Identifies one version of a file, as the server wrote it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Validator {
    Etag(String),
    LastModified(String),
}

impl Validator {
    /// Weak entity tags are ignored: they may be equal for different bytes.
    fn of(headers: &HeaderMap) -> Option<Self> {
        let text = |name| {
            let text = headers.get(name)?.to_str().ok()?;
            (text.len() <= MOST_VALIDATOR).then(|| text.to_owned())
        };
        match text(header::ETAG).filter(|tag| tag.starts_with('"')) {
            Some(tag) => Some(Self::Etag(tag)),
            None => text(header::LAST_MODIFIED).map(Self::LastModified),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Etag(text) | Self::LastModified(text) => text,
        }
    }
}

/// The offset of a response and the total length of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct ContentRange {
    start: Option<u64>,
    size: Option<u64>,
}

impl ContentRange {
    /// `bytes 5-9/10`, `bytes 5-9/*` or `bytes */10`.
    fn parse(text: &str) -> Option<Self> {
        let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
        let size = if size == "*" { None } else { Some(size.parse().ok()?) };
        let start = match range.split_once('-') {
            None if range == "*" => None,
            None => return None,
            Some((start, _end)) => Some(start.parse().ok()?),
        };
        Some(Self { start, size })
    }
}

/// A server's response.
pub(super) enum Answer {
    /// Bytes from an offset on, 0 unless a range was requested.
    Content {
        start: u64,
        /// Of the whole file.
        size: Option<u64>,
        validator: Option<Validator>,
        body: Box<dyn Read>,
    },
    /// The offset is beyond the end.
    NoSuchRange {
        /// Of the whole file.
        size: Option<u64>,
    },
}

/// Why there is no response.
#[derive(Debug)]
pub(super) enum Failure {
    /// Another attempt may succeed, after this time if the server says so.
    Passing(anyhow::Error, Option<Duration>),
    Final(anyhow::Error),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Self {
        Self::Final(error)
    }
}

/// Requests files.
#[derive(Debug)]
pub(super) struct Client {
    limits: Limits,
    roots: OnceLock<RootCerts>,
}

impl Client {
    pub(super) fn new(limits: Limits) -> Self {
        // ureq uses the process's provider; a second call finds it already installed.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { limits, roots: OnceLock::new() }
    }

    /// Requests a file from an offset on: the rest of the file that the validator identifies, or all of
    /// another one.
    pub(super) fn get(
        &self,
        url: &Url,
        offset: u64,
        validator: Option<&Validator>,
    ) -> Result<Answer, Failure> {
        let mut at = url.clone();
        for _ in 0..=self.limits.redirects {
            let response = self.get_once(&at, offset, validator)?;
            let status = response.status();
            if !matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308) {
                return answer(&at, offset, response);
            }
            let location = response.headers().get(header::LOCATION);
            let location = location.and_then(|location| location.to_str().ok());
            let location = location
                .with_context(|| format!("{at} responds with {status} but no Location header"))?;
            at = at.redirected(location)?;
        }
        Err(anyhow!("{url} redirects more than {} times", self.limits.redirects).into())
    }

    fn get_once(
        &self,
        url: &Url,
        offset: u64,
        validator: Option<&Validator>,
    ) -> Result<Response<Body>, Failure> {
        let agent = Agent::new_with_config(self.config(url)?);
        // A compressed transfer would not have the file's length.
        let mut request = agent.get(&url.0).header(header::ACCEPT_ENCODING, "identity");
        if offset > 0 {
            request = request.header(header::RANGE, format!("bytes={offset}-"));
            if let Some(validator) = validator {
                request = request.header(header::IF_RANGE, validator.as_str());
            }
        }
        request.call().map_err(|error| failure(url, error))
    }

    fn config(&self, url: &Url) -> Result<Config> {
        let limits = &self.limits;
        let proxy = proxy(url, |name| env::var(name).ok())?;
        let mut config = Agent::config_builder()
            .user_agent(concat!("rocblas-shim-installer/", env!("CARGO_PKG_VERSION")))
            .max_redirects(0)
            .max_redirects_will_error(false)
            .http_status_as_error(false)
            .timeout_resolve(Some(limits.connect()))
            .timeout_connect(Some(limits.connect()))
            .timeout_send_request(Some(limits.stall()))
            .timeout_recv_response(Some(limits.stall()))
            .timeout_per_read(Some(limits.stall()))
            .proxy(proxy.clone());
        let proxy_is_https =
            proxy.is_some_and(|proxy| proxy.protocol() == ureq::ProxyProtocol::Https);
        if url.is_https() || proxy_is_https {
            let roots = match self.roots.get() {
                Some(roots) => roots.clone(),
                None => self.roots.get_or_init(system_roots()?).clone(),
            };
            config = config.tls_config(TlsConfig::builder().root_certs(roots).build());
        }
        Ok(config.build())
    }
}

/// The certificates that the system trusts.
fn system_roots() -> Result<impl FnOnce() -> RootCerts> {
    let found = rustls_native_certs::load_native_certs();
    if found.certs.is_empty() {
        let why = found.errors.first().map_or_else(String::new, |error| format!(" ({error})"));
        bail!(
            "no trusted certificates are on this system{why}, so the server cannot be verified. \
             Install the package ca-certificates, or name a file of certificates with SSL_CERT_FILE"
        );
    }
    Ok(move || {
        let certs = found.certs.iter().map(|cert| Certificate::from_der(cert).to_owned());
        RootCerts::from(certs)
    })
}

/// The proxy for a URL, from variables of the environment as curl reads them, but for `HTTP_PROXY`
/// in capitals, which curl leaves alone for the sake of CGI programs.
fn proxy(url: &Url, variable: impl Fn(&str) -> Option<String>) -> Result<Option<Proxy>> {
    let first = |names: &[&str]| {
        let set = names.iter().filter_map(|name| Some((name.to_string(), variable(name)?)));
        set.filter(|(_, value)| !value.is_empty()).collect::<Vec<_>>().into_iter().next()
    };
    if let Some((_, list)) = first(&["no_proxy", "NO_PROXY"])
        && is_exempt(url.host(), &list)
    {
        return Ok(None);
    }
    let names: &[&str] = if url.is_https() {
        &["https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"]
    } else {
        &["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"]
    };
    let Some((name, value)) = first(names) else { return Ok(None) };
    // The value may hold a password, so it is not shown.
    let proxy = Proxy::new(&value).ok();
    let proxy = proxy.with_context(|| format!("the value of {name} is not the URL of a proxy"))?;
    if !matches!(proxy.protocol(), ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https) {
        bail!("{name} names a SOCKS proxy, which is not supported: name an HTTP proxy");
    }
    Ok(Some(proxy))
}

/// Whether a host is on the list of those that are reached without a proxy: names, which may be of a domain,
/// or `*`.
fn is_exempt(host: &str, list: &str) -> bool {
    let host = host.to_ascii_lowercase();
    list.split([',', ' ']).filter(|entry| !entry.is_empty()).any(|entry| {
        let entry = entry.to_ascii_lowercase();
        let domain = entry.trim_start_matches("*.").trim_start_matches('.');
        let within = || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
        entry == "*" || host == domain || (!domain.is_empty() && within())
    })
}

/// Interprets a response that is not a redirect.
fn answer(url: &Url, offset: u64, response: Response<Body>) -> Result<Answer, Failure> {
    let status = response.status();
    let headers = response.headers();
    let number = |name| headers.get(name)?.to_str().ok()?.parse::<u64>().ok();
    let range = headers.get(header::CONTENT_RANGE).and_then(|range| range.to_str().ok());
    let range = range.and_then(ContentRange::parse);
    let validator = Validator::of(headers);
    match status.as_u16() {
        200 => {
            let size = number(header::CONTENT_LENGTH);
            let body = Box::new(response.into_body().into_reader());
            Ok(Answer::Content { start: 0, size, validator, body })
        }
        206 if offset > 0 => {
            let range = range.and_then(|range| Some((range.start?, range.size)));
            let Some((start, size)) = range else {
                return Err(
                    anyhow!("{url} responds with part of the file but does not say which").into()
                );
            };
            let length = number(header::CONTENT_LENGTH);
            let size = size.or_else(|| start.checked_add(length?));
            let body = Box::new(response.into_body().into_reader());
            Ok(Answer::Content { start, size, validator, body })
        }
        416 if offset > 0 => Ok(Answer::NoSuchRange { size: range.and_then(|range| range.size) }),
        code => {
            let error = anyhow!("{url} responds with {status}");
            if !matches!(code, 408 | 429 | 500 | 502..=504) {
                return Err(Failure::Final(error));
            }
            let wait = number(header::RETRY_AFTER).map(Duration::from_secs);
            Err(Failure::Passing(error, wait.map(|wait| wait.min(MOST_WAIT))))
        }
    }
}

/// Interprets an error without a response.
fn failure(url: &Url, error: ureq::Error) -> Failure {
    let shown = match &error {
        ureq::Error::Io(e) => anyhow!("{url}: {e}"),
        ureq::Error::HostNotFound => anyhow!("{url}: the host {} is not found", url.host()),
        ureq::Error::Timeout(timeout) => anyhow!("{url}: timed out ({timeout})"),
        other => anyhow!("{url}: {other}"),
    };
    let passing = match &error {
        // Invalid certificates are reported this way; retrying would not help.
        ureq::Error::Io(e) => e.kind() != std::io::ErrorKind::InvalidData,
        ureq::Error::Timeout(_) | ureq::Error::ConnectionFailed | ureq::Error::Protocol(_) => true,
        _ => false,
    };
    if passing { Failure::Passing(shown, None) } else { Failure::Final(shown) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).expect(text)
    }

    #[test]
    fn only_absolute_urls_of_http_without_credentials_are_taken() {
        for text in [
            "https://host/file~1.deb",
            "http://127.0.0.1:80/a?b=c",
            "HTTPS://Host",
            "http://[::1]/",
        ] {
            assert!(Url::parse(text).is_ok(), "{text}");
        }
        for text in ["", "/etc/passwd", "file:///etc/passwd", "ftp://host/", "https:///a", "host/a"]
        {
            assert!(Url::parse(text).is_err(), "{text}");
        }
        let secret = Url::parse("https://user:secret@host/").expect_err("refused").to_string();
        assert!(!secret.contains("secret"), "{secret}");
    }

    #[test]
    fn redirects_lead_to_https_or_stay_on_a_host() {
        const FROM: &str = "http://a.example:8080/pool/r/file.deb?x=1";
        for (from, location, to) in [
            (FROM, "https://b.example/f", "https://b.example/f"),
            (FROM, "//b.example/f", ""),
            (FROM, "http://b.example/f", ""),
            (FROM, "http://A.example/f", "http://A.example/f"),
            (FROM, "/f?y#z", "http://a.example:8080/f?y"),
            (FROM, "other.deb", "http://a.example:8080/pool/r/other.deb"),
            (FROM, "file:///etc/passwd", ""),
            (FROM, "javascript:f", ""),
            (FROM, "/a b", ""),
            ("https://a.example/f", "http://a.example/f", ""),
            ("https://a.example/f", "//b.example/g", "https://b.example/g"),
            ("https://a.example", "g:1", ""),
            ("https://a.example", "g?h:1", "https://a.example/g?h:1"),
        ] {
            let redirected = url(from).redirected(location);
            match redirected {
                Ok(url) => assert_eq!(url.to_string(), to, "{from} {location}"),
                Err(e) => assert!(to.is_empty(), "{from} {location}: {e}"),
            }
        }
    }

    #[test]
    fn ranges_are_read() {
        let range = |start, size| Some(ContentRange { start, size });
        for (text, expected) in [
            ("bytes 5-9/10", range(Some(5), Some(10))),
            ("bytes 5-9/*", range(Some(5), None)),
            ("bytes */10", range(None, Some(10))),
            ("bytes 5/10", None),
            ("bytes 5-9/x", None),
            ("items 5-9/10", None),
            ("", None),
        ] {
            assert_eq!(ContentRange::parse(text), expected, "{text}");
        }
    }

    #[test]
    fn a_weak_tag_is_not_a_validator() {
        let of = |pairs: &[(header::HeaderName, &str)]| {
            let pairs =
                pairs.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value")));
            Validator::of(&pairs.collect())
        };
        let date = "Tue, 03 Dec 2024 10:00:00 GMT";
        let tag = (header::ETAG, "\"a\"");
        let weak = (header::ETAG, "W/\"a\"");
        let modified = (header::LAST_MODIFIED, date);
        assert_eq!(of(&[tag, modified.clone()]), Some(Validator::Etag("\"a\"".to_owned())));
        assert_eq!(of(&[weak.clone(), modified]), Some(Validator::LastModified(date.to_owned())));
        assert_eq!(of(&[weak]), None);
        assert_eq!(of(&[(header::ETAG, &format!("\"{}\"", "a".repeat(300)))]), None);
    }

    #[test]
    fn proxies_are_those_of_the_environment() {
        for (of, variables, host) in [
            ("https://a.example/", &[("HTTPS_PROXY", "http://p:1")][..], Some("p")),
            ("http://a.example/", &[("HTTPS_PROXY", "http://p:1")], None),
            ("http://a.example/", &[("http_proxy", "p:1"), ("HTTP_PROXY", "q:1")], Some("p")),
            ("https://a.example/", &[("ALL_PROXY", "p:1"), ("https_proxy", "")], Some("p")),
            ("https://a.example/", &[("https_proxy", "p:1"), ("NO_PROXY", "b, a.example")], None),
            ("https://a.example/", &[("https_proxy", "p:1"), ("no_proxy", ".example")], None),
            ("https://a.example/", &[("https_proxy", "p:1"), ("no_proxy", "example")], None),
            ("https://a.example/", &[("https_proxy", "p:1"), ("no_proxy", "*")], None),
            ("https://a.example/", &[("https_proxy", "p:1"), ("no_proxy", "xample,.")], Some("p")),
        ] {
            let find = |name: &str| {
                let found = variables.iter().find(|(known, _)| *known == name);
                found.map(|(_, value)| (*value).to_owned())
            };
            let found = proxy(&url(of), find).expect("usable");
            assert_eq!(found.as_ref().map(Proxy::host), host, "{of} {variables:?}");
        }
        for value in ["socks5://p:1", "x://user:secret@p", "a b"] {
            let error =
                proxy(&url("https://a/"), |name| (name == "https_proxy").then(|| value.to_owned()));
            let error = error.expect_err(value).to_string();
            assert!(error.contains("https_proxy") && !error.contains("secret"), "{error}");
        }
    }
}
