//! The sample integrations, and their state for a user: a pure function of the
//! token's claims. Pages and HTTP are elsewhere.

use std::collections::BTreeSet;

use super::tier::Tier;
use super::token_rules::ParsedClaims;

/// An integration that can be installed.
#[derive(Debug, PartialEq, Eq)]
pub struct Integration {
    /// The id in links and tokens.
    pub id: u32,
    pub name: &'static str,
    pub category: &'static str,
    /// A sentence about what it does.
    pub summary: &'static str,
    /// The name of the icon in `icons.html`.
    pub icon: &'static str,
    /// The lowest plan that includes it.
    pub tier: Tier,
}

/// The state of an integration for a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum InstallState {
    Installed,
    /// It may be installed.
    Available,
    /// The plan includes it, but the install limit is reached.
    Full,
    /// It requires a higher plan.
    Locked,
}

/// The integrations of one user.
#[derive(Debug, PartialEq, Eq)]
pub struct Catalog {
    /// The visible integrations in display order, with their states.
    pub shown: Vec<(&'static Integration, InstallState)>,
    /// The number of integrations hidden from this user.
    pub hidden: usize,
    /// The number of installed integrations.
    pub used: u64,
    /// The install limit, if there is one.
    pub allowed: Option<u64>,
}

impl Catalog {
    /// Combines the claims with `own`, the ids installed in this marketplace in
    /// addition to those that the token lists.
    pub fn new(claims: &ParsedClaims, own: &BTreeSet<u32>) -> Self {
        let installed: BTreeSet<u32> = claims.installed.union(own).copied().collect();
        let used = u64::try_from(installed.len()).unwrap_or(u64::MAX);
        let full = claims.allowed_installs.is_some_and(|allowed| used >= allowed);
        let state = |integration: &Integration| {
            if installed.contains(&integration.id) {
                InstallState::Installed
            } else if integration.tier > claims.tier {
                InstallState::Locked
            } else if full {
                InstallState::Full
            } else {
                InstallState::Available
            }
        };
        let shown: Vec<_> = INTEGRATIONS
            .iter()
            .filter(|integration| !claims.hidden.contains(&integration.id))
            .map(|integration| (integration, state(integration)))
            .collect();
        Self { hidden: INTEGRATIONS.len() - shown.len(), shown, used, allowed: claims.allowed_installs }
    }

    /// Finds a visible integration by id.
    pub fn find(&self, id: u32) -> Option<(&'static Integration, InstallState)> {
        self.shown.iter().find(|(integration, _)| integration.id == id).copied()
    }

    /// Finds a visible integration by name, ignoring ASCII case.
    pub fn find_by_name(&self, name: &str) -> Option<(&'static Integration, InstallState)> {
        self.shown.iter().find(|(integration, _)| integration.name.eq_ignore_ascii_case(name)).copied()
    }
}

/// All integrations. The names are fictional.
#[rustfmt::skip]
pub static INTEGRATIONS: [Integration; 12] = [
    Integration { id: 1121, name: "Ledgerline", category: "Accounting", icon: "ledger", tier: Tier::Free,
        summary: "Creates an invoice for every order and synchronizes payments." },
    Integration { id: 1122, name: "Postfold", category: "E-mail", icon: "mail", tier: Tier::Free,
        summary: "Shows each customer's messages next to their orders." },
    Integration { id: 1123, name: "Sheetwise", category: "Spreadsheets", icon: "sheet", tier: Tier::Free,
        summary: "Keeps a live sheet of orders, stock and prices." },
    Integration { id: 1124, name: "Parcelway", category: "Shipping", icon: "parcel", tier: Tier::Pro,
        summary: "Prints labels and imports tracking numbers." },
    Integration { id: 1125, name: "Dealgarden", category: "Sales", icon: "deal", tier: Tier::Pro,
        summary: "Turns won deals into orders and customers." },
    Integration { id: 1126, name: "Chatterline", category: "Team chat", icon: "chat", tier: Tier::Free,
        summary: "Notifies a channel when an order needs attention." },
    Integration { id: 1127, name: "Corner Window", category: "Online shop", icon: "shop", tier: Tier::Pro,
        summary: "Publishes products and collects orders from a web shop." },
    Integration { id: 1128, name: "Keyharbour", category: "Identity", icon: "vault", tier: Tier::Enterprise,
        summary: "Adds and removes colleagues as they join and leave." },
    Integration { id: 1129, name: "Wageloom", category: "Payroll", icon: "pay", tier: Tier::Enterprise,
        summary: "Sends commissions and hours to payroll." },
    Integration { id: 1130, name: "Helpwell", category: "Support desk", icon: "help", tier: Tier::Pro,
        summary: "Shows the order next to the question about it." },
    Integration { id: 1131, name: "Bannerbird", category: "Marketing", icon: "campaign", tier: Tier::Pro,
        summary: "Writes to customers by what they have bought." },
    Integration { id: 1132, name: "Shelfmap", category: "Warehousing", icon: "warehouse", tier: Tier::Enterprise,
        summary: "Counts stock in several places and moves it between them." },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(tier: Tier, installed: &[u32], allowed_installs: Option<u64>) -> ParsedClaims {
        ParsedClaims {
            sub: "ada".into(),
            name: "Ada".into(),
            organization: "Winter".into(),
            age_s: 0,
            tier,
            is_tier_named: true,
            allowed_installs,
            hidden: BTreeSet::from([1129]),
            installed: installed.iter().copied().collect(),
        }
    }

    #[test]
    fn a_hidden_integration_cannot_be_found() {
        let catalog = Catalog::new(&claims(Tier::Enterprise, &[], None), &BTreeSet::new());
        assert_eq!((catalog.find(1129), catalog.hidden, catalog.shown.len()), (None, 1, 11));
    }

    #[test]
    fn the_tier_and_the_install_limit_restrict_installs() {
        let check = |claims: ParsedClaims, own: &[u32], id: u32, expected: InstallState| {
            let catalog = Catalog::new(&claims, &own.iter().copied().collect());
            assert_eq!(catalog.find(id).unwrap().1, expected, "{claims:?} {own:?} {id}");
        };
        check(claims(Tier::Free, &[1121], Some(2)), &[], 1121, InstallState::Installed);
        check(claims(Tier::Free, &[1121], Some(2)), &[], 1122, InstallState::Available);
        check(claims(Tier::Free, &[1121], Some(2)), &[1122], 1123, InstallState::Full);
        check(claims(Tier::Free, &[1121], Some(2)), &[1121], 1123, InstallState::Available);
        check(claims(Tier::Free, &[1124], Some(2)), &[], 1124, InstallState::Installed);
        check(claims(Tier::Free, &[], Some(2)), &[], 1130, InstallState::Locked);
        check(claims(Tier::Pro, &[], Some(0)), &[], 1130, InstallState::Full);
        check(claims(Tier::Enterprise, &[], None), &[], 1132, InstallState::Available);
    }

    #[test]
    fn ids_and_names_are_unique() {
        let ids: BTreeSet<_> = INTEGRATIONS.iter().map(|integration| integration.id).collect();
        let names: BTreeSet<_> = INTEGRATIONS.iter().map(|integration| integration.name).collect();
        assert_eq!((ids.len(), names.len()), (INTEGRATIONS.len(), INTEGRATIONS.len()));
    }
}
