//! Bits one after another, the way deflate wants them: the first in the lowest place of a byte (RFC 1951 §3.1.1).

/// Up to 24 bits that belong together: the bits below, their number in the highest byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Code(u32);

impl Code {
    /// The most bits that a code holds.
    pub const MOST: u32 = 24;

    /// These bits, the first in the lowest place.
    pub const fn new(bits: u32, length: u32) -> Self {
        Self(bits | length << Self::MOST)
    }

    /// The bits.
    pub const fn bits(self) -> u32 {
        self.0 & ((1 << Self::MOST) - 1)
    }

    /// Their number.
    pub const fn length(self) -> u32 {
        self.0 >> Self::MOST
    }

    /// This code, or an empty one.
    #[inline(always)]
    pub const fn when(self, wanted: bool) -> Self {
        Self(self.0 * wanted as u32)
    }

    /// This code with another behind it.
    pub const fn then(self, next: Self) -> Self {
        Self::new(self.bits() | next.bits() << self.length(), self.length() + next.length())
    }
}

/// Writes codes into a buffer that must be large enough for them and eight bytes more.
#[derive(Debug)]
pub struct Bits<'a> {
    out: &'a mut [u8],
    at: usize,
    waiting: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// Writes from the start of this buffer on.
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0, waiting: 0, count: 0 }
    }

    /// Takes a code. Between two calls of [`Bits::flush`] there is room for 56 bits.
    #[inline(always)]
    pub fn put(&mut self, code: Code) {
        self.waiting |= u64::from(code.bits()) << self.count;
        self.count += code.length();
    }

    /// Writes the whole bytes of what was taken.
    #[inline(always)]
    pub fn flush(&mut self) {
        self.out[self.at..self.at + 8].copy_from_slice(&self.waiting.to_le_bytes());
        self.at += (self.count / 8) as usize;
        self.waiting >>= self.count & !7;
        self.count &= 7;
    }

    /// Takes and writes a code.
    #[inline(always)]
    pub fn write(&mut self, code: Code) {
        self.put(code);
        self.flush();
    }

    /// Fills the last byte with zeros; how many bytes have been written.
    pub fn finish(mut self) -> usize {
        self.count = self.count.next_multiple_of(8);
        self.flush();
        self.at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bit_is_the_lowest_of_the_first_byte() {
        let mut out = [0xff; 16];
        let mut bits = Bits::new(&mut out);
        for code in [Code::new(1, 1), Code::new(0b10, 2), Code::new(0, 0), Code::new(0xabcd, 16)] {
            bits.write(code);
        }
        assert_eq!(bits.finish(), 3);
        assert_eq!(out[..3], [0b0110_1101, 0b0101_1110, 0b101]);
    }

    #[test]
    fn codes_are_joined_in_their_order() {
        let joined = Code::new(0b1, 2).then(Code::new(0b11, 3)).then(Code::default());
        assert_eq!((joined.bits(), joined.length()), (0b01101, 5));
    }
}
