# make demo        a real shop's year in about a minute
# make check test  everything that needs Go alone
# make test-kafka  the same promises on a real Kafka (Java 17, Maven and Python 3)
# make simulate    the runtime against a model of Kafka, faults at every step
# make chaos       the runtime and its real client, in real time
# make torture     processes and a real Kafka, killed under load
# make bench       what it costs, beside Kafka Streams; make bench-collector the front door

.PHONY: build demo test test-kafka race fuzz simulate chaos torture bench bench-collector check generate clean

build:
	go build -o bin/segue ./cmd/segue

demo: build
	bin/segue demo $(DEMO)

test:
	go test ./...

# Brokers are real, and they are shared: one package at a time.
test-kafka:
	$(if $(SEGUE_TEST_BROKERS),,deploy/kafka/run) go test -count=1 -p 1 -run '^TestKafka' ./...

# Without the demo's whole year, which says the same as its weeks, and takes longest.
race:
	go test -race -short ./...

FUZZTIME ?= 20s
fuzz:
	.ci/fuzz $(FUZZTIME)

# A seed that fails is printed, with the command that replays it.
SEEDS ?= 10000
simulate:
	go test ./processors/stream -run '^TestSimulate$$' -timeout 24h -v -seeds $(SEEDS)

# A world that fails is kept in a folder.
WORLDS ?= 100
chaos:
	go test ./processors/stream -run '^TestChaos$$' -timeout 24h -v -chaos $(WORLDS)

KILLS ?= 20
torture:
	go run ./benchmarks/torture -kills $(KILLS) $(TORTURE)

bench:
	deploy/kafka/run go run ./benchmarks/compare $(BENCH)

bench-collector:
	deploy/kafka/run go run ./benchmarks/collector $(BENCH)

check:
	.ci/check

generate:
	go run $$(sed -n 's/^buf=//p' .ci/check) generate

clean:
	rm -rf bin
