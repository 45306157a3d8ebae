package stream

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream/streamtest"
)

// Another program leaves a transaction open. The processor can read nothing and
// has no way to know why; whoever looks at its metrics sees it.
func TestWatchSeesWhatHoldsTheInputBack(t *testing.T) {
	r := newRig(t, streamtest.Fake(t), 2)
	c := r.config(newMachine("a"))
	c.Dir, c.FS, c.FlushAfter = t.TempDir(), nil, time.Hour
	registry := prometheus.NewRegistry()
	c.Metrics = registry
	x := r.start(c)
	r.fill(1, 50)
	r.settle(x)

	got := gauges(t, registry)
	if got["lag_records"] != 0 || got["held_back_seconds"] != 0 {
		t.Errorf("at rest: %v behind, held back for %v s, want neither", got["lag_records"], got["held_back_seconds"])
	}
	if got["restore_floor_age_seconds"] <= 0 {
		t.Errorf("nothing is in profiles yet, but they are %v s behind", got["restore_floor_age_seconds"])
	}
	for _, name := range []string{"input_retention_seconds", "store_bytes", "disk_free_bytes", "disk_size_bytes"} {
		if got[name] <= 0 {
			t.Errorf("%s: got %v, want more", name, got[name])
		}
	}

	other, err := kgo.NewClient(append(r.Opts(), kgo.TransactionalID("other"))...)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := other.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := other.ProduceSync(t.Context(), &kgo.Record{Topic: r.Prefix + "events", Key: []byte("a"), Value: []byte("1")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	r.eventually("see that it is held back", func() bool {
		got := gauges(t, registry)
		return got["held_back_seconds"] > 0 && got["lag_records"] > 0
	})
	if err := other.EndTransaction(t.Context(), kgo.TryAbort); err != nil {
		t.Fatal(err)
	}
	r.eventually("see that it is free", func() bool {
		got := gauges(t, registry)
		return got["held_back_seconds"] == 0 && got["lag_records"] == 0
	})
}

// gauges are those of a processor, by name.
func gauges(t *testing.T, from prometheus.Gatherer) map[string]float64 {
	t.Helper()
	families, err := from.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetGauge() != nil {
				all[f.GetName()[len("segue_stream_"):]] = m.GetGauge().GetValue()
			}
		}
	}
	return all
}
