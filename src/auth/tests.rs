//! The lock, tried from outside: every row is one token or key set, and the rule that must meet it.

mod attacks;
mod callers;
mod files;
mod issuer;
mod key_sets;
mod mint;
mod reader;
mod remembering;
mod remote;
mod remote_tls;
mod shapes;
