package collector

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"segue/schemas"
	"segue/schemas/link"
)

const forms = "application/x-www-form-urlencoded"

var hidden = regexp.MustCompile(`<input type="hidden" name="(\w+)" value="([^"]+)">`)

func (r *rig) preferences(topics string) string {
	return r.keys.PreferencesURL(r.url, link.Link{Kind: link.Unsubscribe, Customer: "ada", Delivery: "d1", At: 1, Topics: topics})
}

// chose returns what the n-th event chooses, as JSON, of n in all.
func (r *rig) chose(n int) string {
	r.t.Helper()
	e := decode(r.t, r.events(n)[n-1])
	if e.GetCustomer() != "ada" || e.GetSource() != "mail" || e.GetPreferences().GetDeliveryId() != "d1" {
		r.t.Errorf("event %v, want Ada's of her mail", e)
	}
	got := proto.Clone(e.GetPreferences()).(*schemas.Preferences)
	got.DeliveryId = ""
	if got.GetUndoes() == r.last(n) {
		got.Undoes = "the one before"
	}
	b, err := protojson.Marshal(got)
	if err != nil {
		r.t.Fatal(err)
	}
	return strings.ReplaceAll(string(b), ", ", ",")
}

func (r *rig) last(n int) string {
	if n < 2 {
		return "none"
	}
	return decode(r.t, r.events(n)[n-2]).GetId()
}

// Ada comes by the link of her mail, chooses, and takes it back; she needs no
// script for that.
func TestPreferences(t *testing.T) {
	r := newRig(t)
	unsubscribe := r.keys.URL(r.url, link.Link{Kind: link.Unsubscribe, Customer: "ada", Delivery: "d1", At: 1, Topics: "News\nReminders <of> you"})
	page := r.preferences("News\nReminders <of> you")
	if _, body, _ := r.do("GET", unsubscribe, ""); !strings.Contains(body, `href="../p/`+page[strings.LastIndex(page, "/")+1:]+`"`) {
		t.Errorf("the page to unsubscribe does not lead to %s:\n%s", page, body)
	}
	code, body, header := r.do("GET", page, "")
	for _, want := range []string{"Reminders &lt;of&gt; you", `name="topic1"`, `value="week"`, `value="month"`, "No mail for 30 days", "Unsubscribe from everything"} {
		if code != 200 || !strings.Contains(body, want) {
			t.Errorf("GET of the preferences = %d without %s:\n%s", code, want, body)
		}
	}
	if policy := header.Get("Content-Security-Policy"); strings.Contains(body, "<script") || strings.Contains(policy, "script-src") || !strings.Contains(policy, "default-src 'none'") {
		t.Errorf("Content-Security-Policy = %s, want one that allows no script, as the page has none", policy)
	}
	r.events(0)
	code, body, _ = r.do("POST", page, url.Values{"often": {"week"}, "topic0": {"yes"}, "topic1": {"no"}, "pause": {"month"}}.Encode(), "Content-Type", forms)
	for _, want := range []string{"<h1>Saved</h1>", "At most one mail a week.", "Yes: News", "No more: Reminders &lt;of&gt; you", "No mail for 30 days."} {
		if code != 200 || !strings.Contains(body, want) {
			t.Errorf("POST of the preferences = %d without %s:\n%s", code, want, body)
		}
	}
	if got, want := r.chose(1), `{"frequency":"WEEKLY","stop":["Reminders <of> you"],"resume":["News"],"pauseDays":30}`; got != want {
		t.Errorf("chose %s, want %s", got, want)
	}
	undo := hidden.FindStringSubmatch(body)
	if undo == nil {
		t.Fatalf("no button takes it back:\n%s", body)
	}
	if code, body, _ = r.do("POST", page, url.Values{undo[1]: {undo[2]}}.Encode(), "Content-Type", forms); code != 200 || !strings.Contains(body, "It is as it was") {
		t.Errorf("POST of the undo = %d:\n%s", code, body)
	}
	if got := r.chose(2); got != `{"undoes":"the one before"}` {
		t.Errorf("chose %s, want to take the one before back", got)
	}
	r.do("POST", page, "often=every&pause=end", "Content-Type", forms)
	if got := r.chose(3); got != `{"frequency":"EVERY_MAIL","pauseDays":0}` {
		t.Errorf("chose %s, want every mail, and the break over", got)
	}
}

// The page after an unsubscribe takes it back.
func TestUndoUnsubscribe(t *testing.T) {
	r := newRig(t)
	_, body, _ := r.do("POST", r.keys.URL(r.url, link.Link{Kind: link.Unsubscribe, Customer: "ada", Delivery: "d1"}), "List-Unsubscribe=One-Click", "Content-Type", forms)
	to := regexp.MustCompile(`action="\.\.(/p/[\w-]+)"`).FindStringSubmatch(body)
	undo := hidden.FindStringSubmatch(body)
	if to == nil || undo == nil {
		t.Fatalf("no button takes it back:\n%s", body)
	}
	r.do("POST", to[1], url.Values{undo[1]: {undo[2]}}.Encode(), "Content-Type", forms)
	if got := r.chose(2); got != `{"undoes":"the one before"}` {
		t.Errorf("chose %s, want to take the unsubscribe back", got)
	}
}

// What is not of the page changes nothing, and neither does a look at it.
func TestNoChoice(t *testing.T) {
	r := newRig(t)
	page := r.preferences("News")
	for body, want := range map[string]int{
		"": 200, "often=&topic0=&pause=": 200, "often=daily": 400, "topic0=maybe": 400, "pause=999": 400, "often=%zz": 400,
		"undoes=" + strings.Repeat("x", maxID+1): 400, "undoes=%ff": 400, "often=week&x=" + strings.Repeat("x", maxForm): 400,
	} {
		if code, text, _ := r.do("POST", page, body, "Content-Type", forms); code != want || !strings.Contains(text, "Nothing was changed") {
			t.Errorf("POST %.40s = %d, want %d and a page that says so", body, code, want)
		}
	}
	r.do("POST", page, "topic1=no", "Content-Type", forms)                        // there is no such topic
	r.do("POST", page, "often=week", "Content-Type", "text/plain")                // no form
	r.do("POST", r.url+"/p/"+page[strings.LastIndex(page, "/")+2:], "often=week") // no link
	for _, method := range []string{"GET", "HEAD"} {
		if code, _, _ := r.do(method, page+"?often=week&undoes=x", ""); code != 200 {
			t.Errorf("%s of the preferences = %d, want 200", method, code)
		}
	}
	r.do("POST", page+"?often=week", "", "Content-Type", forms)
	r.settle()
	r.events(0)
}

// A proxy in front may serve the collector below a path of its own; the pages
// lead to each other all the same.
func TestPagesBelowAPath(t *testing.T) {
	for _, p := range []page{unsubscribing("T"), unsubscribed("T", "e"), choosing("T", link.Link{}, "")} {
		targets := []string{p.Elsewhere}
		for _, b := range p.Buttons {
			targets = append(targets, b.To)
		}
		for _, target := range targets {
			if target != "" && !strings.HasPrefix(target, "../") {
				t.Errorf("%s leads to %s, want an address beside its own", p.Title, target)
			}
		}
	}
}

// FuzzPreferences: no form chooses what the page does not offer.
func FuzzPreferences(f *testing.F) {
	f.Add("often=week&topic0=no&topic1=yes&pause=month", "News\nReminders")
	f.Add("undoes=x", "")
	f.Add("undoes=%ff", "")
	f.Fuzz(func(t *testing.T, form, topics string) {
		values, err := url.ParseQuery(form)
		if err != nil {
			return
		}
		topics = strings.ToValidUTF8(topics, "") // as a link's are
		chosen, noted, ok := chosenIn(values, link.Link{Topics: topics})
		if ok && chosen != nil {
			schemas.Encode(chosen) // panics of what fits no event
		}
		if !ok && (chosen != nil && chosen.GetUndoes() == "" || noted != nil) {
			t.Errorf("%q is refused, and chooses %v", form, chosen)
		}
		if chosen.GetUndoes() != "" && (len(chosen.GetStop())+len(chosen.GetResume()) > 0 || chosen.PauseDays != nil) {
			t.Errorf("%q takes back and chooses: %v", form, chosen)
		}
		for _, topic := range append(chosen.GetStop(), chosen.GetResume()...) {
			if !strings.Contains("\n"+topics+"\n", "\n"+topic+"\n") {
				t.Errorf("%q chooses %q, which is no topic of the mail", form, topic)
			}
		}
	})
}
