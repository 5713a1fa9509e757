//! A small issuer on this machine: real HTTP, real TLS, and every bad habit that a test asks of it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::auth::source::RefreshTiming;

/// The serving paces, so much faster that a test sees many rounds of them.
pub(super) fn quick() -> RefreshTiming {
    let millis = Duration::from_millis;
    RefreshTiming {
        fetch: Duration::from_secs(10),
        shortest: millis(50),
        first_pause: millis(10),
        longest_pause: millis(100),
        unknown_spacing: Duration::from_secs(10),
        file_poll: millis(10),
    }
}

/// The same with an issuer that does not answer.
pub(super) fn impatient() -> RefreshTiming {
    RefreshTiming { fetch: Duration::from_millis(800), ..quick() }
}

/// What the issuer does with a request.
#[derive(Clone)]
pub(super) enum Manner {
    /// Answers status, header lines, body.
    Answer(u16, String, Vec<u8>),
    /// Answers the body with an `ETag`, and 304 to who has it.
    Conditional(String, Vec<u8>),
    /// Answers as the request's head (in lower case) asks for it.
    ByHead(fn(&str) -> Manner),
    /// Accepts and says nothing for so long.
    Hang(Duration),
    /// Sends a byte now and then, for ever.
    Trickle,
    /// Closes without a word.
    Close,
}

impl Manner {
    pub(super) fn ok(body: impl Into<Vec<u8>>) -> Self {
        Self::Answer(200, String::new(), body.into())
    }
}

pub(super) struct Issuer {
    pub(super) port: u16,
    requests: Arc<AtomicUsize>,
    /// How often it answered 304.
    pub(super) confirmed: Arc<AtomicUsize>,
    manner: Arc<Choice>,
    stopped: Arc<std::sync::atomic::AtomicBool>,
}

impl Issuer {
    pub(super) fn start(manner: Manner) -> Self {
        Self::start_with(None, move |_| manner.clone())
    }

    pub(super) fn start_with(
        tls: Option<Arc<ServerConfig>>,
        manner: impl Fn(&str) -> Manner + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = Self {
            port: listener.local_addr().unwrap().port(),
            requests: Arc::default(),
            confirmed: Arc::default(),
            manner: Arc::new(Mutex::new(Arc::new(manner))),
            stopped: Arc::default(),
        };
        let (requests, manner) = (Arc::clone(&issuer.requests), Arc::clone(&issuer.manner));
        let confirmed = Arc::clone(&issuer.confirmed);
        let stopped = Arc::clone(&issuer.stopped);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let (requests, manner, tls) = (Arc::clone(&requests), Arc::clone(&manner), tls.clone());
                let confirmed = Arc::clone(&confirmed);
                thread::spawn(move || match tls {
                    None => serve(stream, &requests, &confirmed, &manner),
                    Some(tls) => {
                        let connection = ServerConnection::new(tls).unwrap();
                        serve(StreamOwned::new(connection, stream), &requests, &confirmed, &manner);
                    }
                });
            }
        });
        issuer
    }

    pub(super) fn behave(&self, manner: Manner) {
        *self.manner.lock().unwrap() = Arc::new(move |_| manner.clone());
    }

    /// What is done with each path, to be replaced.
    pub(super) fn choice(&self) -> std::sync::MutexGuard<'_, Choose> {
        self.manner.lock().unwrap()
    }

    pub(super) fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    pub(super) fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::SeqCst);
        let _ = TcpStream::connect(("127.0.0.1", self.port));
    }
}

type Choose = Arc<dyn Fn(&str) -> Manner + Send + Sync>;
type Choice = Mutex<Choose>;

fn serve(mut stream: impl Read + Write, requests: &AtomicUsize, confirmed: &AtomicUsize, manner: &Choice) {
    let mut head = String::new();
    {
        let mut reader = BufReader::new(&mut stream);
        while reader.read_line(&mut head).is_ok_and(|read| read > 2) {}
    }
    if head.is_empty() {
        return;
    }
    requests.fetch_add(1, Ordering::SeqCst);
    let choose = Arc::clone(&manner.lock().unwrap());
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let head = head.to_ascii_lowercase();
    let answer = |status: u16, lines: &str, body: &[u8]| {
        let head = format!(
            "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n{lines}\r\n",
            body.len()
        );
        [head.as_bytes(), body].concat()
    };
    let manner = match choose(&path) {
        Manner::ByHead(choose) => choose(&head),
        manner => manner,
    };
    match manner {
        Manner::Answer(status, lines, body) => drop(stream.write_all(&answer(status, &lines, &body))),
        Manner::Conditional(etag, body) => {
            let lines = format!("ETag: \"{etag}\"\r\n");
            if head.contains(&format!("if-none-match: \"{etag}\"")) {
                confirmed.fetch_add(1, Ordering::SeqCst);
                let text = format!("HTTP/1.1 304 X\r\nConnection: close\r\n{lines}\r\n");
                drop(stream.write_all(text.as_bytes()));
            } else {
                drop(stream.write_all(&answer(200, &lines, &body)));
            }
        }
        Manner::Hang(time) => thread::sleep(time),
        Manner::Trickle => {
            let mut sent = stream.write_all(b"HTTP/1.1 200 X\r\nContent-Length: 1000\r\n\r\n");
            while sent.is_ok() {
                thread::sleep(Duration::from_millis(50));
                sent = stream.write_all(b" ").and_then(|()| stream.flush());
            }
        }
        Manner::Close | Manner::ByHead(_) => {}
    }
    let _ = stream.flush();
}
