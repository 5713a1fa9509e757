//! The deflate encoder for the list's rows.

pub(crate) mod bits;
pub(crate) mod huffman;
pub(crate) mod row_encoder;
