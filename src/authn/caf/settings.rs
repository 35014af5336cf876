//! The section `[identity]` with `kind = "caf"`.

use jsonwebtoken::Algorithm;

use super::{POLICY, USER};
use crate::authn::token::{IssuerKeys, TokenAuthenticator, Vendor, key_settings, settings as token};
use crate::jwt::jwks::KeySource;
use crate::jwt::key_set::MissingKid;
use crate::jwt::token_type::DEFAULT_TYPES;
use crate::jwt::verify::{Audience, IssuedAt, Validation};
use crate::settings::{Reported, Section};

pub(crate) fn read(section: &Section<'_>) -> Result<TokenAuthenticator, Reported> {
    let policy = section.nonempty_text("policy_id", "write the id of the policy that attests your users");
    let secret = key_settings::shared_secret(section, "client_secret", &[Algorithm::HS256]);
    let location = token::location(section, "authorization", Some("Bearer"));
    let leeway_s = token::leeway_s(section, 0);
    let user = section.section("user");
    if user.has("id") {
        user.report("id", "it is always the person's id in CAF", "remove it");
    }
    let mapping = token::mapping(section, &USER);
    let (_, secret) = secret?;
    Ok(TokenAuthenticator {
        kind: "caf",
        location: location?,
        keys: IssuerKeys::only(KeySource::Static(secret)),
        validation: Validation {
            algorithms: vec![Algorithm::HS256],
            types: DEFAULT_TYPES.to_vec(),
            missing_kid: MissingKid::OnlyKey,
            issuer: None,
            audience: Audience::MustBeAbsent,
            issued_at: IssuedAt::Required,
            leeway_s: leeway_s?,
            required_claims: vec![(POLICY.to_owned(), policy?.into())],
            person_claim: None,
            // the id is in either of two claims, which the vendor reads
            subject: None,
        },
        mapping: mapping?,
        subject_example: "id",
        vendor: Vendor::Caf,
    })
}
