package collector

import (
	"net/http"
	"net/netip"
	"strings"
	"time"

	"segue/processors/collector/machine"
	"segue/schemas"
	"segue/schemas/link"
)

// engaged brings in that a link of a mail was asked for, by a machine or by a
// person. One that is only asked about (HEAD) tells what asked, and no more.
func (s *Station) engaged(r *http.Request, l link.Link, kind schemas.Engagement_Kind) {
	if r.Method == http.MethodHead {
		s.unjudged.head(mailOf(l))
		return
	}
	g := &schemas.Engagement{Kind: kind, DeliveryId: l.Delivery, Url: l.URL, Journey: l.Journey, Step: int32(l.Step)}
	g.Machine, g.Reason = s.config.Machines.Of(s.asked(r, l))
	e := s.event(l)
	e.Body = &schemas.Event_Engagement{Engagement: g}
	waits := kind == schemas.Engagement_CLICKED && g.Machine == "" && s.config.Machines.Within > 0
	if !waits || !s.unjudged.click(mailOf(l), e) {
		s.appendEngagement(e)
	}
}

// asked is what a request tells of who asks.
func (s *Station) asked(r *http.Request, l link.Link) machine.Asked {
	agent := r.UserAgent()
	a := machine.Asked{Agent: agent[:min(len(agent), maxAgent)], Age: -1}
	age := s.config.Clock.Now().Sub(time.UnixMilli(l.At))
	if l.At != 0 && age > -s.config.Machines.TooSoon { // the sender's clock may be a little ahead
		a.Age = max(age, 0)
	}
	if at, err := netip.ParseAddrPort(r.RemoteAddr); err == nil {
		a.Way = append(a.Way, at.Addr())
	}
	for _, line := range r.Header.Values("X-Forwarded-For") {
		for hop := range strings.SplitSeq(line, ",") {
			if at, err := netip.ParseAddr(strings.TrimSpace(hop)); err == nil && len(a.Way) < maxWay {
				a.Way = append(a.Way, at)
			}
		}
	}
	return a
}

// maxWay bounds the addresses that one request is looked up by, and maxAgent the
// bytes of its User-Agent: to look through the 32 KB that may come takes long.
const maxWay, maxAgent = 16, 512

func mailOf(l link.Link) string { return l.Customer + "\x00" + l.Delivery }

// appendEngagement hands an open or a click to its buffer.
func (s *Station) appendEngagement(e *schemas.Event) {
	if g := e.GetEngagement(); g.GetMachine() != "" {
		s.metrics.machines.WithLabelValues(strings.ToLower(g.GetKind().String()), g.GetMachine()).Inc()
	}
	s.appendClick(e)
}
