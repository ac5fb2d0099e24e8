# Everything a developer runs. `make test` is what decides whether a change lands.

.PHONY: test lint unit world browser deny bench demo

test: lint world browser unit

# Format and lints, warnings denied.
lint:
	cargo fmt --check
	cargo clippy --all-targets --quiet -- -D warnings

# Unit tests, laws, stories, crash cuts, and the program against the local AWS. Stories of real
# traffic come last and alone: they are judged by every single request.
unit:
	localstack/start
	cargo test --quiet -- --test-threads 4 --skip monolith::
	cargo test --quiet --test localstack -- --test-threads 1 monolith::
	@localstack/stop 2>/dev/null

# The local AWS's own suite, without Tidegate.
world:
	localstack/test

# The dashboard in a real browser.
browser:
	cargo build --quiet
	tests/browser/run target/debug/tidegate

# Licences, banned crates and sources; installs cargo-deny when it is missing.
deny:
	command -v cargo-deny >/dev/null || cargo install cargo-deny --locked
	cargo deny check bans licenses sources

# How long deciding and simulating take on this machine.
bench:
	cargo bench --no-default-features

demo:
	cargo demo
