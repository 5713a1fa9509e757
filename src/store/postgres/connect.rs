//! Connecting: one host after another, each within its own time.
//!
//! `tokio_postgres` tries several hosts too, but its `connect_timeout` ends with the TCP connection. A host that stands
//! still behind its open port, which a frozen or half-dead machine does, would then take all the time that there is,
//! and the standby that took over would never be asked. Here the limit covers everything up to the first statement, as
//! libpq has it.

use std::future::poll_fn;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use deadpool_postgres::Connect;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::config::LoadBalanceHosts;
use tokio_postgres::{AsyncMessage, Client, Config, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::address::Address;
use super::database::LOOK_TAKES;
use super::error::{DatabaseError, is_unreplicated, server_words};

/// The hosts of an address, one configuration each.
pub(super) struct Hosts {
    each: Vec<Config>,
    connector: MakeRustlsConnect,
    /// How long one host may take: a share of what a call or a look waits, so that another one gets its turn.
    share: Duration,
    /// Where the next connection is tried first: the last one that was had.
    first: AtomicUsize,
    random: bool,
}

impl Hosts {
    /// The hosts of this address, on behalf of calls that wait no longer than the deadline.
    pub(super) fn of(address: &Address, deadline: Duration) -> Self {
        let each = address.each_host();
        Self {
            share: deadline.min(LOOK_TAKES) / u32::try_from(each.len() + 1).unwrap_or(u32::MAX),
            each,
            connector: address.connector(),
            first: AtomicUsize::new(0),
            random: address.config().get_load_balance_hosts() == LoadBalanceHosts::Random,
        }
    }

    /// A connection, or why there is none. Silence everywhere is no answer: the hosts are asked again for as long as
    /// whoever waits has time.
    async fn connect(&self) -> Result<(Client, JoinHandle<()>), Error> {
        loop {
            if let Some(answered) = self.ask_each().await {
                return answered;
            }
        }
    }

    /// Asks one host after another; nothing when none answered in its time.
    async fn ask_each(&self) -> Option<Result<(Client, JoinHandle<()>), Error>> {
        let count = self.each.len();
        let first = if self.random { fastrand::usize(0..count) } else { self.first.load(Ordering::Relaxed) };
        let mut told = None;
        for index in (first..first + count).map(|index| index % count) {
            let config = &self.each[index];
            let connecting = config.connect(self.connector.clone());
            let limit = config.get_connect_timeout().copied().unwrap_or(Duration::MAX);
            let limit = if count > 1 { limit.min(self.share) } else { limit };
            let connected = timeout(limit, connecting).await;
            match connected {
                Ok(Ok((client, connection))) => {
                    self.first.store(index, Ordering::Relaxed);
                    return Some(Ok((client, tokio::spawn(drive(connection)))));
                }
                // What will not pass is worth more than that another host is away.
                Ok(Err(error)) => match told.as_ref().map(DatabaseError::of) {
                    Some(DatabaseError::Refused(_)) => {}
                    _ => told = Some(error),
                },
                Err(_) => {}
            }
        }
        told.map(Err)
    }
}

/// Drives a connection to its end.
///
/// The server sends the notice about a commit that was not replicated before it says that the statement is done. The
/// connection ends there: the outcome of its statement is then as unknown as that of one whose connection was lost, and
/// the statement is sent again on another connection.
async fn drive<S: AsyncRead + AsyncWrite + Unpin>(mut connection: Connection<Socket, S>) {
    loop {
        match poll_fn(|context| connection.poll_message(context)).await {
            Some(Ok(AsyncMessage::Notice(notice))) => {
                log::debug!("a notice of the database: {}", server_words(&notice));
                if is_unreplicated(&notice) {
                    return;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(error)) => {
                log::debug!("a connection to the database ended: {}", DatabaseError::of(&error).reason());
                return;
            }
            None => return,
        }
    }
}

impl Connect for Hosts {
    fn connect(&self, _: &Config) -> BoxFuture<'_, Result<(Client, JoinHandle<()>), Error>> {
        Hosts::connect(self).boxed()
    }
}
