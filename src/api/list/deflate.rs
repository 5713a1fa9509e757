//! The deflate encoder for the list's rows.

mod bits;
mod huffman;
pub(super) mod row_encoder;
