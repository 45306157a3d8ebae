package main

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
)

// scene is what the demo's screen shows at one moment.
type scene struct {
	Store     string
	Start     time.Time // of the year
	Now       time.Time // where the store is
	Progress  float64   // of the year, 0 to 1
	Speed     float64   // virtual seconds per real second
	Events    int
	Rate      float64 // events per real second
	Shoppers  int
	Segments  []headcount
	Crossings []shownCrossing // latest first
	Watched   []watched
	Models    time.Time // when those of the shop's own came in force; zero: not yet
	Counts    mailCounts
	Mails     []shownMail // latest first
	Inbox     string      // URL
}

// headcount is how many are in a segment.
type headcount struct {
	Segment, About string
	Members        int
}

// mailCounts are what became of decisions.
type mailCounts struct {
	Sent, Opened, Clicked       int
	Held, Skipped, Cancelled    int
	Failed, Stale, Unsubscribed int
	Recovered                   int
	RecoveredMicros             int64
}

// shownMail is a mail that went out.
type shownMail struct {
	At      time.Time
	To      string
	Subject string
	Reason  string
}

// minWidth and minHeight are what the screen is laid out for; a smaller one
// shows as much of it as fits.
const (
	minWidth, minHeight = 72, 20
	maxWidth            = 132
)

// look is how a scene is coloured.
type look struct {
	clock, strong, faint, title, bar, track, mail, money lipgloss.Style
}

// newLook colours for what r writes to, in the terminal's own palette, so that
// it is legible on any background; with NO_COLOR r leaves plain text.
func newLook(r *lipgloss.Renderer) look {
	colour := func(ansi string) lipgloss.Style { return r.NewStyle().Foreground(lipgloss.Color(ansi)) }
	return look{
		clock:  colour("2").Bold(true),
		strong: r.NewStyle().Bold(true),
		faint:  r.NewStyle().Faint(true),
		title:  colour("3").Bold(true),
		bar:    colour("2"),
		track:  r.NewStyle().Faint(true),
		mail:   colour("6"),
		money:  colour("3").Bold(true),
	}
}

// render lays s out for a terminal. The lines are at most width wide and at
// most height many.
func (s *scene) render(width, height int, l look) []string {
	outer := max(width, 1)
	width = min(max(width, minWidth), maxWidth) - 2
	var lines []string
	lines = append(lines, s.header(width, l)...)
	lines = append(lines, "")
	lines = append(lines, s.segments(width, l)...)
	lines = append(lines, s.mailFigures(l)...)
	footer := []string{"", s.footer(width, l)}
	lines = append(lines, fit(max(height, minHeight)-len(lines)-len(footer), s.crossings(width, l), s.scores(width, l), s.latest(width, l))...)
	for len(lines)+len(footer) < height {
		lines = append(lines, "")
	}
	lines = append(lines, footer...)
	if len(lines) > height {
		lines = append(lines[:max(height-1, 0)], footer[1])
	}
	for i := range lines {
		lines[i] = lipgloss.NewStyle().MaxWidth(outer).Render(" " + lines[i])
	}
	return lines
}

// header is the store's clock, and how far and how fast it is.
func (s *scene) header(width int, l look) []string {
	digits := bigDigits(s.Now.Format("15:04"))
	right := width - lipgloss.Width(digits[0]) - 3
	percent := fmt.Sprintf("%3.0f %%", s.Progress*100)
	beside := [3]string{
		spread(l.strong.Render(s.Store), l.faint.Render(pace(s.Speed)), right),
		spread(l.clock.Render(s.Now.Format("Monday 2 January 2006")),
			fmt.Sprintf("%s events/s", l.strong.Render(thousands(int(s.Rate)))), right),
		gauge(s.Progress, right-len(percent)-1, l) + " " + percent,
	}
	lines := make([]string, 3)
	for i := range lines {
		lines[i] = l.clock.Render(digits[i]) + "   " + beside[i]
	}
	return append(lines, strings.Repeat(" ", lipgloss.Width(digits[0])+3)+
		l.faint.Render(fmt.Sprintf("%s events of %s shoppers", thousands(s.Events), thousands(s.Shoppers))))
}

// pace says how fast time passes.
func pace(speed float64) string {
	switch {
	case speed >= 86_400:
		return fmt.Sprintf("%.1f days a second", speed/86_400)
	case speed >= 3_600:
		return fmt.Sprintf("%.1f hours a second", speed/3_600)
	case speed > 0:
		return fmt.Sprintf("%.0f seconds a second", speed)
	}
	return "standing still"
}

// segments are bars in two columns, the longest as long as fits.
func (s *scene) segments(width int, l look) []string {
	name, most := 0, 1
	for _, h := range s.Segments {
		name = max(name, lipgloss.Width(h.Segment))
		most = max(most, h.Members)
	}
	name = min(name, 17)
	column := (width - 3) / 2
	room := max(column-name-8, 4)
	var rows []string
	for _, h := range s.Segments {
		rows = append(rows, fmt.Sprintf("%s %s%s", pad(cutTo(h.Segment, name), name),
			spread(l.bar.Render(bar(float64(h.Members)/float64(most), room)), "", room),
			fmt.Sprintf(" %6s", thousands(h.Members))))
	}
	half := (len(rows) + 1) / 2
	return append([]string{l.title.Render("WHO IS IN WHICH SEGMENT")}, beside(rows[:half], rows[half:], column+3)...)
}

// mailFigures are what became of the mail.
func (s *scene) mailFigures(l look) []string {
	c := s.Counts
	figure := func(n int, style lipgloss.Style, what string) string { return style.Render(thousands(n)) + " " + what }
	return []string{
		l.title.Render("MAIL") + "  " + strings.Join([]string{
			figure(c.Sent, l.strong, "sent"), figure(c.Opened, l.strong, "opened ") + l.faint.Render(share(c.Opened, c.Sent)),
			figure(c.Clicked, l.strong, "clicked ") + l.faint.Render(share(c.Clicked, c.Sent)),
			figure(c.Recovered, l.money, "carts recovered ") + l.faint.Render("£"+thousands(int(c.RecoveredMicros/1e6)))}, "  "),
		"      " + l.faint.Render(fmt.Sprintf("%s held till later  %s skipped  %s not delivered  %s unsubscribed",
			thousands(c.Held), thousands(c.Skipped), thousands(c.Failed+c.Stale+c.Cancelled), thousands(c.Unsubscribed))),
	}
}

// block is a title and what stands below it, as much of that as fits.
type block struct {
	title string
	items [][]string // each of one line or more
}

// fit lays blocks out in room lines: each gets its first item, the first blocks
// first, then what is left goes round.
func fit(room int, blocks ...block) (lines []string) {
	shown := make([]int, len(blocks))
	for more, round := true, 0; more; round++ {
		more = false
		for i, b := range blocks {
			if shown[i] != round || round == len(b.items) {
				continue
			}
			needs := len(b.items[round])
			if round == 0 {
				needs += 2 // a title, and the line above it
			}
			if needs <= room {
				room -= needs
				shown[i]++
				more = true
			}
		}
	}
	for i, b := range blocks {
		if shown[i] > 0 {
			lines = append(append(lines, "", b.title), slices.Concat(b.items[:shown[i]]...)...)
		}
	}
	return lines
}

// crossings are who entered or left a segment last, and why, two lines each.
func (s *scene) crossings(width int, l look) block {
	b := block{title: l.title.Render("WHO CROSSED WHAT, AND WHY")}
	for _, c := range s.Crossings {
		b.items = append(b.items, []string{
			cutTo(l.faint.Render(c.At.Format("02 Jan 15:04"))+"  "+l.strong.Render(c.Customer)+" "+c.did()+" "+l.mail.Render(c.Segment), width),
			l.faint.Render(cutTo("              "+strings.Join(c.Reasons, "; "), width))})
	}
	if len(b.items) == 0 {
		b.items = [][]string{{l.faint.Render("nobody yet: little is known of anybody")}}
	}
	return b
}

func (c *shownCrossing) did() string {
	if c.Entered {
		return "enters"
	}
	return "leaves"
}

// scores are curves over the year so far, a line each.
func (s *scene) scores(width int, l look) block {
	b := block{title: l.title.Render("SCORES AS THE YEAR GOES")}
	name := 0
	for _, w := range s.Watched {
		name = max(name, min(lipgloss.Width(w.Customer), 16))
	}
	room := (width - name - len("  churn 0.00   propensity 0.00 ")) / 2
	for _, w := range s.Watched {
		line := l.strong.Render(pad(cutTo(w.Customer, name), name))
		for _, x := range []struct {
			of    string
			curve []point
			top   float64
		}{{"  churn", w.Churn, 1}, {"  propensity", w.Propensity, propensityTop}} {
			now := "   –"
			if v, ok := latest(x.curve); ok {
				now = fmt.Sprintf("%.2f", v)
			}
			line += x.of + " " + now + " " + l.bar.Render(pad(spark(x.curve, s, x.top, room), room))
		}
		b.items = append(b.items, []string{line})
	}
	return b
}

// propensityTop is the top of its curves: few are more likely to order.
const propensityTop = 0.6

// spark is a curve of blocks over the whole year, as far as that has come: each is
// as high as the score was at most in its part.
func spark(curve []point, s *scene, top float64, width int) string {
	var b strings.Builder
	from, now := s.Start.UnixMilli(), s.Now.UnixMilli()
	cells := int(s.Progress*float64(width) + 0.5)
	for i := range cells {
		begins, ends := from+(now-from)*int64(i)/int64(cells), from+(now-from)*int64(i+1)/int64(cells)
		b.WriteRune([]rune(" ▁▂▃▄▅▆▇█")[int(min(highest(curve, begins, ends)/top, 1)*8+0.5)])
	}
	return b.String()
}

// latest are the mails that went out last, two lines each.
func (s *scene) latest(width int, l look) block {
	b := block{title: l.title.Render("LATEST MAILS, AND WHY")}
	subjects := 0
	for _, m := range s.Mails {
		subjects = max(subjects, min(lipgloss.Width(m.Subject), width-50))
	}
	for _, m := range s.Mails {
		b.items = append(b.items, []string{
			cutTo(l.faint.Render(m.At.Format("02 Jan 15:04"))+"  "+pad(l.mail.Render(cutTo(m.Subject, subjects)), subjects)+"  "+m.To, width),
			l.faint.Render(cutTo("              "+m.Reason, width))})
	}
	if len(b.items) == 0 {
		b.items = [][]string{{l.faint.Render("none yet: the first carts are being filled")}}
	}
	return b
}

func (s *scene) footer(width int, l look) string {
	return spread("Watch it, and read every mail, at "+l.mail.Render(s.Inbox+"live"), l.faint.Render("Ctrl-C stops"), width)
}

// digits are three lines high.
var digits = map[rune][3]string{
	'0': {"┏━┓", "┃ ┃", "┗━┛"}, '1': {" ┓ ", " ┃ ", " ┻ "}, '2': {"╺━┓", "┏━┛", "┗━╸"}, '3': {"╺━┓", " ━┫", "╺━┛"},
	'4': {"╻ ╻", "┗━┫", "  ╹"}, '5': {"┏━╸", "┗━┓", "╺━┛"}, '6': {"┏━╸", "┣━┓", "┗━┛"}, '7': {"╺━┓", "  ┃", "  ╹"},
	'8': {"┏━┓", "┣━┫", "┗━┛"}, '9': {"┏━┓", "┗━┫", "╺━┛"}, ':': {" ", "╏", " "},
}

func bigDigits(s string) (lines [3]string) {
	for _, r := range s {
		for i := range lines {
			lines[i] += digits[r][i] + " "
		}
	}
	return lines
}

// gauge is a bar of the whole width, filled by share.
func gauge(share float64, width int, l look) string {
	full := min(max(int(share*float64(width)+0.5), 0), width)
	return l.bar.Render(strings.Repeat("━", full)) + l.track.Render(strings.Repeat("─", width-full))
}

// bar is share of width, to an eighth of a cell.
func bar(share float64, width int) string {
	eighths := int(share*float64(width)*8 + 0.5)
	if share > 0 {
		eighths = max(eighths, 1)
	}
	return strings.Repeat("█", eighths/8) + []string{"", "▏", "▎", "▍", "▌", "▋", "▊", "▉"}[eighths%8]
}

// spread puts left and right at the ends of a line.
func spread(left, right string, width int) string {
	return left + strings.Repeat(" ", max(width-lipgloss.Width(left)-lipgloss.Width(right), 0)) + right
}

func pad(s string, width int) string { return spread(s, "", width) }

// cutTo shortens s to width cells.
func cutTo(s string, width int) string {
	if lipgloss.Width(s) <= width {
		return s
	}
	return lipgloss.NewStyle().MaxWidth(max(width-1, 0)).Render(s) + "…"
}

// beside joins two blocks; the right one begins at column.
func beside(left, right []string, column int) []string {
	lines := make([]string, max(len(left), len(right)))
	for i := range lines {
		if i < len(left) {
			lines[i] = left[i]
		}
		if i < len(right) {
			lines[i] = pad(lines[i], column) + right[i]
		}
	}
	return lines
}

func share(part, of int) string {
	if of == 0 {
		return "0 %"
	}
	return fmt.Sprintf("%d %%", (part*100+of/2)/of)
}

// thousands writes 12345 as 12,345.
func thousands(n int) string {
	if n < 0 {
		return "-" + thousands(-n)
	}
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
