package customer

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/models"
	"segue/schemas/playbook"
)

// Who looked around under one name and bought under another has, once the two are
// one, the scores of somebody who did it all under one.
func TestScoresOfAMergedVisitor(t *testing.T) {
	does := []string{"visit", "view sku=mug category=kitchen price=12", "order order=o1 total=30", "opened", "view sku=jug category=kitchen price=30", "cart_add sku=mug price=12.50",
		"visit", "order order=o2 total=40", "named name=Search", "view sku=mug category=kitchen price=12"}
	whole, parts := newWorld(t, monday), newWorld(t, monday)
	at := monday
	for i, what := range does {
		at = monday + int64(i)*3*day
		for _, w := range []*world{whole, parts} {
			name := "ada"
			if w == parts && i%2 == 0 {
				name = "anon"
			}
			w.until(at)
			key, e := w.event(name+" "+what, at)
			w.record(at, key, e)
		}
	}
	at += day
	key, e := parts.event("anon becomes known=ada", at)
	parts.record(at, key, e)
	parts.settle()
	a, _ := whole.replay.State("ada")
	b, _ := parts.replay.State("ada")
	task := NewTask(shelf{}, TaskOptions{})
	for s := playbook.Churn; s <= playbook.NextProduct; s++ {
		one, two := task.facts(a, at+9*day).Scores, task.facts(b, at+9*day).Scores
		was, _ := one.At(s, at+9*day)
		is, _ := two.At(s, at+9*day)
		wasText, _ := one.Text(s, at+9*day)
		isText, _ := two.Text(s, at+9*day)
		if was != is || wasText != isText {
			t.Errorf("%v = %d %q of one name, %d %q of two", s, was, wasText, is, isText)
		}
	}
}

// rack is where models stand.
type rack map[string]*models.Set

func (r rack) Models(_ context.Context, version string) (*models.Set, error) {
	if r[version] == nil {
		return nil, fmt.Errorf("no models %s", version)
	}
	return r[version], nil
}

// Models that are put in force decide from their record on: who lies on another
// side of a threshold by them changes segments then, and is published then. The
// playbook stays, and they stay when another playbook comes.
func TestModelsInForce(t *testing.T) {
	pb := parse(t, strings.Replace(shop(t), "enter: orders.count >= 1", "enter: scores.propensity >= 0.5", 1))
	edited := parse(t, strings.Replace(shop(t), "enter: orders.count >= 1", "enter: scores.propensity >= 0.4", 1))
	eager, err := models.Parse("eager.yaml", []byte(strings.Replace(string(models.Default().YAML()), "base: -4.7", "base: 2", 1)))
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	task := &strict{Task: NewTask(shelf{pb.Version: pb, edited.Version: edited}, TaskOptions{Models: rack{eager.Version: eager}}), t: t}
	r := stream.NewReplay(task, func(at int64, in stream.Input, o stream.Output) {
		switch o.Topic {
		case schemas.SegmentChanges:
			var c schemas.SegmentChange
			if err := schemas.Decode(o.Value, &c); err != nil {
				t.Fatal(err)
			}
			got = append(got, fmt.Sprintf("%d: %s %v by %s", at-monday, c.GetSegment(), c.GetEntered(), c.GetPlaybook()))
		case schemas.Scores:
			var c schemas.ScoreChange
			if err := schemas.Decode(o.Value, &c); err != nil {
				t.Fatal(err)
			}
			if c.GetScore() == "scores.propensity" {
				got = append(got, fmt.Sprintf("%d: %s crosses %d by %s", at-monday, c.GetScore(), c.GetCrossedMicros(), c.GetModels()))
			}
		}
	})
	record := func(at int64, key string, value []byte) {
		t.Helper()
		if err := r.Record(t.Context(), monday+at, key, value); err != nil {
			t.Fatal(err)
		}
	}
	inForce := func(pb *playbook.Playbook) []byte {
		return schemas.Encode(&schemas.Event{Body: &schemas.Event_Playbook{Playbook: &schemas.PlaybookInForce{Version: pb.Version}}})
	}
	record(0, "", inForce(pb))
	record(1, "ada", encoded(t, "ada visit", monday+1))
	record(2, "", schemas.Encode(&schemas.Event{Body: &schemas.Event_Models{Models: &schemas.ModelsInForce{Version: eager.Version}}}))
	record(3, "", inForce(edited))
	record(4, "bob", encoded(t, "bob visit", monday+4))
	want := []string{"2: scores.propensity crosses 500000 by " + eager.Version, "2: buyer true by " + pb.Version,
		"4: scores.propensity crosses 400000 by " + eager.Version, "4: buyer true by " + edited.Version}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	unknown := schemas.Encode(&schemas.Event{Body: &schemas.Event_Models{Models: &schemas.ModelsInForce{Version: "other@1"}}})
	if err := r.Record(t.Context(), monday+5, "", unknown); err == nil || !strings.Contains(err.Error(), "no models other@1") {
		t.Errorf("models that are nowhere: %v, want an error", err)
	}
}
