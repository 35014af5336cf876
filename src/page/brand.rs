//! The operator's name, colour and logo on the built-in pages.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

/// The operator's name, colour and logo; empty if not configured.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Brand {
    /// The name, next to a page's title.
    pub name: String,
    /// The colour of buttons.
    #[serde(flatten)]
    pub color: Option<Color>,
    /// The logo.
    pub logo: Option<Logo>,
}

/// A colour and the text colour with the better contrast on it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Color {
    color: String,
    on_color: &'static str,
}

/// An image as a `data:` URL, so that pages load no other resources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(transparent)]
pub struct Logo(String);

/// Why a logo is rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadLogo {
    /// Larger than [`Logo::MAX_BYTES`].
    #[error("it is larger than {max} bytes", max = Logo::MAX_BYTES)]
    TooLarge,
    /// Neither SVG, PNG, JPEG nor WebP.
    #[error("it is neither SVG, PNG, JPEG nor WebP")]
    UnknownKind,
}

impl Color {
    /// Parses `#rgb` or `#rrggbb`.
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('#')?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        let long: String = match digits.len() {
            3 => digits.chars().flat_map(|digit| [digit, digit]).collect(),
            6 => digits.to_ascii_lowercase(),
            _ => return None,
        };
        let channel = |at: usize| long.get(at..at + 2).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        let luminance = luminance([channel(0)?, channel(2)?, channel(4)?]);
        // contrast ratios with white and black (WCAG 2.2)
        let (with_white, with_black) = (1.05 / (luminance + 0.05), (luminance + 0.05) / 0.05);
        let on_color = if with_white >= with_black { "#ffffff" } else { "#000000" };
        Some(Self { color: format!("#{}", long.to_ascii_lowercase()), on_color })
    }
}

/// The relative luminance from 0 to 1 (WCAG 2.2).
fn luminance(channels: [u8; 3]) -> f64 {
    let linear = |channel: u8| {
        let part = f64::from(channel) / 255.0;
        if part <= 0.040_45 { part / 12.92 } else { ((part + 0.055) / 1.055).powf(2.4) }
    };
    let [red, green, blue] = channels.map(linear);
    0.2126 * red + 0.7152 * green + 0.0722 * blue
}

impl Logo {
    /// The largest image, in bytes.
    pub const MAX_BYTES: usize = 64 * 1024;

    /// Creates a logo; the image format is detected from the first bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, BadLogo> {
        if bytes.len() > Self::MAX_BYTES {
            return Err(BadLogo::TooLarge);
        }
        let is_svg = || {
            let text =
                std::str::from_utf8(bytes).unwrap_or_default().trim_start_matches('\u{feff}').trim_start();
            text.starts_with('<') && text.contains("<svg")
        };
        let kind = match bytes {
            [0x89, b'P', b'N', b'G', ..] => "png",
            [0xff, 0xd8, 0xff, ..] => "jpeg",
            [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => "webp",
            _ if is_svg() => "svg+xml",
            _ => return Err(BadLogo::UnknownKind),
        };
        Ok(Self(format!("data:image/{kind};base64,{}", STANDARD.encode(bytes))))
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("#000", "#000000", "#ffffff")]
    #[case("#FFD400", "#ffd400", "#000000")]
    #[case("#2f5bd8", "#2f5bd8", "#ffffff")]
    fn text_on_a_colour_is_readable(#[case] text: &str, #[case] color: &str, #[case] on_color: &str) {
        let read = Color::parse(text).unwrap();
        assert_eq!((read.color.as_str(), read.on_color), (color, on_color));
    }

    #[rstest]
    #[case("red")]
    #[case("#12")]
    #[case("#12345g")]
    #[case("#fff;} body{display:none")]
    fn an_invalid_colour_is_rejected(#[case] text: &str) {
        assert_eq!(Color::parse(text), None);
    }

    #[test]
    fn a_logo_is_a_small_image() {
        let svg = Logo::from_bytes(b"<?xml version=\"1.0\"?>\n<svg xmlns=\"http://www.w3.org/2000/svg\"/>")
            .unwrap();
        assert!(svg.0.starts_with("data:image/svg+xml;base64,"));
        assert_eq!(Logo::from_bytes(b"<html>"), Err(BadLogo::UnknownKind));
        assert_eq!(Logo::from_bytes(&vec![0; Logo::MAX_BYTES + 1]), Err(BadLogo::TooLarge));
    }
}
