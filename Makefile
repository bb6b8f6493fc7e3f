# Targets for people who build Roster. `make help` lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BUF := proto/tools/buf/node_modules/.bin/buf
PROTODEPS := .cache/protodeps/.stamp

$(BUF): proto/tools/buf/package-lock.json
	cd proto/tools/buf && npm install --no-save --ignore-scripts
	touch $@

$(PROTODEPS): proto/tools/protodeps/main.go proto/tools/go.mod
	rm -rf .cache/protodeps
	go run ./proto/tools/protodeps .cache/protodeps
	touch $@

.PHONY: generate
generate: $(BUF) $(PROTODEPS) ## Write the generated code again, after a change in proto/
	$(BUF) format -w proto
	$(BUF) lint proto
	rm -rf .cache/openapi
	$(BUF) generate
	go tool openapiv3-merge $$(find .cache/openapi -name '*.openapi.json' | sort) > .cache/openapi.json
	mv .cache/openapi.json services/gateway/openapi.json
