//! The data that the playground records about a request, a response and a verification.

use actix_web::HttpResponse;
use actix_web::body::{BoxBody, MessageBody};
use actix_web::http::header::HeaderMap;

use crate::clock::Timestamp;
use crate::jwt::compact::Compact;

/// An entry of the trace.
pub struct Entry {
    pub id: u64,
    pub at: Timestamp,
    /// The version of the trace in which the entry changed last.
    pub changed: u64,
    pub kind: Kind,
}

/// What an entry is about.
pub enum Kind {
    /// A request to the service.
    Exchange(Box<Exchange>),
    /// A request to the marketplace with a token that it has verified before, or that no exchange
    /// has signed. `of` is the id of the exchange that signed the token.
    Again { of: Option<u64>, visit: Visit },
    /// Many requests to the service, for which only the totals are kept.
    Load(LoadReport),
}

/// A request from the browser to the service and on to the marketplace.
pub struct Exchange {
    pub asked: Asked,
    pub forwarded: Forwarded,
    pub answered: Answered,
    /// The audit event, as the service logged it.
    pub log_line: Option<String>,
    /// `None` until the marketplace receives the request.
    pub visit: Option<Visit>,
}

/// Header fields, in their order.
pub type Fields = Vec<(String, String)>;

/// A request as the browser sent it.
pub struct Asked {
    pub method: String,
    /// Path and query.
    pub target: String,
    pub fields: Fields,
    /// Whether the page that caused the request has the app's own origin, or is unknown.
    pub is_own_page: bool,
}

/// How the login proxy changed a request.
pub struct Forwarded {
    /// The name of the user of the session.
    pub user: Option<&'static str>,
    /// Identity header fields that the client sent, which were removed.
    pub removed: Fields,
    /// Identity header fields that were added.
    pub added: Vec<(&'static str, String)>,
    /// Whether the request went to the service without the proxy.
    pub is_direct: bool,
}

/// The service's response.
pub struct Answered {
    pub status: u16,
    pub fields: Fields,
    /// The body, if it is JSON.
    pub json: Option<String>,
}

/// A request to the marketplace, and the result of verifying its token.
pub struct Visit {
    pub target: String,
    /// `Sec-Fetch-Dest`.
    pub destination: Option<String>,
    pub status: u16,
    /// What the page shows, or why the token is refused.
    pub text: String,
    /// Whether the token was valid.
    pub is_token_valid: bool,
    /// Names and values that were read from the token.
    pub facts: Vec<(&'static str, String)>,
}

/// Requests during a change of the shared secret.
#[derive(Default)]
pub struct LoadReport {
    pub requests: usize,
    pub failed: usize,
    /// Tokens that the earlier secret verifies.
    pub earlier: usize,
    /// Tokens that the new secret verifies.
    pub new: usize,
    pub took_ms: u128,
    /// The time from the change of the file to the first token signed with the new secret.
    pub switched_ms: Option<u128>,
}

impl Asked {
    /// The destination that the browser reports.
    pub fn destination(&self) -> Option<&str> {
        find(&self.fields, "sec-fetch-dest")
    }

    /// Path and query, without the `?` of an empty query.
    pub fn shown_target(&self) -> &str {
        self.target.strip_suffix('?').unwrap_or(&self.target)
    }

    /// Whether the response is for a frame in the app's own page.
    pub fn is_framed(&self) -> bool {
        self.is_own_page && self.destination() == Some("iframe")
    }
}

impl Answered {
    /// Records a response, and returns it unchanged.
    pub fn read(response: HttpResponse) -> (Self, HttpResponse) {
        let (head, body) = response.into_parts();
        let fields = fields(head.headers());
        let status = head.status().as_u16();
        let is_json = find(&fields, "content-type").is_some_and(|kind| kind.contains("json"));
        match body.try_into_bytes() {
            Ok(bytes) => {
                let json = is_json.then(|| String::from_utf8_lossy(&bytes).into_owned());
                (Self { status, fields, json }, head.set_body(BoxBody::new(bytes)))
            }
            Err(body) => (Self { status, fields, json: None }, head.set_body(body)),
        }
    }

    /// The signed URL, in the redirect or in the JSON.
    pub fn url(&self) -> Option<String> {
        let in_json = || {
            let body: serde_json::Value = serde_json::from_str(self.json.as_deref()?).ok()?;
            body.get("url")?.as_str().map(str::to_owned)
        };
        find(&self.fields, "location").map(str::to_owned).or_else(in_json)
    }

    /// The token in the signed URL.
    pub fn token(&self) -> Option<String> {
        let url = url::Url::parse(&self.url()?).ok()?;
        url.query_pairs().find(|(name, _)| name == "tenant").map(|(_, token)| token.into_owned())
    }

    /// Whether a log line names the id of this response.
    pub fn is_subject_of(&self, line: &str) -> bool {
        find(&self.fields, "x-request-id").is_some_and(|id| line.contains(id))
    }
}

impl LoadReport {
    /// Whether every request resulted in a valid token.
    pub const fn is_complete(&self) -> bool {
        self.failed == 0 && self.new > 0
    }
}

/// The header fields of a request, with the values of cookies hidden.
pub fn request_fields(headers: &HeaderMap) -> Fields {
    let value = |name: &str, value: &str| match name {
        "cookie" => value.split(';').map(without_value).collect::<Vec<_>>().join("; "),
        _ => value.to_owned(),
    };
    fields(headers).into_iter().map(|(name, sent)| (name.clone(), value(&name, &sent))).collect()
}

/// Header fields as text; bytes that are not UTF-8 are replaced.
pub fn fields(headers: &HeaderMap) -> Fields {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    headers.iter().map(|(name, value)| (name.as_str().to_owned(), text(value.as_bytes()))).collect()
}

/// The text with each token shortened.
pub fn shorten_tokens(text: &str) -> String {
    let is_part_of_token = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let mut shortened = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("eyJ") {
        let (before, token) = rest.split_at(start);
        let end = token.find(|c: char| !is_part_of_token(c)).unwrap_or(token.len());
        let (token, after) = token.split_at(end);
        shortened.push_str(before);
        if Compact::parse(token).is_ok() {
            shortened.push_str("eyJ…");
        } else {
            shortened.push_str(token);
        }
        rest = after;
    }
    shortened + rest
}

fn without_value(cookie: &str) -> String {
    cookie.split_once('=').map_or_else(|| cookie.to_owned(), |(name, _)| format!("{}=…", name.trim()))
}

fn find<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_shortened_and_nothing_else() {
        let check = |text: &str, expected: &str| assert_eq!(shorten_tokens(text), expected);
        check(
            "/playground?tenant=eyJhIjoxfQ.eyJiIjoyfQ.c2ln&display=list",
            "/playground?tenant=eyJ…&display=list",
        );
        check("\"eyJhIjoxfQ.eyJiIjoyfQ.c2ln\"", "\"eyJ…\"");
        check("eyJust a word", "eyJust a word");
        check("none", "none");
    }

    #[test]
    fn cookies_are_shown_without_their_values() {
        let mut headers = HeaderMap::new();
        headers.insert(
            actix_web::http::header::COOKIE,
            actix_web::http::header::HeaderValue::from_static("larkspur_session=1; other=2"),
        );
        assert_eq!(
            request_fields(&headers),
            [("cookie".to_owned(), "larkspur_session=…; other=…".to_owned())]
        );
    }
}
