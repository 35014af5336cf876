//! TLS errors in words for whoever runs the proxy. The error's type is not
//! reachable through the HTTP client, so that its text is read.

/// What begins every error about a certificate in rustls.
const CERTIFICATE: &str = "invalid peer certificate: ";

/// What is wrong with TLS, if that is what an error says.
pub(super) fn problem(causes: &str) -> Option<String> {
    if let Some((_, problem)) = causes.split_once(CERTIFICATE) {
        return Some(certificate(problem));
    }
    if causes.contains("received corrupt message") {
        return Some("the server does not speak TLS at this port".to_owned());
    }
    let (_, alert) = causes.split_once("received fatal alert: ")?;
    Some(format!("the server ends the TLS handshake ({alert})"))
}

fn certificate(problem: &str) -> String {
    let is = |texts: [&str; 2]| texts.iter().any(|text| problem.contains(text));
    let what = if is(["UnknownIssuer", "unknown issuer"]) {
        "the certificate is signed by an authority that this machine does not trust. If the authority is your own, \
         name it with --ca-file; otherwise have the proxy send the intermediate certificates too"
    } else if is(["CaUsedAsEndEntity", "CA used as end entity"]) {
        "the certificate is that of an authority (basicConstraints CA:TRUE), which is refused from a server. Issue \
         one with CA:FALSE, and name its authority with --ca-file"
    } else if is(["NotValidForName", "not valid for name"]) {
        "the certificate is for another host name: issue one for this name"
    } else if is(["NotValidYet", "not valid yet"]) {
        "the certificate is not valid yet: renew it, or set the clocks"
    } else if is(["Expired", "certificate expired"]) {
        "the certificate has expired: renew it"
    } else if is(["Revoked", "certificate revoked"]) {
        "the certificate has been revoked: issue a new one"
    } else {
        return format!(
            "the certificate cannot be verified ({problem}); name an authority of your own with --ca-file"
        );
    };
    what.to_owned()
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
    #[case("received corrupt message of type InvalidContentType", Some("does not speak TLS"))]
    #[case("received fatal alert: HandshakeFailure", Some("HandshakeFailure"))]
    #[case("tcp connect error: Connection refused", None)]
    fn an_error_of_tls_is_said_in_words(#[case] causes: &str, #[case] words: Option<&str>) {
        let problem = problem(causes);
        assert_eq!(problem.is_some(), words.is_some(), "{problem:?}");
        assert!(problem.unwrap_or_default().contains(words.unwrap_or_default()));
    }
}
