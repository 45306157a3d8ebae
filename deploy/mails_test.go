package deploy

import (
	"flag"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"testing"
	"time"

	"segue/processors/customer"
	"segue/processors/sender/mail"
	"segue/processors/sender/mail/lint"
	"segue/schemas"
	"segue/schemas/link"
	"segue/schemas/playbook"
	"segue/schemas/profile"
)

var update = flag.Bool("update", false, "write the golden mails anew")

// sampleAt is when a made-up customer gets the shipped mails.
var sampleAt = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

const mugPicture = "https://alder.example/mug.jpg"

// twoThings is the cart that mails are looked at with: one thing with a picture,
// one without.
func twoThings(p *profile.Profile) { p.Carts[0].Items[0].Image = mugPicture }

// samples are all shipped mails to a made-up customer with a cart.
func samples(t *testing.T, cart func(*profile.Profile)) (pb *playbook.Playbook, all []*schemas.Delivery) {
	t.Helper()
	yaml, files, err := playbook.ReadFS(os.DirFS("."), "playbook.yaml")
	if err == nil {
		pb, err = playbook.Parse("playbook.yaml", yaml, files)
	}
	if err != nil {
		t.Fatal(err)
	}
	reader := customer.Somebody(pb, sampleAt.UnixMilli())
	cart(reader)
	for _, name := range slices.Sorted(maps.Keys(pb.Messages)) {
		d, err := customer.Sample(pb, name, reader, sampleAt.UnixMilli())
		if err != nil {
			t.Fatal(err)
		}
		d.Customer, d.Playbook = "ada", ""
		all = append(all, d)
	}
	return pb, all
}

func compose(t *testing.T, d *schemas.Delivery, templates *mail.Templates) []byte {
	t.Helper()
	keys, err := link.NewKeys("a secret of sixteen bytes or more")
	if err != nil {
		t.Fatal(err)
	}
	c := mail.Composer{PublicURL: "https://t.alder.example", Keys: keys}
	m, err := c.Compose(d, templates, sampleAt)
	if err != nil {
		t.Fatal(err)
	}
	return m.Raw
}

var boundary = regexp.MustCompile(`boundary=(\w+)`)

// Every shipped mail is, byte for byte, as it was looked at last. -update writes
// them anew: look at them.
func TestShippedMails(t *testing.T) {
	pb, all := samples(t, twoThings)
	for _, d := range all {
		t.Run(d.GetMessage(), func(t *testing.T) {
			got := compose(t, d, mail.NewTemplates(pb.Files))
			if b := boundary.FindSubmatch(got); b != nil { // drawn anew for each
				got = regexp.MustCompile(string(b[1])).ReplaceAll(got, []byte("BOUNDARY"))
			}
			file := filepath.Join("testdata", "mails", d.GetMessage()+".eml")
			if *update {
				if err := os.WriteFile(file, got, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != string(want) {
				t.Errorf("got other bytes than %s: go test ./deploy -run TestShippedMails -update, and look at what changed", file)
			}
		})
	}
}

// No rule has anything to say of a shipped mail, whichever subject is drawn.
func TestShippedMailsAreClean(t *testing.T) {
	pb, all := samples(t, twoThings)
	for _, d := range all {
		for _, subject := range pb.Messages[d.GetMessage()].Subjects {
			d.Subject = subject
			found, err := lint.Message(d, pb.Files)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range found {
				t.Errorf("%s: %v", d.GetMessage(), f)
			}
		}
	}
}
