package models

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"segue/schemas"
)

func TestDefault(t *testing.T) {
	s := Default()
	again, err := FromMessage(s.Message())
	if err != nil || again.Version != s.Version || !strings.HasPrefix(s.Version, "default@") {
		t.Errorf("FromMessage = %v, %v, want %s", again, err, s.Version)
	}
	m := s.Message()
	m.Yaml = append(m.GetYaml(), "# more\n"...)
	if _, err := FromMessage(m); err == nil || !strings.Contains(err.Error(), "want its own") {
		t.Errorf("of another content: %v, want an error", err)
	}
}

// Whatever is out of bounds is named, with what it may be.
func TestCheck(t *testing.T) {
	text := string(Default().YAML())
	for _, c := range []struct{ old, new, want string }{
		{"id: default", "id: De fault", `id: got "De fault"`},
		{"r: 0.553", "r: -1", "churn.purchases.r: got -1, want a number between 0 and"},
		{"r: 0.553", "r: .nan", "churn.purchases.r: got NaN"},
		{"open_ticket: 2", "open_ticket: 0.5", "churn.open_ticket: got 0.5"},
		{"q: 3.74", "q: 1", "value.q: got 1, want a number between 1"},
		{"horizon_days: 365", "horizon_days: 365, ranks: [2, 1]", "value.ranks"},
		{"views_hour: 0.5", "views_our: 0.5", "propensity.day.weights: got views_our, want one of views_hour,"},
		{"views_hour: 0.5", "views_hour: 500", "propensity.day.weights.views_hour: got 500"},
		{"low: 0", "low: 5", "price: got low 5, premium 0"},
		{"id: default", "id: default\nnext: [{after: a, buy: b, chance: 2}]", "next[0]"},
	} {
		if _, err := Parse("m.yaml", []byte(strings.Replace(text, c.old, c.new, 1))); err == nil || !strings.Contains(err.Error(), "m.yaml: "+c.want) {
			t.Errorf("with %q: %v, want %q", c.new, err, c.want)
		}
	}
}

// But for the ranks, and a name that says so, the set is as it was; ranked again it
// keeps that name, and an id as long as can be has room for it.
func TestRanked(t *testing.T) {
	long := strings.Repeat("x", schemas.LongestName)
	for _, c := range []struct{ id, want string }{{"alder", "alder-ranked"}, {"alder-ranked", "alder-ranked"}, {long, long[:schemas.LongestName-len(ranked)] + ranked}} {
		text := strings.Replace(string(Default().YAML()), "id: default", "id: "+c.id+"\nnext: [{after: a, buy: b, chance: 0.1}]", 1)
		s, err := Parse("m.yaml", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Ranked([]float64{1, 12.345678}, "two customers")
		if err != nil || got.ID != c.want || !IsRanked(got.Version) {
			t.Fatalf("Ranked of %s = %v, %v, want %s", c.id, got, err, c.want)
		}
		if again, err := FromMessage(got.Message()); err != nil || again.Version != got.Version {
			t.Errorf("FromMessage = %v, %v, want %s", again, err, got.Version)
		}
		want := *s
		want.ID, want.Version, want.yaml = got.ID, got.Version, got.yaml
		want.Value.Ranks, want.Value.RanksOf = []float64{1, 12.345678}, "two customers"
		if !reflect.DeepEqual(*got, want) {
			t.Errorf("Ranked = %+v, want %+v", *got, want)
		}
	}
	if IsRanked("alder@0123456789ab") {
		t.Error("alder is ranked, want not: a person wrote it")
	}
}

// A set without ranks takes them over; one that has some keeps them, as one does that
// takes over from a set without.
func TestKeepRanks(t *testing.T) {
	alder, err := Parse("m.yaml", []byte(strings.Replace(string(Default().YAML()), "id: default", "id: alder", 1)))
	if err != nil {
		t.Fatal(err)
	}
	before, err := Default().Ranked([]float64{1, 2}, "two customers")
	if err != nil {
		t.Fatal(err)
	}
	of := func(s *Set) string { return fmt.Sprint(s.ID, s.Value.Ranks, s.Value.RanksOf) }
	got, kept, err := alder.KeepRanks(before)
	if want := "alder-ranked[1 2]two customers"; err != nil || !kept || of(got) != want || !IsRanked(got.Version) {
		t.Errorf("KeepRanks of a set without = %s, %t, %v, want %s, true", of(got), kept, err, want)
	}
	if got, kept, err := alder.KeepRanks(Default()); err != nil || kept || got != alder {
		t.Errorf("KeepRanks from a set without = %s, %t, %v, want the set", of(got), kept, err)
	}
	own, err := alder.Ranked([]float64{5}, "")
	if err != nil {
		t.Fatal(err)
	}
	if got, kept, err := own.KeepRanks(before); err != nil || kept || got != own {
		t.Errorf("KeepRanks of a set with ranks = %s, %t, %v, want the set", of(got), kept, err)
	}
}
