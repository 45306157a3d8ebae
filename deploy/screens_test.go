package deploy

import (
	"bytes"
	_ "embed"
	"flag"
	"image"
	"image/color"
	"image/png"
	"io"
	"mime"
	"mime/multipart"
	netmail "net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"segue/processors/sender/mail"
	"segue/schemas"
	"segue/schemas/profile"
)

var screens = flag.String("screens", "", "keep pictures of the mails in this folder, to look at")

// What a look finds fault with; measure.js says how.
//
//go:embed testdata/measure.js
var measure string

// looks are who reads: on a telephone or beside a list of mails, by day or by
// night. Some clients drop <style> and leave only what is inlined.
var looks = []struct {
	name   string
	width  int
	scheme string
	bare   bool
}{
	{"phone-light", 360, "light", false},
	{"phone-dark", 360, "dark", false},
	{"pane-light", 640, "light", false},
	{"pane-dark", 640, "dark", false},
	{"phone-bare", 360, "light", true},
}

// Every shipped mail can be read in a real browser, also with a cart that hardly
// fits and a picture that does not come, and asks for its own pictures alone. What
// no rule knows, people see:
//
//	go test ./deploy -run TestShippedMailsInABrowser -screens /tmp/screens
func TestShippedMailsInABrowser(t *testing.T) {
	c := newChromium(t)
	pb, all := samples(t, twoThings)
	_, full := samples(t, fullCart)
	templates := mail.NewTemplates(pb.Files)
	show := func(t *testing.T, d *schemas.Delivery, name string) {
		c.show(htmlPart(t, compose(t, d, templates)))
		for _, look := range looks {
			if look.bare {
				c.eval(`document.querySelectorAll("style").forEach(s => s.remove())`, nil)
			}
			c.look(look.width, 640, look.scheme)
			var got struct {
				Height int
				Images []string
				Faults []string
			}
			c.eval(measure, &got)
			for _, fault := range got.Faults {
				t.Errorf("%s, %d px, %s: %s", name, look.width, look.name, fault)
			}
			for _, url := range c.asked {
				if !slices.Contains(got.Images, url) {
					t.Errorf("%s: asks for %s, want nothing but its pictures", name, url)
				}
			}
			c.asked = nil
			if *screens == "" {
				continue
			}
			c.look(look.width, got.Height, look.scheme)
			if err := os.WriteFile(filepath.Join(*screens, name+"-"+look.name+".png"), c.png(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if *screens != "" {
		if err := os.MkdirAll(*screens, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for i, d := range all {
		t.Run(d.GetMessage(), func(t *testing.T) {
			c.t, c.pictures = t, map[string][]byte{mugPicture: drawn(t)}
			show(t, d, d.GetMessage())
			show(t, full[i], d.GetMessage()+"-full")
		})
	}
}

// fullCart has more than a mail shows, names without a space, and large sums.
func fullCart(p *profile.Profile) {
	cart := &p.Carts[0]
	away := cart.Items[0]
	away.Image = "https://alder.example/away.jpg"
	long := cart.Items[1]
	long.Name = "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamter"
	long.PriceMicros, long.Quantity = 123_456_789_000, 120
	cart.Items = append([]profile.Item{long, away}, cart.Items...)
	cart.Items = append(cart.Items, cart.Items...)
	p.FirstName = "Wolfeschlegelsteinhausenbergerdorff-Featherstonehaugh"
}

// htmlPart is the last part of a mail, which is what clients show.
func htmlPart(t *testing.T, raw []byte) string {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	for parts := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := parts.NextPart()
		if err != nil {
			t.Fatalf("HTML part: %v", err)
		}
		if !strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			continue
		}
		html, err := io.ReadAll(part)
		if err != nil {
			t.Fatal(err)
		}
		return string(html)
	}
}

// drawn is a thing on a transparent ground, as shops cut them out.
func drawn(t *testing.T) []byte {
	t.Helper()
	const side = 128
	picture := image.NewNRGBA(image.Rect(0, 0, side, side))
	for x := range side {
		for y := range side {
			if dx, dy := x-side/2, y-side/2; dx*dx+dy*dy < side*side/6 {
				picture.Set(x, y, color.NRGBA{0xb5, 0x65, 0x3f, 0xff})
			}
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
