//! The commands of `docs/api.md`, run unchanged except for the port.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::api::settings;
use crate::harness::command::write_private;
use crate::harness::store::{Engine, TestStore};
use crate::harness::tree::{read, root};
use crate::harness::{PROGRAM, free_port};

#[test]
fn the_documented_commands_work() {
    let document = read(&root().join("docs/api.md"));
    let blocks: Vec<&str> =
        document.split("\n```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap()).collect();
    let [tokens, events] = blocks[..] else { panic!("{blocks:?}") };
    let (creating, revoking): (Vec<&str>, Vec<&str>) =
        tokens.lines().partition(|line| !line.contains("revoke"));
    let listen = format!("127.0.0.1:{}", free_port());
    let script = [
        creating.join("\n"),
        events.replace("127.0.0.1:8080", &listen),
        "kill $!; wait".to_owned(),
        revoking.join("\n"),
    ];

    let (folder, store) = (TempDir::new().unwrap(), TestStore::new(Engine::Sqlite));
    write_private(&folder.path().join("sso.toml"), &settings(&store).set("server.listen", &listen).text());
    let programs = Path::new(PROGRAM).parent().unwrap().display().to_string();
    let result = Command::new("bash")
        .args(["-ec", &script.join("\n")])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap()))
        .output()
        .unwrap();
    let output = String::from_utf8(result.stdout).unwrap();
    assert!(result.status.success(), "{output} {}", String::from_utf8_lossy(&result.stderr));
    let page = output.lines().find_map(|line| line.get(line.find("{\"events\"")?..)).unwrap();
    let end = page.rfind('}').unwrap();
    let page: Value = serde_json::from_str(&page[..=end]).unwrap();
    let documented: Value =
        serde_json::from_str(document.split("\n```json\n").nth(1).unwrap().split("\n```").next().unwrap())
            .unwrap();
    let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&page), keys(&documented));
    assert_eq!(keys(&page["events"][0]), keys(&documented["events"][0]));
    assert_eq!(keys(&page["events"][0]["data"]), keys(&documented["events"][0]["data"]));
    assert!(output.contains("revoked the API token siem") && output.contains("LAST USE"), "{output}");
}
