//! The sample integrations, and which of them a user sees and how: a pure
//! function from what the token told. No pages and no HTTP here.

use std::collections::BTreeSet;

use super::tier::Tier;
use super::token_rules::Told;

/// Something that can be installed.
#[derive(Debug, PartialEq, Eq)]
pub struct Integration {
    /// Its id, as links and tokens name it.
    pub id: u32,
    /// Its name.
    pub name: &'static str,
    /// What kind of thing it connects with.
    pub category: &'static str,
    /// What it does, in a sentence.
    pub summary: &'static str,
    /// Its picture in `icons.html`.
    pub icon: &'static str,
    /// The plan it needs.
    pub tier: Tier,
}

/// How an integration stands to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// It is installed.
    Installed,
    /// It can be installed.
    Available,
    /// The plan allows it, but as many as allowed are installed.
    Full,
    /// It needs a higher plan.
    Locked,
}

/// What a user sees.
#[derive(Debug, PartialEq, Eq)]
pub struct Shelf {
    /// The integrations that are shown, in order, and how they stand.
    pub shown: Vec<(&'static Integration, Standing)>,
    /// How many are hidden from this user.
    pub hidden: usize,
    /// How many are installed.
    pub used: u64,
    /// How many may be, if there is a limit.
    pub allowed: Option<u64>,
}

impl Shelf {
    /// What the user of that token sees; `own` are the ids installed in this
    /// marketplace, beside those that the token lists.
    pub fn new(told: &Told, own: &BTreeSet<u32>) -> Self {
        let installed: BTreeSet<u32> = told.installed.union(own).copied().collect();
        let used = u64::try_from(installed.len()).unwrap_or(u64::MAX);
        let full = told.allowed_installs.is_some_and(|allowed| used >= allowed);
        let standing = |integration: &Integration| {
            if installed.contains(&integration.id) {
                Standing::Installed
            } else if integration.tier > told.tier {
                Standing::Locked
            } else if full {
                Standing::Full
            } else {
                Standing::Available
            }
        };
        let shown: Vec<_> = INTEGRATIONS
            .iter()
            .filter(|integration| !told.hidden.contains(&integration.id))
            .map(|integration| (integration, standing(integration)))
            .collect();
        Self { hidden: INTEGRATIONS.len() - shown.len(), shown, used, allowed: told.allowed_installs }
    }

    /// The integration with that id, if the user sees it.
    pub fn find(&self, id: u32) -> Option<(&'static Integration, Standing)> {
        self.shown.iter().find(|(integration, _)| integration.id == id).copied()
    }

    /// The integration with that name, if the user sees it.
    pub fn find_by_name(&self, name: &str) -> Option<(&'static Integration, Standing)> {
        self.shown.iter().find(|(integration, _)| integration.name.eq_ignore_ascii_case(name)).copied()
    }
}

/// All of them. The names are invented.
#[rustfmt::skip]
pub static INTEGRATIONS: [Integration; 12] = [
    Integration { id: 1121, name: "Ledgerline", category: "Accounting", icon: "ledger", tier: Tier::Free,
        summary: "Books every order as an invoice and keeps payments in step." },
    Integration { id: 1122, name: "Postfold", category: "E-mail", icon: "mail", tier: Tier::Free,
        summary: "Files each customer's messages next to their orders." },
    Integration { id: 1123, name: "Sheetwise", category: "Spreadsheets", icon: "sheet", tier: Tier::Free,
        summary: "Keeps a live sheet of orders, stock and prices." },
    Integration { id: 1124, name: "Parcelway", category: "Shipping", icon: "parcel", tier: Tier::Pro,
        summary: "Prints labels and brings tracking numbers back." },
    Integration { id: 1125, name: "Dealgarden", category: "Sales", icon: "deal", tier: Tier::Pro,
        summary: "Turns won deals into orders and customers." },
    Integration { id: 1126, name: "Chatterline", category: "Team chat", icon: "chat", tier: Tier::Free,
        summary: "Tells a channel when an order needs a person." },
    Integration { id: 1127, name: "Corner Window", category: "Online shop", icon: "shop", tier: Tier::Pro,
        summary: "Publishes products and collects orders from a web shop." },
    Integration { id: 1128, name: "Keyharbour", category: "Identity", icon: "vault", tier: Tier::Enterprise,
        summary: "Adds and removes colleagues as they join and leave." },
    Integration { id: 1129, name: "Wageloom", category: "Payroll", icon: "pay", tier: Tier::Enterprise,
        summary: "Passes commissions and hours on to the pay run." },
    Integration { id: 1130, name: "Helpwell", category: "Support desk", icon: "help", tier: Tier::Pro,
        summary: "Shows the order beside the question about it." },
    Integration { id: 1131, name: "Bannerbird", category: "Marketing", icon: "campaign", tier: Tier::Pro,
        summary: "Writes to customers by what they have bought." },
    Integration { id: 1132, name: "Shelfmap", category: "Warehousing", icon: "warehouse", tier: Tier::Enterprise,
        summary: "Counts stock in several places and moves it between them." },
];

#[cfg(test)]
mod tests {
    use super::*;

    fn told(tier: Tier, installed: &[u32], allowed_installs: Option<u64>) -> Told {
        Told {
            sub: "ada".into(),
            name: "Ada".into(),
            organization: "Winter".into(),
            age_s: 0,
            tier,
            allowed_installs,
            hidden: BTreeSet::from([1129]),
            installed: installed.iter().copied().collect(),
        }
    }

    #[test]
    fn a_hidden_integration_is_not_there_at_all() {
        let shelf = Shelf::new(&told(Tier::Enterprise, &[], None), &BTreeSet::new());
        assert_eq!((shelf.find(1129), shelf.hidden, shelf.shown.len()), (None, 1, 11));
    }

    #[test]
    fn the_tier_locks_and_the_limit_fills() {
        let check = |told: Told, own: &[u32], id: u32, expected: Standing| {
            let shelf = Shelf::new(&told, &own.iter().copied().collect());
            assert_eq!(shelf.find(id).unwrap().1, expected, "{told:?} {own:?} {id}");
        };
        check(told(Tier::Free, &[1121], Some(2)), &[], 1121, Standing::Installed);
        check(told(Tier::Free, &[1121], Some(2)), &[], 1122, Standing::Available);
        check(told(Tier::Free, &[1121], Some(2)), &[1122], 1123, Standing::Full);
        check(told(Tier::Free, &[1121], Some(2)), &[1121], 1123, Standing::Available);
        check(told(Tier::Free, &[1124], Some(2)), &[], 1124, Standing::Installed);
        check(told(Tier::Free, &[], Some(2)), &[], 1130, Standing::Locked);
        check(told(Tier::Pro, &[], Some(0)), &[], 1130, Standing::Full);
        check(told(Tier::Enterprise, &[], None), &[], 1132, Standing::Available);
    }

    #[test]
    fn ids_and_names_are_unique() {
        let ids: BTreeSet<_> = INTEGRATIONS.iter().map(|integration| integration.id).collect();
        let names: BTreeSet<_> = INTEGRATIONS.iter().map(|integration| integration.name).collect();
        assert_eq!((ids.len(), names.len()), (INTEGRATIONS.len(), INTEGRATIONS.len()));
    }
}
