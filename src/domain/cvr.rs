//! The CVR number: eight ASCII digits, as the contract's pattern says.
//!
//! Leading zeros are part of the number. Does not: test check digits.

use std::fmt;

/// How many ASCII digits a CVR number has.
pub(crate) const DIGITS: usize = 8;

/// The pattern as the contract prints it.
pub(crate) const PATTERN: &str = "[0-9]{8}";

/// The CVR number of a company: exactly eight ASCII digits, `00000000` to `99999999`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cvr(u32);

/// The text is not eight ASCII digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a CVR number is exactly eight ASCII digits ({PATTERN})")]
pub struct ParseCvrError;

impl Cvr {
    /// `00000000`
    pub const MIN: Self = Self(0);
    /// `99999999`
    pub const MAX: Self = Self(99_999_999);

    /// Reads the eight digits of a CVR number; nothing is trimmed and no other digits than ASCII count.
    pub fn parse(text: &str) -> Result<Self, ParseCvrError> {
        let digits: &[u8; DIGITS] = text.as_bytes().try_into().map_err(|_| ParseCvrError)?;
        digits
            .iter()
            .try_fold(0, |number, digit| {
                digit.is_ascii_digit().then(|| number * 10 + u32::from(digit - b'0'))
            })
            .map(Self)
            .ok_or(ParseCvrError)
    }

    /// The company with this number, or an error above 99,999,999.
    pub fn from_number(number: u32) -> Result<Self, ParseCvrError> {
        if number <= Self::MAX.0 { Ok(Self(number)) } else { Err(ParseCvrError) }
    }

    /// The eight digits read as one number, 0 to 99,999,999.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// The eight ASCII digits, leading zeros included.
    pub fn digits(self) -> [u8; DIGITS] {
        let (high, low) = (self.0 / 10_000, self.0 % 10_000);
        write_digit_pairs([high / 100, high % 100, low / 100, low % 100])
    }
}

/// The eight digits of four numbers below 100, each with its leading zero.
///
/// The numbers stand in four 16-bit lanes of one word. n × 103 ÷ 1024 is n ÷ 10 for every n below 179 and stays
/// inside its lane, so that all four are divided at once.
fn write_digit_pairs(pairs: [u32; 4]) -> [u8; 8] {
    const LANES: u64 = 0x000f_000f_000f_000f;
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    let [first, second, third, fourth] = pairs.map(u64::from);
    let numbers = first | second << 16 | third << 32 | fourth << 48;
    let tens = (numbers * 103) >> 10 & LANES;
    let ones = numbers - tens * 10;
    (tens | ones << 8 | ZEROS).to_le_bytes()
}

impl fmt::Display for Cvr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:08}", self.0)
    }
}

impl fmt::Debug for Cvr {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Cvr({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn leading_zeros_are_kept() {
        let cvr = Cvr::parse("00000042").unwrap();
        assert_eq!(cvr.number(), 42);
        assert_eq!(cvr.to_string(), "00000042");
    }

    #[test]
    fn everything_but_eight_ascii_digits_is_rejected() {
        for text in [
            "",
            "1234567",
            "123456789",
            "1234567a",
            "+1234567",
            "-1234567",
            " 1234567",
            "1234567 ",
            "1234 567",
            "12345678\n",
            "１２３４５６７８",
            "١٢٣٤٥٦٧٨",
            "1234567٨",
            "1234567\0",
            "12.45678",
            "0x123456",
            "1e234567",
        ] {
            assert_eq!(Cvr::parse(text), Err(ParseCvrError), "{text:?}");
        }
    }

    #[test]
    fn every_pair_is_written_in_every_place() {
        for number in 0..100 {
            for place in 0..4 {
                for other in [0, 99] {
                    let mut pairs = [other; 4];
                    pairs[place] = number;
                    let text: String = pairs.iter().map(|pair| format!("{pair:02}")).collect();
                    assert_eq!(write_digit_pairs(pairs), text.as_bytes());
                }
            }
        }
    }

    proptest! {
        #[test]
        fn digits_text_and_number_are_the_same_company(number in 0u32..100_000_000) {
            let cvr = Cvr::from_number(number).unwrap();
            prop_assert_eq!(Cvr::parse(&cvr.to_string()), Ok(cvr));
            prop_assert_eq!(cvr.digits().to_vec(), cvr.to_string().into_bytes());
            prop_assert_eq!(cvr.number(), number);
        }

        #[test]
        fn parse_agrees_with_the_pattern(text in "\\PC{0,10}|[0-9]{7,9}") {
            let matches = text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit());
            prop_assert_eq!(Cvr::parse(&text).is_ok(), matches);
        }

        #[test]
        fn no_number_above_eight_digits_is_a_company(number in 100_000_000u32..) {
            prop_assert_eq!(Cvr::from_number(number), Err(ParseCvrError));
        }
    }
}
