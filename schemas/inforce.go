package schemas

import (
	"fmt"
	"regexp"
	"strings"
)

// LongestName is how many characters IsName allows.
const LongestName = 63

var names = regexp.MustCompile(fmt.Sprintf(`^[a-z0-9][a-z0-9_-]{0,%d}$`, LongestName-1))

// IsName reports whether s may name what versions are of, and what a playbook has
// names for: small letters, digits and hyphens, at most 63.
func IsName(s string) bool { return names.MatchString(s) }

// InForce are the versions that control records put in force. The runtime has them
// as one text, and folds whatever it stands for.
type InForce struct {
	Playbook string // id@version; "" before the first
	Models   string // the same; "": those that come with Segue
}

// String is "playbook@3", "playbook@3 models@7" or " models@7": no version has a
// space in it.
func (v InForce) String() string {
	if v.Models == "" {
		return v.Playbook
	}
	return v.Playbook + " " + v.Models
}

// ParseInForce reads what String wrote.
func ParseInForce(s string) InForce {
	playbook, models, _ := strings.Cut(s, " ")
	return InForce{playbook, models}
}
