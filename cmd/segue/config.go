package main

import (
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strconv"
	"strings"
)

// Config is everything that can be set. A setting's name is the path of tags,
// as in kafka.sasl.user; deploy/segue.yaml explains each, and a test holds the
// two together.
type Config struct {
	// Prefix goes before the name of every topic, group and transactional id,
	// so that a staging and a production Segue can share a cluster.
	Prefix string `koanf:"prefix"`

	Kafka  Kafka  `koanf:"kafka"`
	Topics Topics `koanf:"topics"`
	Admin  Admin  `koanf:"admin"`
	Log    Log    `koanf:"log"`
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

// DefaultConfig is what holds where nothing is set.
func DefaultConfig() Config {
	return Config{
		Kafka:  Kafka{Brokers: []string{"127.0.0.1:9092"}},
		Topics: Topics{Partitions: 16, ReplicationFactor: -1},
		Admin:  Admin{Listen: "127.0.0.1:9090"},
		Log:    Log{Level: slog.LevelInfo, Format: "text"},
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
