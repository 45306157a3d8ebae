package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/charmbracelet/lipgloss"
	"golang.org/x/term"
)

const (
	frame = 100 * time.Millisecond
	// plainEvery is how often output that is no terminal gets a line.
	plainEvery = 5 * time.Second
)

// showDemo shows what see returns until ctx ends: on a terminal in place, else
// as lines.
func showDemo(ctx context.Context, out io.Writer, see func() (*scene, []string)) {
	if file, ok := out.(*os.File); ok && isTerminal(out) {
		showScreen(ctx, file, see)
		return
	}
	showLines(ctx, out, see)
}

// showScreen draws on the terminal's other screen, so that what was there comes
// back, and in one write per frame, so that nothing flickers.
func showScreen(ctx context.Context, out *os.File, see func() (*scene, []string)) {
	l := newLook(lipgloss.NewRenderer(out))
	fmt.Fprint(out, "\x1b[?1049h\x1b[?25l\x1b[2J")
	defer fmt.Fprint(out, "\x1b[?25h\x1b[?1049l")
	tick := time.NewTicker(frame)
	defer tick.Stop()
	for {
		s, _ := see()
		width, height, err := term.GetSize(int(out.Fd()))
		if err != nil || width <= 0 || height <= 0 {
			width, height = 80, 24
		}
		var b strings.Builder
		b.WriteString("\x1b[?2026h\x1b[H") // all at once, where the terminal knows how
		for i, line := range s.render(width, height, l) {
			if i > 0 {
				b.WriteString("\r\n")
			}
			b.WriteString(line)
			b.WriteString("\x1b[K")
		}
		b.WriteString("\x1b[J\x1b[?2026l")
		fmt.Fprint(out, b.String())
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// showLines writes what happens for the first time, and now and then how far
// it is.
func showLines(ctx context.Context, out io.Writer, see func() (*scene, []string)) {
	tick := time.NewTicker(frame)
	defer tick.Stop()
	last := time.Now()
	for {
		s, news := see()
		for _, line := range news {
			fmt.Fprintln(out, line)
		}
		if time.Since(last) >= plainEvery {
			last = time.Now()
			fmt.Fprintln(out, s.line())
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// line is a scene in one line.
func (s *scene) line() string {
	c := s.Counts
	return fmt.Sprintf("%s  %2.0f %%, %s, %s events/s; mails: %s sent, %s opened, %s clicked, %s held, %s skipped; carts recovered: %s",
		s.Now.Format("2006-01-02 15:04"), s.Progress*100, pace(s.Speed), thousands(int(s.Rate)),
		thousands(c.Sent), thousands(c.Opened), thousands(c.Clicked), thousands(c.Held), thousands(c.Skipped), thousands(c.Recovered))
}
