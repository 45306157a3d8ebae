package sender

import (
	"fmt"
	netmail "net/mail"
	"regexp"
	"strings"
)

// shadow says who gets no mail although everything is ready: everybody, before
// the first real mail, or all but a few.
type shadow struct {
	everybody bool
	// but, if not nil, is who gets mail all the same.
	but     *regexp.Regexp
	allowed string
}

// newShadow reads patterns of addresses, in which * stands for anything.
func newShadow(dryRun bool, onlyTo []string) (s shadow, err error) {
	s.everybody = dryRun
	if len(onlyTo) == 0 {
		return s, nil
	}
	var all []string
	for _, pattern := range onlyTo {
		if !strings.Contains(pattern, "@") {
			return s, fmt.Errorf("only to: got %q, want addresses, with * for anything, as *@shop.example", pattern)
		}
		all = append(all, strings.ReplaceAll(regexp.QuoteMeta(pattern), `\*`, `.*`))
	}
	s.allowed = strings.Join(onlyTo, ", ")
	s.but, err = regexp.Compile(`(?is)^(` + strings.Join(all, "|") + `)$`)
	return s, err
}

// of returns why a delivery to this address is not handed over; "" if it is. An
// address that is none does not come as far as that.
func (s shadow) of(to string) string {
	address, err := netmail.ParseAddress(to)
	switch {
	case err != nil:
		return ""
	case s.everybody:
		return "dry run"
	case s.but != nil && !s.but.MatchString(address.Address):
		return "only to " + s.allowed
	}
	return ""
}
