//! Which page caused a browser to send a request, by `Origin` and Fetch Metadata.

use crate::embed::FetchMetadata;
use crate::refusal::{Reason, Refusal};
use crate::request::Headers;

/// What a request says about the page that caused it. Old browsers and programs send fewer fields.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sender<'a> {
    /// `Origin`; empty if it is not UTF-8.
    pub origin: Option<&'a str>,
    /// `Sec-Fetch-Site`.
    pub site: Option<&'a [u8]>,
}

impl<'a> Sender<'a> {
    /// Reads the header fields.
    ///
    /// # Errors
    ///
    /// A field is repeated or invalid. Browsers never send such fields.
    pub fn read(headers: &Headers<'a>) -> Result<Self, Refusal> {
        let metadata =
            FetchMetadata::read(headers).map_err(|why| Reason::CrossSiteRequest.because(why.cause()))?;
        let origin =
            headers.only("origin").map_err(|_| Reason::CrossSiteRequest.because("Origin came twice"))?;
        let origin = origin.map(|origin| std::str::from_utf8(origin).unwrap_or_default());
        Ok(Self { origin, site: metadata.site })
    }
}
