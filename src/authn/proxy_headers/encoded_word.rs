//! Encoded words (RFC 2047), which Tailscale uses for text that is not ASCII.
//! UTF-8 and ASCII only; other character sets are refused.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

/// The text with its encoded words decoded; `None` if one is malformed.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains("=?") {
        return Some(Cow::Borrowed(text));
    }
    let mut decoded = String::with_capacity(text.len());
    let mut rest = text;
    let mut after_word = false;
    while let Some((before, word)) = rest.split_once("=?") {
        // white space between two encoded words is not part of the text (6.2)
        if !(after_word && before.trim().is_empty()) {
            decoded.push_str(before);
        }
        let (charset, word) = word.split_once('?')?;
        let (encoding, word) = word.split_once('?')?;
        let (encoded, after) = word.split_once("?=")?;
        decoded.push_str(&decode_word(charset, encoding, encoded)?);
        rest = after;
        after_word = true;
    }
    decoded.push_str(rest);
    Some(Cow::Owned(decoded))
}

fn decode_word(charset: &str, encoding: &str, encoded: &str) -> Option<String> {
    if !charset.eq_ignore_ascii_case("utf-8") && !charset.eq_ignore_ascii_case("us-ascii") {
        return None;
    }
    let bytes = match encoding {
        "B" | "b" => STANDARD.decode(encoded).ok()?,
        "Q" | "q" => decode_q(encoded)?,
        _ => return None,
    };
    String::from_utf8(bytes).ok()
}

fn decode_q(encoded: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(encoded.len());
    let mut rest = encoded.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'_' => b' ',
            b'=' => {
                let digit =
                    |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(rest.next()?)? * 16 + digit(rest.next()?)?
            }
            other => other,
        });
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("Alice", Some("Alice"))]
    #[case("=?utf-8?q?Ferris_B=C3=BCller?=", Some("Ferris Büller"))]
    #[case("=?UTF-8?B?w4lsb8Ovc2U=?= Dupont", Some("Éloïse Dupont"))]
    #[case("=?utf-8?q?a?= =?utf-8?q?b?=", Some("ab"))]
    #[case("=?utf-8?q?=C3?=", None)]
    #[case("=?koi8-r?q?a?=", None)]
    #[case("=?utf-8?q?a", None)]
    #[case("=?utf-8?q?=4?=", None)]
    fn encoded_words_are_decoded(#[case] written: &str, #[case] expected: Option<&str>) {
        assert_eq!(decode(written).as_deref(), expected);
    }

    proptest! {
        #[test]
        fn decoding_any_text_does_not_panic(text in any::<String>(), inner in any::<String>()) {
            let _ = decode(&text);
            let _ = decode(&format!("=?utf-8?q?{inner}?="));
        }
    }
}
