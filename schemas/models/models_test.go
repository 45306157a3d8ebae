package models

import (
	"strings"
	"testing"
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
