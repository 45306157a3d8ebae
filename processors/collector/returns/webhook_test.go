package returns

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// provider stands in for one: it signs as it does.
type provider struct {
	hook Webhook
	// sign makes a call of what is told at an instant.
	sign func(told string, at time.Time) (http.Header, []byte)
}

func must[T any](t testing.TB) func(T, error) T {
	return func(x T, err error) T { // no Helper: fuzzing calls it from within
		if err != nil {
			t.Fatal(err)
		}
		return x
	}
}

func sendGridOf(t testing.TB) provider {
	key := must[*ecdsa.PrivateKey](t)(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	der := must[[]byte](t)(x509.MarshalPKIXPublicKey(&key.PublicKey))
	return provider{must[Webhook](t)(SendGrid(base64.StdEncoding.EncodeToString(der))), func(told string, at time.Time) (http.Header, []byte) {
		timestamp := strconv.FormatInt(at.Unix(), 10)
		sum := sha256.Sum256([]byte(timestamp + told))
		signature := must[[]byte](t)(ecdsa.SignASN1(rand.Reader, key, sum[:]))
		h := http.Header{}
		h.Set(headerSendGridTimestamp, timestamp)
		h.Set(headerSendGridSignature, base64.StdEncoding.EncodeToString(signature))
		return h, []byte(told)
	}}
}

const postmarkLogin = "postmark:a password of some length"

func postmarkOf(t testing.TB) provider {
	return provider{must[Webhook](t)(Postmark(postmarkLogin)), func(told string, _ time.Time) (http.Header, []byte) {
		return http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(postmarkLogin))}}, []byte(told)
	}}
}

const mailgunKey = "the webhook signing key"

func mailgunSigned(told string, at time.Time, token string) []byte {
	timestamp := strconv.FormatInt(at.Unix(), 10)
	mac := hmac.New(sha256.New, []byte(mailgunKey))
	mac.Write([]byte(timestamp + token))
	return fmt.Appendf(nil, `{"signature":{"timestamp":%q,"token":%q,"signature":%q},"event-data":%s}`, timestamp, token, hex.EncodeToString(mac.Sum(nil)), told)
}

func mailgunOf(t testing.TB) provider {
	var n atomic.Int64
	return provider{must[Webhook](t)(Mailgun(mailgunKey)), func(told string, at time.Time) (http.Header, []byte) {
		return http.Header{}, mailgunSigned(told, at, fmt.Sprintf("token-%d", n.Add(1)))
	}}
}

const (
	snsTopic = "arn:aws:sns:eu-west-1:123456789012:bounces"
	snsName  = "sns.eu-west-1.amazonaws.com"
)

// amazon is SNS in one region: it has certificates, and hears confirmations.
type amazon struct {
	key       *rsa.PrivateKey
	client    *http.Client
	confirmed atomic.Int64
	down      atomic.Bool
}

func newAmazon(t testing.TB) *amazon {
	t.Helper()
	a := &amazon{key: must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))}
	cert := func(name string, from, to time.Time) []byte {
		form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: from, NotAfter: to}
		return must[[]byte](t)(x509.CreateCertificate(rand.Reader, form, form, &a.key.PublicKey, a.key))
	}
	year := 365 * 24 * time.Hour
	certs := map[string][]byte{
		"/SimpleNotificationService-1.pem": cert("sns.amazonaws.com", now.Add(-year), now.Add(year)),
		"/of-the-region.pem":               cert(snsName, now.Add(-year), now.Add(year)),
		"/of-another.pem":                  cert("s3.amazonaws.com", now.Add(-year), now.Add(year)),
		"/of-last-year.pem":                cert("sns.amazonaws.com", now.Add(-2*year), now.Add(-year)),
	}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch der := certs[r.URL.Path]; {
		case a.down.Load():
			w.WriteHeader(http.StatusBadGateway)
		case der != nil:
			_ = pem.Encode(w, &pem.Block{Type: "CERTIFICATE", Bytes: der})
		case r.URL.Path == "/" && r.URL.Query().Get("Action") == "ConfirmSubscription":
			a.confirmed.Add(1)
		case r.URL.Path == "/not.pem":
			fmt.Fprint(w, "hello")
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	web := cert(snsName, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{web}, PrivateKey: a.key}}}
	server.StartTLS()
	t.Cleanup(server.Close)
	roots := x509.NewCertPool()
	roots.AddCert(must[*x509.Certificate](t)(x509.ParseCertificate(web)))
	a.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots},
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, server.Listener.Addr().String())
		}}}
	t.Cleanup(a.client.CloseIdleConnections)
	return a
}

// call is a message of SNS, signed after change has altered it.
func (a *amazon) call(t testing.TB, told string, at time.Time, change func(map[string]string)) []byte {
	c := map[string]string{"Type": "Notification", "MessageId": "22b80b92", "TopicArn": snsTopic, "Message": told, "Timestamp": at.UTC().Format("2006-01-02T15:04:05.000Z"),
		"SignatureVersion": "2", "SigningCertURL": "https://" + snsName + "/SimpleNotificationService-1.pem"}
	if change != nil {
		change(c)
	}
	names := []string{"Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type"}
	if c["Type"] != "Notification" {
		names = []string{"Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type"}
	}
	text := ""
	for _, name := range names {
		if v, ok := c[name]; ok {
			text += name + "\n" + v + "\n"
		}
	}
	hash, sum := crypto.SHA256, sha256.Sum256([]byte(text))
	digest := sum[:]
	if c["SignatureVersion"] == "1" {
		sum := sha1.Sum([]byte(text))
		hash, digest = crypto.SHA1, sum[:]
	}
	c["Signature"] = base64.StdEncoding.EncodeToString(must[[]byte](t)(rsa.SignPKCS1v15(nil, a.key, hash, digest)))
	return must[[]byte](t)(json.Marshal(c))
}

func sesOf(t testing.TB, a *amazon) provider {
	return provider{must[Webhook](t)(SES([]string{snsTopic}, a.client)), func(told string, at time.Time) (http.Header, []byte) {
		return http.Header{}, a.call(t, told, at, nil)
	}}
}

func providers(t testing.TB) map[string]provider {
	return map[string]provider{"sendgrid": sendGridOf(t), "postmark": postmarkOf(t), "mailgun": mailgunOf(t), "ses": sesOf(t, newAmazon(t))}
}

// What providers tell, signed as they sign.
func TestWebhooks(t *testing.T) {
	for name, p := range providers(t) {
		datadriven.RunTest(t, "testdata/"+name+".txt", func(t *testing.T, d *datadriven.TestData) string {
			header, body := p.sign(d.Input, now.Add(-time.Minute))
			all, err := p.hook.Read(t.Context(), header, body, now)
			if errors.Is(err, ErrUnsigned) {
				t.Errorf("got %v of what was signed", err)
			}
			if err != nil || len(all) == 0 {
				return told(nil, err)
			}
			text := ""
			for _, r := range all {
				text += told(&r, nil)
			}
			return text
		})
	}
}

// samples are the bodies in a provider's file.
func samples(t testing.TB, name string) (all []string) {
	t.Helper()
	for _, sample := range strings.Split("\n"+string(must[[]byte](t)(os.ReadFile("testdata/"+name+".txt"))), "\ncall\n")[1:] {
		body, _, _ := strings.Cut(sample, "\n----\n")
		all = append(all, body)
	}
	return all
}

// Whoever is not the provider is refused: each byte of what was signed counts,
// and so does when.
func TestForgedCalls(t *testing.T) {
	for name, p := range providers(t) {
		refused := func(what string, header http.Header, body []byte) {
			t.Helper()
			if all, err := p.hook.Read(t.Context(), header, body, now); !errors.Is(err, ErrUnsigned) || all != nil {
				t.Errorf("%s: %s: got %v, %v, want it refused", name, what, all, err)
			}
		}
		told := samples(t, name)[0]
		header, body := p.sign(told, now)
		if _, err := p.hook.Read(t.Context(), header, body, now); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		other := sendGridOf(t) // another key
		switch name {
		case "sendgrid":
			for i := range body {
				changed := []byte(string(body))
				changed[i] ^= 1
				refused("another body", header, changed)
			}
			h, b := other.sign(told, now)
			refused("another key", h, b)
			refused("no signature", http.Header{}, body)
			h = header.Clone()
			h.Set(headerSendGridTimestamp, strconv.FormatInt(now.Unix()+1, 10))
			refused("another timestamp", h, body)
			h.Set(headerSendGridTimestamp, "")
			refused("no timestamp", h, body)
		case "postmark":
			refused("no login", http.Header{}, body)
			for _, login := range []string{"postmark:", "postmark:wrong", ":a password of some length", "Postmark:a password of some length", postmarkLogin + "x"} {
				refused(login, http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(login))}}, body)
			}
		case "mailgun":
			text := string(body)
			for _, change := range [][2]string{{`"signature":{`, `"signature":{"x":1},"other":{`}, {`"token":"token-`, `"token":"Token-`}, {`"timestamp":"1`, `"timestamp":"2`}, {`"signature":"`, `"signature":"00`}, {`"signature":"`, `"signature":"","x":"`}} {
				refused(change[1], header, []byte(strings.Replace(text, change[0], change[1], 1)))
			}
			refused("a token that came with another body", header, []byte(strings.Replace(text, "ada@", "eve@", 1)))
			if _, err := p.hook.Read(t.Context(), header, body, now); err != nil {
				t.Errorf("mailgun: the same call again: %v, want nil", err)
			}
		}
		if name != "postmark" {
			for _, age := range []time.Duration{-maxSkew - time.Second, maxAge + time.Second} {
				h, b := p.sign(told, now.Add(-age))
				refused(fmt.Sprintf("signed %v ago", age), h, b)
			}
			for _, age := range []time.Duration{-maxSkew, maxAge} {
				h, b := p.sign(told, now.Add(-age))
				if _, err := p.hook.Read(t.Context(), h, b, now); err != nil {
					t.Errorf("%s: signed %v ago: %v, want nil", name, age, err)
				}
			}
		}
	}
}

// SNS signs for anybody: what counts is that the topic is ours, and that the
// certificate is from where SNS has them.
func TestCallsOfAmazon(t *testing.T) {
	a := newAmazon(t)
	p := sesOf(t, a)
	bounce := samples(t, "ses")[0]
	set := func(name, value string) func(map[string]string) {
		return func(c map[string]string) { c[name] = value }
	}
	for what, change := range map[string]func(map[string]string){
		"as it is":                      nil,
		"the older signature":           set("SignatureVersion", "1"),
		"with a subject":                set("Subject", "Amazon SES Email Event Notification"),
		"a certificate of the region's": set("SigningCertURL", "https://"+snsName+"/of-the-region.pem"),
	} {
		if all, err := p.hook.Read(t.Context(), nil, a.call(t, bounce, now, change), now); err != nil || len(all) != 1 {
			t.Errorf("%s: got %v, %v, want one return", what, all, err)
		}
	}
	for what, test := range map[string]struct {
		change func(map[string]string)
		want   string
	}{
		"another's topic":         {set("TopicArn", "arn:aws:sns:eu-west-1:999999999999:bounces"), `refused: TopicArn: got "arn:aws:sns:eu-west-1:999999999999:bounces", want one of returns.ses_topics`},
		"another host":            {set("SigningCertURL", "https://evil.example/x.pem"), `refused: SigningCertURL: got "https://evil.example/x.pem", want https://sns.eu-west-1.amazonaws.com/….pem`},
		"another region":          {set("SigningCertURL", "https://sns.us-east-1.amazonaws.com/x.pem"), `refused: SigningCertURL: got "https://sns.us-east-1.amazonaws.com/x.pem", want https://sns.eu-west-1.amazonaws.com/….pem`},
		"a host that looks alike": {set("SigningCertURL", "https://"+snsName+".evil.example/x.pem"), `refused: SigningCertURL: got "https://sns.eu-west-1.amazonaws.com.evil.example/x.pem", want https://sns.eu-west-1.amazonaws.com/….pem`},
		"a user before the host":  {set("SigningCertURL", "https://x@"+snsName+"/x.pem"), `refused: SigningCertURL: got "https://x@sns.eu-west-1.amazonaws.com/x.pem", want https://sns.eu-west-1.amazonaws.com/….pem`},
		"a port":                  {set("SigningCertURL", "https://"+snsName+":8443/x.pem"), `refused: SigningCertURL: got "https://sns.eu-west-1.amazonaws.com:8443/x.pem", want https://sns.eu-west-1.amazonaws.com/….pem`},
		"no TLS":                  {set("SigningCertURL", "http://"+snsName+"/SimpleNotificationService-1.pem"), `refused: SigningCertURL: got "http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem", want https://sns.eu-west-1.amazonaws.com/….pem`},
		"a query":                 {set("SigningCertURL", "https://"+snsName+"/SimpleNotificationService-1.pem?x=y"), `refused: SigningCertURL: got "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-1.pem?x=y", want https://sns.eu-west-1.amazonaws.com/….pem`},
		"no such certificate":     {set("SigningCertURL", "https://"+snsName+"/none.pem"), `refused: sns.eu-west-1.amazonaws.com answers 404 Not Found`},
		"no certificate":          {set("SigningCertURL", "https://"+snsName+"/not.pem"), `refused: certificate at https://sns.eu-west-1.amazonaws.com/not.pem: got no PEM`},
		"one of another's":        {set("SigningCertURL", "https://"+snsName+"/of-another.pem"), `refused: certificate at https://sns.eu-west-1.amazonaws.com/of-another.pem: got one of ["s3.amazonaws.com"], want one of sns.amazonaws.com or sns.eu-west-1.amazonaws.com`},
		"one of last year":        {set("SigningCertURL", "https://"+snsName+"/of-last-year.pem"), `refused: certificate at https://sns.eu-west-1.amazonaws.com/of-last-year.pem: got one for 2024-03-02 to 2025-03-02, want one for today`},
		"another version":         {set("SignatureVersion", "3"), `refused: SignatureVersion: got "3", want 1 or 2`},
		"another type":            {set("Type", "Gossip"), `refused: Type: got "Gossip", want Notification, SubscriptionConfirmation or UnsubscribeConfirmation`},
		"no instant":              {set("Timestamp", "today"), `refused: Timestamp: got "today", want an instant`},
	} {
		all, err := p.hook.Read(t.Context(), nil, a.call(t, bounce, now, test.change), now)
		if text := strings.TrimPrefix(fmt.Sprint(err), "certificate of SNS: "); !errors.Is(err, ErrUnsigned) || text != test.want || all != nil {
			t.Errorf("%s:\n got %v, %v\nwant %s", what, all, err, test.want)
		}
	}
	// Each signed field counts.
	for _, name := range []string{"Message", "MessageId", "Subject", "Timestamp", "Type", "Signature"} {
		var c map[string]string
		if err := json.Unmarshal(a.call(t, bounce, now, nil), &c); err != nil {
			t.Fatal(err)
		}
		switch name {
		case "Timestamp":
			c[name] = now.Add(time.Second).Format(time.RFC3339)
		case "Type":
			c[name] = "UnsubscribeConfirmation"
		default:
			c[name] = "AAAA" + c[name]
		}
		if all, err := p.hook.Read(t.Context(), nil, must[[]byte](t)(json.Marshal(c)), now); !errors.Is(err, ErrUnsigned) {
			t.Errorf("another %s: got %v, %v, want it refused", name, all, err)
		}
	}
}

// A topic that is ours is subscribed to when SNS asks, and only with SNS itself.
func TestSubscriptionIsConfirmed(t *testing.T) {
	a := newAmazon(t)
	p := sesOf(t, a)
	ask := func(at string) error {
		t.Helper()
		all, err := p.hook.Read(t.Context(), nil, a.call(t, "You have chosen to subscribe", now, func(c map[string]string) {
			c["Type"], c["Token"], c["SubscribeURL"] = "SubscriptionConfirmation", "2336412f37", at
		}), now)
		if len(all) > 0 {
			t.Errorf("got %v, want nothing", all)
		}
		return err
	}
	if err := ask("https://" + snsName + "/?Action=ConfirmSubscription&Token=2336412f37"); err != nil || a.confirmed.Load() != 1 {
		t.Errorf("got %v and %d confirmations, want one", err, a.confirmed.Load())
	}
	if err := ask("https://evil.example/?Action=ConfirmSubscription"); !errors.Is(err, ErrUnsigned) || a.confirmed.Load() != 1 {
		t.Errorf("elsewhere: got %v and %d confirmations, want it refused", err, a.confirmed.Load())
	}
	a.down.Store(true)
	if err := ask("https://" + snsName + "/?Action=ConfirmSubscription"); !errors.Is(err, errLater) {
		t.Errorf("while SNS is down: got %v, want that it is asked again", err)
	}
}

func TestSecrets(t *testing.T) {
	rsaKey := must[*rsa.PrivateKey](t)(rsa.GenerateKey(rand.Reader, 2048))
	der := base64.StdEncoding.EncodeToString(must[[]byte](t)(x509.MarshalPKIXPublicKey(&rsaKey.PublicKey)))
	for want, make := range map[string]func() (Webhook, error){
		"sendgrid key: got no base64, want the verification key of the webhook's settings: illegal base64 data at input byte 0": func() (Webhook, error) { return SendGrid("!") },
		"sendgrid key: got a *rsa.PublicKey, want ECDSA":                                                                        func() (Webhook, error) { return SendGrid(der) },
		"postmark login: got another form, want USER:PASSWORD with a password of 16 bytes or more":                              func() (Webhook, error) { return Postmark("user:short") },
		"mailgun key: got 5 bytes, want the webhook signing key, 16 bytes or more":                                              func() (Webhook, error) { return Mailgun("short") },
		"ses: got no topic, want the ARN of one at least":                                                                       func() (Webhook, error) { return SES(nil, nil) },
		`ses: topic: got "arn:aws:sqs:eu-west-1:1:x", want an ARN such as arn:aws:sns:eu-west-1:123456789012:bounces`:           func() (Webhook, error) { return SES([]string{"arn:aws:sqs:eu-west-1:1:x"}, nil) },
		`ses: topic: got "arn:aws:sns:evil.example/:1:x", want an ARN such as arn:aws:sns:eu-west-1:123456789012:bounces`:       func() (Webhook, error) { return SES([]string{"arn:aws:sns:evil.example/:1:x"}, nil) },
	} {
		if _, err := make(); err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
}

// fuzzSigned gives a provider any body, signed, and any call, not signed.
func fuzzSigned(f *testing.F, name string, p provider) {
	for _, body := range samples(f, name) {
		f.Add(body, true)
		_, call := p.sign(body, now)
		f.Add(string(call), false)
	}
	f.Fuzz(func(t *testing.T, text string, signed bool) {
		header, body := http.Header{}, []byte(text)
		if signed {
			header, body = p.sign(text, now)
		}
		all, err := p.hook.Read(t.Context(), header, body, now)
		switch {
		case err != nil && all != nil:
			t.Errorf("got %v and %v, want one of them", all, err)
		case signed && errors.Is(err, ErrUnsigned) && name != "mailgun" && name != "ses": // there the text may break what is around it
			t.Errorf("got %v of what was signed", err)
		case !signed && err == nil && (name == "sendgrid" || name == "postmark"):
			t.Errorf("got %v of what was not signed", all)
		}
		for _, r := range all {
			if r.Kind != Hard && r.Kind != Soft && r.Kind != Spam {
				t.Errorf("got kind %d", r.Kind)
			}
			r.event(ada, 1)
		}
	})
}

func FuzzSendGrid(f *testing.F) { fuzzSigned(f, "sendgrid", sendGridOf(f)) }
func FuzzPostmark(f *testing.F) { fuzzSigned(f, "postmark", postmarkOf(f)) }
func FuzzMailgun(f *testing.F)  { fuzzSigned(f, "mailgun", mailgunOf(f)) }
func FuzzSES(f *testing.F)      { fuzzSigned(f, "ses", sesOf(f, newAmazon(f))) }
