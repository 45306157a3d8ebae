package playbook

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/osteele/liquid"
	"github.com/osteele/liquid/render"

	"segue/schemas/profile"
)

func shipped(t testing.TB) *Playbook {
	t.Helper()
	yaml, files, err := ReadFS(os.DirFS("../../deploy"), "playbook.yaml")
	if err != nil {
		t.Fatal(err)
	}
	pb, err := Parse("deploy/playbook.yaml", yaml, files)
	if err != nil {
		t.Fatal(err)
	}
	return pb
}

// renderer renders the files of pb, partials with what their template sees.
func renderer(t testing.TB, pb *Playbook, bindings map[string]any) func(source string) string {
	engine := liquid.NewEngine()
	engine.RegisterTag("include", func(c render.Context) (string, error) {
		name, err := c.EvaluateString(c.TagArgs())
		if err != nil {
			return "", err
		}
		return engine.ParseAndRenderString(string(pb.Files[name.(string)]), c.Bindings())
	})
	return func(source string) string {
		t.Helper()
		out, err := engine.ParseAndRenderString(source, bindings)
		if err != nil {
			t.Fatalf("render %.60q: %v", source, err)
		}
		return out
	}
}

// The cart journey of the shipped playbook, as a shopper meets it.
func TestShippedPlaybook(t *testing.T) {
	pb := shipped(t)
	if len(pb.Journeys) != 1 || pb.Journeys[0].Start.Kind != CartAbandoned {
		t.Fatalf("journeys: %+v, want the cart's alone", pb.Journeys)
	}
	steps := pb.Journeys[0].Steps
	if len(steps) != 3 || steps[0].After != hour || steps[1].After != 24*hour || steps[2].After != 3*day {
		t.Fatalf("steps: %+v, want 1 h, 24 h, 3 d", steps)
	}
	ada := &profile.Profile{Customer: "ada"}
	cart := &profile.Cart{Items: []profile.Item{{Product: "bench", PriceMicros: 99_990_000, Quantity: 1}}}
	high := steps[1].Choose[0]
	if holds, _ := high.When.Holds(Facts{Profile: ada, Cart: cart, Now: noon}); holds {
		t.Errorf("99.99: %s, want the ordinary second mail", high.When.Why(Facts{Profile: ada, Cart: cart}))
	}
	cart.Items[0].PriceMicros = 100_000_000
	if holds, _ := high.When.Holds(Facts{Profile: ada, Cart: cart, Now: noon}); !holds {
		t.Errorf("100.00: %s, want %s", high.When.Why(Facts{Profile: ada, Cart: cart}), high.Send)
	}
	if holds, _ := steps[2].When.Holds(Facts{Profile: ada, Now: noon}); !holds {
		t.Error("a first-time buyer: no third mail")
	}
	ada.Orders.Count = 1
	if holds, _ := steps[2].When.Holds(Facts{Profile: ada, Now: noon}); holds {
		t.Error("a customer: a third mail, want none")
	}
}

// Those that predict are there, and every segment says for people who is in it.
func TestShippedSegments(t *testing.T) {
	pb := shipped(t)
	predict := 0
	for i := range pb.Segments {
		s := &pb.Segments[i]
		if s.About == "" {
			t.Errorf("%s says nothing of who is in it", s.Name)
		}
		if s.Predicts() {
			predict++
		}
	}
	for _, name := range []string{"high-propensity", "at-risk", "next-product", "category-interest", "vip", "lapsing-vip", "going-premium", "new-customer", "price-sensitive"} {
		if !slices.ContainsFunc(pb.Segments, func(s Segment) bool { return s.Name == name }) {
			t.Errorf("no segment %s", name)
		}
	}
	if predict != 8 {
		t.Errorf("scores decide %d segments, want those but new-customer", predict)
	}
}

// Nobody is in a segment who has never been seen, and whoever is silent leaves
// those that are about now.
func TestShippedSegmentsOfNobody(t *testing.T) {
	for _, s := range shipped(t).Segments {
		if holds, next := s.Enter.Holds(Facts{Profile: &profile.Profile{Customer: "nobody"}, Now: noon}); holds || next != 0 {
			t.Errorf("%s: nobody is in, or will be at %d: %s", s.Name, next, s.Enter.Why(Facts{Profile: &profile.Profile{}, Now: noon}))
		}
	}
}

// Every message shows what it must, whether the shop told much or little.
func TestShippedTemplates(t *testing.T) {
	pb := shipped(t)
	item := func(name, price string) map[string]any {
		return map[string]any{"name": name, "price": price, "quantity": 2.0, "url": "https://alder.example/p/1", "image_url": ""}
	}
	store := map[string]any{"name": "Alder & Oak", "url": "https://alder.example"}
	brand := map[string]any{"address": pb.Brand.Address, "promises": []any{"made to last", "repaired for free"}}
	rich := map[string]any{
		"customer": map[string]any{"first_name": "Ada"}, "store": store, "brand": brand, "unsubscribe_url": "https://mail.example/u/1", "preferences_url": "https://mail.example/p/1",
		"cart": map[string]any{"value": "£137.50", "url": "https://alder.example/cart", "items": []any{
			item("Oak bench", "£99.00"), item("Élan lamp", "£20.00"), item("Mug", "£8.50"), item("Tray", "£5.00"), item("Coaster", "£5.00")}},
	}
	plain := map[string]any{
		"customer": map[string]any{"first_name": ""}, "store": store, "brand": brand, "unsubscribe_url": "https://mail.example/u/1", "preferences_url": "https://mail.example/p/1",
		"cart": map[string]any{"value": "£8.50", "items": []any{map[string]any{"name": "Mug", "price": "£8.50", "quantity": 1, "url": "", "image_url": ""}}},
	}
	for name, m := range pb.Messages {
		for _, bindings := range []map[string]any{rich, plain} {
			show := renderer(t, pb, bindings)
			html := show(string(pb.Files[m.Body]))
			wants := []string{"Mug", pb.Brand.Address, `href="https://mail.example/u/1"`, "Alder & Oak"}
			if bindings["customer"].(map[string]any)["first_name"] == "Ada" {
				wants = append(wants, "Hello Ada,", "£137.50", "with 1 more", `href="https://alder.example/cart"`)
			} else {
				wants = append(wants, "Hello there,", `<a href="https://alder.example" style`)
			}
			for _, want := range wants {
				if !strings.Contains(html, want) {
					t.Errorf("%s: %q is missing in\n%s", name, want, html)
				}
			}
			if strings.Count(html, `class="button"`) != 1 || strings.Count(html, "<table") != strings.Count(html, "</table>") ||
				strings.Count(html, "<tr") != strings.Count(html, "</tr>") || strings.Count(html, "<td") != strings.Count(html, "</td>") {
				t.Errorf("%s: want one button, and every table closed, in\n%s", name, html)
			}
			if strings.Contains(html, "{{") || strings.Contains(html, "{%") || len(html) > 102<<10 { // where a well-known client cuts mails off
				t.Errorf("%s: %d bytes, or liquid left over", name, len(html))
			}
			for _, s := range m.Subjects {
				if subject := show(s); subject == "" || len([]rune(subject)) > 60 {
					t.Errorf("%s: subject %q, want 1 to 60 letters", name, subject)
				}
			}
		}
	}
	for _, word := range pb.Brand.NeverSay {
		for name, content := range pb.Files {
			if strings.Contains(strings.ToLower(string(content)), word) {
				t.Errorf("%s says %q", name, word)
			}
		}
	}
}
