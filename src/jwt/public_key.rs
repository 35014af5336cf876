//! Builds public keys from their components and rejects keys with which no
//! signature, or any signature, would verify.

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, EcdsaVerificationAlgorithm, ParsedPublicKey,
};
use jsonwebtoken::DecodingKey;
use num_bigint::BigUint;

/// Why a key is rejected. Never quotes the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKey {
    /// Too weak (RFC 7518, 3.3).
    #[error("its RSA modulus has fewer than {MIN_MODULUS_BITS} bits")]
    ShortModulus,
    /// Above the limit of aws-lc.
    #[error("its RSA modulus has more than {MAX_MODULUS_BITS} bits")]
    LongModulus,
    /// Even, so not the product of two large primes.
    #[error("its RSA modulus is even")]
    EvenModulus,
    /// An exponent with which no signature, or any signature, would verify.
    #[error("its RSA exponent is 1 or even, or has more than {MAX_EXPONENT_BITS} bits")]
    Exponent,
    /// The coordinates are not a point of the curve.
    #[error("its point is not on its curve")]
    OffCurve,
    /// A point with which signatures can be forged.
    #[error("its point is of small order")]
    SmallOrder,
    /// The y-coordinate is not below the field's prime (RFC 8032, 5.1.3).
    #[error("its coordinate is not in canonical form")]
    NotCanonical,
}

/// A curve for ECDSA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Curve {
    P256,
    P384,
}

/// The limits of aws-lc's `RSA_PKCS1_2048_8192_…`.
const MIN_MODULUS_BITS: usize = 2048;
const MAX_MODULUS_BITS: usize = 8192;
const MAX_EXPONENT_BITS: usize = 33;

/// The prefix of an uncompressed point (SEC 1, 2.3.3).
const UNCOMPRESSED: u8 = 4;

impl Curve {
    /// The length of a coordinate, in bytes.
    pub const fn coordinate_bytes(self) -> usize {
        match self {
            Self::P256 => 32,
            Self::P384 => 48,
        }
    }

    fn algorithm(self) -> &'static EcdsaVerificationAlgorithm {
        match self {
            Self::P256 => &ECDSA_P256_SHA256_FIXED,
            Self::P384 => &ECDSA_P384_SHA384_FIXED,
        }
    }
}

/// An RSA key. Leading zero bytes, which some libraries write contrary to
/// RFC 7518, 6.3.1.1, are ignored.
pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<DecodingKey, BadKey> {
    let (modulus, exponent) = (without_zeros(modulus), without_zeros(exponent));
    let is_even = |number: &[u8]| number.last().is_none_or(|byte| byte % 2 == 0);
    match bits(modulus) {
        ..MIN_MODULUS_BITS => return Err(BadKey::ShortModulus),
        MIN_MODULUS_BITS..=MAX_MODULUS_BITS => {}
        _ => return Err(BadKey::LongModulus),
    }
    if is_even(modulus) {
        return Err(BadKey::EvenModulus);
    }
    if is_even(exponent) || !(2..=MAX_EXPONENT_BITS).contains(&bits(exponent)) {
        return Err(BadKey::Exponent);
    }
    Ok(DecodingKey::from_rsa_raw_components(modulus, exponent))
}

/// An RSA key in PKCS #1 (RFC 8017, A.1.1); `None` if it is malformed.
pub(super) fn rsa_from_der(der: &[u8]) -> Option<Result<DecodingKey, BadKey>> {
    let (sequence, []) = element(0x30, der)? else { return None };
    let (modulus, rest) = element(0x02, sequence)?;
    let (exponent, []) = element(0x02, rest)? else { return None };
    // a DER integer whose first bit is set is negative
    let is_positive = |number: &[u8]| number.first().is_some_and(|byte| *byte < 0x80);
    (is_positive(modulus) && is_positive(exponent)).then(|| rsa(modulus, exponent))
}

/// An ECDSA key from its point's coordinates, each of full length.
pub(super) fn ec(curve: Curve, x: &[u8], y: &[u8]) -> Result<DecodingKey, BadKey> {
    ec_point(curve, &[&[UNCOMPRESSED], x, y].concat())
}

/// An ECDSA key from its point, encoded as in SEC 1.
pub(super) fn ec_point(curve: Curve, point: &[u8]) -> Result<DecodingKey, BadKey> {
    ParsedPublicKey::new(curve.algorithm(), point).map_err(|_| BadKey::OffCurve)?;
    Ok(DecodingKey::from_ec_der(point))
}

/// An Ed25519 key (RFC 8032, 5.1.3). aws-lc accepts any 32 bytes, but with a point
/// of small order signatures can be forged without a private key.
pub(super) fn ed25519(key: &[u8; 32]) -> Result<DecodingKey, BadKey> {
    let p = (BigUint::from(1_u8) << 255_u8) - 19_u8;
    let mut bytes = *key;
    if let Some(last) = bytes.last_mut() {
        // the sign of x
        *last &= 0x7f;
    }
    let y = BigUint::from_bytes_le(&bytes);
    if y >= p {
        return Err(BadKey::NotCanonical);
    }
    let inverse = BigUint::from(121_666_u32).modpow(&(&p - 2_u8), &p);
    let d = (&p - 121_665_u32) * inverse % &p;
    let y2 = &y * &y % &p;
    let dy2 = d * &y2 % &p;
    // x² is (y² - 1) / (dy² + 1), which is a square if the product of numerator and denominator is
    // one
    let product = (&y2 + &p - 1_u8) * (&dy2 + 1_u8) % &p;
    if product != BigUint::ZERO && product.modpow(&(&p >> 1_u8), &p) != BigUint::from(1_u8) {
        return Err(BadKey::OffCurve);
    }
    // x = 0 has order 1 or 2, y = 0 order 4, and x² = -y² order 8
    let is_order_8 = (dy2 * &y2 + &y2 + &y2) % &p == BigUint::from(1_u8);
    if product == BigUint::ZERO || y == BigUint::ZERO || is_order_8 {
        return Err(BadKey::SmallOrder);
    }
    Ok(DecodingKey::from_ed_der(key))
}

fn without_zeros(number: &[u8]) -> &[u8] {
    let zeros = number.iter().take_while(|byte| **byte == 0).count();
    number.split_at_checked(zeros).map_or(number, |(_, rest)| rest)
}

/// The bit length of a number without leading zero bytes.
fn bits(number: &[u8]) -> usize {
    let unused = number.first().map_or(0, |byte| byte.leading_zeros());
    (number.len() * 8).saturating_sub(usize::try_from(unused).unwrap_or_default())
}

/// The content of a DER element with this tag, and the remaining bytes.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let ([found, first], rest) = der.split_first_chunk::<2>()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x83 => {
            let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
        }
        _ => return None,
    };
    if *found == tag { rest.split_at_checked(length) } else { None }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
        KeyPair,
    };
    use rstest::rstest;

    use super::*;

    /// An odd number of `bits` bits.
    fn number(bits: usize) -> Vec<u8> {
        let mut bytes = vec![0xff; bits.div_ceil(8)];
        bytes[0] >>= bytes.len() * 8 - bits;
        bytes
    }

    const F4: &[u8] = &[1, 0, 1];

    #[rstest]
    #[case(2048, None)]
    #[case(2049, None)]
    #[case(8192, None)]
    #[case(1024, Some(BadKey::ShortModulus))]
    #[case(1952, Some(BadKey::ShortModulus))]
    #[case(2047, Some(BadKey::ShortModulus))]
    #[case(8193, Some(BadKey::LongModulus))]
    fn the_size_of_an_rsa_key_is_its_modulus_bit_length(#[case] bits: usize, #[case] why: Option<BadKey>) {
        let modulus = number(bits);
        assert_eq!(rsa(&modulus, F4).err(), why);
        // leading zero bytes are ignored
        let padded = [&[0; 3], modulus.as_slice()].concat();
        assert_eq!(rsa(&padded, &[&[0], F4].concat()).err(), why);
    }

    #[rstest]
    #[case::three(&[3], None)]
    #[case::of_33_bits(&[1, 0, 0, 0, 1], None)]
    #[case::nothing(&[], Some(BadKey::Exponent))]
    #[case::zero(&[0], Some(BadKey::Exponent))]
    #[case::one(&[1], Some(BadKey::Exponent))]
    #[case::two(&[2], Some(BadKey::Exponent))]
    #[case::even(&[1, 0, 0], Some(BadKey::Exponent))]
    #[case::long(&[2, 0, 0, 0, 1], Some(BadKey::Exponent))]
    fn an_rsa_exponent_is_odd_and_more_than_one(#[case] exponent: &[u8], #[case] why: Option<BadKey>) {
        assert_eq!(rsa(&number(2048), exponent).err(), why);
    }

    #[test]
    fn an_even_modulus_is_rejected() {
        let mut modulus = number(2048);
        *modulus.last_mut().unwrap() = 0xfe;
        assert_eq!(rsa(&modulus, F4).err(), Some(BadKey::EvenModulus));
    }

    #[test]
    fn a_point_off_its_curve_is_rejected() {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let point = pair.public_key().as_ref();
        assert!(ec_point(Curve::P256, point).is_ok());
        let (x, y) = point[1..].split_at(32);
        assert!(ec(Curve::P256, x, y).is_ok());
        assert_eq!(ec(Curve::P256, y, x).err(), Some(BadKey::OffCurve));
        assert_eq!(ec(Curve::P256, &[0; 32], &[0; 32]).err(), Some(BadKey::OffCurve));
        let other = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
        assert!(ec_point(Curve::P384, other.public_key().as_ref()).is_ok());
        assert_eq!(ec_point(Curve::P256, other.public_key().as_ref()).err(), Some(BadKey::OffCurve));
    }

    #[test]
    fn every_generated_ed25519_key_is_accepted() {
        for _ in 0..20 {
            let pair = Ed25519KeyPair::generate().unwrap();
            let key: [u8; 32] = pair.public_key().as_ref().try_into().unwrap();
            assert!(ed25519(&key).is_ok(), "{key:02x?}");
        }
    }

    /// The points of small order from "Taming the many EdDSAs" (2020, table 6), and
    /// invalid encodings; each with both signs of x.
    #[rstest]
    #[case::order_1("0100000000000000000000000000000000000000000000000000000000000000", BadKey::SmallOrder)]
    #[case::order_2("ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", BadKey::SmallOrder)]
    #[case::order_4("0000000000000000000000000000000000000000000000000000000000000000", BadKey::SmallOrder)]
    #[case::order_8("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05", BadKey::SmallOrder)]
    #[case::order_8_too(
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        BadKey::SmallOrder
    )]
    #[case::p("edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", BadKey::NotCanonical)]
    #[case::p_and_1("eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f", BadKey::NotCanonical)]
    #[case::off_the_curve(
        "0200000000000000000000000000000000000000000000000000000000000000",
        BadKey::OffCurve
    )]
    fn an_unsafe_ed25519_point_is_rejected(#[case] hex: &str, #[case] why: BadKey) {
        let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        let mut key: [u8; 32] = std::array::from_fn(byte);
        for _ in 0..2 {
            assert_eq!(ed25519(&key).err(), Some(why));
            key[31] ^= 0x80;
        }
    }

    #[rstest]
    #[case::another_tag(&[0x31, 0x00])]
    #[case::truncated(&[0x30, 0x05, 0x02, 0x01, 0x03])]
    #[case::trailing_bytes(&[0x30, 0x06, 0x02, 0x01, 0x03, 0x02, 0x01, 0x03, 0x00])]
    #[case::negative(&[0x30, 0x06, 0x02, 0x01, 0x83, 0x02, 0x01, 0x03])]
    #[case::one_number(&[0x30, 0x03, 0x02, 0x01, 0x03])]
    #[case::no_end(&[0x30, 0x80, 0x02, 0x01, 0x03])]
    #[case::nothing(&[])]
    fn malformed_pkcs_1_is_rejected(#[case] der: &[u8]) {
        assert!(rsa_from_der(der).is_none());
    }
}
