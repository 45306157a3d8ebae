package main

import (
	"reflect"
	"strings"
	"testing"
	"time"

	"segue/processors/sender"
	"segue/processors/sender/breaker"
	pacing "segue/processors/sender/pace"
)

func TestFallbackRelays(t *testing.T) {
	s := SMTP{Fallback: []string{"starttls://segue:p%40ss@relay.example:587", "none://127.0.0.1:25/"}}
	got, ok := s.fallback()
	want := []sender.Relay{{Addr: "relay.example:587", TLS: "starttls", User: "segue", Password: "p@ss"}, {Addr: "127.0.0.1:25", TLS: "none"}}
	if !ok || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %t, want %+v", got, ok, want)
	}
	for _, wrong := range []string{"", "relay.example:587", "tls://relay.example", "smtps://relay.example:465", "tls://relay.example:465/path", "tls://relay.example:465?x=1"} {
		if _, ok := (&SMTP{Fallback: []string{wrong}}).fallback(); ok {
			t.Errorf("%q: got no error", wrong)
		}
	}
}

func TestPaceOfTheSender(t *testing.T) {
	file := writeFile(t, "sender:\n  pace:\n    at_once: {Gmail.com: 4}\n  warm_up:\n    start: {Shop.example: 2026-03-02}\n")
	layer, err := fileLayer(file, true)
	if err != nil {
		t.Fatal(err)
	}
	env, err := envLayer([]string{"SEGUE_SENDER_WARM_UP_PER_DAY=5,10", "SEGUE_SENDER_PACE_PER_MINUTE=gmail.com=600,other.example=60,*=3000"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := merge(layer, env)
	if err != nil {
		t.Fatal(err)
	}
	got := l.Sender.Pace.limits()
	want := pacing.Config{
		Default: pacing.Limits{PerMinute: 3000},
		Domains: map[string]pacing.Limits{"gmail.com": {AtOnce: 4, PerMinute: 600}, "other.example": {PerMinute: 60}},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("pace: got %+v, want %+v", got, want)
	}
	warm, ok := l.Sender.WarmUp.warmUps()
	if want := (pacing.WarmUp{Start: time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC), PerDay: []int{5, 10}}); !ok || !reflect.DeepEqual(warm["shop.example"], want) {
		t.Errorf("warm-up: got %+v, %t, want %+v", warm, ok, want)
	}
}

func TestAuthoritiesOfRelays(t *testing.T) {
	file := writeFile(t, "no certificate")
	_, err := (&SMTP{CA: file}).relays()
	if want := "sender.smtp.ca: got " + file + ", want a PEM file that holds a certificate"; err == nil || err.Error() != want {
		t.Errorf("relays with another file: got %v, want %s", err, want)
	}
}

func TestBoundsOfTheBreaker(t *testing.T) {
	env, err := envLayer([]string{"SEGUE_SENDER_BREAKER_COMPLAINTS=0.25%", "SEGUE_SENDER_BREAKER_WINDOW=48h"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := merge(env)
	if want := (breaker.Bounds{Complaints: 0.0025, Bounces: 0.05, Window: 48 * time.Hour, Of: 1000}); err != nil || l.Sender.Breaker.bounds() != want {
		t.Errorf("bounds: got %+v, %v, want %+v", l.Sender.Breaker.bounds(), err, want)
	}
	for variable, want := range map[string]string{
		"SEGUE_SENDER_BREAKER_COMPLAINTS=0.3":  `sender.breaker.complaints: got 0.3, want a share such as 0.3%`,
		"SEGUE_SENDER_BREAKER_BOUNCES=101%":    `sender.breaker.bounces: got 101%, want a share such as 0.3%`,
		"SEGUE_SENDER_BREAKER_BOUNCES=NaN%":    `sender.breaker.bounces: got NaN%, want a share such as 0.3%`,
		"SEGUE_SENDER_BREAKER_WINDOW=90m":      `sender.breaker.window: got "1h30m0s", want whole hours, as 24h`,
		"SEGUE_SENDER_BREAKER_OF=0":            `sender.breaker.of: got "0", want a positive number`,
		"SEGUE_SENDER_ONLY_TO=shop.example,@x": `sender.only_to: got "[shop.example @x]", want addresses, with * for anything, as *@shop.example`,
	} {
		env, err := envLayer([]string{variable})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := merge(env); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", variable, err, want)
		}
	}
}
