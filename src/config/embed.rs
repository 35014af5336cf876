//! The section `[embed]`.

use url::Url;

use super::section::Section;
use crate::embed::{Embed, Parent, Parents, Policy, UnknownParent, WithoutFetchMetadata};

pub(super) fn read(section: &Section<'_>, https: bool) -> Option<Embed> {
    let origins = |name: &str| {
        section.all_parsed(name, "write origins, such as \"https://app.example.com\"", |text| {
            let parent = Parent::parse(text).map_err(|why| why.to_string())?;
            if https && !parent.is_https_or_local() {
                return Err("it is not https; production needs that".to_owned());
            }
            Ok(parent)
        })
    };
    let (parents, scripts) = (origins("parents"), origins("script_origins"));
    let policy = section
        .choice("policy", &[("enforce", Policy::Enforce), ("report", Policy::Report), ("off", Policy::Off)]);
    let without_fetch_metadata = section.choice(
        "without_fetch_metadata",
        &[("allow", WithoutFetchMetadata::Allow), ("refuse", WithoutFetchMetadata::Refuse)],
    );
    let unknown_parent = section.choice(
        "unknown_parent",
        &[
            ("refuse", UnknownParent::Refuse),
            ("same-site", UnknownParent::SameSite),
            ("allow", UnknownParent::Allow),
        ],
    );
    let login_url = section.optional(
        "login_url",
        "write where people sign in, such as \"https://app.example.com/login\"",
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
    Some(Embed {
        parents: Parents::new(parents?),
        scripts: Parents::new(scripts?),
        policy: policy?,
        without_fetch_metadata: without_fetch_metadata?,
        unknown_parent: unknown_parent?,
        login_url,
    })
}
