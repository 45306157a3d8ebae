package customer

import (
	"testing"

	"pgregory.net/rapid"

	"segue/processors/stream"
	"segue/schemas"
)

// Whatever comes in whichever order: a link is followed if it is trusted, or if
// nobody has named the customer by userId; nobody who was named stands for another
// but by the word of a trusted source.
func TestStrangersRedirectNobody(t *testing.T) {
	names := []string{"ada", "bob", "mallory", "anon-1", "anon-2"}
	does := []string{"visit", "view sku=mug", "identify email=x@example.com", "cart_add sku=mug price=3", "order total=9", "unsubscribe"}
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, monday)
		w.inForce(parse(t, shop(t)))
		named, said := map[string]bool{}, map[[2]string]bool{} // by a trusted link: who stands for whom
		before := map[string]string{}                          // whom each stood for
		w.folded = func(key string, value []byte) {
			var e schemas.Event
			if err := schemas.Decode(value, &e); err != nil {
				t.Fatal(err)
			}
			p, ok := w.replay.State(key)
			if !ok {
				t.Fatalf("%s is not known after %v", key, &e)
			}
			if link := e.GetLink(); link.GetKnown() != "" && link.GetKnown() != key {
				want := link.GetKnown()
				if named[key] && !link.GetTrusted() {
					want = before[key]
				}
				if p.RedirectTo != want {
					t.Errorf("%s, named %v, stands for %q after %v, want %q", key, named[key], p.RedirectTo, &e, want)
				}
				said[[2]string{key, link.GetKnown()}] = said[[2]string{key, link.GetKnown()}] || link.GetTrusted()
			}
			named[key] = named[key] || e.GetUserId() == key || e.GetMerge() != nil
			if named[key] && p.RedirectTo != "" && !said[[2]string{key, p.RedirectTo}] {
				t.Errorf("%s was named by userId, and stands for %s after %v", key, p.RedirectTo, &e)
			}
			before[key] = p.RedirectTo
		}
		for range rapid.IntRange(1, 40).Draw(t, "events") {
			name := rapid.SampledFrom(names).Draw(t, "who")
			line := name + " " + rapid.SampledFrom(does).Draw(t, "does")
			switch rapid.IntRange(0, 4).Draw(t, "link") {
			case 0, 1:
				line = name + " becomes known=" + rapid.SampledFrom(names).Draw(t, "known")
			case 2:
				line = name + " becomes by=shop known=" + rapid.SampledFrom(names).Draw(t, "known")
			}
			at := w.clock + rapid.SampledFrom([]int64{0, 1, 3_600_000, 30 * 3_600_000}).Draw(t, "gap")
			key, e := w.event(line, at)
			if e.GetLink() == nil && rapid.IntRange(0, 3).Draw(t, "by another id") == 0 {
				e.UserId, e.AnonymousId = e.GetAnonymousId(), e.GetUserId()
			}
			w.record(at, key, e)
		}
		w.until(w.clock + 24*3_600_000)
		w.settle()
		w.refold()
	})
}

// What strangers try is counted, in the profile and by the station; what is only
// said again is not.
func TestRefusedLinksAreCounted(t *testing.T) {
	refused := 0
	task := NewTask(shelf{}, TaskOptions{RefusedLink: func() { refused++ }})
	p := task.New("ada")
	for i, c := range []struct {
		line  string
		count int
	}{{"ada becomes known=mallory id=1", 0}, {"ada visit", 1}, {"ada becomes known=mallory id=2", 2}, {"ada becomes known=mallory id=2", 2},
		{"ada becomes known=ada", 2}, {"ada becomes known=grace by=shop", 2}} {
		at := monday + int64(i)
		_, e := (&world{t: t, n: 9 + i}).event(c.line, at)
		in := stream.Input{Key: "ada", Now: at, Value: schemas.Encode(e)}
		decisions, _, err := task.Advance(p, in)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range decisions {
			if _, err := task.Compose(p, in, d); err != nil {
				t.Error(err)
			}
		}
		if shown := task.public(p).GetRefusedLinkCount(); p.RedirectTo != "grace" && shown != int64(c.count) || refused != c.count {
			t.Errorf("after %q: %d in the profile, %d by the station, want %d", c.line, shown, refused, c.count)
		}
	}
	if p.RedirectTo != "grace" {
		t.Errorf("stands for %q, want grace", p.RedirectTo)
	}
}
