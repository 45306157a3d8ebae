package machine

import (
	"net/netip"
	"strings"
	"testing"
	"time"
)

const (
	chrome = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Safari/537.36"
	iphone = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.6 Mobile/15E148 Safari/604.1"
)

// Who asks, and whom the shipped list takes them for.
func TestWhoAsks(t *testing.T) {
	m := Shipped()
	for _, c := range []struct{ who, agent, from, name, reason string }{
		{"a reader's browser", chrome, "203.0.113.7", "", ""},
		{"another", iphone, "2001:db8::7", "", ""},
		{"Firefox", "Mozilla/5.0 (X11; Linux x86_64; rv:143.0) Gecko/20100101 Firefox/143.0", "203.0.113.7", "", ""},
		{"a telephone", "Mozilla/5.0 (Linux; Android 13; CUBOT NOTE 50) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/141.0.0.0 Mobile Safari/537.36", "203.0.113.7", "", ""},
		{"Outlook, which shows the mail", "Mozilla/4.0 (compatible; ms-office; MSOffice 16)", "203.0.113.7", "", ""},
		{"Thunderbird", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Thunderbird/140.3.0", "203.0.113.7", "", ""},
		{"Apple Mail without protection", "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko)", "203.0.113.7", "", ""},
		{"Apple Mail with it", "Mozilla/5.0", "172.225.0.1", "apple-mail-privacy", "agent"},
		{"Gmail, for its reader", "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)", "66.249.84.1", "", ""},
		{"Gmail, ahead", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/42.0.2311.135 Safari/537.36 Edge/12.246 Mozilla/5.0", "66.249.84.1", "gmail-prefetch", "agent"},
		{"Yahoo, for its reader", "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html", "209.73.183.1", "", ""},
		{"a scanner as a browser", chrome, "104.47.1.2", "microsoft-defender", "range 104.47.0.0/17"},
		{"the same, in IPv6", chrome, "2a01:111:f403:1::2", "microsoft-defender", "range 2a01:111:f403::/48"},
		{"the same, written the other way", chrome, "::ffff:104.47.1.2", "microsoft-defender", "range 104.47.0.0/17"},
		{"Office, which looks whether a link is there", "Microsoft Office Existence Discovery", "203.0.113.7", "microsoft-defender", "agent"},
		{"Barracuda", "Mozilla/5.0 (compatible; BarracudaSentinel/1.0)", "203.0.113.7", "barracuda", "agent"},
		{"Proofpoint", chrome, "67.231.152.9", "proofpoint", "range 67.231.144.0/20"},
		{"Mimecast", chrome, "205.139.111.9", "mimecast", "range 205.139.110.0/23"},
		{"Symantec", chrome, "85.158.140.1", "symantec", "range 85.158.136.0/21"},
		{"a messenger", "Slackbot-LinkExpanding 1.0 (+https://api.slack.com/robots)", "203.0.113.7", "link-preview", "agent"},
		{"a search engine", "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", "66.249.66.1", "crawler", "agent"},
		{"a browser that nobody sits at", strings.Replace(chrome, "Chrome", "HeadlessChrome", 1), "203.0.113.7", "crawler", "agent"},
		{"a program", "Go-http-client/2.0", "203.0.113.7", "program", "agent"},
		{"nobody", "", "203.0.113.7", "program", "agent"},
	} {
		name, reason := m.Of(Asked{Agent: c.agent, Way: []netip.Addr{netip.MustParseAddr("10.0.0.2"), netip.MustParseAddr(c.from)}, Age: time.Hour})
		if name != c.name || reason != c.reason {
			t.Errorf("%s: Of(%q, %s) = %q, %q, want %q, %q", c.who, c.agent, c.from, name, reason, c.name, c.reason)
		}
	}
}

// Whoever asks before the mail can have been read has not read it, a proxy that
// says it has a reader included.
func TestTooSoon(t *testing.T) {
	m := Shipped()
	for _, agent := range []string{chrome, "YahooMailProxy"} {
		for age, want := range map[time.Duration]string{0: tooSoon, m.TooSoon - 1: tooSoon, m.TooSoon: "", -1: ""} {
			if name, _ := m.Of(Asked{Agent: agent, Age: age}); name != want {
				t.Errorf("Of(%q, %v after) = %q, want %q", agent, age, name, want)
			}
		}
	}
	if _, reason := m.Of(Asked{Agent: chrome, Age: 1234 * time.Millisecond}); reason != "1.2s after the mail was made" {
		t.Errorf("reason = %q", reason)
	}
}

func TestTogether(t *testing.T) {
	m := Shipped()
	for _, c := range []struct {
		links        int
		heads        bool
		name, reason string
	}{
		{1, false, "", ""}, {2, false, "", ""}, {3, false, burst, "3 links of the mail within 2s"},
		{1, true, head, "links of the mail were asked for by HEAD"},
	} {
		if name, reason := m.Together(c.links, c.heads); name != c.name || reason != c.reason {
			t.Errorf("Together(%d, %v) = %q, %q, want %q, %q", c.links, c.heads, name, reason, c.name, c.reason)
		}
	}
}

func TestWhatIsWrongWithAFileIsSaid(t *testing.T) {
	_, err := Parse("machines.yaml", []byte(`
too_soon: soon
burst: {links: 1, within: 1h}
machines:
- {name: Some One, agents: ['(']}
- {name: nobody}
- {name: network, ranges: [192.0.2.1/24, here]}
`))
	want := `machines.yaml: too_soon: got "soon", want a length of time such as 2s, at most 1m0s
machines.yaml: burst.within: got "1h", want a length of time such as 2s, at most 1m0s
machines.yaml: burst.links: got "1", want 2 or more
machines.yaml: machines[0].name: got "Some One", want small letters, digits and hyphens
machines.yaml: machines[0].agents[0]: got "(", want a regular expression: error parsing regexp: missing closing ): ` + "`(?i)(`" + `
machines.yaml: machines[1]: got "nobody", want agents or ranges to know it by
machines.yaml: machines[2].ranges[0]: got "192.0.2.1/24", want a network such as 192.0.2.0/24
machines.yaml: machines[2].ranges[1]: got "here", want a network such as 192.0.2.0/24`
	if err == nil || err.Error() != want {
		t.Errorf("Parse = %v, want\n%s", err, want)
	}
	if _, err := Parse("machines.yaml", []byte("too_late: 5s")); err == nil || !strings.Contains(err.Error(), "too_late") {
		t.Errorf("Parse of an unknown key = %v, want it named", err)
	}
}

// FuzzParse: whatever a file says, it is refused or can be asked.
func FuzzParse(f *testing.F) {
	f.Add(shipped, chrome)
	f.Add([]byte("too_soon: 1s\nburst: {links: 2, within: 0s}\nmachines: [{name: x, agents: ['^$'], ranges: ['::/0']}]"), "")
	f.Add([]byte("machines:\n- name: x\n  agents: ! "), "") // the parser panics
	f.Fuzz(func(t *testing.T, text []byte, agent string) {
		m, err := Parse("machines.yaml", text)
		if err != nil {
			return
		}
		if name, reason := m.Of(Asked{Agent: agent, Way: []netip.Addr{{}, netip.IPv6Loopback()}, Age: -1}); (name == "") != (reason == "") {
			t.Errorf("Of(%q) = %q, %q", agent, name, reason)
		}
	})
}
