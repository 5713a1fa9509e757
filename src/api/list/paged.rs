//! The list of a shared database: encoded page by page as it arrives, and never held whole.
//!
//! Nothing is kept for the next list: another instance may have changed any part of it meanwhile.

use std::io;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use actix_web::body::BodySize;
use actix_web::rt::task::{JoinHandle, spawn_blocking};
use bytes::Bytes;
use futures_util::FutureExt;

use super::checksum::Checksum;
use super::deflate::row_encoder::ROW;
use super::fairness::{Chunks, Throttled};
use super::fragment::{FragmentEncoder, StreamCoding};
use super::text::{CLOSE, OPEN, write_rows};
use crate::store::{PagedRecords, Record};

/// Where pieces are made: one thread at a time, so that lists leave the other cores alone.
static PRESS: LazyLock<Mutex<FragmentEncoder>> = LazyLock::new(Mutex::default);

type Making = JoinHandle<io::Result<Box<[u8]>>>;

/// The list as a database sends it.
#[derive(Debug)]
pub(crate) struct Streamed {
    pages: PagedRecords,
    /// The coding, or none for the list as it is.
    packing: Option<StreamCoding>,
    at: At,
    sum: Checksum,
    /// How many bytes of text have been sent or are being packed.
    length: u64,
    /// The making of a piece, and how many records are in it.
    making: Option<(Making, usize)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Opening,
    FirstRows,
    Rows,
    End,
}

impl Streamed {
    /// The list of these pages.
    pub(crate) fn body(pages: PagedRecords, packing: Option<StreamCoding>) -> Throttled<Self> {
        let (sum, length) = (Checksum::of(OPEN), OPEN.len() as u64);
        Throttled::of(Self { pages, packing, at: At::Opening, sum, length, making: None })
    }

    fn plain(&mut self, records: &[Record]) -> Bytes {
        let mut text = Vec::with_capacity(records.len() * ROW);
        write_rows(self.at == At::FirstRows, records, &mut text);
        self.at = At::Rows;
        text.into()
    }

    fn make(&mut self, packing: StreamCoding, records: Vec<Record>) {
        let (first, count) = (self.at == At::FirstRows, records.len());
        let make = move || {
            let mut press = PRESS.lock().unwrap_or_else(PoisonError::into_inner);
            press.piece(packing, first, &records)
        };
        self.making = Some((spawn_blocking(make), count));
    }

    fn packed(&mut self, packing: StreamCoding, piece: &[u8], records: usize) -> Bytes {
        let first = self.at == At::FirstRows;
        self.sum = packing.sum(self.sum, piece, first, records);
        self.length += (records * ROW - usize::from(first)) as u64;
        self.at = At::Rows;
        Bytes::copy_from_slice(packing.sent(piece))
    }

    fn closing(&self) -> Bytes {
        match self.packing {
            None => Bytes::from_static(CLOSE),
            Some(packing) => packing.closing(self.sum, self.length + CLOSE.len() as u64).into(),
        }
    }
}

impl Chunks for Streamed {
    /// Not known before the last page: counting would take as long as reading.
    fn size(&self) -> BodySize {
        BodySize::Stream
    }

    fn chunk(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        if self.at == At::Opening {
            self.at = At::FirstRows;
            let opening = self.packing.map_or_else(|| OPEN.to_vec(), StreamCoding::opening);
            return Poll::Ready(Some(Ok(opening.into())));
        }
        loop {
            if let (Some((making, records)), Some(packing)) = (&mut self.making, self.packing) {
                let made = ready!(making.poll_unpin(context)).map_err(io::Error::other).flatten();
                let records = *records;
                self.making = None;
                return Poll::Ready(Some(made.map(|piece| self.packed(packing, &piece, records))));
            }
            if self.at == At::End {
                return Poll::Ready(None);
            }
            match ready!(self.pages.poll_page(context)) {
                None => {
                    self.at = At::End;
                    return Poll::Ready(Some(Ok(self.closing())));
                }
                // The connection is closed before the list is whole, which is how the client learns of it.
                Some(Err(error)) => {
                    self.at = At::End;
                    return Poll::Ready(Some(Err(io::Error::other(error))));
                }
                Some(Ok(records)) => match self.packing {
                    None => return Poll::Ready(Some(Ok(self.plain(&records)))),
                    Some(packing) => self.make(packing, records),
                },
            }
        }
    }
}
