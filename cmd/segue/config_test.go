package main

import (
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"
)

// deploy/segue.yaml explains every setting and changes none.
func TestDeployedConfigIsTheDefault(t *testing.T) {
	layer, err := fileLayer("../../deploy/segue.yaml", true)
	if err != nil {
		t.Fatal(err)
	}
	set := map[string]bool{}
	for _, g := range layer {
		set[g.key] = true
	}
	for _, s := range settings {
		if !set[s.key] {
			t.Errorf("deploy/segue.yaml says nothing of %s", s.key)
		}
	}
	l, err := merge(layer)
	if err != nil {
		t.Fatal(err)
	}
	want := DefaultConfig()
	for _, s := range settings {
		got, want := s.in(&l.Config), s.in(&want)
		if got.Kind() == reflect.Slice && got.Len() == 0 && want.Len() == 0 || got.Kind() == reflect.Map && got.Len() == 0 && want.Len() == 0 {
			continue
		}
		if !reflect.DeepEqual(got.Interface(), want.Interface()) {
			t.Errorf("%s in deploy/segue.yaml: got %v, want the default %v", s.key, got, want)
		}
	}
}

func TestLaterLayersWin(t *testing.T) {
	file := writeFile(t, "prefix: from-file-\ncustomer: {memory: 1GiB, dir: /var/lib/segue}\nsender: {dkim: {s1._domainkey.shop.example: /s1.pem}}\nlog:\n  level: warn\n")
	layer, err := fileLayer(file, true)
	if err != nil {
		t.Fatal(err)
	}
	env, err := envLayer([]string{"SEGUE_PREFIX=from-env-", "SEGUE_COLLECTOR_WRITE_KEYS=k1=shop,k2=app", "HOME=/"})
	if err != nil {
		t.Fatal(err)
	}
	l, err := merge(layer, env, []given{{"log.level", "error", "--log-level"}})
	if err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{
		"prefix": "from-env-", "customer.memory": "1GiB", "log.level": "ERROR", "customer.dir": "/var/lib/segue",
		"collector.write_keys": "map[k1:shop k2:app]", "kafka.brokers": "[127.0.0.1:9092]",
		"sender.dkim": "map[s1._domainkey.shop.example:/s1.pem]",
	} {
		s, _ := settingNamed(key)
		if got := fmt.Sprint(s.in(&l.Config).Interface()); got != want {
			t.Errorf("%s = %s, want %s", key, got, want)
		}
	}
	for key, want := range map[string]string{"prefix": "SEGUE_PREFIX", "log.level": "--log-level", "customer.memory": "config.yaml:2", "log.format": "default"} {
		if l.from[key] != want {
			t.Errorf("%s comes from %s, want %s", key, l.from[key], want)
		}
	}
}

// What cannot be meant is refused with its place, what was wanted and, for a
// name, the nearest right one.
func TestWrongConfigs(t *testing.T) {
	for _, tc := range []struct{ yaml, want string }{
		{"prefx: a", `config.yaml:1: unknown setting "prefx"; did you mean "prefix"?`},
		{"kafka:\n  brokres: [a:1]", `config.yaml:2: unknown setting "kafka.brokres"; did you mean "kafka.brokers"?`},
		{"kafka: {brokers: [nowhere]}", `config.yaml:1: kafka.brokers: got "nowhere", want host:port`},
		{"customer: {memory: lots}", `config.yaml:1: customer.memory: got lots, want a size such as 256MiB`},
		{"customer: {memory: 1MiB}", `config.yaml:1: customer.memory: got "1MiB", want 64MiB or more`},
		{"collector: {max_in_flight: 1MiB}", `config.yaml:1: collector.max_in_flight: got "1MiB", want 2MiB or more`},
		{"collector: {write_keys: {a: web}, catalog_keys: {a: stock}}", `config.yaml:1: collector.catalog_keys: got "(secret)", want keys that are none of collector.write_keys, which every browser knows`},
		{"collector: {hosts: [https://shop.example]}", `config.yaml:1: collector.hosts: got "https://shop.example", want a host in small letters such as shop.example, each, or * for anywhere`},
		{"collector: {write_keys: {a: web}, signing_secrets: {a: short}}", `config.yaml:1: collector.signing_secrets: got "(secret)", want 16 bytes or more, each`},
		{"collector: {write_keys: {a: web}, signing_secrets: {b: sixteen bytes and more}}", `config.yaml:1: collector.signing_secrets: got "(secret)", want secrets of keys of collector.write_keys or collector.catalog_keys`},
		{"links: {secrets: [short]}", `config.yaml:1: links.secrets: got "(secret)", want 16 bytes or more, each`},
		{"links: {url: shop.example}", `config.yaml:1: links.url: got "shop.example", want http:// or https://, a host, and no query`},
		{"admin: {listen: '0.0.0.0:9090'}", `admin.token: got "", want a token, since admin.listen is not loopback and shows personal data`},
		{"log: {level: loud}", `config.yaml:1: log.level: got loud, want one of debug, info, warn, error`},
		{"sender: {smtp: {tls: maybe}}", `config.yaml:1: sender.smtp.tls: got "maybe", want one of none, starttls, tls`},
		{"sender: {smtp: {fallback: ['smtp://relay.example']}}", `config.yaml:1: sender.smtp.fallback: got "(secret)", want none, starttls or tls, and where: starttls://USER:PASSWORD@relay.example:587, each`},
		{"sender: {smtp: {mails_per_connection: 0}}", `config.yaml:1: sender.smtp.mails_per_connection: got "0", want a positive number`},
		{"sender: {pace: {per_minute: {gmail.com: 0}}}", `config.yaml:1: sender.pace.per_minute: got "map[gmail.com:0]", want a positive number for each domain`},
		{"sender: {pace: {at_once: {gmail.com: few}}}", `config.yaml:1: sender.pace.at_once: got map[gmail.com:few], want names and values`},
		{"sender: {warm_up: {start: {shop.example: soon}}}", `config.yaml:1: sender.warm_up.start: got "map[shop.example:soon]", want a day such as 2026-03-02 for each domain`},
		{"sender: {warm_up: {per_day: [50, 0]}}", `config.yaml:1: sender.warm_up.per_day: got "[50 0]", want positive numbers, one for each day`},
		{"returns: {listen: '25'}", `config.yaml:1: returns.listen: got "25", want host:port, or nothing`},
		{"returns: {tls: {cert: a.pem}}", `returns.tls.key: got "", want the key of returns.tls.cert, or neither`},
		{"returns: {complaints: [shop.example]}", `config.yaml:1: returns.complaints: got "shop.example", want an address such as complaints@shop.example, each`},
		{"prefix: [", `config.yaml:1:9:`},
	} {
		layer, err := fileLayer(writeFile(t, tc.yaml), true)
		if err == nil {
			_, err = merge(layer)
		}
		if err == nil || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%q\n got %v\nwant %s", tc.yaml, err, tc.want)
		}
	}
	if _, err := envLayer([]string{"SEGUE_PREFX=a"}); err == nil || !strings.Contains(err.Error(), `did you mean "SEGUE_PREFIX"?`) {
		t.Errorf("SEGUE_PREFX: got %v", err)
	}
}

func writeFile(t *testing.T, text string) string {
	t.Helper()
	path := t.TempDir() + "/config.yaml"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
