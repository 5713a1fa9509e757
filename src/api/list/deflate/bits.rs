//! Bits one after another, the way deflate wants them: the first in the lowest place of a byte (RFC 1951 §3.1.1).

/// Up to 24 bits that belong together: the bits below, their number in the highest byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Code(u32);

impl Code {
    /// The most bits that a code holds.
    pub(crate) const MOST: u32 = 24;

    /// These bits, the first in the lowest place.
    pub(crate) const fn new(bits: u32, length: u32) -> Self {
        Self(bits | length << Self::MOST)
    }

    /// The bits.
    pub(crate) const fn bits(self) -> u32 {
        self.0 & ((1 << Self::MOST) - 1)
    }

    /// Their number.
    pub(crate) const fn length(self) -> u32 {
        self.0 >> Self::MOST
    }

    /// This code, or an empty one.
    #[inline(always)]
    pub(crate) const fn when(self, wanted: bool) -> Self {
        Self(self.0 & (wanted as u32).wrapping_neg())
    }

    /// This code with another behind it.
    pub(crate) const fn then(self, next: Self) -> Self {
        Self::new(self.bits() | next.bits() << self.length(), self.length() + next.length())
    }
}

/// Codes that are written together: up to 56 bits. Groups are put together without waiting for what is before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Group {
    bits: u64,
    length: u32,
}

impl Group {
    /// The most bits that a group holds.
    pub(crate) const MOST: u32 = 56;

    /// These codes, one after another.
    #[inline(always)]
    pub(crate) fn of<const N: usize>(codes: [Code; N]) -> Self {
        codes.into_iter().fold(Self::default(), Self::then)
    }

    /// This group with another code behind it.
    #[inline(always)]
    #[must_use]
    pub(crate) fn then(self, code: Code) -> Self {
        Self { bits: self.bits | u64::from(code.bits()) << self.length, length: self.length + code.length() }
    }
}

/// Writes codes into a buffer that must be large enough for them and eight bytes more.
#[derive(Debug)]
pub(crate) struct Bits<'a> {
    out: &'a mut [u8],
    at: usize,
    waiting: u64,
    count: u32,
}

impl<'a> Bits<'a> {
    /// Writes from the start of this buffer on.
    pub(crate) fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0, waiting: 0, count: 0 }
    }

    /// Writes a group; what does not fill a byte yet waits for the next.
    #[inline(always)]
    pub(crate) fn write(&mut self, group: Group) {
        let waiting = self.waiting | group.bits << self.count;
        let count = self.count + group.length;
        self.out[self.at..self.at + 8].copy_from_slice(&waiting.to_le_bytes());
        self.at += (count / 8) as usize;
        self.waiting = waiting >> (count & !7);
        self.count = count & 7;
    }

    /// Fills the last byte with zeros; how many bytes have been written.
    pub(crate) fn finish(mut self) -> usize {
        self.write(Group { bits: 0, length: self.count.wrapping_neg() & 7 });
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
            bits.write(Group::of([code]));
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
