//! Explains TLS errors to the operator. The HTTP client does not expose rustls's
//! error type, so the error's text is parsed.

/// The prefix of every certificate error of rustls.
const CERTIFICATE_ERROR: &str = "invalid peer certificate: ";

/// Why TLS failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TlsError {
    /// The cause, and what to do about it.
    pub message: String,
    /// Whether the certificate is that of an authority, so that one for the server has to be
    /// issued.
    pub is_of_authority: bool,
}

/// Explains an error by the text of its causes; `None` if none of them is about TLS.
pub(super) fn explain(causes: &str) -> Option<TlsError> {
    if let Some((_, problem)) = causes.split_once(CERTIFICATE_ERROR) {
        return Some(explain_certificate(problem));
    }
    if causes.contains("received corrupt message") {
        return Some(TlsError::new("the server does not use TLS at this port"));
    }
    let (_, alert) = causes.split_once("received fatal alert: ")?;
    Some(TlsError::new(format!("the server ends the TLS handshake ({alert})")))
}

impl TlsError {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_of_authority: false }
    }
}

fn explain_certificate(problem: &str) -> TlsError {
    let is = |texts: [&str; 2]| texts.iter().any(|text| problem.contains(text));
    let message = if is(["UnknownIssuer", "unknown issuer"]) {
        "the certificate is signed by an authority that this machine does not trust. If the authority is your own, \
         name it with --ca-file; otherwise have the proxy send the intermediate certificates too"
    } else if is(["CaUsedAsEndEntity", "CA used as end entity"]) {
        let message = "the certificate is an authority's (basicConstraints CA:TRUE), which is rejected as a server's. Issue \
                       one with CA:FALSE, as by the command below, and name cert.pem with --ca-file";
        return TlsError { message: message.to_owned(), is_of_authority: true };
    } else if is(["NotValidForName", "not valid for name"]) {
        "the certificate is for another host name: issue one for this name"
    } else if is(["NotValidYet", "not valid yet"]) {
        "the certificate is not valid yet: renew it, or correct the clocks"
    } else if is(["Expired", "certificate expired"]) {
        "the certificate has expired: renew it"
    } else if is(["Revoked", "certificate revoked"]) {
        "the certificate has been revoked: issue a new one"
    } else {
        return TlsError::new(format!(
            "the certificate cannot be verified ({problem}); name your own authority with --ca-file"
        ));
    };
    TlsError::new(message)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("connect: invalid peer certificate: UnknownIssuer", Some("--ca-file"))]
    #[case("connect: invalid peer certificate: Other(OtherError(CaUsedAsEndEntity))", Some("CA:FALSE"))]
    #[case(
        "invalid peer certificate: certificate not valid for name \"a.example\"; certificate is only valid for …",
        Some("another host name")
    )]
    #[case(
        "invalid peer certificate: certificate expired: verification time 1 (UNIX), but …",
        Some("has expired")
    )]
    #[case("invalid peer certificate: BadEncoding", Some("BadEncoding"))]
    #[case("received corrupt message of type InvalidContentType", Some("does not use TLS"))]
    #[case("received fatal alert: HandshakeFailure", Some("HandshakeFailure"))]
    #[case("tcp connect error: Connection refused", None)]
    fn tls_errors_are_explained(#[case] causes: &str, #[case] expected: Option<&str>) {
        let explanation = explain(causes).map(|error| error.message);
        assert_eq!(explanation.is_some(), expected.is_some(), "{explanation:?}");
        assert!(explanation.unwrap_or_default().contains(expected.unwrap_or_default()));
    }
}
