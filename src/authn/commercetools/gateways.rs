//! The clouds that the Merchant Center runs in, and the addresses of their
//! gateways. Read in the platform's own verifier.

/// A cloud and its gateway.
#[derive(Debug, PartialEq, Eq)]
pub struct Cloud {
    /// Its identifier, and the older one, where there is one.
    pub names: &'static [&'static str],
    /// The gateway's address, which is also `iss`.
    pub issuer: &'static str,
    /// The address that version 1 of the forwarding protocol has for it.
    pub issuer_v1: Option<&'static str>,
}

/// All of them.
pub const CLOUDS: [Cloud; 5] = [
    Cloud {
        names: &["gcp-au"],
        issuer: "https://mc-api.australia-southeast1.gcp.commercetools.com",
        issuer_v1: None,
    },
    Cloud {
        names: &["gcp-eu"],
        issuer: "https://mc-api.europe-west1.gcp.commercetools.com",
        issuer_v1: Some("https://mc-api.commercetools.com"),
    },
    Cloud {
        names: &["gcp-us"],
        issuer: "https://mc-api.us-central1.gcp.commercetools.com",
        issuer_v1: Some("https://mc-api.commercetools.co"),
    },
    Cloud {
        names: &["aws-eu", "aws-fra"],
        issuer: "https://mc-api.eu-central-1.aws.commercetools.com",
        issuer_v1: None,
    },
    Cloud {
        names: &["aws-us", "aws-ohio"],
        issuer: "https://mc-api.us-east-2.aws.commercetools.com",
        issuer_v1: None,
    },
];

impl Cloud {
    /// Whether an identifier is its.
    pub fn has_name(&self, identifier: &[u8]) -> bool {
        self.names.iter().any(|name| name.as_bytes() == identifier)
    }
}
