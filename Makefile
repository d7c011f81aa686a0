# Every task a person runs. `make` alone prints them.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
# A toolchain that was installed a minute ago is found without a new shell.
export PATH := $(HOME)/.cargo/bin:$(PATH)

PROFILE ?= scale-out
# Of the whole workspace with all that is tested, so that nothing is built twice with other features.
CARGO_TEST := cargo test --locked --workspace --features tideline-loadtest/aws

# For what boots machines, with this user's toolchain.
AS_ROOT := $(if $(filter-out 0,$(shell id -u)),sudo --preserve-env env PATH="$$PATH" HOME="$$HOME")

.PHONY: help run test load-test check conformance chaos soak fuzz sbom image image-check machines-check terraform-check terraform-moto region-check deploy-check \
  rehearse simulate preflight build-app deploy plan rollback status logs cost destroy

help: ## print this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## run the service on its embedded store in ./data: http://127.0.0.1:8080/
	cargo run --locked --package tideline-server

test: ## run all tests; what needs a tool that is missing is skipped and says so; MOTO=1: also against moto's DynamoDB
	$(CARGO_TEST)
	$(call with,redis-server,apt-get install redis-server,shared_cache product::)
	$(call with,haproxy,apt-get install haproxy,fleet::)
	$(call with,faketime,apt-get install faketime,clock::)
	$(call with,promtool,apt-get install prometheus,prometheus::)
	$(call with,chromedriver,apt-get install chromium chromium-driver,browser::)
	$(call with,chromium,apt-get install chromium,page::)
	@if command -v terraform >/dev/null; then \
	  terraform/tests/run; \
	else \
	  $(call skip,tests of the infrastructure,terraform,https://developer.hashicorp.com/terraform/install); \
	fi
	$(if $(MOTO)$(CI),server/tests/moto/run,@echo 'SKIPPED: tests against moto, which were not asked for: make test MOTO=1')

load-test: ## load a Tideline and judge it: PROFILE=scale-out ARGS='…'; the deployed one, or URL=http://… and TIDELINE_TOKEN
	terraform/scripts/load-test $(PROFILE) $(ARGS)

build-app: ## from this checkout to a fleet on AWS that serves it; again after any failure; IMAGE=ami-… bakes nothing
	terraform/scripts/deploy

deploy: ## the same for the next version: bake, apply, and a rollout that goes back by itself if it fails
	terraform/scripts/deploy

preflight: ## what is missing for build-app, in one list; changes nothing
	terraform/scripts/preflight

plan: ## what Terraform would change, with the image that was baked last; changes nothing
	terraform/scripts/deploy --plan

rollback: ## roll out the version before; ARGS='--to N' for another
	terraform/scripts/fleet rollback $(ARGS)

status: ## which version runs where, since when, and whether it is healthy
	terraform/scripts/fleet status $(ARGS)

logs: ## the service's log lines of all instances: SINCE=minutes FOLLOW=1 FILTER='{ $$.status >= 500 }'
	terraform/scripts/logs

cost: ## what a month of it costs, estimated: RATE=requests a second
	terraform/scripts/cost

destroy: ## remove all of it, and prove that nothing is left; asks for its name, or CONFIRM=name
	terraform/scripts/destroy

rehearse: ## the whole life of a deployment on this machine, with no AWS account: target/rehearsal/report.html; asks for root, and says what else
	@[[ "$$(uname)" == Linux ]] || { echo 'Machines boot on Linux alone; without them: make simulate' >&2; exit 69; }
	cargo build --locked --profile optimized --package tideline-server --no-default-features
	cargo build --locked --profile optimized --package tideline-rehearsal $(if $(TIDELINE_FLEET),,--package tideline-fleet) \
	  $(if $(TIDELINE_LOAD_TEST),,--package tideline-loadtest --features tideline-loadtest/aws)
	$(AS_ROOT) $${CARGO_TARGET_DIR:-target}/optimized/tideline-rehearsal run $(ARGS)

simulate: ## a day of a fleet on a simulated clock, in seconds: ARGS='--spike 3 --max 20'; writes target/rehearsal/simulation
	cargo run --locked --profile optimized --package tideline-rehearsal -- simulate $(ARGS)

conformance: ## hold the service against schemathesis and slowhttptest, about a minute
	server/tests/conformance/run

chaos: ## the long form of the tests that kill, reset, restart, overload and mutate, some minutes; needs haproxy
	$(call long,process::an_acknowledged_write_survives_kill_9 idempotency::whatever_is_reset fleet:: outage:: overload:: mutations:: ten_thousand_idle)

soak: ## ten million requests of every kind, some twenty minutes: the process must not grow
	$(call long,soak::)

fuzz: ## a million inputs, led by coverage, to the connection and the JSON reader; needs cargo-fuzz
	server/fuzz/run

sbom: ## what each crate is built from, as CycloneDX: target/CRATE.cdx.json; needs cargo-cyclonedx
	@command -v cargo-cyclonedx >/dev/null || { echo 'needs cargo-cyclonedx: cargo install --locked cargo-cyclonedx' >&2; exit 1; }
	@# Of the service, as the image carries it: without the embedded engine.
	cargo cyclonedx --format json --no-default-features --spec-version 1.5 --override-filename tideline.cdx
	mkdir -p target
	for crate in server loadtest fleet rehearsal report; do mv "$$crate/tideline.cdx.json" "target/$$crate.cdx.json"; done

image: ## bake the image on AWS; ARCH=arm64 for arm64; its id is the last line
	packer/bake

image-check: ## bake and boot the image with no AWS account, some four minutes; needs root, and says what else
	packer/tests/run || { code=$$?; [[ $$code == 77 && -z "$${CI:-}" ]]; }

machines-check: ## boot the pretend region's machines behind its balancer, replace them under load; needs root, and says what else
	rehearsal/tests/machines/run || { code=$$?; [[ $$code == 77 && -z "$${CI:-}" ]]; }

terraform-check: ## format, validity, tests and checkov of the infrastructure; needs terraform, no account
	terraform/tests/run
	terraform/tests/checkov/run

terraform-moto: ## apply and destroy the infrastructure against moto, five to eight minutes; needs terraform
	terraform/tests/moto/run

region-check: ## rollouts through the pretend region before moto, by Terraform's provider, some three minutes; needs terraform
	rehearsal/tests/moto/run

deploy-check: ## build-app, deploy, rollback and destroy as a whole against moto, some nine minutes; needs terraform
	terraform/tests/deploy/run

check: ## format, lints and docs, without a warning
	cargo fmt --all --check
	@# With what others depend on in the same form both times, and so looked at once.
	cargo clippy --locked --workspace --all-targets -- --deny warnings
	cargo clippy --locked --workspace --all-targets --features tideline-loadtest/aws -- --deny warnings
	@# The service as the image has it; of the whole workspace, so that the next finds looked at what it needs.
	cargo clippy --locked --workspace --no-default-features -- --deny warnings
	RUSTDOCFLAGS='--deny warnings' cargo doc --locked --workspace --no-deps
	@if command -v cargo-deny >/dev/null; then \
	  cargo deny --locked --workspace check licenses bans sources; \
	else \
	  $(call skip,the licences and sources of dependencies,cargo-deny,cargo install --locked cargo-deny); \
	fi

	@if command -v shellcheck >/dev/null; then \
	  shellcheck --external-sources --source-path SCRIPTDIR $$(git grep --files-with-matches --extended-regexp '^#!/(usr/)?bin/(env )?(ba)?sh'); \
	else \
	  $(call skip,shell scripts,shellcheck,apt-get install shellcheck); \
	fi

# $(call with,TOOL,INSTALL,TESTS): the ignored tests TESTS, which need TOOL.
define with
	@if command -v $1 >/dev/null; then \
	  $(CARGO_TEST) --test it -- --ignored $3; \
	else \
	  $(call skip,tests of $3,$1,$2); \
	fi
endef

# $(call skip,WHAT,TOOL,INSTALL): says so; in CI a missing tool is a failure.
skip = echo 'SKIPPED: $1, which need $2: $3' >&2; [[ -z "$${CI:-}" ]]

# $(call long,TESTS): the long form of TESTS, one after the other.
define long
	TIDELINE_CHAOS=1 cargo test --locked --profile optimized --package tideline-server --test it -- \
	  --include-ignored --nocapture --test-threads 1 $1
endef
