// Package mail makes a delivery into the bytes that an SMTP server takes.
//
//	delivery + playbook's templates → liquid → links signed, pixel, text part → MIME → DKIM
//
// It is pure: the same delivery, templates and date give the same mail, but for
// the boundary between its parts and the second that a signature names.
//
// Not obvious: what a template writes out is escaped for HTML whether it asks
// for it or not, and there is no filter that lifts it, since names of products
// and people come from outside. Only {{ … }} of a subject is written as it is; it
// becomes a header, whose encoding no line break survives. Every mail names the
// sender's postal address and a way out, even if its template forgot them.
package mail
