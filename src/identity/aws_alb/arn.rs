//! A load balancer's Amazon Resource Name, and the region that it says.

/// The ARN of an application load balancer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LoadBalancer {
    arn: String,
    region: String,
}

impl LoadBalancer {
    /// Reads one; nothing, where it is another service's or malformed.
    pub fn parse(arn: &str) -> Option<Self> {
        let mut parts = arn.splitn(6, ':');
        let (prefix, partition, service) = (parts.next()?, parts.next()?, parts.next()?);
        let (region, account, resource) = (parts.next()?, parts.next()?, parts.next()?);
        let is_region = !region.is_empty()
            && region.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
        let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
        let is_one = prefix == "arn"
            && partition.starts_with("aws")
            && service == "elasticloadbalancing"
            && is_region
            && is_account
            && resource.starts_with("loadbalancer/app/");
        is_one.then(|| Self { arn: arn.to_owned(), region: region.to_owned() })
    }

    /// The whole name.
    pub fn arn(&self) -> &str {
        &self.arn
    }

    /// Where the keys of its region are.
    pub fn keys_url(&self) -> String {
        format!("https://public-keys.auth.elb.{}.amazonaws.com", self.region)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn the_region_says_where_the_keys_are() {
        let arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/app/app/50dc6c495c0c9188";
        let keys = LoadBalancer::parse(arn).map(|balancer| balancer.keys_url());
        assert_eq!(keys.as_deref(), Some("https://public-keys.auth.elb.eu-west-1.amazonaws.com"));
    }

    #[rstest]
    #[case("")]
    #[case("arn:aws:s3:::bucket")]
    #[case("arn:aws:elasticloadbalancing:eu-west-1/..:123456789012:loadbalancer/app/a/b")]
    #[case("arn:aws:elasticloadbalancing:evil.example:123456789012:loadbalancer/app/a/b")]
    #[case("arn:aws:elasticloadbalancing:eu-west-1:1:loadbalancer/app/a/b")]
    #[case("arn:aws:elasticloadbalancing:eu-west-1:123456789012:loadbalancer/net/a/b")]
    fn anything_else_is_none(#[case] text: &str) {
        assert_eq!(LoadBalancer::parse(text), None);
    }
}
