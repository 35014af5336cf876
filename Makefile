# Development commands; see CONTRIBUTING.md. `make test` runs every check.

.PHONY: test api-test browser pictures tools format docs reference bench load kill-test fuzz mutants

# Where the tests look for the program.
export CARGO_TARGET_DIR = $(CURDIR)/target

# Formatting, lints, documentation, tests, browser. Installs missing tools.
test: tools
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	cargo clippy --no-default-features --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked
	cargo test --locked -- --test-threads=4 --nocapture
	$(MAKE) api-test
	$(MAKE) browser

# The program that `cargo test` has built: `cargo build` would rebuild each dependency whose
# features differ without the tests.
BUILD = cargo test --locked --no-run --test it

# Generated requests (schemathesis) to every path that docs/openapi.json describes.
API_TEST = target/api-test
api-test: tools $(API_TEST)/installed
	$(BUILD)
	$(API_TEST)/bin/python tests/api/run.py target/debug/marketplace-sso

$(API_TEST)/installed: tests/api/requirements.txt | tools
	python3 -m venv $(API_TEST) && $(API_TEST)/bin/pip install -q -r $< && touch $@

# The component in Chromium, then the program behind nginx with an app and a
# stand-in marketplace. Screenshots of every page are in tests/browser/artefacts.
BROWSER_TESTS = packages/embed tests/browser
browser: tools $(BROWSER_TESTS:%=%/node_modules/.package-lock.json)
	@node -e 'process.exit(+(parseInt(process.versions.node) < 20))' || { echo "these tests need Node.js 20 or newer"; exit 1; }
	$(BUILD)
	@for folder in $(BROWSER_TESTS); do (cd $$folder && npm test) || exit 1; done

# The pictures at the top of README.md, from the playground's page.
pictures: tools tests/browser/node_modules/.package-lock.json
	$(BUILD)
	cd tests/browser && node --test readme-pictures.js

# npm's copy of the lock file shows when it was installed last.
%/node_modules/.package-lock.json: %/package-lock.json | tools
	cd $* && npm ci --no-progress && touch node_modules/.package-lock.json

# Programs that the tests run, by the system's package manager.
tools:
	@missing=; \
	command -v nginx >/dev/null || missing="$$missing nginx-light"; \
	command -v openssl >/dev/null || missing="$$missing openssl"; \
	command -v initdb >/dev/null || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || missing="$$missing postgresql"; \
	python3 -m venv --help >/dev/null 2>&1 && python3 -c 'import ensurepip' 2>/dev/null || missing="$$missing python3-venv"; \
	command -v node >/dev/null || missing="$$missing nodejs"; \
	command -v npm >/dev/null || missing="$$missing npm"; \
	command -v chromium >/dev/null || missing="$$missing chromium"; \
	[ -z "$$missing" ] || { \
	  echo "tests need$$missing; installing"; \
	  SUDO=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$SUDO apt-get update -q && $$SUDO apt-get install -qy --no-install-recommends $$missing; }

format:
	cargo fmt

# The documents as a site with a search, in target/docs, with its links checked. Installs mdBook, which takes minutes.
MDBOOK_VERSION = 0.5.4
docs:
	@mdbook --version 2>/dev/null | grep -q " v$(MDBOOK_VERSION)$$" || cargo install mdbook --locked --version $(MDBOOK_VERSION)
	mdbook build docs
	python3 docs/site.py check target/docs

# docs/reference/settings.md from the comments of config/default.toml; a test says when it is out of date.
reference:
	UPDATE_DOCS=1 cargo test --locked --quiet --test it -- the_page_has_every_setting

# The time of a hand-off, of each of its steps, of verifying a token, and of log lines.
bench:
	cargo bench --bench hand_off --bench verify --bench log

# Requests per second as a ratio to a bare responder, memory, start and size; then with
# each durability of audit events.
load:
	benches/load/run
	benches/load/audit

# Kills the service under load, ten times on each database and behind nginx, and checks that the
# event of every token is stored.
KILL_ROUNDS ?= 10
kill-test: tools
	@for round in $$(seq $(KILL_ROUNDS)); do \
	  cargo test --locked --quiet --test it -- a_killed_process_loses_no_event a_killed_replica || exit 1; done

# Fuzzes each target of fuzz/targets.rs for FUZZ_SECONDS. Failing inputs are in
# fuzz/artifacts: fix them, and add them to the corpus.
FUZZ_SECONDS ?= 60
fuzz:
	@rustup run nightly cargo --version >/dev/null 2>&1 || rustup toolchain install nightly --profile minimal
	@cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked
	@for target in $$(ls fuzz/corpus); do \
	  mkdir -p fuzz/found/$$target && echo "== $$target" && \
	  cargo +nightly fuzz run $$target fuzz/found/$$target fuzz/corpus/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -max_len=16384 -timeout=5 -print_final_stats=1 -verbosity=0 || exit 1; \
	done

# Mutation testing of the deciding code (.cargo/mutants.toml): unit tests first,
# then the integration tests for what they miss. An interrupted run resumes;
# `rm -r target/mutants` resets it. All shards take hours: choose some, or files
# with MUTANTS='--re src/access'.
MUTANT_SHARDS ?= 0 1 2 3 4 5 6 7
mutants: tools
	@cargo mutants --version >/dev/null 2>&1 || cargo install cargo-mutants --locked
	@for shard in $(MUTANT_SHARDS); do for tests in --lib "--test it"; do \
	  CARGO_TARGET_DIR=$(CURDIR)/target/mutants/build cargo mutants --baseline skip --timeout 300 --iterate \
	    --shard $$shard/8 --output target/mutants/shard-$$shard $(MUTANTS) -- --locked $$tests; \
	  case $$? in 0) break;; 2|3) ;; *) exit 1;; esac; done; done
	@cat target/mutants/shard-*/mutants.out/missed.txt
