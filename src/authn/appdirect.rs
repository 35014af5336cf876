//! AppDirect: a platform extension inside a marketplace sends the secure token
//! that the marketplace has signed for its user.
//!
//! Documented: the header `MP-Authorization: Bearer …`; `sub` is the user's UUID, `name` the e-mail
//! address, `tenant` the partner's id, and `exp` is 300 s after `iat`. Documented as absent: `iss`,
//! `aud`, `jti` and `kid`; so only the marketplace's keys and tenant bind a token to this service.
//! Not public: the JWKS URL and the algorithm, so both are configured. The page reuses a token for
//! up to 180 s, so the same token is received more than once.
//!
//! <https://developer.appdirect.com/user-guides/platform-extensions>

use super::token::{IssuerKeys, TokenAuthenticator, Vendor, key_settings, settings as token};
use crate::jwt::key_set::MissingKid;
use crate::jwt::token_type::DEFAULT_TYPES;
use crate::jwt::verify::{Audience, IssuedAt, Validation};
use crate::settings::{Reported, Section, web_origin};

/// The header that carries the token, in lower case.
pub const HEADER: &str = "mp-authorization";

/// The claim that names the marketplace's tenant.
pub const TENANT: &str = "tenant";

/// The default mapping of claims.
const USER: [(&str, &str); 3] = [("id", "sub"), ("email", "name"), ("attributes.tenant", "tenant")];

/// Reads `kind = "appdirect"`, and the marketplace's origin, which CORS allows.
pub(crate) fn read(section: &Section<'_>, https: bool) -> Result<(TokenAuthenticator, String), Reported> {
    let help = "write the marketplace's URL, such as \"https://marketplace.example.com\"";
    let marketplace = section.require("marketplace_url", help).and_then(|()| {
        section.parsed("marketplace_url", help, |text| web_origin(text, https).map(|(origin, _)| origin))
    });
    let tenant = section.nonempty_text("tenant", "write the tenant that the marketplace's tokens name");
    let algorithms = token::algorithms(section, &["RS256"]);
    if !key_settings::are_given(section) {
        let _ = section.require("jwks_url", "write the marketplace's JWKS URL; ask AppDirect for it");
    }
    let location = token::location(section, HEADER, Some("Bearer"));
    let leeway_s = token::leeway_s(section, 0);
    let mapping = token::mapping(section, &USER);
    let known_algorithms = algorithms.as_deref().map_err(|reported| *reported);
    let keys = key_settings::read(section, Ok(None), None, known_algorithms);
    let authenticator = TokenAuthenticator {
        kind: "appdirect",
        location: location?,
        keys: IssuerKeys::only(keys?),
        validation: Validation {
            algorithms: algorithms?,
            types: DEFAULT_TYPES.to_vec(),
            // tokens have no kid, although keys rotate
            missing_kid: MissingKid::EachMatchingKey,
            issuer: None,
            audience: Audience::MustBeAbsent,
            issued_at: IssuedAt::Required,
            leeway_s: leeway_s?,
            required_claims: vec![(TENANT.to_owned(), tenant?.into())],
            person_claim: None,
            subject: Some("sub"),
        },
        mapping: mapping?,
        subject_example: "id",
        vendor: Vendor::Standard,
    };
    Ok((authenticator, marketplace?))
}
