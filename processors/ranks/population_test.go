package ranks

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"segue/schemas"
)

// A customer counts with what their profile said last, and no more once it says
// nothing: they were forgotten, or became another.
func TestPopulation(t *testing.T) {
	worth := func(micros int64) []*schemas.CurrentScore {
		other := &schemas.CurrentScore{Score: "scores.churn", Value: &schemas.ScoreValue{Value: &schemas.ScoreValue_Micros{Micros: 900_000}}}
		return []*schemas.CurrentScore{other, {Score: "scores.value", Value: &schemas.ScoreValue{Value: &schemas.ScoreValue_Micros{Micros: micros}}}}
	}
	p := newPopulation()
	for _, c := range []struct {
		who   string
		says  *schemas.CustomerProfile
		total float64
	}{
		{"ada", &schemas.CustomerProfile{FirstName: "Ada", Scores: worth(20e6), Fold: []byte("fold")}, 1},
		{"bob", &schemas.CustomerProfile{Scores: worth(30e6)}, 2},
		{"ada", &schemas.CustomerProfile{Scores: worth(40e6)}, 2},
		{"eve", &schemas.CustomerProfile{Scores: worth(0)}, 2},
		{"bob", &schemas.CustomerProfile{ForgottenAt: schemas.Timestamp(1)}, 1},
		{"ada", &schemas.CustomerProfile{RedirectTo: "eve"}, 0},
	} {
		if err := p.take(&kgo.Record{Key: []byte(c.who), Value: schemas.Encode(c.says)}); err != nil {
			t.Fatal(err)
		}
		if got := p.spread().total; got != c.total {
			t.Errorf("after %s: %v customers, want %v", c.who, got, c.total)
		}
	}
	if err := p.take(&kgo.Record{Key: []byte("ada"), Value: []byte{0xff}}); err == nil {
		t.Error("a profile that is cut short is taken, want an error")
	}
	_ = p.take(&kgo.Record{Key: []byte("ada"), Value: schemas.Encode(&schemas.CustomerProfile{Scores: worth(5e6)})})
	if err := p.take(&kgo.Record{Key: []byte("ada")}); err != nil || p.spread().total != 0 {
		t.Errorf("after a tombstone: %v, %v customers, want none", err, p.spread().total)
	}
}
