//! The chain of a writer's events: each event's hash covers its content and the hash
//! before it, keyed with a secret that the store does not hold.
//!
//! The personal part of an event enters its hash by a commitment with a random salt. It can be
//! erased together with its salt: the commitment stays, and reveals nothing about the erased
//! values.

use std::fmt;

use aws_lc_rs::hmac;
use uuid::Uuid;

use crate::secret::SharedSecret;
use crate::store::events::{Erasure, Event, Personal, StoredEvent};
use crate::store::{Anchor, Head, Writer};

/// The key of chains, and its id.
#[derive(Clone)]
pub struct ChainKey {
    key: hmac::Key,
    id: String,
}

/// The hash of an event, or of the writer before its first event.
pub(super) type Hash = Vec<u8>;

/// The version of the encoding below: a writer's `version`.
pub(super) const VERSION: i64 = 1;

/// The length of a key's id, in bytes.
const ID_BYTES: usize = 8;

impl ChainKey {
    /// The key in `audit.chain_key`.
    pub fn new(secret: &SharedSecret) -> Self {
        Self::labelled(secret, b"marketplace-sso audit.chain_key 1")
    }

    /// The key that is derived from a shared secret, if `audit.chain_key` is not set.
    pub fn derive(secret: &SharedSecret) -> Self {
        Self::labelled(secret, b"marketplace-sso audit.chain 1")
    }

    fn labelled(secret: &SharedSecret, label: &[u8]) -> Self {
        let secret = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_bytes());
        let key = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&secret, label).as_ref());
        let id = hmac::sign(&key, b"marketplace-sso audit.chain id 1");
        let id = id.as_ref().iter().take(ID_BYTES).map(|byte| format!("{byte:02x}")).collect();
        Self { key, id }
    }

    /// The id, which identifies the key and reveals nothing about it.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The hash before a writer's first event.
    pub(super) fn first_hash(&self, writer: &Writer) -> Hash {
        self.sign(Encoding::of_writer(writer))
    }

    /// An event with its hash, which follows `previous`.
    pub(super) fn seal(&self, writer: Uuid, seq: i64, previous: &[u8], event: Event) -> StoredEvent {
        let salt = new_salt();
        let commitment = commitment(&salt, &event.personal);
        let hash = self.sign(Encoding::of_event(writer, seq, previous, &event, &commitment));
        StoredEvent { writer, seq, event, salt: Some(salt), hash, erasure: None }
    }

    /// Whether an event has the hash that follows `previous`.
    pub(super) fn verifies_event(&self, previous: &[u8], stored: &StoredEvent, commitment: &[u8]) -> bool {
        let StoredEvent { writer, seq, event, hash, .. } = stored;
        self.verifies(Encoding::of_event(*writer, *seq, previous, event, commitment), hash)
    }

    /// The head of a chain, authenticated.
    pub(super) fn head(&self, writer: Uuid, seq: i64, hash: Hash) -> Head {
        let mac = self.sign(Encoding::of_position("head", writer, seq, &hash));
        Head { seq, hash, mac }
    }

    /// Whether a head is authentic.
    pub(super) fn verifies_head(&self, writer: Uuid, head: &Head) -> bool {
        self.verifies(Encoding::of_position("head", writer, head.seq, &head.hash), &head.mac)
    }

    /// The anchor where a chain continues, authenticated.
    pub(super) fn anchor(&self, writer: Uuid, through_seq: i64, hash: Hash) -> Anchor {
        let mac = self.sign(Encoding::of_position("anchor", writer, through_seq, &hash));
        Anchor { through_seq, hash, chain_key_id: self.id.clone(), mac }
    }

    /// Whether an anchor is authentic.
    pub(super) fn verifies_anchor(&self, writer: Uuid, anchor: &Anchor) -> bool {
        self.verifies(Encoding::of_position("anchor", writer, anchor.through_seq, &anchor.hash), &anchor.mac)
    }

    /// Creates the record that replaces the personal part of an event when it is erased.
    pub(super) fn erase(&self, stored: &StoredEvent) -> Erasure {
        let commitment = match (&stored.erasure, &stored.salt) {
            (Some(earlier), _) => earlier.commitment.clone(),
            (None, salt) => commitment(salt.as_deref().unwrap_or_default(), &stored.event.personal),
        };
        let mac = self.sign(Encoding::of_erasure(stored, &commitment));
        Erasure { commitment, chain_key_id: self.id.clone(), mac }
    }

    /// Whether an erasure is authentic.
    pub(super) fn verifies_erasure(&self, stored: &StoredEvent, erasure: &Erasure) -> bool {
        self.verifies(Encoding::of_erasure(stored, &erasure.commitment), &erasure.mac)
    }

    fn sign(&self, encoding: Encoding) -> Vec<u8> {
        hmac::sign(&self.key, &encoding.0).as_ref().to_vec()
    }

    /// Compares in constant time.
    fn verifies(&self, encoding: Encoding, mac: &[u8]) -> bool {
        hmac::verify(&self.key, &encoding.0, mac).is_ok()
    }
}

/// The commitment: what a hash covers in place of the personal part.
pub(super) fn commitment(salt: &[u8], personal: &Personal) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, salt);
    let Personal { subject, peer, user_agent } = personal;
    let mut encoding = Encoding::labelled("personal");
    for text in [subject, peer, user_agent] {
        encoding.text(text.as_deref());
    }
    hmac::sign(&key, &encoding.0).as_ref().to_vec()
}

/// 122 random bits. A UUID of version 4 has them from a cryptographic generator in the process; the
/// generator of aws-lc would take longer than the hashes.
fn new_salt() -> Vec<u8> {
    Uuid::new_v4().into_bytes().to_vec()
}

/// An unambiguous encoding: a label for each use, numbers in eight bytes, texts after their length,
/// and a mark for absent values.
struct Encoding(Vec<u8>);

impl Encoding {
    fn labelled(label: &str) -> Self {
        let mut encoding = Self(Vec::with_capacity(512));
        encoding.text(Some("marketplace-sso audit 1"));
        encoding.text(Some(label));
        encoding
    }

    fn of_writer(Writer { writer, host, version, chain_key_id, started_at_us }: &Writer) -> Self {
        let mut encoding = Self::labelled("writer");
        encoding.id(Some(*writer));
        encoding.text(Some(host));
        encoding.number(Some(*version));
        encoding.text(Some(chain_key_id));
        encoding.number(Some(*started_at_us));
        encoding
    }

    fn of_position(label: &str, writer: Uuid, seq: i64, hash: &[u8]) -> Self {
        let mut encoding = Self::labelled(label);
        encoding.id(Some(writer));
        encoding.number(Some(seq));
        encoding.bytes(Some(hash));
        encoding
    }

    fn of_erasure(stored: &StoredEvent, commitment: &[u8]) -> Self {
        let mut encoding = Self::of_position("erasure", stored.writer, stored.seq, &stored.hash);
        encoding.bytes(Some(commitment));
        encoding
    }

    fn of_event(writer: Uuid, seq: i64, previous: &[u8], event: &Event, commitment: &[u8]) -> Self {
        let mut encoding = Self::of_position("event", writer, seq, previous);
        // add new columns here, and increment VERSION
        let Event {
            at_us,
            outcome,
            request_id,
            entrance,
            environment,
            account,
            reason,
            detail,
            jti,
            identity_kind,
            issuer,
            key_id,
            fetch_dest,
            embed_violation,
            link,
            took_us,
            data,
            personal: _,
        } = event;
        encoding.number(Some(*at_us));
        encoding.text(Some(outcome));
        encoding.id(*request_id);
        for text in [entrance, environment, account, reason, detail] {
            encoding.text(text.as_deref());
        }
        encoding.id(*jti);
        for text in [identity_kind, issuer, key_id, fetch_dest, embed_violation, link] {
            encoding.text(text.as_deref());
        }
        encoding.number(*took_us);
        encoding.text(data.as_deref());
        encoding.bytes(Some(commitment));
        encoding
    }

    fn text(&mut self, text: Option<&str>) {
        self.bytes(text.map(str::as_bytes));
    }

    fn bytes(&mut self, bytes: Option<&[u8]>) {
        let length = bytes.map(|bytes| i64::try_from(bytes.len()).unwrap_or(i64::MAX));
        self.number(length);
        self.0.extend_from_slice(bytes.unwrap_or_default());
    }

    fn id(&mut self, id: Option<Uuid>) {
        self.bytes(id.as_ref().map(|id| id.as_bytes().as_slice()));
    }

    fn number(&mut self, number: Option<i64>) {
        self.0.push(u8::from(number.is_some()));
        self.0.extend_from_slice(&number.unwrap_or_default().to_be_bytes());
    }
}

impl fmt::Debug for ChainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ChainKey({})", self.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> SharedSecret {
        SharedSecret::parse(&text.repeat(32)).unwrap()
    }

    #[test]
    fn a_derived_key_differs_from_the_same_secret_as_a_key() {
        let secret = key("a");
        let ids = [ChainKey::new(&secret), ChainKey::derive(&secret), ChainKey::derive(&key("b"))];
        assert!(ids[0].id() != ids[1].id() && ids[1].id() != ids[2].id());
        assert_eq!(ids[1].id(), ChainKey::derive(&secret).id());
    }

    #[test]
    fn a_hash_covers_where_one_text_ends_and_the_next_begins() {
        let key = ChainKey::derive(&key("a"));
        let event = |entrance: Option<&'static str>, environment: Option<&'static str>| Event {
            entrance: entrance.map(Into::into),
            environment: environment.map(Into::into),
            ..Event::default()
        };
        let hash = |event: &Event| key.sign(Encoding::of_event(Uuid::nil(), 1, &[0; 32], event, &[0; 32]));
        let events = [
            event(Some("ab"), Some("c")),
            event(Some("a"), Some("bc")),
            event(Some("abc"), Some("")),
            event(Some("abc"), None),
            event(None, Some("abc")),
        ];
        let mut hashes: Vec<Hash> = events.iter().map(hash).collect();
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), events.len());
    }

    #[test]
    fn the_commitment_depends_on_salt_and_values() {
        let personal = Personal { subject: Some("a@example.com".into()), ..Personal::default() };
        let other = Personal { peer: Some("a@example.com".into()), ..Personal::default() };
        assert_ne!(commitment(&[1; 16], &personal), commitment(&[2; 16], &personal));
        assert_ne!(commitment(&[1; 16], &personal), commitment(&[1; 16], &other));
    }
}
