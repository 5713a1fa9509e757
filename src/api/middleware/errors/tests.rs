use actix_web::{App, HttpServer};

use crate::api::middleware::wrap;
use crate::api::routes::{READ, path, read};

#[test]
fn a_handler_that_panics_is_a_500_that_tells_nothing() {
    async fn panics() -> &'static str {
        panic!("a secret of the inside")
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let server = HttpServer::new(|| wrap(App::new()).service(path("/", READ, [read().to(panics)])));
            server.workers(1).disable_signals().listen(listener).unwrap().run().await
        })
    });
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    for _ in 0..2 {
        let mut answer =
            agent.get(format!("http://{address}/")).header("x-requestId", "id-1").call().unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let expected = r#"{"type":"about:blank","title":"Internal Server Error","status":500,"fejlkode":"1011","fejltekst":"Der opstod en intern fejl. Prøv igen senere.","requestId":"id-1"}"#;
        assert_eq!(text, expected);
        assert_eq!(answer.headers()["x-requestid"], "id-1");
    }
}
