//! The deflate encoder for the list's rows.

pub mod bits;
pub mod huffman;
pub mod row_encoder;
