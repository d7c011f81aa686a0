# Every task a person runs. `make` alone prints them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
# A toolchain that was installed a minute ago is found without a new shell.
export PATH := $(HOME)/.cargo/bin:$(PATH)

.PHONY: help run test check conformance chaos

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## run the service on its embedded store in ./data: http://127.0.0.1:8080/
	cargo run --locked --package tideline-server

test: ## run all tests; what needs a tool that is missing is skipped and says so; MOTO=1: also against moto's DynamoDB
	cargo test --locked --workspace
	$(call with,redis-server,apt-get install redis-server,shared_cache product::)
	$(call with,haproxy,apt-get install haproxy,fleet::)
	$(call with,promtool,apt-get install prometheus,prometheus::)
	$(call with,chromedriver,apt-get install chromium chromium-driver,browser::)
	$(if $(MOTO)$(CI),server/tests/moto/run,@echo 'SKIPPED: tests against moto, which were not asked for: make test MOTO=1')

conformance: ## hold the service against schemathesis and slowhttptest, about a minute
	server/tests/conformance/run

chaos: ## the long form of the tests that kill, reset and restart, some five minutes; needs haproxy
	TIDELINE_CHAOS=1 cargo test --locked --package tideline-server --test it -- --include-ignored --nocapture \
	  process::an_acknowledged_write_survives_kill_9 idempotency::whatever_is_reset fleet::

check: ## format, lints and docs, without a warning
	cargo fmt --all --check
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	cargo clippy --locked --package tideline-server --no-default-features -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --locked --workspace --no-deps

# $(call with,TOOL,INSTALL,TESTS): the ignored tests TESTS, which need TOOL. In CI a missing tool is a failure.
define with
	@if command -v $1 >/dev/null; then \
	  cargo test --locked --package tideline-server --test it -- --ignored $3; \
	else \
	  echo 'SKIPPED: tests of $3, which need $1: $2' >&2; [[ -z "$${CI:-}" ]]; \
	fi
endef
