# Targets for people who build Roster. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash

BUF := proto/tools/buf/node_modules/.bin/buf
PROTODEPS := .cache/protodeps/.stamp
ASYNCAPI := proto/tools/buf/node_modules/@asyncapi/specs/schemas/3.1.0.json
GENERATED := pkg/gen services/gateway/openapi.json services/gateway/asyncapi.json services/gateway/error.proto.txt
BUILD := go build -trimpath -ldflags='-s -w'

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: setup build ## Run the whole suite on this machine; Ctrl-C stops it, the data stays in .roster
	@exec bin/rosterd dev

.PHONY: processes
processes: setup build ## Run every role as a process of its own, as in production; COPIES=2 runs two of each
	@go run ./services/cmd/processes -rosterd bin/rosterd -copies $(or $(COPIES),1)

.PHONY: demo
demo: build ## Fill the running suite with believable data; CLAIM=... is the token that the first start prints
	@exec bin/roster-demo $(if $(CLAIM),--claim $(CLAIM))

.PHONY: build
build: ## Build the binaries into bin/
	@mkdir -p bin
	@$(BUILD) -o bin/rosterd ./services/cmd/rosterd
	@$(BUILD) -o bin/roster ./services/cmd/roster
	@$(BUILD) -o bin/roster-demo ./services/cmd/demo

.PHONY: setup
setup: ## Install what this machine lacks: PostgreSQL
	@deploy/setup.sh

# What takes several times as long when the race detector looks on, and shares nothing: hashing a password, and going through
# every state of a protocol.
FAST = -gcflags=golang.org/x/crypto/argon2=-race=false -gcflags=github.com/rosterhq/roster/services/internal/model=-race=false

.PHONY: test
test: ## Run every test, with the race detector, on real PostgreSQL and JetStream
	@deploy/setup.sh --test
	go test -race $(FAST) -vet=off -parallel 4 -timeout 20m $$(go list work | grep -v '/services/e2e$$')
	go test -race $(FAST) -vet=off -parallel 4 -timeout 20m ./services/e2e -over gRPC
	go test -vet=off -parallel 4 -timeout 20m ./services/e2e -shape processes -over REST

.PHONY: e2e
e2e: setup ## Run every scenario over both transports, in one process and in many
	go test -count=1 -timeout 30m ./services/e2e
	go test -count=1 -timeout 30m ./services/e2e -shape processes

.PHONY: scenario
scenario: setup ## Run the end-to-end scenarios of one requirement: make scenario ID=S0-13
	@go test -count=1 -v -run '/$(ID)' ./services/e2e/... | tee .cache/scenario.log | grep -E '^ *(---|ok|FAIL|panic)'; \
	  grep -q -- '--- PASS.*/$(ID)' .cache/scenario.log || { echo 'no scenario of $(ID) passed' >&2; exit 1; }

.PHONY: parity
parity: setup ## Measure that signing in, signing up and forgetting a password take as long for those whom there is as for others
	go test -count=1 -v -run 'TestParityInTime' ./services/identity -args -samples 200

.PHONY: fuzz
fuzz: ## Feed every parser of untrusted text with noise, a minute each: make fuzz FUZZTIME=10s
	@grep -rl --include='*_test.go' '^func Fuzz' pkg services | xargs -n 1 dirname | sort -u | while read -r dir; do \
	  for target in $$(cat $$dir/*_test.go | sed -n 's/^func \(Fuzz[A-Za-z]*\).*/\1/p'); do \
	    echo "$$dir $$target"; go test ./$$dir -run '^$$' -fuzz "^$$target$$" -fuzztime $(or $(FUZZTIME),1m) </dev/null || exit 1; \
	  done || exit 1; \
	done

.PHONY: crash
crash: setup ## Kill every process at every place of every operation (hours): make crash RUN='accept.*/billing' for some
	@mkdir -p .cache; set -o pipefail; go test -count=1 -v -timeout 24h -parallel 3 -run 'TestCrash/$(RUN)' ./services/e2e/crash -args -everywhere \
	  | tee .cache/crash.log | grep --line-buffered -E '^=== RUN|^ *--- FAIL|^(ok|FAIL|panic)|deaths;'

.PHONY: mutants
mutants: setup ## Break one rule after the other and see that the tests find it: make mutants ONLY='add|revoke' for some
	go run ./services/mutants $(if $(ONLY),-only '$(ONLY)')

.PHONY: bench
bench: setup ## Measure the suite beside the machine's own limits, and print the ratios
	go run ./services/bench

.PHONY: bench-flood
bench-flood: setup ## Measure what 500 bad sign-ins at a time do to everybody else, from one network and from 500
	go run ./services/bench flood -networks 1
	go run ./services/bench flood -networks 500

.PHONY: bench-people
bench-people: setup ## Measure lists of people of 10, 10,000 and 1,000,000, side by side: minutes, and 2 GB
	go test -count=1 -v -timeout 1h -run TestListPeopleAtScale ./services/membership/internal/store -args -people 10,10000,1000000 -rounds 40

.PHONY: chaos
chaos: setup ## Break a running suite in every way, and check that nothing is lost: make chaos MINUTES=30
	go run ./services/chaos -minutes $(or $(MINUTES),2)

.PHONY: failover
failover: setup ## Lose the primary of a PostgreSQL pair under load, killed and isolated, and check that nothing is lost: make failover LOAD=60
	go run ./services/chaos/failover -seconds $(or $(LOAD),20)

.PHONY: check
check: setup fresh lint test ## What CI runs
	@$(MAKE) --no-print-directory chaos MINUTES=1
	@$(MAKE) --no-print-directory failover LOAD=3

.PHONY: lint
lint: ## Check formatting and suspicious constructs
	@unformatted=$$(gofmt -l pkg services proto/tools); test -z "$$unformatted" || { echo "gofmt -w $$unformatted" >&2; exit 1; }
	go vet work
	go tool staticcheck work

.PHONY: fresh
fresh: ## Check that the generated code is what the protos give
	@hash() { find $(GENERATED) -type f | sort | xargs cat | sha256sum; }; before=$$(hash); \
	  $(MAKE) --no-print-directory generate >/dev/null || exit 1; \
	  test "$$before" = "$$(hash)" || { echo 'generated code was not fresh: commit what `make generate` has just changed' >&2; exit 1; }

.PHONY: generate
generate: $(BUF) $(PROTODEPS) ## Write the generated code again, after a change in proto/
	$(BUF) format -w proto
	$(BUF) lint proto
	rm -rf .cache/openapi
	$(BUF) generate
	@# What our messages import is described another way than the errors of all routes, by the same name.
	sed -i '/^      "google.rpc.Status": {$$/,/^      },$$/d' .cache/openapi/roster/membership/v1/bulk_member_service.openapi.json
	go tool openapiv3-merge $$(find .cache/openapi -name '*.openapi.json' | sort) > .cache/openapi.json
	mv .cache/openapi.json services/gateway/openapi.json
	$(BUF) build proto --path proto/roster/event --output .cache/events.binpb
	go run ./services/internal/asyncapi .cache/events.binpb $(ASYNCAPI) > .cache/asyncapi.json
	mv .cache/asyncapi.json services/gateway/asyncapi.json
	cp proto/roster/error/v1/error.proto services/gateway/error.proto.txt

.PHONY: breaking
breaking: $(BUF) $(PROTODEPS) ## Check that the protos stay compatible: make breaking BASE=v1.0.0
	rm -rf .cache/base && mkdir -p .cache/base/.cache
	git archive $(BASE) buf.yaml proto | tar -x -C .cache/base
	cp -r .cache/protodeps .cache/base/.cache/
	$(BUF) breaking proto --against .cache/base/proto

$(BUF): proto/tools/buf/package-lock.json
	deploy/setup.sh --generate
	cd proto/tools/buf && npm install --no-save --ignore-scripts
	touch $@

$(PROTODEPS): proto/tools/protodeps/main.go proto/tools/go.mod
	rm -rf .cache/protodeps
	go run ./proto/tools/protodeps .cache/protodeps
	touch $@

.PHONY: clean
clean: ## Remove what was built; the data in .roster stays
	rm -rf bin .cache proto/tools/buf/node_modules
