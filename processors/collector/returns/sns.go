package returns

import (
	"context"
	"crypto"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// sns takes calls of Amazon SNS, which signs each with the key of a certificate
// that it names by URL.
//
// Source: docs.aws.amazon.com/sns/latest/dg/sns-verify-signature-of-message.html
//
// Not obvious: anybody with an AWS account can have SNS sign what they write, so
// only calls of our own topics count. The certificate comes without its chain:
// what vouches for it is TLS to the one host that SNS has in the topic's region.
type sns struct {
	topics []string
	client *http.Client

	mu    sync.Mutex
	certs map[string]*x509.Certificate
}

// snsCall is a message of SNS.
type snsCall struct {
	Type, MessageId, TopicArn, Subject, Message, Timestamp string
	Token, SubscribeURL                                    string
	SignatureVersion, Signature, SigningCertURL            string
}

const (
	// maxCert bounds what is read of a certificate.
	maxCert = 64 << 10
	// maxCerts are remembered: SNS changes them rarely.
	maxCerts = 16
)

// take returns the message of a call that is SNS's, of one of our topics. It
// confirms a subscription to one of them, and then returns "".
func (s *sns) take(ctx context.Context, body []byte, now time.Time) (string, error) {
	var c snsCall
	if err := parse(body, &c); err != nil {
		return "", err
	}
	if !slices.Contains(s.topics, c.TopicArn) {
		return "", unsigned("TopicArn: got %.100q, want one of returns.ses_topics", c.TopicArn)
	}
	host, err := snsHost(c.TopicArn)
	if err != nil {
		return "", err
	}
	if err := s.verify(ctx, &c, host, now); err != nil {
		return "", err
	}
	at, err := time.Parse(time.RFC3339, c.Timestamp)
	if err != nil {
		return "", unsigned("Timestamp: got %.40q, want an instant", c.Timestamp)
	}
	if err := fresh("Timestamp", at, now); err != nil {
		return "", err
	}
	switch c.Type {
	case "Notification":
		return c.Message, nil
	case "SubscriptionConfirmation":
		return "", s.confirm(ctx, c.SubscribeURL, host)
	}
	return "", nil
}

// snsHost is where SNS is in the region of a topic, arn:aws:sns:REGION:ACCOUNT:NAME.
func snsHost(arn string) (string, error) {
	parts := strings.Split(arn, ":")
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "sns" || parts[3] == "" || strings.Trim(parts[3], "abcdefghijklmnopqrstuvwxyz0123456789-") != "" {
		return "", fmt.Errorf("topic: got %.100q, want an ARN such as arn:aws:sns:eu-west-1:123456789012:bounces", arn)
	}
	host := "sns." + parts[3] + ".amazonaws.com"
	if parts[1] == "aws-cn" {
		host += ".cn"
	}
	return host, nil
}

// at reports whether address is of https, of host, and hides nothing.
func at(address, host string) (*url.URL, bool) {
	u, err := url.Parse(address)
	return u, err == nil && u.Scheme == "https" && u.Host == host && u.User == nil && u.Fragment == ""
}

func (s *sns) verify(ctx context.Context, c *snsCall, host string, now time.Time) error {
	signature, err := base64.StdEncoding.DecodeString(c.Signature)
	if err != nil || len(signature) == 0 {
		return unsigned("Signature: got %.20q, want one in base64", c.Signature)
	}
	u, ok := at(c.SigningCertURL, host)
	if !ok || u.RawQuery != "" || !strings.HasSuffix(u.Path, ".pem") {
		return unsigned("SigningCertURL: got %.200q, want https://%s/….pem", c.SigningCertURL, host)
	}
	fields := [][2]string{{"Message", c.Message}, {"MessageId", c.MessageId}, {"Subject", c.Subject}, {"Timestamp", c.Timestamp}, {"TopicArn", c.TopicArn}, {"Type", c.Type}}
	switch c.Type {
	case "Notification":
	case "SubscriptionConfirmation", "UnsubscribeConfirmation":
		fields = [][2]string{{"Message", c.Message}, {"MessageId", c.MessageId}, {"SubscribeURL", c.SubscribeURL}, {"Timestamp", c.Timestamp},
			{"Token", c.Token}, {"TopicArn", c.TopicArn}, {"Type", c.Type}}
	default:
		return unsigned("Type: got %.40q, want Notification, SubscriptionConfirmation or UnsubscribeConfirmation", c.Type)
	}
	var text strings.Builder
	for _, f := range fields {
		if f[0] != "Subject" || f[1] != "" {
			text.WriteString(f[0] + "\n" + f[1] + "\n")
		}
	}
	var hash crypto.Hash
	var sum []byte
	switch c.SignatureVersion {
	case "1":
		sum1 := sha1.Sum([]byte(text.String()))
		hash, sum = crypto.SHA1, sum1[:]
	case "2":
		sum2 := sha256.Sum256([]byte(text.String()))
		hash, sum = crypto.SHA256, sum2[:]
	default:
		return unsigned("SignatureVersion: got %.10q, want 1 or 2", c.SignatureVersion)
	}
	cert, err := s.cert(ctx, c.SigningCertURL)
	if err != nil {
		return err
	}
	if now.Before(cert.NotBefore) || now.After(cert.NotAfter) {
		return unsigned("certificate at %s: got one for %s to %s, want one for today", c.SigningCertURL, cert.NotBefore.Format(time.DateOnly), cert.NotAfter.Format(time.DateOnly))
	}
	if cert.VerifyHostname("sns.amazonaws.com") != nil && cert.VerifyHostname(host) != nil {
		return unsigned("certificate at %s: got one of %q, want one of sns.amazonaws.com or %s", c.SigningCertURL, cert.DNSNames, host)
	}
	public, ok := cert.PublicKey.(*rsa.PublicKey)
	if !ok {
		return unsigned("certificate at %s: got a key of %T, want RSA", c.SigningCertURL, cert.PublicKey)
	}
	if rsa.VerifyPKCS1v15(public, hash, sum, signature) != nil {
		return unsigned("Signature: got one of something else, or by another key")
	}
	return nil
}

func (s *sns) cert(ctx context.Context, address string) (*x509.Certificate, error) {
	s.mu.Lock()
	cert := s.certs[address]
	s.mu.Unlock()
	if cert != nil {
		return cert, nil
	}
	text, err := s.get(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("certificate of SNS: %w", err)
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE" {
		return nil, unsigned("certificate at %s: got no PEM", address)
	}
	if cert, err = x509.ParseCertificate(block.Bytes); err != nil {
		return nil, unsigned("certificate at %s: %w", address, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.certs) >= maxCerts {
		clear(s.certs)
	}
	s.certs[address] = cert
	return cert, nil
}

// confirm tells SNS that we want what it offers.
func (s *sns) confirm(ctx context.Context, address, host string) error {
	if _, ok := at(address, host); !ok {
		return unsigned("SubscribeURL: got %.200q, want https://%s/…", address, host)
	}
	if _, err := s.get(ctx, address); err != nil {
		return fmt.Errorf("confirm the subscription: %w", err)
	}
	return nil
}

func (s *sns) get(ctx context.Context, address string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, unsigned("%w", err)
	}
	a, err := s.client.Do(q)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errLater, err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(io.LimitReader(a.Body, maxCert))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", errLater, err)
	case a.StatusCode >= 500:
		return nil, fmt.Errorf("%w: %s answers %s", errLater, q.URL.Host, a.Status)
	case a.StatusCode != http.StatusOK:
		return nil, unsigned("%s answers %s", q.URL.Host, a.Status)
	}
	return b, nil
}
