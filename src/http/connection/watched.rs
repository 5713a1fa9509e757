//! A stream that ends when its connection has been held for too long.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::{Connection, Patience};

/// A stream and the watch over it. When the time is up, reading and writing fail, and actix closes the connection.
#[derive(Debug)]
pub struct Watched<T> {
    stream: T,
    connection: Rc<Connection>,
    watch: Pin<Box<Sleep>>,
    is_wound: bool,
}

impl<T> Watched<T> {
    /// Begins to watch a connection that was just accepted. Must be called within a worker's runtime.
    pub fn new(stream: T, patience: Rc<Patience>) -> Self {
        let watch = Box::pin(sleep(patience.tick()));
        Self { stream, connection: Connection::open(patience), watch, is_wound: false }
    }

    pub(super) fn connection(&self) -> &Rc<Connection> {
        &self.connection
    }

    /// Looks at the watch, which wakes the connection's task at the next tick.
    fn look(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        if self.is_wound && !self.watch.is_elapsed() {
            return Ok(());
        }
        if self.is_wound {
            self.connection.judge()?;
            self.watch.as_mut().reset(Instant::now() + self.connection.patience.tick());
        }
        self.is_wound = true;
        while self.watch.as_mut().poll(context).is_ready() {
            self.watch.as_mut().reset(Instant::now() + self.connection.patience.tick());
        }
        Ok(())
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.look(context)?;
        if self.connection.is_over.get() && !self.connection.stalled.get() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.connection.received();
        }
        read
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.look(context)?;
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        match written {
            Poll::Ready(_) => self.connection.taken(),
            Poll::Pending => self.connection.stalled(),
        }
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
