package main

import (
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"segue/schemas/link"
)

// Config is everything that can be set. A setting's name is the path of tags,
// as in kafka.sasl.user; deploy/segue.yaml explains each, and a test holds the
// two together.
type Config struct {
	// Prefix goes before the name of every topic, group and transactional id,
	// so that a staging and a production Segue can share a cluster.
	Prefix string `koanf:"prefix"`
	// Instance names this process among its peers, and must be the same after a
	// restart: whoever comes back under it gets its partitions back at once.
	Instance string `koanf:"instance"`

	Kafka     Kafka     `koanf:"kafka"`
	Topics    Topics    `koanf:"topics"`
	Links     Links     `koanf:"links"`
	Collector Collector `koanf:"collector"`
	Returns   Returns   `koanf:"returns"`
	Customer  Customer  `koanf:"customer"`
	Sender    Sender    `koanf:"sender"`
	Ranks     Ranks     `koanf:"ranks"`
	Admin     Admin     `koanf:"admin"`
	Log       Log       `koanf:"log"`
}

// Kafka says how to reach the brokers.
type Kafka struct {
	// Brokers are host:port of some of the brokers; they name the others.
	Brokers []string `koanf:"brokers"`
	// Embedded is the folder of a broker inside this process, for trying Segue.
	// It listens where Brokers says.
	Embedded string `koanf:"embedded"`

	SASL SASL `koanf:"sasl"`
	TLS  TLS  `koanf:"tls"`
}

// SASL is how to log in.
type SASL struct {
	// Mechanism is plain, scram-sha-256, scram-sha-512 or, for none, empty.
	Mechanism string `koanf:"mechanism"`
	User      string `koanf:"user"`
	Password  string `koanf:"password" secret:"true"`
}

// TLS is how connections to the brokers are secured.
type TLS struct {
	Enabled bool `koanf:"enabled"`
	// CA is a PEM file of authorities to trust instead of the system's.
	CA string `koanf:"ca"`
	// Cert and Key are PEM files of the client's certificate.
	Cert string `koanf:"cert"`
	Key  string `koanf:"key"`
	// ServerName is expected in the brokers' certificates instead of their host names.
	ServerName string `koanf:"server_name"`
}

// Topics says how topics are made.
type Topics struct {
	// Partitions of events, and of every topic that has a customer where events has.
	Partitions int `koanf:"partitions"`
	// ReplicationFactor -1 is the cluster's default.
	ReplicationFactor int `koanf:"replication_factor"`
}

// Links are what mails point back at: opens, clicks, unsubscribe.
type Links struct {
	// URL is where the collector is reached from outside, as https://t.shop.example.
	URL string `koanf:"url"`
	// Secrets sign links: the first signs, all verify, so that one can be
	// replaced while mails with the old one are still read.
	Secrets []string `koanf:"secrets" secret:"true"`
}

// Collector takes events over HTTP.
type Collector struct {
	Listen string `koanf:"listen"`
	// WriteKeys are keys and the name of the source that each stands for.
	WriteKeys map[string]string `koanf:"write_keys" secret:"true"`
	// CatalogKeys are the same for POST /v1/catalog.
	CatalogKeys map[string]string `koanf:"catalog_keys" secret:"true"`
	// SigningSecrets are of keys whose calls must be signed.
	SigningSecrets map[string]string `koanf:"signing_secrets" secret:"true"`
	// Hosts are where mails may lead by what unsigned calls say; none: to the
	// domain of Links.URL; "*": anywhere.
	Hosts []string `koanf:"hosts"`
	// MaxInFlight bounds the bodies that are read, or wait for Kafka.
	MaxInFlight Size `koanf:"max_in_flight"`
	// Machines is a file that says who opens and clicks in readers' place,
	// instead of the list that Segue comes with.
	Machines string `koanf:"machines"`
}

// Customer keeps the profiles.
type Customer struct {
	// Dir is where this process keeps its share of the profiles.
	Dir string `koanf:"dir"`
	// Memory is what a process with this station may take, all in all.
	Memory Size `koanf:"memory"`
	// Salt goes into draws (holdout, subjects): another salt, other customers.
	Salt string `koanf:"salt"`
	// AcceptRefold lets this version decide again what another one had decided
	// before a crash, and log what differs. What was put out then stays as it is.
	AcceptRefold bool `koanf:"accept_refold"`
}

// Ranks are worked out by a station of their own.
type Ranks struct {
	// Interval is the least time between two versions of them.
	Interval time.Duration `koanf:"interval"`
	// MinCustomers must have bought before there are any.
	MinCustomers int `koanf:"min_customers"`
}

// Sender hands mails over.
type Sender struct {
	SMTP SMTP `koanf:"smtp"`
	// ReturnPath is where servers send what they could not deliver.
	ReturnPath string `koanf:"return_path"`
	// DKIM are private keys in PEM files, each under the name that its public
	// half is published at.
	DKIM   map[string]string `koanf:"dkim"`
	Pace   Pace              `koanf:"pace"`
	WarmUp WarmUp            `koanf:"warm_up"`
	// DryRun hands over nothing; OnlyTo only what goes to addresses like these. All
	// else ends as shadowed.
	DryRun bool     `koanf:"dry_run"`
	OnlyTo []string `koanf:"only_to"`
	// Breaker pauses mails of which too many come back.
	Breaker Breaker `koanf:"breaker"`
}

// Breaker says how many that is.
type Breaker struct {
	Complaints Share `koanf:"complaints"`
	Bounces    Share `koanf:"bounces"`
	// Window is how long a mail counts, in whole hours.
	Window time.Duration `koanf:"window"`
	// Of is how many mails a share is of, at least.
	Of int `koanf:"of"`
}

// Pace is how fast mails may go to recipients' domains; * is each that is not
// named.
type Pace struct {
	// AtOnce is how many mails are in hand at most; by default, as many as there
	// are connections.
	AtOnce map[string]int `koanf:"at_once"`
	// PerMinute is how many set out at most.
	PerMinute map[string]int `koanf:"per_minute"`
}

// WarmUp is for sending domains that nobody knows yet.
type WarmUp struct {
	// Start is the first day, UTC, of each such domain.
	Start map[string]string `koanf:"start"`
	// PerDay is how many mails set out on the first day, the second, and so on.
	PerDay []int `koanf:"per_day"`
}

// SMTP is the relay.
type SMTP struct {
	Address  string `koanf:"address"`
	User     string `koanf:"user"`
	Password string `koanf:"password" secret:"true"`
	// TLS is none, starttls or tls.
	TLS string `koanf:"tls"`
	// CA is a PEM file of authorities to trust instead of the system's.
	CA string `koanf:"ca"`
	// Connections at the same time, at most.
	Connections int `koanf:"connections"`
	// MailsPerConnection, after which a connection is made anew.
	MailsPerConnection int `koanf:"mails_per_connection"`
	// Fallback are relays that take over while the one above cannot be reached,
	// as starttls://USER:PASSWORD@relay.example:587.
	Fallback []string `koanf:"fallback" secret:"true"`
}

// Admin is the HTTP of operators: metrics, health, customers.
type Admin struct {
	Listen string `koanf:"listen"`
	// Token must come as "Authorization: Bearer TOKEN" with whatever shows
	// personal data. Elsewhere than on loopback it cannot be empty.
	Token string `koanf:"token" secret:"true"`
}

// Log goes to stderr.
type Log struct {
	Level  slog.Level `koanf:"level"`
	Format string     `koanf:"format"`
}

const (
	// minSecret is how many bytes a secret that signs must have.
	minSecret = 16
	// minMemory holds the buffers that a customer station cannot do without.
	minMemory Size = 64 << 20
	// minInFlight holds a few bodies of the largest size.
	minInFlight Size = 2 << 20
)

// DefaultConfig is what holds where nothing is set.
func DefaultConfig() Config {
	return Config{
		Kafka:     Kafka{Brokers: []string{"127.0.0.1:9092"}},
		Topics:    Topics{Partitions: 16, ReplicationFactor: -1},
		Collector: Collector{Listen: "127.0.0.1:8080", MaxInFlight: 32 << 20},
		Customer:  Customer{Dir: "segue-state", Memory: 512 << 20},
		Sender: Sender{SMTP: SMTP{Address: "127.0.0.1:25", TLS: "starttls", Connections: 8, MailsPerConnection: 100},
			WarmUp:  WarmUp{PerDay: []int{50, 100, 200, 500, 1000, 2000, 5000, 10_000, 20_000, 50_000}},
			Breaker: Breaker{Complaints: 0.003, Bounces: 0.05, Window: 24 * time.Hour, Of: 1000}},
		Ranks: Ranks{Interval: time.Hour, MinCustomers: 100},
		Admin: Admin{Listen: "127.0.0.1:9090"},
		Log:   Log{Level: slog.LevelInfo, Format: "text"},
	}
}

// invalid is a setting that cannot be meant.
type invalid struct {
	key, got, want string
}

// Validate returns all that is wrong. What only one station needs is asked for
// when that station runs.
func (c *Config) Validate() (wrong []invalid) {
	check := func(ok bool, key string, got any, want string) {
		if !ok {
			wrong = append(wrong, invalid{key, fmt.Sprintf("%q", fmt.Sprint(got)), want})
		}
	}
	oneOf := func(key, got string, names ...string) {
		check(slices.Contains(names, got), key, got, "one of "+strings.Join(names, ", "))
	}
	address := func(key, got string) {
		check(isAddress(got), key, got, "host:port")
	}

	check(isTopicPart(c.Prefix), "prefix", c.Prefix, "letters, digits, dots, underscores and dashes")
	check(len(c.Kafka.Brokers) > 0, "kafka.brokers", "", "at least one host:port")
	for _, b := range c.Kafka.Brokers {
		address("kafka.brokers", b)
	}
	oneOf("kafka.sasl.mechanism", c.Kafka.SASL.Mechanism, "", "plain", "scram-sha-256", "scram-sha-512")
	check(c.Kafka.SASL.Mechanism == "" || c.Kafka.SASL.User != "", "kafka.sasl.user", "", "a name to log in with "+c.Kafka.SASL.Mechanism)
	check((c.Kafka.TLS.Cert == "") == (c.Kafka.TLS.Key == ""), "kafka.tls.key", c.Kafka.TLS.Key, "the key of kafka.tls.cert, or neither")
	check(c.Topics.Partitions > 0, "topics.partitions", c.Topics.Partitions, "a positive number")
	check(c.Topics.ReplicationFactor > 0 || c.Topics.ReplicationFactor == -1, "topics.replication_factor", c.Topics.ReplicationFactor, "a positive number, or -1 for the cluster's default")
	check(isTopicPart(c.Instance), "instance", c.Instance, "letters, digits, dots, underscores and dashes")
	check(c.Links.URL == "" || isWebAddress(c.Links.URL), "links.url", c.Links.URL, "http:// or https://, a host, and no query")
	for _, secret := range c.Links.Secrets {
		check(len(secret) >= minSecret, "links.secrets", "(secret)", fmt.Sprintf("%d bytes or more, each", minSecret))
	}
	address("collector.listen", c.Collector.Listen)
	for key := range c.Collector.CatalogKeys {
		_, open := c.Collector.WriteKeys[key]
		check(!open, "collector.catalog_keys", "(secret)", "keys that are none of collector.write_keys, which every browser knows")
	}
	for key, secret := range c.Collector.SigningSecrets {
		check(len(secret) >= minSecret, "collector.signing_secrets", "(secret)", fmt.Sprintf("%d bytes or more, each", minSecret))
		check(c.Collector.WriteKeys[key]+c.Collector.CatalogKeys[key] != "", "collector.signing_secrets", "(secret)",
			"secrets of keys of collector.write_keys or collector.catalog_keys")
	}
	for _, host := range c.Collector.Hosts {
		check(isHost(host), "collector.hosts", host, "a host in small letters such as shop.example, each, or * for anywhere")
	}
	check(c.Collector.MaxInFlight >= minInFlight, "collector.max_in_flight", c.Collector.MaxInFlight, minInFlight.String()+" or more")
	check(c.Returns.Listen == "" || isAddress(c.Returns.Listen), "returns.listen", c.Returns.Listen, "host:port, or nothing")
	check((c.Returns.TLS.Cert == "") == (c.Returns.TLS.Key == ""), "returns.tls.key", c.Returns.TLS.Key, "the key of returns.tls.cert, or neither")
	for _, a := range c.Returns.Complaints {
		check(isMailAddress(a), "returns.complaints", a, "an address such as complaints@shop.example, each")
	}
	check(c.Customer.Dir != "", "customer.dir", c.Customer.Dir, "a folder")
	check(c.Customer.Memory >= minMemory, "customer.memory", c.Customer.Memory, minMemory.String()+" or more")
	address("sender.smtp.address", c.Sender.SMTP.Address)
	oneOf("sender.smtp.tls", c.Sender.SMTP.TLS, "none", "starttls", "tls")
	check(c.Sender.SMTP.Connections > 0, "sender.smtp.connections", c.Sender.SMTP.Connections, "a positive number")
	check(c.Sender.SMTP.MailsPerConnection > 0, "sender.smtp.mails_per_connection", c.Sender.SMTP.MailsPerConnection, "a positive number")
	_, ok := c.Sender.SMTP.fallback()
	check(ok, "sender.smtp.fallback", "(secret)", "none, starttls or tls, and where: starttls://USER:PASSWORD@relay.example:587, each")
	if c.Sender.ReturnPath != "" {
		check(link.CheckReturnAddress(c.Sender.ReturnPath) == nil, "sender.return_path", c.Sender.ReturnPath, "an address without a plus and at most 15 characters before the @, such as bounces@shop.example")
	}
	check(positive(c.Sender.Pace.AtOnce), "sender.pace.at_once", c.Sender.Pace.AtOnce, "a positive number for each domain")
	check(positive(c.Sender.Pace.PerMinute), "sender.pace.per_minute", c.Sender.Pace.PerMinute, "a positive number for each domain")
	_, ok = c.Sender.WarmUp.warmUps()
	check(ok, "sender.warm_up.start", c.Sender.WarmUp.Start, "a day such as 2026-03-02 for each domain")
	check(!slices.ContainsFunc(c.Sender.WarmUp.PerDay, func(n int) bool { return n <= 0 }), "sender.warm_up.per_day", c.Sender.WarmUp.PerDay, "positive numbers, one for each day")
	check(!slices.ContainsFunc(c.Sender.OnlyTo, func(p string) bool { return !strings.Contains(p, "@") }), "sender.only_to", c.Sender.OnlyTo, "addresses, with * for anything, as *@shop.example")
	check(c.Sender.Breaker.Window >= time.Hour && c.Sender.Breaker.Window%time.Hour == 0, "sender.breaker.window", c.Sender.Breaker.Window, "whole hours, as 24h")
	check(c.Sender.Breaker.Of > 0, "sender.breaker.of", c.Sender.Breaker.Of, "a positive number")
	check(c.Ranks.Interval >= time.Minute, "ranks.interval", c.Ranks.Interval, "a minute or more, as 1h")
	check(c.Ranks.MinCustomers >= 100, "ranks.min_customers", c.Ranks.MinCustomers, "100 or more, of whom each is a point")
	address("admin.listen", c.Admin.Listen)
	check(c.Admin.Token != "" || isLoopback(c.Admin.Listen), "admin.token", "", "a token, since admin.listen is not loopback and shows personal data")
	oneOf("log.format", c.Log.Format, "text", "json")
	return wrong
}

func isTopicPart(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-", r)
	})
}

func isWebAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "" && u.RawQuery == "" && u.Fragment == ""
}

func isHost(s string) bool {
	u, err := url.Parse("https://" + s)
	return err == nil && s != "" && u.Hostname() == s && strings.ToLower(s) == s && !strings.HasPrefix(s, ".")
}

func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	_, err = strconv.ParseUint(port, 10, 16)
	return err == nil
}

// isLoopback reports whether only this machine can reach what listens at address.
func isLoopback(address string) bool {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return false
	}
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// Share is a part of a whole, written as 0.3%.
type Share float64

// UnmarshalText reads a percentage.
func (s *Share) UnmarshalText(text []byte) error {
	percent, ok := strings.CutSuffix(string(text), "%")
	n, err := strconv.ParseFloat(strings.TrimSpace(percent), 64)
	if !ok || err != nil || !(n >= 0 && n <= 100) {
		return fmt.Errorf("%q is not a share", text)
	}
	*s = Share(n / 100)
	return nil
}

func (s Share) String() string { return strconv.FormatFloat(float64(s)*100, 'g', 6, 64) + "%" }

// Size is a number of bytes, written as 256MiB.
type Size int64

var sizeUnits = []struct {
	name  string
	bytes Size
}{{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10}, {"B", 1}}

// UnmarshalText reads a whole number of one of the units.
func (s *Size) UnmarshalText(text []byte) error {
	for _, u := range sizeUnits {
		digits, ok := strings.CutSuffix(string(text), u.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > int64(1<<62/u.bytes) {
			break
		}
		*s = Size(n) * u.bytes
		return nil
	}
	return fmt.Errorf("%q is not a size", text)
}

// String writes s in the largest unit that holds it exactly.
func (s Size) String() string {
	for _, u := range sizeUnits {
		if s >= u.bytes && s%u.bytes == 0 {
			return strconv.FormatInt(int64(s/u.bytes), 10) + u.name
		}
	}
	return "0B"
}
