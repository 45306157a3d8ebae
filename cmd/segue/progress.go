package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"
)

// progress says how far something is: on a terminal in one line that is written
// over, elsewhere in a new line now and then.
type progress struct {
	out     io.Writer
	inPlace bool
	every   time.Duration
	last    time.Time
	drawn   bool
}

func newProgress(out io.Writer) *progress {
	p := &progress{out: out, inPlace: isTerminal(out), every: plainEvery, last: time.Now()}
	if p.inPlace {
		p.every = frame
	}
	return p
}

// show prints the line, if it is time.
func (p *progress) show(line func() string) {
	now := time.Now()
	if now.Sub(p.last) < p.every {
		return
	}
	p.last = now
	if p.inPlace {
		fmt.Fprintf(p.out, "\r%s\x1b[K", line())
		p.drawn = true
		return
	}
	fmt.Fprintln(p.out, line())
}

// end takes the line away, so that another can be printed.
func (p *progress) end() {
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.drawn = false
	}
}

// isTerminal reports whether a person sees, or types, what goes through stream.
func isTerminal(stream any) bool {
	file, ok := stream.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}
