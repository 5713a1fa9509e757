//! Bits in deflate's order: the first in the lowest place of a byte (RFC 1951 §3.1.1).

/// Up to 24 bits that belong together: the bits below, their number in the highest byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Code(u32);

impl Code {
    /// The most bits that a code holds.
    pub(super) const MOST: u32 = 24;

    /// These bits, the first in the lowest place.
    pub(super) const fn new(bits: u32, length: u32) -> Self {
        Self(bits | length << Self::MOST)
    }

    pub(super) const fn bits(self) -> u32 {
        self.0 & ((1 << Self::MOST) - 1)
    }

    pub(super) const fn length(self) -> u32 {
        self.0 >> Self::MOST
    }

    /// This code, or an empty one.
    #[inline(always)]
    pub(super) const fn when(self, wanted: bool) -> Self {
        Self(self.0 & (wanted as u32).wrapping_neg())
    }

    /// This code with another behind it.
    pub(super) const fn then(self, next: Self) -> Self {
        Self::new(self.bits() | next.bits() << self.length(), self.length() + next.length())
    }
}

/// Codes that are written together: up to 56 bits. Groups are put together without pending for what is before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Group {
    bits: u64,
    length: u32,
}

impl Group {
    /// These codes, one after another.
    #[inline(always)]
    pub(super) fn of<const N: usize>(codes: [Code; N]) -> Self {
        codes.into_iter().fold(Self::default(), Self::then)
    }

    /// This group with another code behind it.
    #[inline(always)]
    #[must_use]
    pub(super) fn then(self, code: Code) -> Self {
        Self { bits: self.bits | u64::from(code.bits()) << self.length, length: self.length + code.length() }
    }
}

/// Writes codes into a buffer that must be large enough for them and eight bytes more.
#[derive(Debug)]
pub(super) struct BitWriter<'a> {
    out: &'a mut [u8],
    at: usize,
    pending: u64,
    count: u32,
}

impl<'a> BitWriter<'a> {
    pub(super) fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0, pending: 0, count: 0 }
    }

    /// Writes a group; what does not fill a byte is pending until the next.
    #[inline(always)]
    pub(super) fn write(&mut self, group: Group) {
        let pending = self.pending | group.bits << self.count;
        let count = self.count + group.length;
        self.out[self.at..self.at + 8].copy_from_slice(&pending.to_le_bytes());
        self.at += (count / 8) as usize;
        self.pending = pending >> (count & !7);
        self.count = count & 7;
    }

    /// Fills the last byte with zeros; returns how many bytes have been written.
    pub(super) fn finish(mut self) -> usize {
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
        let mut bits = BitWriter::new(&mut out);
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
