//! The section `[embed]`.

use url::Url;

use crate::embed::{Embed, EmbedPolicy, MissingReferer, Parent, Parents, WithoutFetchMetadata};
use crate::settings::{Reported, Section};

pub(super) fn read(section: &Section<'_>, https: bool) -> Result<Embed, Reported> {
    let origins = |name: &str| {
        section.all_parsed(name, "write origins, such as \"https://app.example.com\"", |text| {
            let parent = Parent::parse(text).map_err(|why| why.to_string())?;
            if https && !parent.is_https_or_local() {
                return Err("it is not https; production needs that".to_owned());
            }
            Ok(parent)
        })
    };
    let (parents, cors_origins) = (origins("parents"), origins("cors_origins"));
    for (name, origins) in [("parents", &parents), ("cors_origins", &cors_origins)] {
        for parent in origins.iter().flatten().filter(|parent| spans_a_public_suffix(parent)) {
            let what = format!("{parent} spans a public suffix: anyone can register a host there");
            section.warn(name, what, "name the hosts that are yours");
        }
    }
    let policy = section.choice(
        "policy",
        &[("enforce", EmbedPolicy::Enforce), ("report", EmbedPolicy::Report), ("off", EmbedPolicy::Off)],
    );
    let without_fetch_metadata = section.choice(
        "without_fetch_metadata",
        &[("allow", WithoutFetchMetadata::Allow), ("refuse", WithoutFetchMetadata::Refuse)],
    );
    let missing_referer = section.choice(
        "missing_referer",
        &[
            ("refuse", MissingReferer::Refuse),
            ("same-site", MissingReferer::SameSite),
            ("allow", MissingReferer::Allow),
        ],
    );
    let login_url = section.optional(
        "login_url",
        "write the login page, such as \"https://app.example.com/login\"",
        |text| {
            let url = Url::parse(text).map_err(|error| error.to_string())?;
            match url.scheme() {
                "https" => Ok(url.to_string()),
                "http" if !https => Ok(url.to_string()),
                "http" => Err("it is not https; production needs that".to_owned()),
                _ => Err("its scheme is not https".to_owned()),
            }
        },
    );
    section.finish();
    Ok(Embed {
        parents: Parents::new(parents?),
        scripts: Parents::new(cors_origins?),
        policy: policy?,
        without_fetch_metadata: without_fetch_metadata?,
        missing_referer: missing_referer?,
        login_url: login_url?,
    })
}

/// Whether a pattern allows every host below a public suffix
/// (<https://publicsuffix.org>), such as `https://*.github.io`.
fn spans_a_public_suffix(parent: &Parent) -> bool {
    let Parent::Subdomains { suffix, .. } = parent else { return false };
    let host = suffix.trim_start_matches('.');
    let host = host.split_once(':').map_or(host, |(host, _port)| host);
    psl::suffix(host.as_bytes()).is_some_and(|found| found.is_known() && found == host)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("https://*.github.io", true)]
    #[case("https://*.github.io:8443", true)]
    #[case("https://*.GitHub.io", true)]
    #[case("https://*.co.uk", true)]
    #[case("https://*.acme.github.io", false)]
    #[case("https://*.example.com", false)]
    #[case("https://*.corp.internal", false)]
    #[case("https://github.io", false)]
    fn a_wildcard_below_a_public_suffix_is_detected(#[case] parent: &str, #[case] is_public: bool) {
        assert_eq!(spans_a_public_suffix(&Parent::parse(parent).unwrap()), is_public);
    }
}
