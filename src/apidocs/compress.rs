//! A short answer in a content coding, made on the spot.

use std::io::{self, Write};

use flate2::Compression;
use flate2::write::GzEncoder;

use crate::api::encoding::Coding;

/// zlib's usual balance of size and time.
const GZIP_LEVEL: u32 = 6;
/// zstd's usual balance of size and time.
const ZSTD_LEVEL: i32 = 3;

/// The text in this coding.
///
/// # Errors
/// When there is no memory.
pub(super) fn encode(text: Vec<u8>, coding: Coding) -> io::Result<Vec<u8>> {
    match coding {
        Coding::Identity => Ok(text),
        Coding::Gzip => {
            let mut gzip = GzEncoder::new(Vec::new(), Compression::new(GZIP_LEVEL));
            gzip.write_all(&text)?;
            gzip.finish()
        }
        Coding::Zstd => zstd::bulk::compress(&text, ZSTD_LEVEL),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn a_text_of_any_length_reads_back() {
        for length in [0usize, 1, 160, 100_000] {
            let mut state = 1u32;
            let noise = std::iter::repeat_with(|| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            });
            let text: Vec<u8> = noise.take(length).collect();
            assert_eq!(encode(text.clone(), Coding::Identity).unwrap(), text);
            let gzip = encode(text.clone(), Coding::Gzip).unwrap();
            let mut read = Vec::new();
            flate2::read::GzDecoder::new(&gzip[..]).read_to_end(&mut read).unwrap();
            assert_eq!(read, text);
            let zstd = encode(text.clone(), Coding::Zstd).unwrap();
            assert_eq!(zstd::stream::decode_all(&zstd[..]).unwrap(), text);
        }
    }
}
