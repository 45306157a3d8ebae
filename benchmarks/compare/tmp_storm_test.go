package main

import (
	"os"
	"testing"
	"time"

	"segue/benchmarks/workload"
)

func TestKafkaTmpStorm(t *testing.T) {
	c, err := connect(os.Getenv("SEGUE_TEST_BROKERS"), 16)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{cluster: c, dir: t.TempDir(), began: time.Now(), gogc: "100", seed: 1}
	b.self, _ = os.Executable()
	million := load{Workload: workload.Workload{Seed: 1, Customers: 1_000_000, InTurn: true}, events: 1_000_000, memory: 1 << 30}
	l, err := b.situation(t.Context(), situation{"storm", segue, 50 * time.Millisecond, million, 0, time.Minute, true})
	t.Log(len(l), l.quantile(.5), l.quantile(.99), l.quantile(1), err)
}
