//! The query with which mittwald opens an extension in a browser, by the template
//! `?atrek=:accessTokenRetrievalKey&userId=:userId&instanceId=:extensionInstanceId`.

use url::form_urlencoded;
use uuid::Uuid;

use super::values::RetrievalKey;
use crate::refusal::{Reason, Refusal};

/// Which user opens which instance, as the query says; nothing of it is verified.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub key: RetrievalKey,
    pub user: Uuid,
    pub instance: Uuid,
}

/// The parameters.
const PARAMETERS: [&str; 3] = ["atrek", "userId", "instanceId"];

impl Opening {
    /// Reads the parameters; `None` without any of them.
    pub fn parse(query: &str) -> Result<Option<Self>, Refusal> {
        let mut values: [Option<String>; PARAMETERS.len()] = Default::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let known = PARAMETERS.iter().zip(&mut values).find(|(known, _)| **known == name);
            let Some((name, place)) = known else { continue };
            if place.replace(value.into_owned()).is_some() {
                return Err(Reason::AmbiguousIdentity.because(format!("the query has {name} twice")));
            }
        }
        if values.iter().all(Option::is_none) {
            return Ok(None);
        }
        for (name, value) in PARAMETERS.iter().zip(&values) {
            match value.as_deref() {
                None | Some("") => return Err(bad(format!("the query has no {name}"))),
                Some(value) if value.starts_with(':') => {
                    return Err(bad(format!(
                        "the query has a placeholder as {name}: mittwald did not replace the template of the \
                         extension's URL; compare it with docs/platforms.md"
                    )));
                }
                Some(_) => {}
            }
        }
        let [key, user, instance] = values.map(Option::unwrap_or_default);
        let id = |name: &str, text: &str| {
            Uuid::try_parse(text).map_err(|_| bad(format!("{name} in the query is not a UUID")))
        };
        Ok(Some(Self {
            key: RetrievalKey::parse(key).map_err(|why| bad(format!("atrek in the query: {why}")))?,
            user: id("userId", &user)?,
            instance: id("instanceId", &instance)?,
        }))
    }

    /// The query without these parameters: what is left is about the link.
    pub fn without(query: &str) -> String {
        let is_other = |pair: &&str| {
            let name = form_urlencoded::parse(pair.as_bytes()).next().map(|(name, _)| name);
            !name.is_some_and(|name| PARAMETERS.contains(&&*name))
        };
        query.split('&').filter(is_other).collect::<Vec<_>>().join("&")
    }
}

fn bad(cause: String) -> Refusal {
    Reason::BadLink.because(cause)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const ID: &str = "018f2c4e-0000-7000-8000-000000000001";

    // T45
    #[rstest]
    #[case("", None)]
    #[case("display=list", None)]
    #[case("atrek=k&userId=ID&instanceId=ID&atrek=l", Some(Reason::AmbiguousIdentity))]
    #[case("atrek=k&userId=:userId&instanceId=ID", Some(Reason::BadLink))]
    #[case("atrek=:accessTokenRetrievalKey&userId=ID&instanceId=ID", Some(Reason::BadLink))]
    #[case("atrek=k&userId=../self&instanceId=ID", Some(Reason::BadLink))]
    #[case("atrek=k&userId=ID", Some(Reason::BadLink))]
    #[case("atrek=&userId=ID&instanceId=ID", Some(Reason::BadLink))]
    #[case("atrek=a%20b&userId=ID&instanceId=ID", Some(Reason::BadLink))]
    fn an_incomplete_opening_is_refused(#[case] query: &str, #[case] reason: Option<Reason>) {
        let parsed = Opening::parse(&query.replace("ID", ID));
        assert_eq!(parsed.err().map(|refusal| refusal.reason), reason);
    }

    #[test]
    fn the_rest_of_the_query_is_the_link() {
        let query = format!("atrek=k&display=list&userId={ID}&instance%49d={ID}&integration_id=1");
        assert_eq!(Opening::without(&query), "display=list&integration_id=1");
        assert!(Opening::parse(&query).unwrap().is_some());
    }
}
