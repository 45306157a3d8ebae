package customer

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	"segue/processors/stream"
	"segue/schemas"
	"segue/schemas/profile"
)

// What profiles holds of somebody who was forgotten: the name, since when, and a
// restore point that says the same.
func TestForgottenIsPublishedAsSuch(t *testing.T) {
	pb := parse(t, shop(t))
	task := loaded(t, pb)
	p := task.New("ada")
	for i, line := range []string{"ada identify email=ada@example.com name=Ada zone=Europe/London", "ada subscribe", "ada order order=o1 total=20", "ada forget"} {
		at := monday + int64(i)
		if _, _, err := task.Advance(p, stream.Input{Key: "ada", Now: at, Value: encoded(t, line, at), Version: pb.Version}); err != nil {
			t.Fatal(err)
		}
	}
	fold := task.Encode(nil, p)
	var got schemas.CustomerProfile
	if err := schemas.Decode(task.Publish("ada", p, fold), &got); err != nil {
		t.Fatal(err)
	}
	if want := (&schemas.CustomerProfile{Customer: "ada", ForgottenAt: schemas.Timestamp(monday + 3), Fold: fold}); !proto.Equal(&got, want) {
		t.Errorf("published: got %v, want %v", &got, want)
	}
	restored, err := task.Decode(fold)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := task.Advance(restored, stream.Input{Key: "ada", Now: monday + 4, Value: encoded(t, "ada view sku=mug", monday), Version: pb.Version}); err != nil {
		t.Fatal(err)
	}
	if restored.Views.Count != 0 || restored.Forgotten != monday+3 {
		t.Errorf("restored, then a view: got %+v, want nothing but the fact", restored)
	}
}

// What comes for somebody who was forgotten is counted; what Segue says itself,
// and what is only folded again, is not.
func TestRefusedIsCounted(t *testing.T) {
	refused := 0
	task := NewTask(shelf{}, TaskOptions{Refused: func() { refused++ }})
	p := task.New("ada")
	for i, c := range []struct {
		line string
		want int
	}{{"ada forget", 0}, {"ada view sku=mug", 1}, {"ada bounced", 1}, {"ada forget", 1}, {"ada becomes known=bob", 2}, {"ada subscribe", 3}} {
		in := stream.Input{Key: "ada", Now: monday + int64(i), Value: encoded(t, c.line, monday+int64(i))}
		decisions, _, err := task.Advance(p, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range decisions {
			if out, err := task.Compose(p, in, d); err != nil || len(out) > 0 {
				t.Errorf("%s: composed %v, %v", c.line, out, err)
			}
		}
		if refused != c.want {
			t.Errorf("after %q: refused = %d, want %d", c.line, refused, c.want)
		}
	}
}

// A customer has as many names as are remembered, and one more comes: the name
// that was silent for the longest is forgotten, since it could not be later.
func TestNameTooMany(t *testing.T) {
	w := newWorld(t, monday)
	anon := func(i int) string { return fmt.Sprintf("anon-%d", i) }
	happens := func(line string) {
		key, e := w.event(line, w.clock+1)
		w.record(w.clock+1, key, e)
	}
	for i := range profile.MaxNames {
		happens(anon(i) + " becomes known=ada")
	}
	happens(anon(0) + " visit") // so the next one is the oldest
	happens(anon(profile.MaxNames) + " becomes known=ada")
	for i := range profile.MaxNames + 1 {
		s, _ := w.replay.State(anon(i))
		if forgotten := s.Forgotten != 0; forgotten != (i == 1) {
			t.Errorf("%s: forgotten: %v", anon(i), forgotten)
		}
	}
	happens("ada forget")
	for i := range profile.MaxNames + 1 {
		if s, _ := w.replay.State(anon(i)); s.Forgotten == 0 {
			t.Errorf("%s stands for %s, who is forgotten", anon(i), s.RedirectTo)
		}
	}
	w.refold()
}
