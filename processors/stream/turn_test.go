package stream

import (
	"testing"
	"time"

	"segue/processors/stream/streamtest"
	"segue/schemas"
)

func TestTurn(t *testing.T) { testTurn(t, streamtest.Fake(t)) }

func TestKafkaTurn(t *testing.T) { testTurn(t, streamtest.Real(t)) }

// Whoever comes second has the turn: what the first read is no longer so.
func testTurn(t *testing.T, c *streamtest.Cluster) {
	c.Create(3, schemas.Events)
	c.Create(1, schemas.Models)
	version := func(id string) NamedVersion {
		name := id + "@1"
		return NamedVersion{Name: name, Topic: schemas.Models, Content: &schemas.ModelsVersion{Id: id, Version: "1"},
			InForce: &schemas.Event{Body: &schemas.Event_Models{Models: &schemas.ModelsInForce{Version: name}}}}
	}
	first, err := TakeTurn(t.Context(), c.Opts(), c.Prefix, schemas.Models)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	for _, id := range []string{"birch", "alder"} { // no order of names
		if n, err := PutInForce(t.Context(), c.Opts(), c.Prefix, version(id), time.UnixMilli(1000)); n != 3 || err != nil {
			t.Fatalf("PutInForce(%s) = %d, %v, want 3 partitions", id, n, err)
		}
	}
	if _, err := first.Put(t.Context(), version("oak"), time.UnixMilli(1000)); err == nil {
		t.Error("Put went through after others had had the turn")
	}
	for p, records := range c.Committed(schemas.Events) {
		var said []string
		for _, r := range records {
			var e schemas.Event
			if err := schemas.Decode(r.Value, &e); err != nil {
				t.Fatal(err)
			}
			said = append(said, e.GetModels().GetVersion())
		}
		if len(said) != 2 || said[0] != "birch@1" || said[1] != "alder@1" {
			t.Errorf("events partition %d says %q, want birch, then alder", p, said)
		}
	}
	table, err := NewTable(c.Opts(), c.Prefix+schemas.Models)
	if err != nil {
		t.Fatal(err)
	}
	defer table.Close()
	if err := table.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		wanted func(key string) bool
		want   string
	}{
		{func(string) bool { return true }, "alder@1"},
		{func(key string) bool { return key != "alder@1" }, "birch@1"},
		{func(string) bool { return false }, ""},
	} {
		got := ""
		if r := table.Newest(tc.wanted); r != nil {
			got = string(r.Key)
		}
		if got != tc.want {
			t.Errorf("Newest is %q, want %q", got, tc.want)
		}
	}
}
