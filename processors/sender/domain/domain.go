// Package domain says whether the world will believe that a domain stands behind
// its mails: whether what is published of it lets mailbox providers tell its mails
// from a forger's, as Gmail and Yahoo ask of who sends in bulk.
//
//	a domain, its keys, the addresses that its mails leave from → DNS → Facts
//	Facts → findings, each with what to publish where something is wrong
//
// Look asks, Judge decides and asks nothing.
//
// The rules are Gmail's (support.google.com/a/answer/81126) and Yahoo's
// (senders.yahooinc.com/best-practices) for bulk senders, and RFC 7208 (SPF),
// 6376 (DKIM) and 7489 (DMARC), which they rest on. What DNS does not know, as the
// rate of complaints, is not asked here.
//
// Not obvious: SPF is about the domain of the return path, which may be another
// than the one in From; only if both belong to one organization does it speak for
// From. A relay's address is where it takes mails, and not where they leave from,
// so that addresses must be told.
package domain

import (
	"fmt"
	"net"
	"net/netip"
	"strings"

	"segue/processors/sender/dkim"
)

// Question is what is to be looked at.
type Question struct {
	// Domain is the one in From.
	Domain string
	// Return is the domain of the return path.
	Return string
	// Keys are those that sign mails of Domain.
	Keys dkim.Keys
	// Leave are the addresses that mails leave from, as far as they are known.
	Leave []netip.Addr
	// Relay is the host of the relay, and Plain that it gets mails without TLS.
	Relay string
	Plain bool
	// Links is the public URL of the collector.
	Links string
}

// Facts are what was asked and what DNS answered.
type Facts struct {
	Question
	SPF answer[[]string] // TXT records that begin as SPF's do
	// Limits is what evaluating all of it came to: any error but of a result.
	Limits answer[string]
	Let    []leave // as Question.Leave
	DKIM   []answer[[]string]
	DMARC  answer[[]string] // of DMARCAt
	// DMARCAt is the domain whose policy holds: Domain, or its organization's.
	DMARCAt  string
	MX       map[string]answer[[]*net.MX] // of both domains
	Hosts    map[string]answer[[]netip.Addr]
	LinkHost string
}

// leave is what DNS says of an address that mails leave from.
type leave struct {
	SPF     string // pass, fail, softfail, neutral …
	Names   answer[[]string]
	Returns []string // those of Names that lead back to the address
}

// answer is what DNS answered. That there is nothing is an answer too, and no error.
type answer[T any] struct {
	Got T
	Err error
}

// Verdict of a finding.
type Verdict uint8

const (
	Right Verdict = iota
	// Note is something that could be better, or could not be known.
	Note
	// Wrong is what mails are refused for, or land among spam.
	Wrong
)

func (v Verdict) String() string { return [...]string{"ok", "note", "wrong"}[v] }

// Finding is one thing that is right, or not.
type Finding struct {
	Verdict Verdict
	// What it is about: spf, dkim, dmarc, from, mx, ptr, a, tls, links.
	What string
	Says string
	// Publish is the record that mends it, if a record does.
	Publish *Record
}

// Record is one of DNS.
type Record struct{ Name, Type, Value string }

// String is the record as a zone file has it. A text's pieces are at most 255
// bytes long, and are read as one.
func (r Record) String() string {
	value := r.Value
	if r.Type == "TXT" {
		var pieces []string
		for rest := r.Value; rest != ""; {
			n := min(len(rest), 255)
			pieces = append(pieces, `"`+rest[:n]+`"`)
			rest = rest[n:]
		}
		value = strings.Join(pieces, " ")
	}
	return fmt.Sprintf("%s. %s %s", r.Name, r.Type, value)
}
