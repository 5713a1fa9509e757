//! Thousands of clients that all wait for the disk at once, each on a connection of its own.
//!
//! A client is a thread with a small stack that speaks just enough HTTP: what is tried is the service, with as many
//! waiting calls as fill whole batches.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::history::{Call, History, OWN, body, now};
use crate::support::process::Service;

const STACK: usize = 128 << 10;

/// The companies that a crowd records.
#[derive(Debug, Clone, Copy)]
pub(super) enum Companies {
    /// Each once.
    New,
    /// So many, again and again.
    Among(u32),
}

/// Clients at work.
pub(super) struct Crowd {
    stop: Arc<AtomicBool>,
    acknowledged: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<Call>>>,
}

impl Crowd {
    /// So many clients, each recording these companies until its connection breaks or it is stopped.
    pub(super) fn start(service: &Service, history: &History, clients: usize, companies: Companies) -> Self {
        let files = getrlimit(Resource::Nofile);
        setrlimit(Resource::Nofile, Rlimit { current: files.maximum, maximum: files.maximum }).unwrap();
        let (stop, acknowledged) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = (0..clients)
            .map(|_| {
                let (address, token) = (service.address.clone(), service.token.clone());
                let (stop, acknowledged) = (Arc::clone(&stop), Arc::clone(&acknowledged));
                let numbers = Arc::clone(&history.next_number);
                let client = move || {
                    let mut calls = Vec::new();
                    let Ok(mut connection) = TcpStream::connect(&address) else { return calls };
                    while !stop.load(Ordering::Relaxed) {
                        let next = numbers.fetch_add(1, Ordering::Relaxed);
                        let cvr =
                            OWN + if let Companies::Among(count) = companies { next % count } else { next };
                        let began = now();
                        let status = put(&mut connection, &address, &token, cvr);
                        calls.push(Call { cvr, began, ended: now(), status });
                        if status.is_none() {
                            break;
                        }
                        acknowledged.fetch_add(u64::from(status == Some(204)), Ordering::Relaxed);
                    }
                    calls
                };
                Builder::new().stack_size(STACK).spawn(client).unwrap()
            })
            .collect();
        Self { stop, acknowledged, clients }
    }

    /// Waits until so many calls have been acknowledged.
    pub(super) fn wait_for(&self, acknowledged: u64, at_most: Duration) {
        let until = Instant::now() + at_most;
        while self.acknowledged.load(Ordering::Relaxed) < acknowledged {
            assert!(
                Instant::now() < until,
                "only {} were acknowledged",
                self.acknowledged.load(Ordering::Relaxed)
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Ends the crowd and adds its calls to the history.
    pub(super) fn finish(self, history: &mut History) {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            client.join().unwrap().into_iter().for_each(|call| history.add(call));
        }
    }
}

/// One call of SetLogin on this connection; its status, unless the connection breaks.
fn put(connection: &mut TcpStream, address: &str, token: &str, cvr: u32) -> Option<u16> {
    let body = body(&format!("{cvr:08}"));
    let request = format!(
        "PUT /v1/Login/{cvr:08} HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {token}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(request.as_bytes()).ok()?;
    let (mut answer, mut piece) = (Vec::new(), [0; 1024]);
    let head = loop {
        match connection.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(read) => answer.extend_from_slice(&piece[..read]),
        }
        if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            break String::from_utf8(answer[..end].to_vec()).ok()?;
        }
    };
    let status = head.split(' ').nth(1)?.parse().ok()?;
    // A problem has a body, which stands before the next answer.
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let missing = (head.len() + 4 + length.unwrap_or(0)).saturating_sub(answer.len());
    connection.read_exact(&mut vec![0; missing]).ok()?;
    Some(status)
}
