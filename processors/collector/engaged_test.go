package collector

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"segue/schemas"
	"segue/schemas/link"
)

// read returns the engagements in the log, each with what did it.
func (r *rig) engagements(n int) []string {
	r.t.Helper()
	r.settle()
	var all []string
	for _, record := range r.events(n) {
		g := decode(r.t, record).GetEngagement()
		line := g.GetKind().String()
		if g.GetMachine() != "" {
			line = fmt.Sprintf("%s by %s: %s", line, g.GetMachine(), g.GetReason())
		}
		all = append(all, line)
	}
	return all
}

func (r *rig) told(want ...string) {
	r.t.Helper()
	if got := r.engagements(len(want)); fmt.Sprint(got) != fmt.Sprint(want) {
		r.t.Errorf("engagements:\n got %q\nwant %q", got, want)
	}
}

// link of Ada's mail, which was composed as the test began.
func (r *rig) link(kind link.Kind, target string) string {
	return r.keys.URL(r.url, link.Link{Kind: kind, Customer: "ada", Delivery: "d1", URL: target, At: start.UnixMilli()})
}

// Ada's employer scans her mail as it comes: it follows every link and fetches the
// picture. Her mail program's proxy fetches it as well. Then she reads, and clicks.
func TestMachinesBeforeAda(t *testing.T) {
	r := newRig(t)
	r.clock.MoveTo(start.Add(2 * time.Second))
	r.do("GET", r.link(link.Open, ""), "")
	r.do("GET", r.link(link.Click, "https://shop.example/cart"), "", "X-Forwarded-For", "104.47.1.2, 10.0.0.1")
	r.clock.MoveTo(start.Add(time.Minute))
	r.do("GET", r.link(link.Open, ""), "", "User-Agent", "Mozilla/5.0")
	for i := range 3 { // another scanner, which says nothing of itself
		r.do("GET", r.link(link.Click, fmt.Sprintf("https://shop.example/%d", i)), "")
	}
	r.told("OPENED by too-soon: 2s after the mail was made", "CLICKED by microsoft-defender: range 104.47.0.0/17",
		"OPENED by apple-mail-privacy: agent", "CLICKED by burst: 3 links of the mail within 2s",
		"CLICKED by burst: 3 links of the mail within 2s", "CLICKED by burst: 3 links of the mail within 2s")
	if got := value(t, r.metrics.machines.WithLabelValues("clicked", "burst")); got != 3 {
		t.Errorf("clicks of a burst = %v, want 3", got)
	}
	r.clock.MoveTo(start.Add(time.Hour))
	r.do("GET", r.link(link.Open, ""), "")
	r.do("GET", r.link(link.Click, "https://shop.example/cart"), "")
	if got := r.engagements(8)[6:]; fmt.Sprint(got) != "[OPENED CLICKED]" {
		t.Errorf("Ada's own: %q, want an open and a click of hers", got)
	}
}

// Two links, one link thrice, and links of two mails at once: people do that.
func TestPeopleClick(t *testing.T) {
	r := newRig(t)
	r.clock.MoveTo(start.Add(time.Minute))
	for _, target := range []string{"https://shop.example/a", "https://shop.example/b", "https://shop.example/a", "https://shop.example/a"} {
		r.do("GET", r.link(link.Click, target), "")
	}
	for _, delivery := range []string{"d2", "d3", "d4"} {
		r.do("GET", r.keys.URL(r.url, link.Link{Kind: link.Click, Customer: "ada", Delivery: delivery, URL: "https://shop.example/c"}), "")
	}
	r.told("CLICKED", "CLICKED", "CLICKED", "CLICKED", "CLICKED", "CLICKED", "CLICKED")
}

// Nobody has so long a name, and it would take long to look through.
func TestLongAgent(t *testing.T) {
	r := newRig(t)
	r.clock.MoveTo(start.Add(time.Minute))
	r.do("GET", r.link(link.Open, ""), "", "User-Agent", browser+strings.Repeat(" and on", maxAgent/7)+" Slackbot")
	r.told("OPENED")
}

// A scanner that looks first whether a link is there, and then follows it.
func TestHead(t *testing.T) {
	r := newRig(t)
	r.clock.MoveTo(start.Add(time.Minute))
	r.do("HEAD", r.link(link.Click, "https://shop.example/a"), "")
	r.do("GET", r.link(link.Click, "https://shop.example/a"), "")
	r.told("CLICKED by head: links of the mail were asked for by HEAD")
	r.do("GET", r.link(link.Click, "https://shop.example/a"), "") // later
	if got := r.engagements(2)[1]; got != "CLICKED" {
		t.Errorf("a click after that: %s, want CLICKED", got)
	}
}

// The sender's clock may be ahead of the collector's, and an earlier version's
// links do not say when their mail was composed.
func TestAgeNotKnown(t *testing.T) {
	r := newRig(t)
	for _, at := range []int64{0, start.Add(time.Hour).UnixMilli()} {
		r.do("GET", r.keys.URL(r.url, link.Link{Kind: link.Open, Customer: "ada", At: at}), "")
	}
	r.do("GET", r.keys.URL(r.url, link.Link{Kind: link.Open, Customer: "ada", At: start.Add(time.Second).UnixMilli()}), "")
	r.told("OPENED", "OPENED", "OPENED by too-soon: 0s after the mail was made")
}

// Clicks that wait when the station ends are judged by what is known by then.
func TestJudgedAtTheEnd(t *testing.T) {
	r := newRig(t)
	r.clock.MoveTo(start.Add(time.Minute))
	for i := range 3 {
		r.do("GET", r.link(link.Click, fmt.Sprintf("https://shop.example/%d", i)), "")
	}
	if n := r.Pending(); n != 0 {
		t.Errorf("Pending() = %d before the clicks can be judged, want 0", n)
	}
	r.stop()
	for _, record := range r.events(3) {
		if g := decode(t, record).GetEngagement(); g.GetMachine() != "burst" {
			t.Errorf("got %v, want it to be of a burst", g)
		}
	}
}

// However many click at once, what waits is bounded; the others are not judged.
func TestHeldIsBounded(t *testing.T) {
	r := newRig(t, func(c *Config) { c.MaxClicks = 2 })
	r.clock.MoveTo(start.Add(time.Minute))
	for i := range 2 {
		r.do("GET", r.link(link.Click, fmt.Sprintf("https://shop.example/%d", i)), "")
	}
	r.events(0)
	r.do("GET", r.link(link.Click, "https://shop.example/2"), "")
	for _, client := range []string{"HEAD", "HEAD"} {
		r.do(client, r.link(link.Click, "https://shop.example/x"), "")
	}
	if err := r.clicks.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := decode(t, r.events(1)[0]).GetEngagement(); got.GetUrl() != "https://shop.example/2" || got.GetKind() != schemas.Engagement_CLICKED {
		t.Errorf("got %v, want the third click at once", got)
	}
}
