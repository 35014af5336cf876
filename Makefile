# What is done with this project. `make test` is everything that is checked.

.PHONY: test tools format bench load

# Formatting, lints, documentation, tests. Installs what is missing.
test: tools
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked
	cargo test --locked

# Programs that tests run beside ours, by the system's package manager.
tools:
	@command -v nginx >/dev/null || { \
	  echo "tests need nginx; installing it"; \
	  SUDO=$$([ "$$(id -u)" = 0 ] || echo sudo); \
	  $$SUDO apt-get update -q && $$SUDO apt-get install -qy --no-install-recommends nginx-light; }

format:
	cargo fmt

# How long a hand-off takes, each of its stages, and believing a token.
bench:
	cargo bench --bench hand_off --bench verify

# Requests a second beside a bare responder, memory, start and size.
load:
	benches/load/run
