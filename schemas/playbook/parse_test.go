package playbook

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the bad playbooks of testdata now report into them")

// someFiles are the templates that the playbooks of testdata name.
var someFiles = map[string][]byte{
	"cart-reminder.html": []byte(`{% include "head.html" %}{% for item in cart.items %}{{ item.name }}{% endfor %}<a href="{{ unsubscribe_url }}">no more</a> {{ brand.address }}`),
	"head.html":          []byte(`{{ store.name | upcase }}`),
}

const minimal = `
store: {name: Alder & Oak, url: https://alder.example/, currency: GBP, time_zone: Europe/London}
brand:
  from: Alder & Oak <hello@alder.example>
  address: 1 Mill Lane, Stroud
`

func mustParse(t testing.TB, yaml string) *Playbook {
	t.Helper()
	pb, err := Parse("playbook.yaml", []byte(yaml), someFiles)
	if err != nil {
		t.Fatal(err)
	}
	return pb
}

func TestParse(t *testing.T) {
	pb := mustParse(t, minimal+`
id: spring
consent: purchase
goals:
  recover: {metric: carts recovered, change: +15%, within: 90d}
limits:
  quiet_hours: 21:00-08:00
  at_most: [1 per day, 3 per week]
  holdout: 5%
segments:
  returning: {enter: orders.count >= 2}
  big-spender:
    enter: orders.spent(days(90)) >= money(1000)
    leave: orders.spent(days(90)) < money(600)
journeys:
  welcome:
    start: entered("returning")
    stop: none
    steps: [{send: cart-reminder}]
  cart:
    topic: Reminders of your basket
    start: cart.abandoned
    stop: ordered of this cart
    once_per: cart
    goal: recover
    steps:
      - {after: 1h30m, send: cart-reminder}
      - after: 24h
        when: customer.subscribed
        choose: [{when: cart.value >= money(100), send: cart-reminder}]
        send: cart-reminder
messages:
  cart-reminder:
    subjects: ["Your {{ cart.items[0].name }} is here", Saved for you]
    body: cart-reminder.html
    give_up: 3h
`)
	if !strings.HasPrefix(pb.Version, "spring@") || len(pb.Version) != len("spring@")+12 {
		t.Errorf("Version = %s, want spring@ and 12 digits", pb.Version)
	}
	if pb.Store.URL != "https://alder.example" || pb.Store.Currency != "GBP" || pb.Store.Zone.String() != "Europe/London" {
		t.Errorf("Store = %+v", pb.Store)
	}
	if want := `"Alder & Oak" <hello@alder.example>`; pb.Brand.From != want {
		t.Errorf("Brand.From = %s, want %s", pb.Brand.From, want)
	}
	if want := (Limits{Quiet: &Quiet{From: 21 * 60, To: 8 * 60}, AtMost: []Cap{{1, Day}, {3, Week}}, Holdout: 0.05}); !reflect.DeepEqual(pb.Limits, want) {
		t.Errorf("Limits = %+v, want %+v", pb.Limits, want)
	}
	if pb.Consent != Purchase || pb.Goals[0] != (Goal{"recover", "carts recovered", 0.15, 90 * day}) {
		t.Errorf("Consent, Goals = %v, %+v", pb.Consent, pb.Goals)
	}
	if len(pb.Segments) != 2 || pb.Segments[0].Name != "big-spender" || pb.Segments[0].Leave == nil || pb.Segments[1].Leave != nil {
		t.Errorf("Segments = %+v, want two by name", pb.Segments)
	}
	if len(pb.Needs) != 1 || pb.Needs[0].Kind != Orders || pb.Needs[0].Window != 90*day {
		t.Errorf("Needs = %+v, want one window of 90 days", pb.Needs)
	}
	if want := []string{"Reminders of your basket", "welcome"}; !slices.Equal(pb.Topics(), want) {
		t.Errorf("Topics = %q, want %q", pb.Topics(), want)
	}
	cart, welcome := pb.Journeys[0], pb.Journeys[1]
	if welcome.Start != (Start{Kind: Entered, Segment: "returning"}) || welcome.Stop != Never || welcome.Steps[0].After != 0 {
		t.Errorf("welcome = %+v", welcome)
	}
	if cart.Start.Kind != CartAbandoned || cart.Stop != OrderedCart || cart.Goal != "recover" || cart.Steps[0].After != 90*minute {
		t.Errorf("cart = %+v", cart)
	}
	if s := cart.Steps[1]; s.When.Source() != "customer.subscribed" || len(s.Choose) != 1 || s.Choose[0].When.Source() != "cart.value >= money(100)" || s.Send != "cart-reminder" {
		t.Errorf("second step = %+v", s)
	}
	if m := pb.Messages["cart-reminder"]; len(m.Subjects) != 2 || m.Body != "cart-reminder.html" || m.GiveUp != 3*hour {
		t.Errorf("message = %+v", m)
	}
}

// Every bad playbook of testdata ends with what it is told, all of it.
func TestParseErrors(t *testing.T) {
	paths, err := filepath.Glob("testdata/bad-*.yaml")
	if err != nil || len(paths) == 0 {
		t.Fatalf("list testdata: %v, %d found", err, len(paths))
	}
	files := map[string][]byte{"broken.html": []byte("<p>\n{% if customer.email %}\n<p>")}
	for name, content := range someFiles {
		files[name] = content
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".yaml"), func(t *testing.T) {
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			yaml, told, _ := strings.Cut(string(content), "\n#! ")
			yaml, told = strings.TrimRight(yaml, "\n")+"\n", strings.TrimSpace(strings.ReplaceAll(told, "\n#! ", "\n"))
			some := someFiles
			if strings.Contains(yaml, "broken.html") {
				some = files
			}
			pb, err := Parse("playbook.yaml", []byte(yaml), some)
			if err == nil {
				t.Fatalf("Parse = %+v, want errors", pb)
			}
			if *update {
				lines := "\n#! " + strings.ReplaceAll(err.Error(), "\n", "\n#! ") + "\n"
				if err := os.WriteFile(path, []byte(yaml+lines), 0o644); err != nil {
					t.Fatal(err)
				}
			} else if err.Error() != told {
				t.Errorf("got\n%v\nwant\n%s", err, told)
			}
			for _, err := range err.(interface{ Unwrap() []error }).Unwrap() {
				var e *Error
				if !errors.As(err, &e) || e.Got == "" || e.Want == "" {
					t.Errorf("%#v, want an *Error with got and want", err)
				}
			}
		})
	}
}

func TestTemplateErrors(t *testing.T) {
	for name, x := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a partial that is not there": {map[string]string{"a.html": "\n{% include \"haed.html\" %}", "head.html": ""},
			`templates/a.html:2: got haed.html, which is not there, want a file in templates/; did you mean head.html?`},
		"a circle": {map[string]string{"a.html": `{% include "b.html" %}`, "b.html": `{% include 'b.html' %}`},
			`templates/b.html:1: got a template that includes itself: b.html → b.html, want partials without a circle`},
		"a name that is not known": {map[string]string{"a.html": `{{ customer.frist_name | default: "you" }}`},
			`templates/a.html:1: got customer.frist_name, want a name that a template can show; did you mean customer.first_name?`},
		"an include that is computed": {map[string]string{"a.html": `{% include cart.url %}`},
			`templates/a.html:1: got include cart.url, want include of a name in quotes, such as include "header.html"`},
	} {
		files := make(map[string][]byte)
		for f, content := range x.files {
			files[f] = []byte(content)
		}
		if _, err := Parse("playbook.yaml", []byte(minimal), files); err == nil || err.Error() != x.want {
			t.Errorf("%s:\n got %v\nwant %s", name, err, x.want)
		}
	}
}

func TestTooLarge(t *testing.T) {
	if _, err := Parse("playbook.yaml", []byte(minimal), map[string][]byte{"a.html": bytes.Repeat([]byte("a"), maxSize)}); err == nil || !strings.Contains(err.Error(), "bytes with its templates, want at most") {
		t.Errorf("a version of a megabyte: %v", err)
	}
	for _, yaml := range []string{strings.Repeat("[", 1<<17), strings.Repeat("{a: ", 1<<16), strings.Repeat("- ", 1<<17), strings.Repeat("? ", 1<<17), strings.Repeat("#", 1<<20)} {
		if _, err := Parse("playbook.yaml", []byte(yaml), nil); err == nil {
			t.Errorf("%.10s…: no error", yaml)
		}
	}
}

func TestMessage(t *testing.T) {
	pb := mustParse(t, minimal)
	m := pb.Message()
	if m.GetId()+"@"+m.GetVersion() != pb.Version {
		t.Errorf("Message() is of %s@%s, want %s", m.GetId(), m.GetVersion(), pb.Version)
	}
	again, err := FromMessage(m)
	if err != nil || again.Version != pb.Version || again.Store.Name != pb.Store.Name {
		t.Errorf("FromMessage = %v, %v, want %s again", again, err, pb.Version)
	}
	m.Yaml = append(m.Yaml, '\n')
	if _, err := FromMessage(m); err == nil || !strings.HasPrefix(err.Error(), "playbook "+pb.Version+": got the content of main@") {
		t.Errorf("FromMessage of changed content: %v", err)
	}
	if other := mustParse(t, minimal+"\n"); other.Version == pb.Version {
		t.Error("another line, the same version")
	}
}

func FuzzParse(f *testing.F) {
	paths, _ := filepath.Glob("testdata/*.yaml")
	for _, p := range append(paths, "../../deploy/playbook.yaml") {
		b, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, []byte(`{% include "cart-reminder.html" %}{{ cart.value | upcase }}`))
	}
	f.Fuzz(func(t *testing.T, yaml, template []byte) {
		files := map[string][]byte{"cart-reminder.html": template, "head.html": someFiles["head.html"]}
		a, err := Parse("p.yaml", yaml, files)
		b, again := Parse("p.yaml", yaml, files)
		if (err == nil) != (again == nil) || err != nil && err.Error() != again.Error() {
			t.Fatalf("parsed twice:\n%v\n%v", err, again)
		}
		if err != nil {
			return
		}
		if a.Version != b.Version {
			t.Fatalf("versions %s and %s of one playbook", a.Version, b.Version)
		}
		if _, err := FromMessage(a.Message()); err != nil {
			t.Fatalf("its own message: %v", err)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	yaml, files, err := ReadFS(os.DirFS("../../deploy"), "playbook.yaml")
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := Parse("playbook.yaml", yaml, files); err != nil {
			b.Fatal(err)
		}
	}
}
