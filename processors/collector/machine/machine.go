// Package machine says whether a person opened a mail and followed its links, or
// a machine did: a proxy that fetches every picture, a scanner that follows every
// link.
//
//	inbox ─ GET /o/… /c/… → machine → Engagement, a machine's or a person's
//
// Machines are known by how they call themselves, by where they ask from, and by
// how they ask: before the mail can have been read, by HEAD, many links at once.
// All of that is data (machines.yaml), which a shop can replace.
//
// Not obvious: whoever hides among browsers and takes its time is taken for a
// person, and a person whom a proxy hides is counted with the machines. The
// addresses that a request claims to have come by are believed: whoever makes
// them up makes a machine of nobody but themselves.
package machine

import (
	_ "embed"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"time"

	"segue/schemas/strict"
)

// Ways of asking that no reader has, whoever it was.
const (
	tooSoon = "too-soon"
	burst   = "burst"
	head    = "head"
)

//go:embed machines.yaml
var shipped []byte

// Machines is what is known of them.
type Machines struct {
	// TooSoon is how long after it was composed nobody can have read a mail.
	TooSoon time.Duration
	// Links of one mail, Within so short a time: nobody does that. 0: not judged.
	Links  int
	Within time.Duration

	known []known
}

type known struct {
	name   string
	agents []*regexp.Regexp
	ranges []netip.Prefix
	reader bool
}

// file is what stands in machines.yaml.
type file struct {
	TooSoon string `yaml:"too_soon"`
	Burst   struct {
		Links  int    `yaml:"links"`
		Within string `yaml:"within"`
	} `yaml:"burst"`
	Machines []struct {
		Name   string   `yaml:"name"`
		Agents []string `yaml:"agents"`
		Ranges []string `yaml:"ranges"`
		Reader bool     `yaml:"reader"`
	} `yaml:"machines"`
}

// Shipped returns what Segue knows by itself.
func Shipped() *Machines {
	m, err := Parse("machines.yaml", shipped)
	if err != nil {
		panic(err) // a test reads it
	}
	return m
}

// Parse reads a file such as machines.yaml, called name; the error names all that
// is wrong.
func Parse(name string, text []byte) (*Machines, error) {
	var f file
	if err := strict.Unmarshal(name, text, &f); err != nil {
		return nil, err
	}
	var wrong []error
	fail := func(where string, got any, want string) {
		wrong = append(wrong, fmt.Errorf("%s: %s: got %q, want %s", name, where, fmt.Sprint(got), want))
	}
	span := func(where, text string) time.Duration {
		d, err := time.ParseDuration(text)
		if err != nil || d < 0 || d > maxSpan {
			fail(where, text, "a length of time such as 2s, at most "+maxSpan.String())
		}
		return d
	}
	m := &Machines{TooSoon: span("too_soon", f.TooSoon), Links: f.Burst.Links, Within: span("burst.within", f.Burst.Within)}
	if m.Links < 2 {
		fail("burst.links", m.Links, "2 or more")
	}
	for i, x := range f.Machines {
		where := fmt.Sprintf("machines[%d]", i)
		if !names.MatchString(x.Name) {
			fail(where+".name", x.Name, "small letters, digits and hyphens")
		}
		if len(x.Agents)+len(x.Ranges) == 0 {
			fail(where, x.Name, "agents or ranges to know it by")
		}
		k := known{name: x.Name, reader: x.Reader}
		for n, source := range x.Agents {
			agent, err := regexp.Compile("(?i)" + source)
			if err != nil {
				fail(fmt.Sprintf("%s.agents[%d]", where, n), source, "a regular expression: "+err.Error())
			}
			k.agents = append(k.agents, agent)
		}
		for n, source := range x.Ranges {
			network, err := netip.ParsePrefix(source)
			if err != nil || network != network.Masked() {
				fail(fmt.Sprintf("%s.ranges[%d]", where, n), source, "a network such as 192.0.2.0/24")
			}
			k.ranges = append(k.ranges, network)
		}
		m.known = append(m.known, k)
	}
	if len(wrong) > 0 {
		return nil, errors.Join(wrong...)
	}
	return m, nil
}

// maxSpan bounds how long clicks wait, and mails count as unread.
const maxSpan = time.Minute

var names = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// Asked is what is known of one request.
type Asked struct {
	// Agent is its User-Agent.
	Agent string
	// Way is every address that it came by.
	Way []netip.Addr
	// Age is how old the mail is; negative: not known.
	Age time.Duration
}

// Of returns which machine asked, and what it was known by; "" when a person did,
// for all that one request can tell.
func (m *Machines) Of(a Asked) (name, reason string) {
	for i := range m.known {
		k := &m.known[i]
		by := k.by(a)
		if by == "" {
			continue
		}
		if k.reader {
			break
		}
		return k.name, by
	}
	if a.Age >= 0 && a.Age < m.TooSoon {
		return tooSoon, fmt.Sprintf("%v after the mail was made", a.Age.Round(100*time.Millisecond))
	}
	return "", ""
}

func (k *known) by(a Asked) string {
	for _, agent := range k.agents {
		if agent.MatchString(a.Agent) {
			return "agent"
		}
	}
	for _, network := range k.ranges {
		if slices.ContainsFunc(a.Way, func(x netip.Addr) bool { return network.Contains(x.Unmap()) }) {
			return "range " + network.String()
		}
	}
	return ""
}

// Together returns which machine followed so many different links of one mail
// within the time of a burst, and what it was known by; "" when a person did. heads:
// some of them were asked for by HEAD.
func (m *Machines) Together(links int, heads bool) (name, reason string) {
	switch {
	case heads:
		return head, "links of the mail were asked for by HEAD"
	case links >= m.Links:
		return burst, fmt.Sprintf("%d links of the mail within %v", links, m.Within)
	}
	return "", ""
}
