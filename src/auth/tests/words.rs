//! What an operator reads in the log and the audit line when somebody is rejected: it names the rule.

use crate::auth::error::{Claim, Part};
use crate::auth::source::RefreshTiming;
use crate::auth::{ClaimError, TokenError};
use std::time::Duration;

#[test]
fn error_names_the_part_and_the_claim() {
    let parts =
        [Part::Header, Part::Payload, Part::Signature].map(|part| TokenError::NotJson(part).to_string());
    assert_eq!(parts, ["the header is not JSON", "the payload is not JSON", "the signature is not JSON"]);
    let claims = [
        (Claim::Issuer, "iss is missing"),
        (Claim::Audience, "aud is missing"),
        (Claim::Expiry, "exp is missing"),
        (Claim::NotBefore, "nbf is missing"),
        (Claim::IssuedAt, "iat is missing"),
        (Claim::Subject, "sub is missing"),
        (Claim::ClientId, "client_id is missing"),
    ];
    for (claim, words) in claims {
        assert_eq!(TokenError::Missing(claim).to_string(), words);
    }
    let claims = [
        (Claim::Scope, "the claim for scope is missing"),
        (Claim::OrganisationType, "the claim for organisation type is missing"),
        (Claim::OrganisationCode, "the claim for organisation code is missing"),
        (Claim::Access, "the claim for access mode is missing"),
        (Claim::ActingCvr, "the claim for acting CVR number is missing"),
    ];
    for (claim, words) in claims {
        assert_eq!(ClaimError::Missing(claim).to_string(), words);
    }
}

#[test]
fn a_request_waits_for_a_fetch_a_little_longer_than_the_fetch_may_take() {
    assert_eq!(RefreshTiming::SERVING.max_wait(), Duration::from_millis(5_500));
}
