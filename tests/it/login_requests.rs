//! What the URL of a sign-in can request: another account, and a message to the page that opened
//! it.

use rstest::rstest;

use crate::harness::sign_in::{Browser, LOGIN, SignInService, WINDOW, target};

/// An address in the service's pages, escaped as in HTML.
fn in_html(address: &str) -> String {
    address.replace('&', "&amp;")
}

#[test]
fn another_account_is_requested_at_the_provider() {
    let service = SignInService::start_with(|own| own.set("access.groups", ["finance"]));
    let browser = service.signed_in();
    let refused = browser.get(&service.app, "/pandium-sso/install/1", WINDOW);
    assert_eq!(refused.status, 403, "{refused:?}");
    let login = format!("{LOGIN}?return=%2Fpandium-sso%2Finstall%2F1&account=other");
    let page = refused.page();
    assert!(page.contains(&format!("href=\"{}\"", in_html(&login))), "{page}");
    assert!(page.contains(">Use another account</a>"), "{page}");

    let at_provider = browser.begin(&service.app, &login);
    assert!(at_provider.contains("&prompt=login"), "{at_provider}");
    assert!(!browser.begin(&service.app, LOGIN).contains("prompt="), "other sign-ins ask nothing");
    let session = browser.session();
    let back = browser.get(
        &service.app,
        &target(&service.provider.sign_in(&at_provider, "usr-318").unwrap()),
        WINDOW,
    );
    assert_eq!((back.status, back.header("location")), (303, "/pandium-sso/install/1"));
    assert_ne!(browser.session(), session);
}

#[test]
fn a_denied_sign_in_offers_another_account() {
    let service = SignInService::start();
    let browser = Browser::default();
    let login = format!("{LOGIN}?return=%2Fpandium-sso&mode=popup");
    let denied = service.provider.deny(&browser.begin(&service.app, &login)).unwrap();
    let page = browser.get(&service.app, &target(&denied), WINDOW).page();
    assert!(page.contains("<h1>You weren’t signed in</h1>"), "{page}");
    let other = in_html(&format!("{LOGIN}?return=%2Fpandium-sso&account=other&mode=popup"));
    assert!(page.contains(&format!("href=\"{other}\"")) && page.contains(">Use another account<"), "{page}");
}

/// The parents that are listed as origins.
const LISTED: [&str; 2] = ["https://app.example.com", "https://shop.example.com"];

// T39
#[rstest]
#[case::by_a_pattern("", "https://a.customers.example.com/page", &["https://a.customers.example.com"])]
#[case::named_in_the_address(
    "&opener=https%3A%2F%2Fa.customers.example.com", "", &["https://a.customers.example.com"]
)]
#[case::listed("", "https://app.example.com/page", &["https://app.example.com"])]
#[case::unknown("", "", &LISTED)]
#[case::foreign("", "https://evil.example/", &LISTED)]
#[case::foreign_in_the_address("&opener=https%3A%2F%2Fevil.example", "", &LISTED)]
#[case::twice_in_the_address(
    "&opener=https%3A%2F%2Fa.customers.example.com&opener=https%3A%2F%2Fb.customers.example.com", "", &LISTED
)]
fn a_pop_up_tells_its_opener_or_all_listed_pages(
    #[case] query: &str,
    #[case] referer: &str,
    #[case] targets: &[&str],
) {
    let service = SignInService::start_with(|own| {
        own.embed_parents(&[
            "https://app.example.com",
            "https://shop.example.com",
            "https://*.customers.example.com",
        ])
    });
    let browser = Browser::default();
    let login = format!("{LOGIN}?mode=popup{query}");
    let begun = browser.get(&service.app, &login, &[WINDOW, &[("Referer", referer)]].concat());
    assert_eq!(begun.status, 303, "{begun:?}");
    // after a failure, the user tries again from a page that sends no Referer
    let denied = target(&service.provider.deny(begun.header("location")).unwrap());
    let denied = browser.get(&service.app, &denied, WINDOW);
    let page = denied.page();
    let (_, again) = page.split_once("<a class=\"button\" href=\"").unwrap();
    let again = again.split('"').next().unwrap().replace("&amp;", "&");
    let told = browser.sign_in(&service.app, &service.provider, &again).page();
    let written: Vec<String> = targets.iter().map(|target| format!("{target:?}")).collect();
    assert!(told.contains(&format!("[{}]", written.join(","))), "{told}");
}

#[test]
fn a_long_opener_does_not_enlarge_the_cookie() {
    let service = SignInService::start_with(|own| own.embed_parents(&["https://*.customers.example.com"]));
    let long = format!("https://{}.customers.example.com/", vec!["a".repeat(60); 3].join("."));
    let headers = [WINDOW, &[("Referer", &long)]].concat();
    let begun = service.app.get(&format!("{LOGIN}?mode=popup&return=%2Fpandium-sso%2Finstall%2F1"), &headers);
    assert_eq!(begun.status, 303, "{begun:?}");
    assert!(begun.header("set-cookie").len() <= 800, "{begun:?}");
}
