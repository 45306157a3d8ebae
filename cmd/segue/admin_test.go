package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// What is known of a customer, and what arrived of them, is shown on loopback, or to who has the token;
// a page that points a name of its own at loopback gets nothing.
func TestWhoIsShownACustomer(t *testing.T) {
	for _, tc := range []struct {
		name, token   string
		host, showing string
		want          int
		says          string
	}{
		{"on loopback", "", "127.0.0.1:9090", "", http.StatusOK, "ada"},
		{"by its name", "", "localhost:9090", "", http.StatusOK, "ada"},
		{"on loopback of IPv6", "", "[::1]:9090", "", http.StatusOK, "ada"},
		{"through another name", "", "shop.example:9090", "", http.StatusForbidden, `got "shop.example:9090", want this machine's loopback address`},
		{"with the token", "s3cret", "segue-1:9090", "Bearer s3cret", http.StatusOK, "ada"},
		{"with another token", "s3cret", "segue-1:9090", "Bearer secret", http.StatusUnauthorized, "want Authorization: Bearer"},
		{"without the token", "s3cret", "127.0.0.1:9090", "", http.StatusUnauthorized, "want Authorization: Bearer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			a, err := newAdmin(Admin{Listen: loopback, Token: tc.token})
			if err != nil {
				t.Fatal(err)
			}
			defer a.listener.Close()
			a.customers = func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, r.PathValue("id")) }
			a.debug = func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "ada") }

			for _, path := range []string{"/customers/ada", "/debug/calls"} {
				r := httptest.NewRequest(http.MethodGet, path, nil)
				r.Host = tc.host
				if tc.showing != "" {
					r.Header.Set("Authorization", tc.showing)
				}
				w := httptest.NewRecorder()
				a.handler().ServeHTTP(w, r)
				if w.Code != tc.want || !strings.Contains(w.Body.String(), tc.says) {
					t.Errorf("GET %s: got %d %q, want %d %q", path, w.Code, w.Body, tc.want, tc.says)
				}
			}
		})
	}
}

func TestReadyWhenEveryStationIs(t *testing.T) {
	a, err := newAdmin(Admin{Listen: loopback})
	if err != nil {
		t.Fatal(err)
	}
	defer a.listener.Close()
	collector, customer := a.readiness("collector"), a.readiness("customer")
	for _, step := range []struct {
		do   func()
		code int
		want string
	}{
		{func() {}, http.StatusServiceUnavailable, "collector: starting\ncustomer: starting\n"},
		{func() { collector(true, "") }, http.StatusServiceUnavailable, "collector: ready\ncustomer: starting\n"},
		{func() { customer(true, "4 partitions") }, http.StatusOK, "collector: ready\ncustomer: ready\n"},
		{func() { customer(false, "reach Kafka") }, http.StatusServiceUnavailable, "collector: ready\ncustomer: reach Kafka\n"},
	} {
		step.do()
		w := httptest.NewRecorder()
		a.handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/readyz", nil))
		if w.Code != step.code || w.Body.String() != step.want {
			t.Errorf("GET /readyz: got %d %q, want %d %q", w.Code, w.Body, step.code, step.want)
		}
	}
}
