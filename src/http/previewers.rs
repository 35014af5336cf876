//! Programs that preview links in chats and mails. They send no Fetch Metadata, so they are
//! recognized by their `User-Agent`.

use crate::request::Headers;

/// A part of the `User-Agent`, in lower case.
const NAMES: [&str; 20] = [
    "bingpreview",
    "bitlybot",
    "discordbot",
    "embedly",
    "facebookcatalog",
    "facebookexternalhit",
    "google-pagerenderer",
    "googlebot",
    "iframely",
    "linkedinbot",
    "mattermost",
    "meta-externalagent",
    "pinterestbot",
    "redditbot",
    "skypeuripreview",
    "slackbot",
    "slack-imgproxy",
    "telegrambot",
    "twitterbot",
    "whatsapp",
];

/// Whether a program that previews links sends the request.
pub(super) fn is_preview(headers: &Headers<'_>) -> bool {
    headers.all("user-agent").any(|agent| {
        let agent = String::from_utf8_lossy(agent).to_ascii_lowercase();
        NAMES.iter().any(|name| agent.contains(name))
    })
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    // T34
    #[rstest]
    #[case("Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", true)]
    #[case("Mozilla/5.0 (compatible; Discordbot/2.0; +https://discordapp.com)", true)]
    #[case("facebookexternalhit/1.1 (+http://www.facebook.com/externalhit_uatext.php)", true)]
    #[case("WhatsApp/2.23.20.0", true)]
    #[case("TelegramBot (like TwitterBot)", true)]
    #[case(
        "Mozilla/5.0 (Windows NT 6.1; WOW64) SkypeUriPreview Preview/0.5 skype-url-preview@microsoft.com",
        true
    )]
    #[case("Mozilla/5.0 (X11; Linux x86_64; rv:60.0) Gecko/20100101 Firefox/60.0", false)]
    #[case("curl/8.5.0", false)]
    fn programs_that_preview_links_are_known(#[case] agent: &'static str, #[case] is_known: bool) {
        let headers = [("user-agent", agent.as_bytes())].into_iter().collect();
        assert_eq!(is_preview(&headers), is_known);
    }
}
