//! Connecting: one host after another, each within its own time.
//!
//! `tokio_postgres` tries several hosts too, but its `connect_timeout` ends with the TCP connection: a frozen machine
//! behind an open port would take all the time, and the standby that took over would never be tried. Here the limit
//! covers everything up to the first statement, as in libpq. Does not retry once a host has answered with an error.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::Connect;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, Socket};

use super::address::Address;
use super::error::{DatabaseError, Kind, is_unreplicated, server_message};

type Connected = Result<(Client, JoinHandle<()>), Error>;

pub(super) struct Hosts {
    address: Address,
    /// The longest wait for one host, so that the next is tried in time.
    share: Duration,
    /// The host that answered last, which is tried first; the one after it once it is silent.
    first: AtomicUsize,
}

impl Hosts {
    /// The hosts of this address, which get equal shares of `limit`.
    pub(super) fn new(address: &Address, limit: Duration) -> Self {
        let count = address.hosts.len();
        let share =
            if count == 1 { Duration::MAX } else { limit / u32::try_from(count + 1).unwrap_or(u32::MAX) };
        Self { address: address.clone(), share, first: AtomicUsize::new(0) }
    }

    /// Tries one host after another; `None` when none answered in its time.
    async fn try_each(&self) -> Option<Connected> {
        let hosts = &self.address.hosts;
        let first = if self.address.is_random {
            fastrand::usize(0..hosts.len())
        } else {
            self.first.load(Ordering::Relaxed)
        };
        let mut failed: Option<Error> = None;
        for index in (first..first + hosts.len()).map(|index| index % hosts.len()) {
            let config = &hosts[index];
            let limit = config.get_connect_timeout().map_or(self.share, |limit| self.share.min(*limit));
            match timeout(limit, config.connect(self.address.connector())).await {
                Ok(Ok((client, connection))) => {
                    self.first.store(index, Ordering::Relaxed);
                    return Some(Ok((client, tokio::spawn(drive(connection)))));
                }
                // A rejected login needs the operator, and so is reported rather than that another host is unavailable.
                Ok(Err(error)) => match failed.as_ref().map(DatabaseError::from) {
                    Some(DatabaseError { kind: Kind::Rejected, .. }) => {}
                    _ => failed = Some(error),
                },
                Err(_) if index == first => self.first.store((index + 1) % hosts.len(), Ordering::Relaxed),
                Err(_) => {}
            }
        }
        failed.map(Err)
    }
}

impl Connect for Hosts {
    /// While no host answers they are all tried again, for as long as the caller waits.
    fn connect(&self, _: &Config) -> BoxFuture<'_, Connected> {
        async {
            loop {
                if let Some(connected) = self.try_each().await {
                    return connected;
                }
            }
        }
        .boxed()
    }
}

/// Drives a connection to its end.
///
/// The notice about a commit that was not replicated arrives before the statement's end. The connection is closed then:
/// whether the statement took effect is as unknown as after a lost connection, so it is sent again on another one.
async fn drive<S: AsyncRead + AsyncWrite + Unpin>(mut connection: Connection<Socket, S>) {
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notice(notice))) => {
                log::debug!("a notice of the database: {}", server_message(&notice));
                if is_unreplicated(&notice) {
                    return;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                log::debug!("a connection to the database ended: {}", DatabaseError::from(error).reason);
                return;
            }
            None => return,
        }
    }
}
