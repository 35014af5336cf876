//! The sample users, and the identity header fields that the login proxy sends for them.

use super::tier::Tier;

/// A sample user.
#[derive(Debug, PartialEq, Eq)]
pub struct Person {
    /// The user's permanent id.
    pub id: &'static str,
    /// The user's id on platforms.
    pub uuid: &'static str,
    /// The user's e-mail address.
    pub email: &'static str,
    /// The login name.
    pub username: &'static str,
    /// The full name.
    pub name: &'static str,
    /// Two letters for the avatar.
    pub initials: &'static str,
    /// The avatar's colour, 0 to 3.
    pub hue: u8,
    pub groups: &'static [&'static str],
    /// The company's plan.
    pub plan: Tier,
    /// The company's id.
    pub organization_id: &'static str,
    /// The company's name.
    pub organization_name: &'static str,
    /// The company's commercetools project.
    pub project_key: &'static str,
    /// Ids of integrations that are installed already.
    pub installed: &'static [u32],
    /// Ids of integrations hidden from this user.
    pub hidden: &'static [u32],
}

impl Person {
    /// Finds a sample user by id.
    pub fn find(id: &str) -> Option<&'static Self> {
        PEOPLE.iter().find(|person| person.id == id)
    }

    /// The header fields that identify the user, on this plan, to the service; empty ones are
    /// omitted.
    pub fn identity_headers(&self, plan: Tier) -> Vec<(&'static str, String)> {
        let all = [
            ("X-Auth-Request-User", self.id.to_owned()),
            ("X-Auth-Request-Email", self.email.to_owned()),
            ("X-Auth-Request-Preferred-Username", self.username.to_owned()),
            ("X-Auth-Request-Name", self.name.to_owned()),
            ("X-Auth-Request-Groups", self.groups.join(",")),
            ("X-Auth-Request-Plan", plan.as_str().to_owned()),
            ("X-Auth-Request-Organization-Id", self.organization_id.to_owned()),
            ("X-Auth-Request-Organization-Name", self.organization_name.to_owned()),
            ("X-Auth-Request-Installed", comma_list(self.installed)),
            ("X-Auth-Request-Hidden", comma_list(self.hidden)),
        ];
        all.into_iter().filter(|(_, value)| !value.is_empty()).collect()
    }
}

/// The users of the stand-in provider: the sample users, and one without access.
pub fn provider_users() -> impl Iterator<Item = &'static Person> {
    PEOPLE.iter().chain([&OUTSIDER])
}

fn comma_list(ids: &[u32]) -> String {
    ids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}

/// All sample users.
pub static PEOPLE: [Person; 3] = [
    Person {
        id: "usr-201",
        uuid: "3f1d6c7a-52c4-4d0e-9b0f-6a8e21f0c201",
        email: "ada@winter-pottery.example",
        username: "ada",
        name: "Ada Winter",
        initials: "AW",
        hue: 0,
        groups: &["staff"],
        plan: Tier::Free,
        organization_id: "org-17",
        organization_name: "Winter Pottery",
        project_key: "winter-pottery",
        installed: &[1121],
        hidden: &[],
    },
    Person {
        id: "usr-318",
        uuid: "b7a4e0d2-18f9-4c63-8e57-0d9c4b7a5318",
        email: "ben@okafor-cycles.example",
        username: "ben",
        name: "Ben Okafor",
        initials: "BO",
        hue: 1,
        groups: &["staff", "buyers"],
        plan: Tier::Pro,
        organization_id: "org-42",
        organization_name: "Okafor Cycles",
        project_key: "okafor-cycles",
        installed: &[1121, 1124],
        hidden: &[1129],
    },
    Person {
        id: "usr-407",
        uuid: "c95e2b18-7d3a-4f86-a1c4-5be07f92d407",
        email: "carla@mendes-trading.example",
        username: "carla",
        name: "Carla Mendes",
        initials: "CM",
        hue: 2,
        groups: &["staff", "admins"],
        plan: Tier::Enterprise,
        organization_id: "org-63",
        organization_name: "Mendes Trading Group",
        project_key: "mendes-trading",
        installed: &[1121, 1124, 1127, 1128],
        hidden: &[1123, 1126],
    },
];

/// A user of the stand-in provider whose group has no access to the marketplace.
static OUTSIDER: Person = Person {
    id: "usr-512",
    uuid: "5a0c7f46-9e21-4b7d-8c35-e4d16b902512",
    email: "dora@lindqvist-consulting.example",
    username: "dora",
    name: "Dora Lindqvist",
    initials: "DL",
    hue: 3,
    groups: &["contractors"],
    plan: Tier::Free,
    organization_id: "org-88",
    organization_name: "Lindqvist Consulting",
    project_key: "lindqvist-consulting",
    installed: &[],
    hidden: &[],
};

/// The password of all sample users; it protects nothing.
pub const PASSWORD: &str = "playground";

/// The prefix of every identity header field, in lower case.
pub const IDENTITY_PREFIX: &str = "x-auth-request-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_identity_field_has_the_prefix_and_a_value() {
        for (name, value) in PEOPLE.iter().flat_map(|person| person.identity_headers(person.plan)) {
            assert!(name.to_ascii_lowercase().starts_with(IDENTITY_PREFIX), "{name}");
            assert!(!value.is_empty(), "{name}");
        }
    }

    #[test]
    fn an_empty_list_is_omitted() {
        let ada = Person::find("usr-201").unwrap();
        assert!(ada.identity_headers(ada.plan).iter().all(|(name, _)| *name != "X-Auth-Request-Hidden"));
    }
}
