package playbook

import (
	"fmt"
	"net/mail"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"segue/schemas"
	"segue/schemas/profile"
)

// maxSpan bounds every length of time: ten years.
const maxSpan = 10 * 366 * 86_400_000

var spans = regexp.MustCompile(`^(?:(\d{1,5})w)?(?:(\d{1,5})d)?(?:(\d{1,6})h)?(?:(\d{1,8})m)?(?:(\d{1,9})s)?$`)

// span reads a length of time such as 24h, 3d or 1h30m, in milliseconds.
func (e entry) span() int64 {
	const want = "a positive length of time such as 72h"
	s := e.text(want)
	if s == "" {
		return 0
	}
	switch ms := millis(s); {
	case ms <= 0:
		e.fail(brief(s), want)
	case ms > maxSpan:
		e.fail(brief(s), "at most ten years")
	default:
		return ms
	}
	return 0
}

// millis reads a length of time; 0: it is none.
func millis(s string) (ms int64) {
	if m := spans.FindStringSubmatch(s); m != nil {
		for i, unit := range []int64{7 * 86_400_000, 86_400_000, 3_600_000, 60_000, 1000} {
			n, _ := strconv.ParseInt(m[i+1], 10, 64)
			ms += n * unit
		}
	}
	return ms
}

// percent reads 5%, -10% or +15% as a fraction between low and high.
func (e entry) percent(low, high float64, want string) float64 {
	s := e.text(want)
	if s == "" {
		return 0
	}
	digits, ok := strings.CutSuffix(s, "%")
	x, err := strconv.ParseFloat(strings.TrimSpace(digits), 64)
	if !ok || err != nil || !(x >= low && x < high) {
		e.fail(brief(s), want)
		return 0
	}
	return x / 100
}

var clockTimes = regexp.MustCompile(`^([01]\d|2[0-3]):([0-5]\d)\s*-\s*([01]\d|2[0-3]):([0-5]\d)$`)

// quiet reads quiet hours such as 21:00-08:00.
func (e entry) quiet() *Quiet {
	const want = "two times of the day such as 21:00-08:00"
	s := e.text(want)
	if s == "" {
		return nil
	}
	m := clockTimes.FindStringSubmatch(s)
	if m == nil {
		e.fail(brief(s), want)
		return nil
	}
	minutes := func(h, m string) int {
		hours, _ := strconv.Atoi(h)
		rest, _ := strconv.Atoi(m)
		return 60*hours + rest
	}
	q := &Quiet{From: minutes(m[1], m[2]), To: minutes(m[3], m[4])}
	if q.From == q.To {
		e.fail(brief(s), "some time of the day that is not quiet")
	}
	return q
}

var caps = regexp.MustCompile(`^([1-9]\d{0,3}) per (day|week|month)$`)

// atMost reads a cap such as 1 per day.
func (e entry) atMost() Cap {
	const want = "a cap such as 1 per day, 3 per week or 8 per month"
	s := e.text(want)
	m := caps.FindStringSubmatch(s)
	if m == nil {
		if s != "" {
			e.fail(brief(s), want)
		}
		return Cap{}
	}
	n, _ := strconv.Atoi(m[1])
	if n > profile.MaxMails { // no more mails are remembered, so that it would never bind
		e.fail(brief(s), fmt.Sprintf("a cap of at most %d", profile.MaxMails))
		return Cap{}
	}
	return Cap{N: n, Per: Period(slices.Index(periods, m[2]))}
}

var softBounces = regexp.MustCompile(`^([1-9]\d{0,3}) within (.+)$`)

// softBounces reads how many soft bounces are too many, such as 5 within 30d.
func (e entry) softBounces() SoftBounces {
	const want = "a number and a length of time such as 5 within 30d"
	s := e.text(want)
	m := softBounces.FindStringSubmatch(s)
	if m == nil {
		if s != "" {
			e.fail(brief(s), want)
		}
		return SoftBounces{}
	}
	n, _ := strconv.Atoi(m[1])
	within := millis(m[2])
	switch {
	case within <= 0 || within > maxSpan:
		e.fail(brief(s), want)
		return SoftBounces{}
	case n > profile.MaxSoftBounces: // no more are remembered
		e.fail(brief(s), fmt.Sprintf("at most %d", profile.MaxSoftBounces))
		return SoftBounces{}
	}
	return SoftBounces{N: n, Within: within}
}

// periods are the names of Day, Week and Month.
var periods = []string{"day", "week", "month"}

// String returns the period's name.
func (p Period) String() string { return periods[p] }

// String returns the cap as a playbook writes it, "1 per day".
func (c Cap) String() string { return strconv.Itoa(c.N) + " per " + c.Per.String() }

var currencies = regexp.MustCompile(`^[A-Z]{3}$`)

func (e entry) currency() string {
	const want = "a currency such as GBP"
	s := e.text(want)
	if s != "" && !currencies.MatchString(s) {
		e.fail(brief(s), want)
	}
	return s
}

func (e entry) zone() *time.Location {
	const want = "a time zone such as Europe/London"
	if e.node == nil {
		return time.UTC
	}
	s := e.text(want)
	zone, err := time.LoadLocation(s)
	if s != "" && (err != nil || s == "Local") { // Local is another one on every machine
		e.fail(brief(s), want)
		zone = nil
	}
	if zone == nil {
		zone = time.UTC
	}
	return zone
}

// web reads an address of the web.
func (e entry) web() string {
	const want = "an address such as https://alder.example"
	s := e.text(want)
	if s == "" {
		return ""
	}
	if u, err := url.Parse(s); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		e.fail(brief(s), want)
	}
	return strings.TrimSuffix(s, "/")
}

// mailbox reads a sender as mails show it.
func (e entry) mailbox() string {
	const want = "a name and an address such as Alder & Oak <hello@alder.example>"
	s := e.text(want)
	if s == "" {
		return ""
	}
	// People write names with & and . unquoted; the address must be strict.
	name, address, ok := strings.Cut(s, "<")
	if ok {
		address = strings.TrimSuffix(address, ">")
	} else {
		name, address = "", s
	}
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Name != "" || strings.ContainsAny(s, "\r\n") || !strings.Contains(address, "@") {
		e.fail(brief(s), want)
		return ""
	}
	name = strings.TrimSpace(name)
	if unquoted, err := strconv.Unquote(name); err == nil {
		name = unquoted
	}
	if !ok {
		return parsed.Address
	}
	return (&mail.Address{Name: name, Address: parsed.Address}).String()
}

// choice reads one of a few words.
func (e entry) choice(words ...string) int {
	want := strings.Join(words, ", ")
	if len(words) > 1 {
		want = "one of " + want
	}
	s := e.text(want)
	i := slices.Index(words, s)
	if i < 0 && s != "" {
		if near := nearest(s, words); near != "" {
			want += "; did you mean " + near + "?"
		}
		e.fail(brief(s), want)
	}
	return max(0, i)
}

// named reports whether the key of e is a name that topics and pages can show.
func (e entry) named() bool {
	if !schemas.IsName(e.name) {
		e.failKey(e.path, "the name "+brief(e.name), "small letters, digits and hyphens, at most 63")
		return false
	}
	return true
}
