package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
)

// scene is what the demo's screen shows at one moment.
type scene struct {
	Store    string
	Now      time.Time // where the store is
	Progress float64   // of the year, 0 to 1
	Speed    float64   // virtual seconds per real second
	Events   int
	Rate     float64 // events per real second
	Shoppers int
	Segments []headcount
	Counts   mailCounts
	Mails    []shownMail // latest first
	Inbox    string      // URL
}

// headcount is how many are in a segment.
type headcount struct {
	Segment string
	Members int
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
	lines = append(lines, beside(s.segments(width*11/20, l), s.mailFigures(l), width*11/20+2)...)
	lines = append(lines, "")
	footer := []string{"", s.footer(width, l)}
	if room := max(height, minHeight) - len(lines) - len(footer); room > 0 {
		lines = append(lines, s.latest(width, room, l)...)
	}
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

// segments are bars, the longest as long as fits.
func (s *scene) segments(width int, l look) []string {
	name, most := 0, 1
	for _, h := range s.Segments {
		name = max(name, lipgloss.Width(h.Segment))
		most = max(most, h.Members)
	}
	name = min(name, 16)
	room := max(width-name-8, 4)
	lines := []string{l.title.Render("WHO IS IN WHICH SEGMENT")}
	for _, h := range s.Segments {
		lines = append(lines, fmt.Sprintf("%s %s%s", pad(cutTo(h.Segment, name), name),
			spread(l.bar.Render(bar(float64(h.Members)/float64(most), room)), "", room),
			fmt.Sprintf(" %6s", thousands(h.Members))))
	}
	return lines
}

// mailFigures are what became of the mail.
func (s *scene) mailFigures(l look) []string {
	c := s.Counts
	row := func(n int, style lipgloss.Style, what, more string) string {
		return fmt.Sprintf("%7s %s", style.Render(fmt.Sprintf("%7s", thousands(n))), pad(what, 15)) + l.faint.Render(more)
	}
	return []string{
		l.title.Render("   MAIL"),
		row(c.Sent, l.strong, "sent", ""),
		row(c.Opened, l.strong, "opened", " "+share(c.Opened, c.Sent)),
		row(c.Clicked, l.strong, "clicked", " "+share(c.Clicked, c.Sent)),
		row(c.Recovered, l.money, "carts recovered", " £"+thousands(int(c.RecoveredMicros/1e6))),
		row(c.Held, l.faint, "held", " till later"),
		row(c.Skipped, l.faint, "skipped", ""),
		row(c.Failed+c.Stale+c.Cancelled, l.faint, "not delivered", ""),
		row(c.Unsubscribed, l.faint, "unsubscribed", ""),
	}
}

// latest are the mails that went out last, two lines each.
func (s *scene) latest(width, room int, l look) []string {
	lines := []string{l.title.Render("LATEST MAILS, AND WHY")}
	subjects := 0
	for _, m := range s.Mails[:min(len(s.Mails), room/2)] {
		subjects = max(subjects, min(lipgloss.Width(m.Subject), width-50))
	}
	for _, m := range s.Mails {
		if len(lines)+2 > room {
			break
		}
		lines = append(lines,
			cutTo(l.faint.Render(m.At.Format("02 Jan 15:04"))+"  "+pad(l.mail.Render(cutTo(m.Subject, subjects)), subjects)+"  "+m.To, width),
			l.faint.Render(cutTo("              "+m.Reason, width)))
	}
	if len(s.Mails) == 0 {
		lines = append(lines, l.faint.Render("none yet: the first carts are being filled"))
	}
	return lines
}

func (s *scene) footer(width int, l look) string {
	return spread("Read every mail at "+l.mail.Render(s.Inbox), l.faint.Render("Ctrl-C stops"), width)
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
