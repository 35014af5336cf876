//! The settings of `kind = "oidc"` by which this client authenticates at the token endpoint.

use oauth2::ClientSecret;

use super::token_request::ClientAuthentication;
use crate::jwt::private_key::PrivateKey;
use crate::settings::{Reported, Section, secrets};

#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    None,
    SecretBasic,
    SecretPost,
    PrivateKey,
}

const METHODS: [(&str, Method); 4] = [
    ("none", Method::None),
    ("client_secret_basic", Method::SecretBasic),
    ("client_secret_post", Method::SecretPost),
    ("private_key_jwt", Method::PrivateKey),
];

/// Reads how the client authenticates; by default as the given credentials suggest.
pub(super) fn authentication(
    section: &Section<'_>,
    is_plain_oauth: bool,
) -> Result<ClientAuthentication, Reported> {
    let has_secret = section.has("client_secret") || section.has("client_secret_file");
    let has_key = section.has("client_key_file");
    let standard = match (has_secret, has_key) {
        (true, _) => Method::SecretBasic,
        (false, true) => Method::PrivateKey,
        (false, false) => Method::None,
    };
    let methods = if is_plain_oauth { METHODS.get(..2).unwrap_or_default() } else { METHODS.as_slice() };
    let method = section.or_default("client_authentication", standard, |section| {
        section.choice("client_authentication", methods)
    });
    let names =
        ["client_secret", "client_secret_file", "client_secret_encoding", "client_key_file", "client_key_id"];
    for name in names {
        // both settings are read, so that neither is reported as unknown
        section.value(name);
    }
    let method = method?;
    let unused = match method {
        Method::None => [has_secret.then_some("client_secret"), has_key.then_some("client_key_file")],
        Method::SecretBasic | Method::SecretPost => [None, has_key.then_some("client_key_file")],
        Method::PrivateKey => [has_secret.then_some("client_secret"), None],
    };
    if let Some(name) = unused.into_iter().flatten().next() {
        let name = if section.has(name) { name } else { "client_secret_file" };
        let help = "remove it, or set client_authentication to the method that uses it";
        return Err(section.report(name, "identity.client_authentication does not use it", help));
    }
    match method {
        Method::None => Ok(ClientAuthentication::None),
        Method::SecretBasic => client_secret(section).map(ClientAuthentication::SecretBasic),
        Method::SecretPost => client_secret(section).map(ClientAuthentication::SecretPost),
        Method::PrivateKey => {
            let id = section
                .optional("client_key_id", "write the kid of the key", |id| Ok::<_, String>(id.to_owned()));
            section.require("client_key_file", "write the path of the private key in PEM")?;
            let pem = section.bytes("client_key_file")?;
            let key = PrivateKey::from_pem(&pem, id?).map_err(|why| {
                let help = "give the private key whose public key the provider knows, in PEM";
                section.report("client_key_file", why.to_string(), help)
            })?;
            Ok(ClientAuthentication::PrivateKey(Box::new(key)))
        }
    }
}

fn client_secret(section: &Section<'_>) -> Result<ClientSecret, Reported> {
    const HELP: &str = "give the client's secret at the provider";
    let (name, secret) = secrets::read(section, "client_secret", 1, HELP)?;
    let text = String::from_utf8(secret.expose_bytes().to_vec());
    text.map(ClientSecret::new).map_err(|_| section.report(&name, "it is not text", HELP))
}
