package stream

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/processors/stream/streamtest"
)

func TestTable(t *testing.T) {
	c := streamtest.Fake(t)
	c.Create(2, "content")
	table, err := NewTable(c.Opts(), "content")
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	if err := table.CatchUp(t.Context()); err != nil {
		t.Fatalf("an empty topic: %v", err)
	}
	say := func(key string, value []byte) {
		c.Produce(&kgo.Record{Topic: "content", Key: []byte(key), Value: value})
	}
	say("b", []byte("1"))
	say("a", []byte("1"))
	say("a", []byte("2"))
	say("b", nil)
	if err := table.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := table.Keys(); !slices.Equal(got, []string{"a"}) {
		t.Errorf("Keys() = %q, want a alone", got)
	}
	if v, ok := table.Get("a"); !ok || string(v) != "2" {
		t.Errorf(`Get("a") = %q, %v, want the last value`, v, ok)
	}
	if _, ok := table.Get("b"); ok {
		t.Error(`Get("b") is there after its tombstone`)
	}
}

func TestTableOfNoTopic(t *testing.T) {
	c := streamtest.Fake(t)
	table, err := NewTable(c.Opts(), "content")
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := table.CatchUp(ctx); err == nil || !contains(err, `no topic "content"`) {
		t.Errorf("got %v", err)
	}
}
