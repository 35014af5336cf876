//! Tickets, the secret part of single-use addresses (`/l/<ticket>`). A ticket is random. The store
//! has only its hash, and data that is encrypted with a key derived from the ticket. A tag proves
//! that this service issued it, so that a guess is refused without the store.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{constant_time, digest, hmac, rand};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::seal::CryptoFailure;
use crate::secret::SharedSecret;

/// A ticket. `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Ticket {
    random: [u8; RANDOM_BYTES],
    tag: [u8; TAG_BYTES],
}

/// Issues tickets, and recognizes them.
#[derive(Clone)]
pub struct TicketKey(hmac::Key);

/// How long a ticket is valid.
pub const LIFETIME: Duration = Duration::from_secs(60);

/// The length of the random part: 192 bits, which cannot be guessed.
const RANDOM_BYTES: usize = 24;

/// The length of the tag. 64 bits are enough: an attacker who finds a valid tag still has to find a
/// stored ticket.
const TAG_BYTES: usize = 8;

/// The inputs of the key derivation: one for each purpose, so that no key has two.
const TAGS: &[u8] = b"marketplace-sso: tags of tickets";
const DATA: &[u8] = b"marketplace-sso: data of a ticket";

impl TicketKey {
    /// Derives the key from a shared secret.
    pub fn derive(secret: &SharedSecret) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_bytes());
        Self(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, TAGS).as_ref()))
    }

    /// A new ticket.
    pub fn issue(&self) -> Result<Ticket, CryptoFailure> {
        let mut random = [0; RANDOM_BYTES];
        rand::fill(&mut random).map_err(|_| CryptoFailure)?;
        Ok(Ticket { random, tag: self.tag(&random).ok_or(CryptoFailure)? })
    }

    /// Parses a ticket; `None` if it was not issued with this key.
    pub fn recognize(&self, text: &str) -> Option<Ticket> {
        let ticket = Ticket::parse(text)?;
        let tag = self.tag(&ticket.random)?;
        constant_time::verify_slices_are_equal(&tag, &ticket.tag).ok()?;
        Some(ticket)
    }

    fn tag(&self, random: &[u8; RANDOM_BYTES]) -> Option<[u8; TAG_BYTES]> {
        hmac::sign(&self.0, random).as_ref().first_chunk().copied()
    }
}

impl Ticket {
    /// Parses a ticket without checking its tag.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; RANDOM_BYTES + TAG_BYTES];
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        let (random, tag) = bytes.split_first_chunk()?;
        Some(Self { random: *random, tag: *tag.first_chunk()? }).filter(|_| length == bytes.len())
    }

    /// The ticket for a URL: 43 characters.
    pub fn expose(&self) -> String {
        URL_SAFE_NO_PAD.encode([&self.random[..], &self.tag[..]].concat())
    }

    /// The hash by which the store finds the ticket.
    pub fn hash(&self) -> Vec<u8> {
        digest::digest(&digest::SHA256, &self.random).as_ref().to_vec()
    }

    /// Encrypts the data that is stored for the ticket. Only the ticket can decrypt it.
    pub fn seal(&self, data: &[u8]) -> Result<Vec<u8>, CryptoFailure> {
        let mut sealed = data.to_vec();
        let (key, nonce) = self.data_key()?;
        key.seal_in_place_append_tag(nonce, Aad::empty(), &mut sealed).map_err(|_| CryptoFailure)?;
        Ok(sealed)
    }

    /// Decrypts what [`Self::seal`] encrypted.
    pub fn open(&self, mut sealed: Vec<u8>) -> Result<Vec<u8>, CryptoFailure> {
        let (key, nonce) = self.data_key()?;
        let data = key.open_in_place(nonce, Aad::empty(), &mut sealed).map_err(|_| CryptoFailure)?;
        Ok(data.to_vec())
    }

    /// The key that is derived from the ticket, and a nonce. Each key encrypts only once, so the
    /// nonce may be constant.
    fn data_key(&self) -> Result<(LessSafeKey, Nonce), CryptoFailure> {
        let random = hmac::Key::new(hmac::HMAC_SHA256, &self.random);
        let key = UnboundKey::new(&AES_256_GCM, hmac::sign(&random, DATA).as_ref());
        let nonce = Nonce::assume_unique_for_key([0; NONCE_LEN]);
        Ok((LessSafeKey::new(key.map_err(|_| CryptoFailure)?), nonce))
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ticket(hidden)")
    }
}

impl fmt::Debug for TicketKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TicketKey(hidden)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(secret: &str) -> TicketKey {
        TicketKey::derive(&SharedSecret::parse(secret).unwrap())
    }

    // T34
    #[test]
    fn only_an_issued_ticket_is_recognized() {
        let (own, other) = (key("0123456789abcdef0123456789abcdef"), key("0123456789ABCDEF0123456789ABCDEF"));
        let ticket = own.issue().unwrap();
        let text = ticket.expose();
        assert_eq!(text.len(), 43);
        assert_eq!(own.recognize(&text), Some(ticket.clone()));
        assert_eq!(other.recognize(&text), None);
        assert_eq!(format!("{ticket:?} {own:?}"), "Ticket(hidden) TicketKey(hidden)");
        for position in 0..text.len() {
            let mut changed = text.clone().into_bytes();
            changed[position] = if changed[position] == b'A' { b'B' } else { b'A' };
            assert_eq!(own.recognize(std::str::from_utf8(&changed).unwrap()), None, "at {position}");
        }
        for wrong in ["", "a", &text[1..], &format!("{text}="), &format!("{text}A"), &text.repeat(2)] {
            assert_eq!(own.recognize(wrong), None, "{wrong}");
        }
    }

    // T34
    #[test]
    fn only_the_ticket_opens_its_data() {
        let key = key("0123456789abcdef0123456789abcdef");
        let (ticket, other) = (key.issue().unwrap(), key.issue().unwrap());
        let sealed = ticket.seal(b"alice@example.com").unwrap();
        assert!(!sealed.windows(5).any(|part| part == b"alice"));
        assert_eq!(ticket.open(sealed.clone()).unwrap(), b"alice@example.com");
        assert_eq!(other.open(sealed), Err(CryptoFailure));
        assert_ne!(ticket.hash(), other.hash());
    }
}
