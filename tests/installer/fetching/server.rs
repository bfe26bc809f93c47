//! A test's web server on 127.0.0.1 that serves one file and misbehaves as requested.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// How the server handles a connection.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    /// Behaves correctly: ranges, `If-Range`, an entity tag.
    Serve,
    /// As `Serve`, but closes the connection after this many bytes of the response.
    CutAfter(usize),
    /// As `CutAfter`, but keeps the connection open and sends nothing more.
    StallAfter(usize),
    /// Sends the whole file, whatever is requested, without a validator.
    WithoutRanges,
    /// Sends the whole file with a date as its only validator, or the range if the request has that date.
    Dated,
    /// Sends the whole file without announcing its length; the end of the connection ends it.
    WithoutLength,
    /// Sends the whole file and this many additional bytes, in chunks.
    ChunkedAndMore(usize),
    /// Announces this many bytes more than it sends.
    LieAboutLength(usize),
    /// Claims to send a part that begins elsewhere than requested.
    WrongPart,
    /// Sends a status line with headers, each with its line ending, and no body.
    Head(&'static str),
    /// Redirects to another URL; `{}` is replaced with this server's address.
    Redirect(&'static str),
    /// Sends nothing at all.
    Close,
    /// Replaces the file with another one, and serves that.
    Change,
}

/// What is served.
#[derive(Clone, Debug)]
struct Content {
    bytes: Vec<u8>,
    tag: &'static str,
}

/// A server. Its threads end with the test's process.
#[derive(Debug)]
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
}

const DATE: &str = "Tue, 03 Dec 2024 10:00:00 GMT";

impl Server {
    /// Serves a file. Each connection is handled by the next act, and all further ones by the last.
    pub(crate) fn new(bytes: &[u8], acts: &[Act]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let requests = Arc::new(Mutex::new(Vec::new()));
        let content = Content { bytes: bytes.to_vec(), tag: "\"first\"" };
        let content = Arc::new(Mutex::new(content));
        let (acts, seen) = (acts.to_vec(), Arc::clone(&requests));
        thread::spawn(move || {
            for (number, stream) in listener.incoming().enumerate() {
                let act = acts[number.min(acts.len() - 1)].clone();
                let (seen, content) = (Arc::clone(&seen), Arc::clone(&content));
                // The server ignores clients that have disconnected.
                let answer = move || {
                    stream.and_then(|stream| answer(stream, address, &act, &seen, &content))
                };
                thread::spawn(answer);
            }
        });
        Self { address, requests }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of its file.
    pub(crate) fn url(&self) -> String {
        format!("http://{}/pool/{}", self.address, super::FILE)
    }

    /// The requests, in order: the path, and the values of `Range` and `If-Range`.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().expect("no panic").clone()
    }
}

fn answer(
    mut stream: TcpStream,
    address: SocketAddr,
    act: &Act,
    seen: &Mutex<Vec<String>>,
    content: &Mutex<Content>,
) -> std::io::Result<()> {
    let request = read_head(&mut stream)?;
    let value = |name: &str| {
        let mut lines = request.lines().filter_map(|line| line.split_once(": "));
        let (_, value) = lines.find(|(known, _)| known.eq_ignore_ascii_case(name))?;
        Some(value.to_owned())
    };
    let path = request.split(' ').nth(1).unwrap_or_default();
    let (range, if_range) = (value("range"), value("if-range"));
    let shown = [Some(path.to_owned()), range.clone(), if_range.clone()];
    let shown: Vec<String> = shown.into_iter().flatten().collect();
    seen.lock().expect("no panic").push(shown.join(" "));
    if matches!(act, Act::Change) {
        let mut content = content.lock().expect("no panic");
        content.bytes.reverse();
        content.tag = "\"second\"";
    }
    let Content { bytes, tag } = content.lock().expect("no panic").clone();
    let size = bytes.len();
    let start = range.and_then(|r| r.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let start: usize = start.unwrap_or(0);

    let served = |validator: &str, value: &str| {
        let same = if_range.as_deref().is_none_or(|asked| asked == value);
        let validator = format!("{validator}: {value}\r\n");
        if start == 0 || !same {
            let head = format!("HTTP/1.1 200 OK\r\n{validator}Content-Length: {size}\r\n\r\n");
            (head, bytes.as_slice())
        } else if start >= size {
            let head = format!(
                "HTTP/1.1 416 No\r\nContent-Range: bytes */{size}\r\nContent-Length: 0\r\n\r\n"
            );
            (head, &[][..])
        } else {
            let (last, length) = (size - 1, size - start);
            let head = format!(
                "HTTP/1.1 206 Part\r\n{validator}Content-Range: bytes {start}-{last}/{size}\r\n\
                 Content-Length: {length}\r\n\r\n"
            );
            (head, &bytes[start..])
        }
    };
    let plain = |length: usize| format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n");
    let (head, body) = match act {
        Act::Serve | Act::Change => served("ETag", tag),
        Act::Dated => served("Last-Modified", DATE),
        Act::CutAfter(sent) | Act::StallAfter(sent) => {
            let (head, body) = served("ETag", tag);
            (head, &body[..*sent])
        }
        Act::WithoutRanges => (plain(size), bytes.as_slice()),
        Act::WithoutLength => ("HTTP/1.0 200 OK\r\n\r\n".to_owned(), bytes.as_slice()),
        Act::LieAboutLength(more) => (plain(size + more), bytes.as_slice()),
        Act::ChunkedAndMore(more) => {
            let all = [bytes.as_slice(), &vec![b'x'; *more]].concat();
            let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
            let mut chunks = head.as_bytes().to_vec();
            for chunk in all.chunks(10_000) {
                chunks.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
                chunks.extend(chunk);
                chunks.extend(b"\r\n");
            }
            chunks.extend(b"0\r\n\r\n");
            return stream.write_all(&chunks);
        }
        Act::WrongPart => {
            let head = format!(
                "HTTP/1.1 206 Part\r\nContent-Range: bytes 1-{}/{size}\r\nContent-Length: {}\r\n\r\n",
                size - 1,
                size - 1
            );
            (head, &bytes[1..])
        }
        Act::Head(head) if head.contains("Content-Length") => (format!("{head}\r\n"), &[][..]),
        Act::Head(head) => (format!("{head}Content-Length: 0\r\n\r\n"), &[][..]),
        Act::Redirect(to) => {
            let to = to.replace("{}", &address.to_string());
            let head = "HTTP/1.1 302 Found\r\nContent-Length: 0\r\n";
            (format!("{head}Location: {to}\r\n\r\n"), &[][..])
        }
        Act::Close => return Ok(()),
    };
    stream.write_all(head.as_bytes())?;
    stream.write_all(body)?;
    if matches!(act, Act::StallAfter(_)) {
        thread::sleep(Duration::from_secs(60));
    }
    stream.shutdown(Shutdown::Write)?;
    // Closing a connection with unread bytes would reset it and lose what was sent.
    stream.set_read_timeout(Some(Duration::from_secs(2)))?;
    let _ = std::io::copy(&mut stream, &mut std::io::sink());
    Ok(())
}

fn read_head(stream: &mut TcpStream) -> std::io::Result<String> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// A proxy for one connection that implements `CONNECT`. Returns its address, and a log of requests.
pub(crate) fn proxy() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&asked);
    thread::spawn(move || -> std::io::Result<()> {
        let (mut client, _) = listener.accept()?;
        let head = read_head(&mut client)?;
        let line = head.lines().next().unwrap_or_default().to_owned();
        let target = line.split(' ').nth(1).unwrap_or_default().to_owned();
        seen.lock().expect("no panic").push(line);
        let mut server = TcpStream::connect(target)?;
        client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n")?;
        let (mut from, mut to) = (client.try_clone()?, server.try_clone()?);
        thread::spawn(move || std::io::copy(&mut from, &mut to));
        std::io::copy(&mut server, &mut client)?;
        Ok(())
    });
    (address, asked)
}
