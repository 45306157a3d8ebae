package sender

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"net"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
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
	case client.SupportsAuth(cramMD5):
		return &cramMD5Client{c.relay.User, c.relay.Password}, nil
	case !private:
		return nil, errors.New("got a connection without TLS, on which a password would be read by others; want tls or starttls")
	}
	return nil, errors.New("got none of the ways that are known, want a server that takes PLAIN, LOGIN or CRAM-MD5")
}

const cramMD5 = "CRAM-MD5"

// cramMD5Client is RFC 2195: the password keys a hash of what the server asks.
type cramMD5Client struct{ user, password string }

func (c *cramMD5Client) Start() (string, []byte, error) { return cramMD5, nil, nil }

func (c *cramMD5Client) Next(challenge []byte) ([]byte, error) {
	h := hmac.New(md5.New, []byte(c.password))
	h.Write(challenge)
	return []byte(c.user + " " + hex.EncodeToString(h.Sum(nil))), nil
}
