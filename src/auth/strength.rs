//! Whether the numbers of a public key are such that a signature under it proves anything.
//!
//! RSA: size, exponent, no small factor (NIST SP 800-56B §6.4.2), no fingerprint of the ROCA weakness (CVE-2017-15361,
//! Nemec et al. 2017: "The Return of Coppersmith's Attack"). Curves: the point is on its curve and not of small order.

use std::sync::LazyLock;

use num_bigint::BigUint;

/// Accepted sizes of RSA moduli, in bits. ring verifies no others.
const RSA_BITS: std::ops::RangeInclusive<u64> = 2048..=8192;

/// Accepted RSA exponents. The upper bound is ring's: 33 bits.
const RSA_EXPONENTS: std::ops::RangeInclusive<u64> = 65_537..=(1 << 33) - 1;

/// The primes below 752, which must not divide a modulus (SP 800-56B).
static SMALL_PRIMES: LazyLock<Vec<u32>> =
    LazyLock::new(|| (2..752).filter(|n| (2..*n).all(|divisor| n % divisor != 0)).collect());

/// The largest prime of the published ROCA fingerprint.
const LAST_ROCA_PRIME: u32 = 167;

/// The reason why an RSA key is too weak, if it is.
pub(super) fn rsa_weakness(modulus: &BigUint, exponent: &BigUint) -> Option<&'static str> {
    if !RSA_BITS.contains(&modulus.bits()) {
        return Some("the modulus is not 2048 to 8192 bits long");
    }
    let taken = u64::try_from(exponent).is_ok_and(|exponent| RSA_EXPONENTS.contains(&exponent));
    if !taken || !exponent.bit(0) {
        return Some("the exponent is not an odd number from 65537 to 33 bits");
    }
    let rest = |prime: u32| (modulus % prime).iter_u32_digits().next().unwrap_or(0);
    if SMALL_PRIMES.iter().any(|prime| rest(*prime) == 0) {
        return Some("the modulus has a small factor");
    }
    let mut odd_primes = SMALL_PRIMES.iter().copied().filter(|prime| (3..=LAST_ROCA_PRIME).contains(prime));
    if odd_primes.all(|prime| is_power_of_65537(rest(prime), prime)) {
        return Some("the modulus has the ROCA fingerprint");
    }
    None
}

/// Whether the discrete logarithm of `number` to the base 65537 exists modulo `prime`.
fn is_power_of_65537(number: u32, prime: u32) -> bool {
    let mut power = 1;
    for _ in 0..prime {
        if power == number {
            return true;
        }
        power = power * (65_537 % prime) % prime;
    }
    false
}

/// A curve y² = x³ − 3x + b over the integers modulo a prime (FIPS 186-4 §D.1.2).
pub(super) struct Curve {
    prime: BigUint,
    b: BigUint,
}

fn hex(digits: &[u8]) -> BigUint {
    BigUint::parse_bytes(digits, 16).unwrap_or_default()
}

/// NIST P-256.
pub(super) static P256: LazyLock<Curve> = LazyLock::new(|| Curve {
    prime: hex(b"ffffffff00000001000000000000000000000000ffffffffffffffffffffffff"),
    b: hex(b"5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b"),
});

/// NIST P-384.
pub(super) static P384: LazyLock<Curve> = LazyLock::new(|| Curve {
    prime: hex(
        b"fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffeffffffff0000000000000000ffffffff",
    ),
    b: hex(
        b"b3312fa7e23ee7e4988e056be3f82d19181d9c6efe8141120314088f5013875ac656398d8a2ed19d2a85c8edd3ec2aef",
    ),
});

impl Curve {
    /// Whether the big-endian coordinates are those of a point on this curve. Infinity has none.
    pub(super) fn has_point(&self, x: &[u8], y: &[u8]) -> bool {
        let (x, y) = (BigUint::from_bytes_be(x), BigUint::from_bytes_be(y));
        if x >= self.prime || y >= self.prime {
            return false;
        }
        // −3x is written as (p − 3)·x: there are no negative numbers here.
        let right = &x * &x * &x + (&self.prime - 3u32) * &x + &self.b;
        (&y * &y) % &self.prime == right % &self.prime
    }
}

/// The y coordinates of the points of order 8 on Ed25519, big-endian; those of order 1, 2 and 4 are 1, −1 and 0.
const ED25519_ORDER_8: [&[u8]; 2] = [
    b"7a03ac9277fdc74ec6cc392cfa53202a0f67100d760b3cba4fd84d3d706a17c7",
    b"05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826",
];

/// The d of Ed25519's −x² + y² = 1 + d·x²·y² (RFC 8032 §5.1).
const ED25519_D: &[u8] = b"52036cee2b6ffe738cc740797779e89800700a4d4141d8ab75eb4dca135978a3";

/// Whether the encoded point (RFC 8032 §5.1.2) is canonical, on Ed25519, and not of small order: under a point of
/// small order one signature holds for every message.
pub(super) fn is_sound_ed25519_point(encoded: &[u8; 32]) -> bool {
    let mut bytes = *encoded;
    bytes[31] &= 0x7f;
    let y = BigUint::from_bytes_le(&bytes);
    let one = BigUint::from(1u32);
    let prime: BigUint = (&one << 255u32) - 19u32;
    if y >= prime {
        return false;
    }
    let small = [BigUint::ZERO, one.clone(), &prime - 1u32];
    if small.contains(&y) || ED25519_ORDER_8.iter().any(|digits| hex(digits) == y) {
        return false;
    }
    // x² = (y² − 1) / (d·y² + 1) has a root when numerator · denominator is a square (Euler).
    let square = &y * &y % &prime;
    let numerator = &square + &prime - &one;
    let denominator = hex(ED25519_D) * &square + &one;
    let half: BigUint = (&prime - 1u32) / 2u32;
    (numerator * denominator).modpow(&half, &prime) == one
}

#[cfg(test)]
mod tests {
    use super::*;

    fn primorial(last: u32) -> BigUint {
        SMALL_PRIMES
            .iter()
            .filter(|prime| **prime <= last)
            .fold(BigUint::from(1u32), |all, prime| all * *prime)
    }

    /// A modulus as the faulty library made them: a power of 65537 modulo the product of many small primes.
    fn roca_modulus() -> BigUint {
        let all = primorial(701);
        let power = BigUint::from(65_537u32).modpow(&BigUint::from(1_234_567u32), &all);
        let mut modulus = ((BigUint::from(1u32) << 2047u32) / &all + 1u32) * &all + power;
        while SMALL_PRIMES.iter().any(|prime| &modulus % *prime == BigUint::ZERO) {
            modulus += &all;
        }
        modulus
    }

    #[test]
    fn modulus_of_the_weak_library_has_the_roca_fingerprint() {
        let exponent = BigUint::from(65_537u32);
        let modulus = roca_modulus();
        assert_eq!(modulus.bits(), 2048);
        assert_eq!(rsa_weakness(&modulus, &exponent), Some("the modulus has the ROCA fingerprint"));
        let mut other = modulus + 2u32;
        while SMALL_PRIMES.iter().any(|prime| &other % *prime == BigUint::ZERO) {
            other += 2u32;
        }
        assert_eq!(rsa_weakness(&other, &exponent), None);
    }

    #[test]
    fn sizes_exponents_and_small_factors_are_held_to_their_limits() {
        let good = BigUint::from(65_537u32);
        let coprime = |mut modulus: BigUint| {
            while SMALL_PRIMES.iter().any(|prime| &modulus % *prime == BigUint::ZERO) {
                modulus += 2u32;
            }
            modulus
        };
        let of_bits = |bits: u32| coprime((BigUint::from(3u32) << (bits - 2)) + 1u32);
        for (bits, fits) in [(2047, false), (2048, true), (8192, true), (8193, false)] {
            assert_eq!(rsa_weakness(&of_bits(bits), &good).is_none(), fits, "{bits} bits");
        }
        let modulus = of_bits(2048);
        for (exponent, fits) in [
            (0u64, false),
            (1, false),
            (3, false),
            (65_535, false),
            (65_536, false),
            (65_537, true),
            (65_538, false),
            (65_539, true),
            ((1 << 33) - 1, true),
            ((1 << 33) + 1, false),
        ] {
            assert_eq!(
                rsa_weakness(&modulus, &BigUint::from(exponent)).is_none(),
                fits,
                "exponent {exponent}"
            );
        }
        assert!(rsa_weakness(&modulus, &(BigUint::from(1u32) << 64u32 | good.clone())).is_some());
        for factor in [2u32, 3, 751] {
            let whole = of_bits(2048) / factor * factor;
            assert_eq!(rsa_weakness(&whole, &good), Some("the modulus has a small factor"), "{factor}");
        }
    }

    #[test]
    fn points_off_the_curve_are_seen() {
        let x = hex(b"6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296").to_bytes_be();
        let y = hex(b"4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5").to_bytes_be();
        assert!(P256.has_point(&x, &y));
        assert!(!P256.has_point(&y, &x));
        assert!(!P384.has_point(&x, &y));
        assert!(!P256.has_point(&[0; 32], &[0; 32]));
    }

    #[test]
    fn a_coordinate_beyond_the_prime_is_no_second_name_of_a_point() {
        let prime = &P256.prime;
        let root = |x: &BigUint| {
            let square = (x * x * x + (prime - 3u32) * x + &P256.b) % prime;
            square.modpow(&((prime + 1u32) / 4u32), prime)
        };
        let has = |x: &BigUint, y: &BigUint| P256.has_point(&x.to_bytes_be(), &y.to_bytes_be());
        let x = (0u32..).map(BigUint::from).find(|x| has(x, &root(x))).unwrap();
        let y = root(&x);
        assert!(!has(&(&x + prime), &y));
        assert!(!has(&x, &(y + prime)));
    }

    #[test]
    fn every_key_that_is_made_honestly_lies_on_ed25519() {
        use ring::signature::{Ed25519KeyPair, KeyPair};
        for seed in 0..40 {
            let pair = Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap();
            let point: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
            assert!(is_sound_ed25519_point(&point), "seed {seed}");
        }
    }

    #[test]
    fn ed25519_points_of_small_order_are_rejected() {
        let base = {
            let mut point = [0x66; 32];
            point[0] = 0x58;
            point
        };
        assert!(is_sound_ed25519_point(&base));
        let le = |number: &BigUint| {
            let mut bytes = [0; 32];
            let digits = number.to_bytes_le();
            bytes[..digits.len()].copy_from_slice(&digits);
            bytes
        };
        let prime: BigUint = (BigUint::from(1u32) << 255u32) - 19u32;
        let mut weak = vec![BigUint::ZERO, BigUint::from(1u32), &prime - 1u32, prime.clone(), &prime + 1u32];
        weak.extend(ED25519_ORDER_8.iter().map(|digits| hex(digits)));
        for y in weak {
            let mut point = le(&y);
            assert!(!is_sound_ed25519_point(&point), "{y}");
            point[31] |= 0x80;
            assert!(!is_sound_ed25519_point(&point), "{y} with the sign bit");
        }
        let off_curve =
            (2u32..).map(BigUint::from).take(40).filter(|y| !is_sound_ed25519_point(&le(y))).count();
        assert!((10..30).contains(&off_curve), "about half of all y have no x, here {off_curve} of 40");
    }

    #[test]
    fn the_order_8_constants_double_to_points_of_order_4() {
        // y of 2P is (y² + x²) / (1 − d·x²·y²) up to sign conventions; for order 8 it must be 0: y² = −x².
        let prime: BigUint = (BigUint::from(1u32) << 255u32) - 19u32;
        for digits in ED25519_ORDER_8 {
            let square = hex(digits).pow(2) % &prime;
            let numerator = (&square + &prime - 1u32) % &prime;
            let denominator = (hex(ED25519_D) * &square + 1u32) % &prime;
            let x_square = numerator * denominator.modpow(&(&prime - 2u32), &prime) % &prime;
            assert_eq!((x_square + square) % &prime, BigUint::ZERO);
        }
    }
}
