//! Many concurrent lifecycle webhooks of mittwald.

use marketplace_sso::playground::mstudio::{Kind, SignatureFields};

use crate::harness::Connection;
use crate::harness::mittwald::{MittwaldService, PATH, URL, request};
use crate::harness::store::Engine;

/// Prints how many deliveries a second are stored.
#[test]
fn a_thousand_deliveries_are_stored_in_seconds() {
    const CONNECTIONS: usize = 16;
    const EACH: usize = 64;
    let service = MittwaldService::start(Engine::Sqlite);
    service.installed();
    let batches: Vec<Vec<(SignatureFields, Vec<u8>)>> = (0..CONNECTIONS)
        .map(|_| {
            let make = |_| {
                let webhook = service.mstudio.webhook(Kind::Added, service.mstudio.install(), URL);
                (service.mstudio.sign(&webhook.bytes()), webhook.bytes())
            };
            (0..EACH).map(make).collect()
        })
        .collect();
    let (started, app) = (std::time::Instant::now(), &service.app);
    std::thread::scope(|scope| {
        for batch in &batches {
            scope.spawn(move || {
                let mut connection = Connection::open(app.address()).unwrap();
                for (signature, body) in batch {
                    connection.write(&request(PATH, signature, body)).unwrap();
                    let response = connection.read("POST").unwrap();
                    assert_eq!(response.status, 204, "{response:?}");
                }
            });
        }
    });
    let took = started.elapsed();
    println!("{:.0} deliveries a second", (CONNECTIONS * EACH) as f64 / took.as_secs_f64());
    assert!(took.as_secs() < 20, "{took:?}");
}
