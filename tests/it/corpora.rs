//! Runs every input of the fuzzing corpora, so that fixed findings stay fixed. See
//! `fuzz/targets.rs`.

use std::path::PathBuf;

use crate::harness::tree::root;

#[path = "../../fuzz/targets.rs"]
mod targets;

#[test]
fn every_corpus_input_passes_its_fuzz_target() {
    for (name, target) in targets::ALL {
        let folder = std::fs::read_dir(root().join("fuzz/corpus").join(name)).unwrap();
        let inputs: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
        assert!(inputs.len() > 3, "{name} has no corpus");
        for input in inputs {
            let bytes = std::fs::read(&input).unwrap();
            let answered = std::panic::catch_unwind(|| target(&bytes));
            assert!(answered.is_ok(), "{} breaks a promise", input.display());
        }
    }
}

#[test]
fn valid_corpus_inputs_authenticate() {
    // a corpus without an authenticated user would not reach the code behind it
    for kind in ["pandium-sso", "bearer", "appdirect", "commercetools", "caf", "aws_alb"] {
        let folder = if kind == "pandium-sso" {
            "authenticate_proxy_headers".into()
        } else {
            format!("authenticate_{kind}")
        };
        let alice = std::fs::read(root().join("fuzz/corpus").join(folder).join("alice")).unwrap();
        let response = targets::authentication(kind, &alice);
        assert!(matches!(response, marketplace_sso::authn::Authentication::User(_)), "{kind}: {response:?}");
    }
}

#[test]
fn valid_corpus_webhooks_are_accepted() {
    use marketplace_sso::authn::mittwald::Handling;
    let handling = |name: &str| {
        let input = std::fs::read(root().join("fuzz/corpus/mittwald_webhook").join(name)).unwrap();
        targets::webhook_handling(&input)
    };
    for name in ["added", "updated", "rotated", "removed"] {
        assert_eq!(handling(name), Some(Handling::Store), "{name}");
    }
    assert_eq!((handling("dry_run"), handling("twice")), (Some(Handling::DryRun), None));
}
