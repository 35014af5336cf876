//! Sealing: authenticated encryption with a ring of keys, so that a key can be replaced. It
//! protects data outside of the process: cookies, and rows of the store.
//!
//! AES-256-GCM-SIV (RFC 8452) with random nonces: it stays safe if a nonce is repeated, so replicas
//! need no common counter for a key.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM_SIV, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::hmac;

use crate::secret::SharedSecret;

/// Keys for one purpose. The first key encrypts; each key decrypts. `Debug` shows only ids.
pub struct KeyRing {
    first: Key,
    others: Vec<Key>,
}

/// The id of a key in a ring. It is derived from the key and does not reveal it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyId([u8; ID_BYTES]);

/// What a ring is for. A different key is derived from the same secret for each purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// The cookie of a signed-in user.
    SessionCookie,
    /// The cookie of a sign-in that has begun.
    LoginCookie,
    /// The secret of an extension instance, in the store.
    InstanceSecret,
}

/// Why a ring cannot be created from secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadKeyRing {
    /// There is no secret.
    #[error("there is no key")]
    Empty,
    /// A secret is repeated. `place` counts from 1.
    #[error("key {place} was given before")]
    Duplicate {
        /// The place of the second.
        place: usize,
    },
    /// Two secrets whose keys have the same id by chance. `place` counts from 1.
    #[error("key {place} has the id of another key")]
    SameId {
        /// The place of the second.
        place: usize,
    },
    /// The key cannot be derived.
    #[error(transparent)]
    Crypto(#[from] CryptoFailure),
}

/// The library for cryptography reports a failure, such as of the system's source of randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the library for cryptography reports a failure")]
pub struct CryptoFailure;

/// The bytes that sealing adds: the key's id, the nonce, the tag.
pub const OVERHEAD_BYTES: usize = ID_BYTES + NONCE_LEN + TAG_BYTES;

const ID_BYTES: usize = 4;
const TAG_BYTES: usize = 16;

/// The input of the HMAC that derives a key's id.
const KEY_ID: &[u8] = b"marketplace-sso: id of a sealing key";

struct Key {
    id: KeyId,
    cipher: RandomizedNonceKey,
}

impl KeyRing {
    /// Derives the ring of these secrets for a purpose. The key of the first secret encrypts.
    ///
    /// # Errors
    ///
    /// There is no secret, a secret is repeated, or two keys have the same id.
    pub fn derive(secrets: &[SharedSecret], purpose: Purpose) -> Result<Self, BadKeyRing> {
        let mut keys: Vec<Key> = Vec::with_capacity(secrets.len());
        for (index, secret) in secrets.iter().enumerate() {
            let place = index + 1;
            let mut before = secrets.iter().take(index);
            if before.any(|other| other.expose_bytes() == secret.expose_bytes()) {
                return Err(BadKeyRing::Duplicate { place });
            }
            let key = Key::derive(secret, purpose)?;
            if keys.iter().any(|other| other.id == key.id) {
                return Err(BadKeyRing::SameId { place });
            }
            keys.push(key);
        }
        let mut keys = keys.into_iter();
        let first = keys.next().ok_or(BadKeyRing::Empty)?;
        Ok(Self { first, others: keys.collect() })
    }

    /// Encrypts and authenticates `plaintext`, and authenticates `context`, which must be the same
    /// in [`Self::open`]. Returns the key's id, the nonce, the ciphertext and the tag.
    ///
    /// # Errors
    ///
    /// The system has no random numbers.
    pub fn seal(&self, context: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, CryptoFailure> {
        let mut ciphertext = Vec::with_capacity(plaintext.len() + TAG_BYTES);
        ciphertext.extend_from_slice(plaintext);
        let nonce = self.first.cipher.seal_in_place_append_tag(Aad::from(context), &mut ciphertext);
        let nonce = nonce.map_err(|_| CryptoFailure)?;
        Ok([&self.first.id.0[..], nonce.as_ref(), &ciphertext].concat())
    }

    /// Decrypts what was sealed with this context. `None` if the ring does not have the key, the
    /// context is another one, or the data was changed.
    pub fn open(&self, context: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        self.open_in_place(context, &mut sealed.to_vec()).map(<[u8]>::to_vec)
    }

    /// Like [`Self::open`], but decrypts in place. Afterwards `sealed` cannot be opened again.
    pub fn open_in_place<'a>(&self, context: &[u8], sealed: &'a mut [u8]) -> Option<&'a [u8]> {
        let (id, rest) = sealed.split_first_chunk_mut()?;
        let (nonce, ciphertext) = rest.split_first_chunk_mut::<NONCE_LEN>()?;
        let key = self.key(KeyId(*id))?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        key.cipher.open_in_place(nonce, Aad::from(context), ciphertext).ok().map(|plaintext| &*plaintext)
    }

    /// The key that seals.
    pub fn sealing_key(&self) -> KeyId {
        self.first.id
    }

    /// Whether the ring has this key.
    pub fn has(&self, id: KeyId) -> bool {
        self.key(id).is_some()
    }

    /// The id of the key that sealed this; `None` if it is too short to be sealed.
    pub fn key_of(sealed: &[u8]) -> Option<KeyId> {
        let id = sealed.first_chunk().copied().map(KeyId);
        id.filter(|_| sealed.len() >= OVERHEAD_BYTES)
    }

    fn key(&self, id: KeyId) -> Option<&Key> {
        std::iter::once(&self.first).chain(&self.others).find(|key| key.id == id)
    }
}

impl Key {
    fn derive(secret: &SharedSecret, purpose: Purpose) -> Result<Self, CryptoFailure> {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_bytes());
        let key = hmac::sign(&secret, purpose.label());
        let cipher = RandomizedNonceKey::new(&AES_256_GCM_SIV, key.as_ref()).map_err(|_| CryptoFailure)?;
        let id = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.as_ref()), KEY_ID);
        let id = id.as_ref().first_chunk().copied().map(KeyId).ok_or(CryptoFailure)?;
        Ok(Self { id, cipher })
    }
}

impl KeyId {
    /// The id, as [`Self::as_bytes`] gave it.
    pub const fn from_bytes(bytes: [u8; ID_BYTES]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn as_bytes(&self) -> &[u8; ID_BYTES] {
        &self.0
    }
}

impl Purpose {
    /// The input of the key derivation. It must never change, since earlier sealed data could not
    /// be opened any more.
    const fn label(self) -> &'static [u8] {
        match self {
            Self::SessionCookie => b"marketplace-sso: session cookies",
            Self::LoginCookie => b"marketplace-sso: login cookies",
            Self::InstanceSecret => b"marketplace-sso: secrets of extension instances",
        }
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyId({self})")
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = std::iter::once(&self.first).chain(&self.others).map(|key| key.id);
        f.debug_tuple("KeyRing").field(&ids.collect::<Vec<_>>()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(letter: char) -> SharedSecret {
        SharedSecret::parse(&letter.to_string().repeat(32)).unwrap()
    }

    fn ring(letters: &str) -> KeyRing {
        let secrets: Vec<SharedSecret> = letters.chars().map(secret).collect();
        KeyRing::derive(&secrets, Purpose::SessionCookie).unwrap()
    }

    #[test]
    fn a_ring_opens_what_it_sealed() {
        let ring = ring("a");
        for plaintext in [&b""[..], b"alice@example.com", &[0; 4000]] {
            let sealed = ring.seal(b"context", plaintext).unwrap();
            assert_eq!(sealed.len(), plaintext.len() + OVERHEAD_BYTES);
            assert_eq!(ring.open(b"context", &sealed).as_deref(), Some(plaintext));
            assert_eq!(KeyRing::key_of(&sealed), Some(ring.sealing_key()));
        }
        let sealed = ring.seal(b"", b"alice").unwrap();
        assert!(!sealed.windows(5).any(|part| part == b"alice"));
        assert_ne!(sealed, ring.seal(b"", b"alice").unwrap(), "nonces differ");
    }

    // T38
    #[test]
    fn a_changed_or_cut_text_does_not_open() {
        let ring = ring("ab");
        let sealed = ring.seal(b"context", b"alice").unwrap();
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(ring.open(b"context", &changed), None, "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(ring.open(b"context", &sealed[..length]), None, "{length} bytes");
        }
        assert_eq!(ring.open(b"context", &[&sealed[..], b"x"].concat()), None);
        assert_eq!(KeyRing::key_of(&sealed[..OVERHEAD_BYTES - 1]), None);
    }

    // T38
    #[test]
    fn another_context_or_purpose_does_not_open() {
        let ring = ring("a");
        let sealed = ring.seal(b"context", b"alice").unwrap();
        assert_eq!(ring.open(b"contexT", &sealed), None);
        assert_eq!(ring.open(b"", &sealed), None);
        for purpose in [Purpose::LoginCookie, Purpose::InstanceSecret] {
            let other = KeyRing::derive(&[secret('a')], purpose).unwrap();
            assert_eq!(other.open(b"context", &sealed), None, "{purpose:?}");
            assert_ne!(other.sealing_key(), ring.sealing_key());
        }
    }

    #[test]
    fn the_first_key_seals_and_each_opens() {
        let (old, both, new) = (ring("a"), ring("ba"), ring("b"));
        let sealed = old.seal(b"", b"alice").unwrap();
        assert_eq!(both.open(b"", &sealed).as_deref(), Some(&b"alice"[..]));
        assert_eq!(new.open(b"", &sealed), None, "a retired key");
        let sealed = both.seal(b"", b"alice").unwrap();
        assert_eq!(new.open(b"", &sealed).as_deref(), Some(&b"alice"[..]));
        assert!(both.has(old.sealing_key()) && !new.has(old.sealing_key()));
    }

    #[test]
    fn each_invalid_list_of_secrets_has_its_own_error() {
        let derive = |letters: &str| {
            let secrets: Vec<SharedSecret> = letters.chars().map(secret).collect();
            KeyRing::derive(&secrets, Purpose::InstanceSecret).unwrap_err()
        };
        assert_eq!(derive(""), BadKeyRing::Empty);
        assert_eq!(derive("aba"), BadKeyRing::Duplicate { place: 3 });
    }

    #[test]
    fn a_ring_prints_ids_only() {
        let printed = format!("{:?}", ring("ab"));
        let ids = [ring("a"), ring("b")].map(|ring| ring.sealing_key().to_string());
        assert_eq!(printed, format!("KeyRing([KeyId({}), KeyId({})])", ids[0], ids[1]));
        assert_eq!(ids[0].len(), 8);
    }
}
