//! Numbers as ASCII digits, four pairs at a time: the innermost step of writing the list.

/// The eight digits of four numbers below 100, each with its leading zero.
///
/// The numbers stand in four 16-bit lanes of one word. n × 103 ÷ 1024 is n ÷ 10 for every n below 179 and stays
/// inside its lane, so that all four are divided at once.
pub(super) fn write_digit_pairs(pairs: [u32; 4]) -> [u8; 8] {
    const LANES: u64 = 0x000f_000f_000f_000f;
    const ZEROS: u64 = 0x3030_3030_3030_3030;
    let [first, second, third, fourth] = pairs.map(u64::from);
    let numbers = first | second << 16 | third << 32 | fourth << 48;
    let tens = (numbers * 103) >> 10 & LANES;
    let ones = numbers - tens * 10;
    (tens | ones << 8 | ZEROS).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
