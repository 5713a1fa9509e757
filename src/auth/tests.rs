//! The checker, tried from outside: every row is one token or key set, and the rule that must meet it.

mod attacks;
mod callers;
mod claim_forms;
mod fetching;
mod files;
mod issuer;
mod jwk;
mod key_sets;
mod mint;
mod reader;
mod remembering;
mod remote;
mod remote_tls;
mod shapes;

/// A caller whose token was accepted.
pub(super) fn any_caller() -> std::sync::Arc<super::Caller> {
    let checker = mint::authenticator(mint::rules(), &mint::all_keys());
    mint::authenticate(&checker, &mint::token(mint::Pair::P256A, "ES256", "p256-a")).unwrap()
}
