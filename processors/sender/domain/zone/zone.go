// Package zone is a name server for tests: it knows what it is told.
//
//	zone ─UDP─▶ *net.Resolver
package zone

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/net/dns/dnsmessage"
)

// Server answers on loopback until it is closed.
type Server struct {
	conn net.PacketConn
	done chan struct{}

	mu      sync.Mutex
	records map[string][]dnsmessage.Resource // by name and type
	names   map[string]bool
	// silent names get SERVFAIL.
	silent map[string]bool
}

// New serves the records of a zone file's lines, as Publish takes them.
func New(lines ...string) (*Server, error) {
	s := &Server{done: make(chan struct{}), records: map[string][]dnsmessage.Resource{}, names: map[string]bool{}, silent: map[string]bool{}}
	for _, line := range lines {
		if err := s.Publish(line); err != nil {
			return nil, err
		}
	}
	var err error
	if s.conn, err = net.ListenPacket("udp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	go s.serve()
	return s, nil
}

// Addr is where it answers, host:port.
func (s *Server) Addr() string { return s.conn.LocalAddr().String() }

// Resolver asks this server and no other.
func (s *Server) Resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.Addr())
	}}
}

// Close ends the server.
func (s *Server) Close() {
	s.conn.Close()
	<-s.done
}

// Fail answers what is asked of name with SERVFAIL.
func (s *Server) Fail(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.silent[name] = true
}

// Withdraw forgets all records of a name and type.
func (s *Server) Withdraw(name, kind string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.records, strings.ToLower(strings.TrimSuffix(name, "."))+" "+kind)
}

// Publish adds a record, as: shop.example. TXT "v=spf1 " "-all".
func (s *Server) Publish(line string) error {
	name, rest, _ := strings.Cut(line, " ")
	kind, value, _ := strings.Cut(rest, " ")
	owner, err := dnsmessage.NewName(strings.TrimSuffix(name, ".") + ".")
	if err != nil {
		return fmt.Errorf("record %q: %w", line, err)
	}
	r := dnsmessage.Resource{Header: dnsmessage.ResourceHeader{Name: owner, Class: dnsmessage.ClassINET, TTL: 1}}
	switch kind {
	case "TXT":
		var body dnsmessage.TXTResource
		for piece := range strings.SplitSeq(strings.Trim(value, `"`), `" "`) {
			body.TXT = append(body.TXT, piece)
		}
		r.Body = &body
	case "MX":
		pref, host, _ := strings.Cut(value, " ")
		n, errPref := strconv.ParseUint(pref, 10, 16)
		mx, errHost := dnsmessage.NewName(host)
		if errPref != nil || errHost != nil {
			return fmt.Errorf("record %q: got no MX, want a preference and a host", line)
		}
		r.Body = &dnsmessage.MXResource{Pref: uint16(n), MX: mx}
	case "PTR":
		host, err := dnsmessage.NewName(value)
		if err != nil {
			return fmt.Errorf("record %q: %w", line, err)
		}
		r.Body = &dnsmessage.PTRResource{PTR: host}
	case "A", "AAAA":
		ip, err := netip.ParseAddr(value)
		if err != nil {
			return fmt.Errorf("record %q: %w", line, err)
		}
		if r.Body = (&dnsmessage.AAAAResource{AAAA: ip.As16()}); ip.Is4() {
			r.Body = &dnsmessage.AResource{A: ip.As4()}
		}
	default:
		return fmt.Errorf("record %q: got type %q, want TXT, MX, PTR, A or AAAA", line, kind)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	at := strings.ToLower(strings.TrimSuffix(name, "."))
	s.names[at] = true
	s.records[at+" "+kind] = append(s.records[at+" "+kind], r)
	return nil
}

func (s *Server) serve() {
	defer close(s.done)
	buf := make([]byte, 4096)
	for {
		n, from, err := s.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		var asked dnsmessage.Message
		if asked.Unpack(buf[:n]) != nil || len(asked.Questions) != 1 {
			continue
		}
		if answer, err := s.answer(asked); err == nil {
			s.conn.WriteTo(answer, from)
		}
	}
}

func (s *Server) answer(asked dnsmessage.Message) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q := asked.Questions[0]
	name := strings.ToLower(strings.TrimSuffix(q.Name.String(), "."))
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: asked.ID, Response: true, Authoritative: true}, Questions: asked.Questions}
	switch {
	case s.silent[name]:
		m.RCode = dnsmessage.RCodeServerFailure
	case !s.names[name]:
		m.RCode = dnsmessage.RCodeNameError
	default:
		m.Answers = s.records[name+" "+strings.TrimPrefix(q.Type.String(), "Type")]
	}
	return m.Pack()
}
