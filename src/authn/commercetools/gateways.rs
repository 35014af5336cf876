//! The clouds of the Merchant Center and the URLs of their gateways, from the
//! source of the platform's own verifier.

/// A cloud and its gateway.
#[derive(Debug, PartialEq, Eq)]
pub struct Cloud {
    /// Its identifiers, the current one first.
    pub names: &'static [&'static str],
    /// The gateway's URL, which is also `iss`.
    pub issuer: &'static str,
    /// The URL in version 1 of the forwarding protocol, if it differs.
    pub issuer_v1: Option<&'static str>,
}

/// All clouds.
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
    /// Whether this is one of its identifiers.
    pub fn has_name(&self, identifier: &[u8]) -> bool {
        self.names.iter().any(|name| name.as_bytes() == identifier)
    }
}
