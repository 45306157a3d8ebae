package sender

import "segue/schemas/link"

// returnPath is where a server that cannot deliver d's mail says so; from, if
// nothing is set.
func (s *session) returnPath(d *delivery, from string) string {
	if s.ReturnPath == "" {
		return from
	}
	return s.Links.ReturnPath(s.ReturnPath, link.Return{Partition: s.partition, Offset: d.offset, Print: link.Fingerprint(d.GetId())})
}
