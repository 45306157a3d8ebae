package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Who logs in over TLS is let in, and nobody else. (The fake hangs up on a wrong
// password; a real broker says what is wrong.)
func TestSecureKafka(t *testing.T) {
	pair, authority := selfSigned(t)
	broker, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.EnableSASL(),
		kfake.Superuser("SCRAM-SHA-256", "segue", "a password"), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{pair}}))
	if err != nil {
		t.Fatal(err)
	}
	defer broker.Close()
	right := func() Kafka {
		return Kafka{Brokers: broker.ListenAddrs(), SASL: SASL{Mechanism: "scram-sha-256", User: "segue", Password: "a password"},
			TLS: TLS{Enabled: true, CA: authority, ServerName: "kafka.example"}}
	}
	k := right()
	client, err := k.client(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	client.Close()
	for _, c := range []struct {
		name string
		edit func(*Kafka)
		want string
	}{
		{"wrong password", func(k *Kafka) { k.SASL.Password = "another" }, "reach Kafka at 127.0.0.1"},
		{"another server", func(k *Kafka) { k.TLS.ServerName = "elsewhere.example" }, "certificate is valid for kafka.example"},
		{"unknown authority", func(k *Kafka) { k.TLS.CA = "" }, "certificate"},
		{"no such file", func(k *Kafka) { k.TLS.CA = "missing.pem" }, "kafka.tls.ca"},
	} {
		k := right()
		c.edit(&k)
		client, err := k.client(t.Context())
		if err == nil {
			client.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %s", c.name, err, c.want)
		}
	}
}

// selfSigned is a certificate of kafka.example, and a file that vouches for it.
func selfSigned(t *testing.T) (pair tls.Certificate, authority string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: []string{"kafka.example"}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	authority = filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, authority
}
