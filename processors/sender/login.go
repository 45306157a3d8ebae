package sender

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	kafkasasl "github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/scram"
)

// login chooses how to log in. A password is told to who has shown a
// certificate, or is this machine; to others it is only proved.
func (c *courier) login(client *smtp.Client, host string) (sasl.Client, error) {
	_, private := client.TLSConnectionState()
	if ip := net.ParseIP(host); host == "localhost" || ip != nil && ip.IsLoopback() {
		private = true
	}
	switch {
	case private && client.SupportsAuth(sasl.Plain):
		return sasl.NewPlainClient("", c.relay.User, c.relay.Password), nil
	case private && client.SupportsAuth(sasl.Login):
		return sasl.NewLoginClient(c.relay.User, c.relay.Password), nil
	case client.SupportsAuth(scramSHA256):
		return &scramClient{auth: scram.Auth{User: c.relay.User, Pass: c.relay.Password}}, nil
	case client.SupportsAuth(cramMD5):
		return &cramMD5Client{c.relay.User, c.relay.Password}, nil
	case !private:
		return nil, errors.New("got a connection without TLS, on which a password would be read by others; want tls or starttls")
	}
	return nil, errors.New("got none of the ways that are known, want a server that takes PLAIN, LOGIN, SCRAM-SHA-256 or CRAM-MD5")
}

const (
	cramMD5     = "CRAM-MD5"
	scramSHA256 = "SCRAM-SHA-256"
)

// cramMD5Client is RFC 2195: the password keys a hash of what the server asks.
type cramMD5Client struct{ user, password string }

func (c *cramMD5Client) Start() (string, []byte, error) { return cramMD5, nil, nil }

func (c *cramMD5Client) Next(challenge []byte) ([]byte, error) {
	h := hmac.New(md5.New, []byte(c.password))
	h.Write(challenge)
	return []byte(c.user + " " + hex.EncodeToString(h.Sum(nil))), nil
}

// scramRounds is what a server may make us work for a login, at most.
const scramRounds = 1 << 20

// scramClient is RFC 7677, as Kafka's client has it: both sides prove that they
// know the password.
type scramClient struct {
	auth    scram.Auth
	session kafkasasl.Session
	proven  bool
}

func (c *scramClient) Start() (string, []byte, error) {
	session, first, err := c.auth.AsSha256Mechanism().Authenticate(context.Background(), "")
	c.session = session
	return scramSHA256, first, err
}

func (c *scramClient) Next(challenge []byte) ([]byte, error) {
	_, rounds, asked := strings.Cut(string(challenge), ",i=")
	if rounds, _, _ = strings.Cut(rounds, ","); asked {
		if n, err := strconv.Atoi(rounds); err != nil || n > scramRounds {
			return nil, fmt.Errorf("%s: got %.20q rounds, want at most %d", scramSHA256, rounds, scramRounds)
		}
	}
	done, answer, err := c.session.Challenge(challenge)
	if done {
		c.proven, answer = true, []byte{}
	}
	return answer, err
}

// loggedIn returns err, or why a login that the server took is none.
func loggedIn(how sasl.Client, err error) error {
	if s, ok := how.(*scramClient); ok && err == nil && !s.proven {
		return errors.New("the server did not prove that it knows the password")
	}
	return err
}
