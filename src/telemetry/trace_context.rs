//! `traceparent`: the trace that a call belongs to (W3C Trace Context, level 1 and 2).
//!
//! A valid one is kept: its trace id is in the log and audit line and, with an id for this call, in the answer. Anything else
//! is replaced by a new trace (§4.3) and is never an error. `tracestate` is not read: no call goes on from here.

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use data_encoding::HEXLOWER;

/// The header (§3.2).
pub(crate) const HEADER: HeaderName = HeaderName::from_static("traceparent");
/// The header's name as the documentation prints it.
pub(crate) const FIELD: &str = "traceparent";
/// The header of an answer, as a regular expression.
pub(crate) const PATTERN: &str = "^00-[0-9a-f]{32}-[0-9a-f]{16}-0[0-3]$";
/// The flags that level 2 knows: sampled (bit 0) and random (bit 1). Others are not passed on (§3.2.2.5).
const KNOWN_FLAGS: u8 = 0b11;
/// A trace that begins here: its id is random, and it is not sampled.
const RANDOM: u8 = 0b10;

/// The trace of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Trace {
    id: [u8; 32],
    flags: u8,
}

impl Trace {
    /// The trace of the request with these headers: its own, or a new one when it has none that can be used.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let mut sent = headers.get_all(&HEADER);
        let only = sent.next().filter(|_| sent.next().is_none());
        only.and_then(|only| parse(only.to_str().ok()?)).unwrap_or_else(Self::begin)
    }

    /// A trace that begins here.
    fn begin() -> Self {
        let mut id = [b'0'; 32];
        // All zeroes is no id (§3.2.2.3).
        HEXLOWER.encode_mut(&fastrand::u128(..).max(1).to_be_bytes(), &mut id);
        Self { id, flags: RANDOM }
    }

    /// The trace's id: 32 lower-case hexadecimal digits.
    pub(crate) fn id(&self) -> &str {
        // Only hexadecimal digits are ever put in.
        str::from_utf8(&self.id).unwrap_or_default()
    }

    /// The header of the answer: the trace, and an id that is this call's own.
    pub(crate) fn answer(&self) -> Option<HeaderValue> {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        text[3..35].copy_from_slice(&self.id);
        HEXLOWER.encode_mut(&fastrand::u64(..).max(1).to_be_bytes(), &mut text[36..52]);
        HEXLOWER.encode_mut(&[self.flags], &mut text[53..55]);
        HeaderValue::from_bytes(&text).ok()
    }
}

/// A `traceparent` by the rules for receiving one (§4.3): 00 exactly, a later version by what it shares with 00.
fn parse(text: &str) -> Option<Trace> {
    let mut parts = text.splitn(5, '-');
    let (version, id) = (hex::<1>(parts.next()?)?, parts.next()?);
    let (parent, [flags], rest) = (hex::<8>(parts.next()?)?, hex(parts.next()?)?, parts.next());
    let is_version = version != [0xff] && (version != [0] || rest.is_none());
    let is_good = is_version && hex::<16>(id)? != [0; 16] && parent != [0; 8];
    is_good.then_some(Trace { id: id.as_bytes().try_into().ok()?, flags: flags & KNOWN_FLAGS })
}

/// Lower-case hexadecimal digits (§3.2.2).
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    fn of(values: &[&[u8]]) -> Trace {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(HEADER, HeaderValue::from_bytes(value).unwrap());
        }
        Trace::of(&headers)
    }

    #[test]
    fn a_valid_one_is_kept_with_the_flags_that_are_known() {
        for (sent, id, flags) in [
            // The examples of the recommendation, §3.2.3.
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", ID, "01"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00", ID, "00"),
            (
                "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
                "0af7651916cd43dd8448eb211c80319c",
                "01",
            ),
            // Level 2: the random flag.
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-03", ID, "03"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-02", ID, "02"),
            // Undefined flags.
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff", ID, "03"),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-f0", ID, "00"),
            // Later versions: what they share with 00.
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", ID, "01"),
            ("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-holds", ID, "01"),
            ("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-", ID, "01"),
            ("fe-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-09-x", ID, "01"),
            // Almost nothing is not nothing.
            (
                "00-00000000000000000000000000000001-0000000000000001-00",
                "00000000000000000000000000000001",
                "00",
            ),
        ] {
            let trace = of(&[sent.as_bytes()]);
            assert_eq!(trace.id(), id, "{sent}");
            let answer = trace.answer().unwrap();
            let answer = answer.to_str().unwrap();
            assert_eq!(
                (&answer[..36], &answer[52..]),
                (&*format!("00-{id}-"), &*format!("-{flags}")),
                "{sent}"
            );
            assert_ne!(answer[36..52], sent[36..52], "the call has an id of its own");
        }
    }

    #[test]
    fn anything_else_begins_a_new_trace() {
        let long = "x".repeat(9_000);
        for sent in [
            "",
            "00",
            "-",
            "x",
            &long,
            // Not hexadecimal, or upper case.
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00F067AA0BA902B7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473g-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0A",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-0g",
            "0x-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "0A-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            // No id.
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            // Too short, too long, other separators.
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-1",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00_4bf92f3577b34da6a3ce929d0e0e4736_00f067aa0ba902b7_01",
            " 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            // The version that never will be, and later ones that do not go on with a dash.
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01x",
            "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01.what",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-\u{e6}1",
        ] {
            let trace = of(&[sent.as_bytes()]);
            assert_ne!(trace.id(), ID, "{sent}");
            assert!(hex::<16>(trace.id()).is_some(), "{sent}");
            assert!(trace.answer().unwrap().to_str().unwrap().ends_with("-02"), "{sent}");
        }
    }

    #[test]
    fn two_are_none_and_none_is_new_each_time() {
        let sent = format!("00-{ID}-00f067aa0ba902b7-01");
        let (twice, absent, other) = (of(&[sent.as_bytes(), sent.as_bytes()]), of(&[]), of(&[]));
        assert_ne!(twice.id(), ID);
        assert_ne!(absent.id(), other.id());
        assert_ne!(absent.answer(), absent.answer(), "each answer has an id of its own");
    }
}
