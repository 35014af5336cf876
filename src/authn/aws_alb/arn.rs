//! A load balancer's Amazon Resource Name and its region.

/// The ARN of an application load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    arn: String,
    /// The base URL of its region's keys, which AWS documents for partition `aws`
    /// only.
    keys_url: Option<String>,
}

impl LoadBalancer {
    /// Parses an ARN; `None` if it is malformed or names another AWS service.
    pub fn parse(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let (prefix, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        let is_region = !region.is_empty()
            && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let is_valid = prefix == "arn"
            && partition.starts_with("aws")
            && service == "elasticloadbalancing"
            && is_region
            && is_account
            && resource.starts_with("loadbalancer/app/");
        let keys_url =
            (partition == "aws").then(|| format!("https://public-keys.auth.elb.{region}.amazonaws.com"));
        is_valid.then(|| Self { arn: arn.to_owned(), keys_url })
    }

    /// The ARN.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// The base URL of its region's keys; `None` if AWS does not document one.
    pub fn keys_url(&self) -> Option<&str> {
        self.keys_url.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_region_determines_the_keys_url() {
        let arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/app/50dc6c495c0c9188";
        let keys = |arn: &str| LoadBalancer::parse(arn).unwrap().keys_url().map(str::to_owned);
        assert_eq!(keys(arn).as_deref(), Some("https://public-keys.auth.elb.eu-west-1.amazonaws.com"));
        assert_eq!(keys(&arn.replace("arn:aws:", "arn:aws-us-gov:")), None);
    }

    #[rstest]
    #[case("")]
    #[case("arn:aws:s3:::bucket")]
    #[case("arn:aws:elasticloadbalancing:eu-west-1/..:123456789012:loadbalancer/app/a/b")]
    #[case("arn:aws:elasticloadbalancing:evil.example:123456789012:loadbalancer/app/a/b")]
    #[case("arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/a/b")]
    #[case("arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/a/b")]
    fn other_arns_are_rejected(#[case] text: &str) {
        assert_eq!(LoadBalancer::parse(text), None);
    }
}
