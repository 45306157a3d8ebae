package main

import (
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/charmbracelet/lipgloss"
	"github.com/muesli/termenv"
)

var updateView = flag.Bool("update-view", false, "write testdata/demo-*.txt anew")

func plainLook() look {
	r := lipgloss.NewRenderer(io.Discard)
	r.SetColorProfile(termenv.Ascii)
	return newLook(r)
}

func midyear(t *testing.T) *scene {
	london, err := time.LoadLocation("Europe/London")
	if err != nil {
		t.Fatal(err)
	}
	at := func(day, hour, minute int) time.Time {
		return time.Date(2011, time.March, day, hour, minute, 0, 0, london)
	}
	return &scene{
		Store: "Alder & Oak", Start: at(-100, 8, 0), Now: at(23, 14, 5), Progress: 0.312, Speed: 6.2 * 86_400,
		Events: 12_345, Rate: 1_204.4, Shoppers: 289,
		Segments: []headcount{
			{"at-risk", "", 34}, {"browsing-now", "", 1}, {"cart-open", "", 61}, {"high-propensity", "", 12},
			{"new-customer", "", 40}, {"price-sensitive", "", 0}, {"returning", "", 132},
		},
		Crossings: []shownCrossing{
			{at(23, 14, 4), "Ada Abel", "high-propensity", true, []string{"propensity: 0.16, at least 0.15 (things in an open cart: 3 (+0.97); orders since ever: 2 (+0.66))"}},
			{at(21, 3, 12), "Noah Stone", "at-risk", true, []string{"orders: 2, at least 2", "first order: 200d4h ago, more than 180d", "churn: 0.5, at least 0.5 (not on the site for 68d7h)"}},
			{at(20, 9, 30), "Noah Stone", "vip", false, []string{"churn: 0.95, at least 0.95 (not on the site for 142d11h)"}},
		},
		Watched: []watched{
			{"Ada Abel", []point{{at: at(-80, 9, 0).UnixMilli(), micros: 0}, {at: at(-20, 4, 0).UnixMilli(), micros: 500_000}, {at: at(10, 12, 0).UnixMilli(), micros: 0}},
				[]point{{at: at(-60, 9, 0).UnixMilli(), micros: 160_000}, {at: at(-59, 9, 0).UnixMilli(), micros: 80_000}, {at: at(23, 14, 4).UnixMilli(), micros: 160_000}}},
			{"uma.wolf.friend-of-13047", []point{{at: at(-70, 9, 0).UnixMilli(), micros: 300_000}, {at: at(9, 4, 0).UnixMilli(), micros: 950_000}}, nil},
		},
		Counts: mailCounts{Sent: 412, Opened: 201, Clicked: 90, Held: 120, Skipped: 302, Cancelled: 17, Unsubscribed: 5,
			Recovered: 41, RecoveredMicros: 3_120_500_000},
		Mails: []shownMail{
			{at(23, 14, 5), "ada.abel.17850@mail.example", "Still thinking it over?", "journey cart, step 1: £31.20 left, White hanging heart T-light holder and 2 more"},
			{at(23, 13, 40), "noah.stone.12583@mail.example", "Your White hanging heart T-light holder in a box of six is here", "journey cart, step 2"},
			{at(22, 20, 59), "uma.wolf.friend-of-13047@mail.example", "In drei Versprechen: für Ihre erste Bestellung ♥", "journey cart, step 3: never ordered"},
			{at(22, 11, 0), "eva.cole.15100@mail.example", "Saved for you", "journey cart, step 1"},
		},
		Inbox: "http://localhost:8025/",
	}
}

func TestView(t *testing.T) {
	for _, c := range []struct {
		name          string
		width, height int
		scene         *scene
	}{
		{"80x24", 80, 24, midyear(t)},
		{"120x40", 120, 40, midyear(t)},
		{"40x10", 40, 10, midyear(t)},
		{"start", 80, 24, &scene{Store: "Alder & Oak", Now: midyear(t).Now, Segments: []headcount{{"returning", "", 0}}, Inbox: "http://localhost:8025/"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines := c.scene.render(c.width, c.height, plainLook())
			if len(lines) > c.height {
				t.Errorf("got %d lines, want at most %d", len(lines), c.height)
			}
			for i, line := range lines {
				if w := lipgloss.Width(line); w > c.width {
					t.Errorf("line %d is %d wide, want at most %d: %q", i+1, w, c.width, line)
				}
				lines[i] = strings.TrimRight(line, " ")
			}
			got := strings.Join(lines, "\n") + "\n"
			path := filepath.Join("testdata", "demo-"+c.name+".txt")
			if *updateView {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// Colours change nothing about the layout.
func TestViewInColour(t *testing.T) {
	r := lipgloss.NewRenderer(io.Discard)
	r.SetColorProfile(termenv.TrueColor)
	for i, line := range midyear(t).render(80, 24, newLook(r)) {
		plain := midyear(t).render(80, 24, plainLook())[i]
		if lipgloss.Width(line) != lipgloss.Width(plain) {
			t.Errorf("line %d: got width %d, want %d", i+1, lipgloss.Width(line), lipgloss.Width(plain))
		}
		if strings.TrimSpace(plain) != "" && !strings.Contains(line, "\x1b[") {
			t.Errorf("line %d has no colour: %q", i+1, line)
		}
	}
}
