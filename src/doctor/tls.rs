//! Explains TLS errors to the operator. The HTTP client does not expose rustls's
//! error type, so the error's text is parsed.

/// The prefix of every certificate error of rustls.
const CERTIFICATE_ERROR: &str = "invalid peer certificate: ";

/// The explanation of an error's causes; `None` if TLS is not among them.
pub(super) fn explain(causes: &str) -> Option<String> {
    if let Some((_, problem)) = causes.split_once(CERTIFICATE_ERROR) {
        return Some(explain_certificate(problem));
    }
    if causes.contains("received corrupt message") {
        return Some("the server does not use TLS at this port".to_owned());
    }
    let (_, alert) = causes.split_once("received fatal alert: ")?;
    Some(format!("the server ends the TLS handshake ({alert})"))
}

fn explain_certificate(problem: &str) -> String {
    let is = |texts: [&str; 2]| texts.iter().any(|text| problem.contains(text));
    let message = if is(["UnknownIssuer", "unknown issuer"]) {
        "the certificate is signed by an authority that this machine does not trust. If the authority is your own, \
         name it with --ca-file; otherwise have the proxy send the intermediate certificates too"
    } else if is(["CaUsedAsEndEntity", "CA used as end entity"]) {
        "the certificate is an authority's (basicConstraints CA:TRUE), which is rejected as a server's. Issue \
         one with CA:FALSE, and name its authority with --ca-file"
    } else if is(["NotValidForName", "not valid for name"]) {
        "the certificate is for another host name: issue one for this name"
    } else if is(["NotValidYet", "not valid yet"]) {
        "the certificate is not valid yet: renew it, or correct the clocks"
    } else if is(["Expired", "certificate expired"]) {
        "the certificate has expired: renew it"
    } else if is(["Revoked", "certificate revoked"]) {
        "the certificate has been revoked: issue a new one"
    } else {
        return format!(
            "the certificate cannot be verified ({problem}); name an authority of your own with --ca-file"
        );
    };
    message.to_owned()
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
        let explanation = explain(causes);
        assert_eq!(explanation.is_some(), expected.is_some(), "{explanation:?}");
        assert!(explanation.unwrap_or_default().contains(expected.unwrap_or_default()));
    }
}
