//! The certificate that the client of a call showed to the proxy that ends TLS, and whether a bound token is its own.
//!
//! A proxy that is not trusted shows none: the client could have sent the header itself.

use actix_web::HttpRequest;
use data_encoding::BASE64_NOPAD;
use percent_encoding::percent_decode_str;

use super::middleware::forwarded::peer;
use super::state::ApiState;
use crate::auth::Thumbprint;

const BEGIN: &str = "-----BEGIN CERTIFICATE-----";
const END: &str = "-----END CERTIFICATE-----";

/// Whether this call may be made with a token that is bound to the certificate of this thumbprint; the error is the reason.
pub(super) fn check(request: &HttpRequest, api: &ApiState, bound_to: Thumbprint) -> Result<(), &'static str> {
    if !api.trusted_proxies.trust(peer(request).0) {
        return Err(
            "the token is bound to a certificate, and the peer is none of server.trusted_proxies, which alone may \
                    show it",
        );
    }
    let mut lines = request.headers().get_all(api.certificate_header.as_str());
    let shown = lines.next().map_or(Ok(""), |line| line.to_str()).unwrap_or("?").trim();
    if lines.next().is_some() || shown.contains(',') {
        return Err(
            "the token is bound to a certificate, and token.certificate_header has more than one value",
        );
    }
    if shown.is_empty() || shown == "::" {
        return Err(
            "the token is bound to a certificate, and the proxy showed no certificate in token.certificate_header",
        );
    }
    match der(shown) {
        None => Err(
            "the token is bound to a certificate, and token.certificate_header is neither one between colons (RFC \
                     9440) nor URL-encoded PEM",
        ),
        Some(der) if Thumbprint::of(&der) == bound_to => Ok(()),
        Some(_) => Err("the token is bound to another certificate than the client's"),
    }
}

/// The certificate in a header: a byte sequence (RFC 9440), or PEM in percent-encoding (nginx), of which the first counts.
///
/// PEM may have blanks for its line ends, since no header can have those: that is how Apache httpd sends it.
fn der(shown: &str) -> Option<Vec<u8>> {
    let base64 = match shown.strip_prefix(':') {
        Some(sequence) => sequence.strip_suffix(':')?.to_owned(),
        None => {
            let pem = percent_decode_str(shown).decode_utf8().ok()?;
            let (body, _) = pem.trim_start().strip_prefix(BEGIN)?.split_once(END)?;
            body.split_ascii_whitespace().collect()
        }
    };
    BASE64_NOPAD.decode(base64.trim_end_matches('=').as_bytes()).ok()
}
