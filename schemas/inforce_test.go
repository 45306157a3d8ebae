package schemas

import "testing"

func TestInForce(t *testing.T) {
	for text, v := range map[string]InForce{"": {}, "alder@3": {Playbook: "alder@3"}, "alder@3 fitted@7": {"alder@3", "fitted@7"}, " fitted@7": {Models: "fitted@7"}} {
		if got := v.String(); got != text {
			t.Errorf("%+v is written %q, want %q", v, got, text)
		}
		if got := ParseInForce(text); got != v {
			t.Errorf("%q is read as %+v, want %+v", text, got, v)
		}
	}
}
