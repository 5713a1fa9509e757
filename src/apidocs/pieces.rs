//! A stored file as a body that is handed on in pieces, so that a reader who takes nothing holds a piece and not the file.

use std::io::{self, Read};
use std::pin::Pin;
use std::task::{Context, Poll};

use actix_web::body::{BodySize, MessageBody};
use bytes::{Buf, Bytes, buf};
use flate2::read::GzDecoder;

/// How many bytes are handed on at once. actix-http holds one such piece for a slow reader; smaller ones cost more processor
/// time than they save memory.
const PIECE: usize = 64 * 1024;

/// The rest of a file.
#[derive(Debug)]
pub(super) enum Pieces {
    /// As it is stored.
    Stored(Bytes),
    /// Unpacked while it is sent, with so many bytes to come.
    Unpacked(Box<GzDecoder<buf::Reader<Bytes>>>, u64),
}

impl Pieces {
    /// A gzip file of this length for a reader who does not take gzip.
    pub(super) fn unpacked(gzip: Bytes, length: u64) -> Self {
        Self::Unpacked(Box::new(GzDecoder::new(gzip.reader())), length)
    }

    fn piece(&mut self) -> Option<io::Result<Bytes>> {
        match self {
            Self::Stored(rest) if rest.is_empty() => None,
            Self::Stored(rest) => Some(Ok(rest.split_to(PIECE.min(rest.len())))),
            Self::Unpacked(_, 0) => None,
            Self::Unpacked(decoder, rest) => {
                let length = usize::try_from(*rest).map_or(PIECE, |rest| rest.min(PIECE));
                let mut piece = vec![0; length];
                *rest -= length as u64;
                Some(decoder.read_exact(&mut piece).map(|()| piece.into()))
            }
        }
    }
}

impl MessageBody for Pieces {
    type Error = io::Error;

    fn size(&self) -> BodySize {
        BodySize::Sized(match self {
            Self::Stored(rest) => rest.len() as u64,
            Self::Unpacked(_, rest) => *rest,
        })
    }

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        Poll::Ready(self.piece())
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn no_piece_is_larger_than_allowed_and_together_they_are_the_file() {
        let text: Vec<u8> = (0..100_000_u32).map(|number| (number % 251) as u8).collect();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let gzip = gzip.finish().unwrap();
        for mut pieces in
            [Pieces::Stored(text.clone().into()), Pieces::unpacked(gzip.into(), text.len() as u64)]
        {
            assert_eq!(pieces.size(), BodySize::Sized(100_000));
            let mut read = Vec::new();
            while let Some(piece) = pieces.piece() {
                let piece = piece.unwrap();
                assert!(piece.len() <= PIECE);
                read.extend_from_slice(&piece);
            }
            assert!(read == text);
        }
    }
}
