//! The baseline of `benches/load/run`: actix-web responding with a fixed 307 of a
//! hand-off's size. The argument is the address to listen on.

use actix_web::http::header;
use actix_web::{App, HttpResponse, HttpServer, web};

/// Makes the response as long as that of `serve`, within two bytes.
const TOKEN_BYTES: usize = 279;

#[actix_web::main]
async fn main() -> std::io::Result<()> {
    let listen = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8070".to_owned());
    let token = "x".repeat(TOKEN_BYTES);
    let location =
        header::HeaderValue::try_from(format!("https://imp.sandbox.pandium.com/acme?tenant={token}"));
    let location = location.map_err(std::io::Error::other)?;
    HttpServer::new(move || {
        let location = location.clone();
        App::new().default_service(web::to(move || {
            let location = location.clone();
            async move {
                HttpResponse::TemporaryRedirect()
                    .insert_header((header::LOCATION, location))
                    .insert_header((header::CACHE_CONTROL, "no-store"))
                    .insert_header((
                        header::CONTENT_SECURITY_POLICY,
                        "frame-ancestors https://app.example.com",
                    ))
                    .insert_header((header::REFERRER_POLICY, "no-referrer"))
                    .insert_header(("x-request-id", "01a1fbf9-8b81-715d-8dde-6d975fa90625"))
                    .finish()
            }
        }))
    })
    .workers(1)
    .tcp_nodelay(true)
    .bind(listen)?
    .run()
    .await
}
