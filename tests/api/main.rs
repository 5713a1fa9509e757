//! The contract over real HTTP: one binary, so that the service is linked once.

mod access_matrix;
mod bad_requests;
mod errors;
mod framing;
mod harness;
mod lifecycle;
mod methods;
mod tokens;
