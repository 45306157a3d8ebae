package sender

import (
	"bufio"
	"bytes"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"segue/processors/sender/inbox"
	"segue/schemas"
)

// postfix is a Postfix of the test's own, on loopback. It takes mails by STARTTLS
// from who logs in, and relays them to the inbox.
type postfix struct {
	t     *testing.T
	conf  string
	relay Relay
	roots *x509.CertPool
}

const postfixMain = `compatibility_level = 3.6
queue_directory = DIR/queue
data_directory = DIR/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
maillog_file = DIR/log
maillog_file_prefixes = DIR
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.shop.example
mydestination =
alias_maps =
relayhost = [INBOX
disable_dns_lookups = yes
smtp_tls_security_level = none
smtpd_tls_security_level = encrypt
smtpd_tls_cert_file = DIR/cert.pem
smtpd_tls_key_file = DIR/key.pem
smtpd_tls_received_header = yes
smtpd_sasl_auth_enable = yes
smtpd_sasl_type = dovecot
smtpd_sasl_path = inet:AUTH
smtpd_sasl_authenticated_header = yes
smtpd_relay_restrictions = permit_sasl_authenticated, reject
smtpd_recipient_restrictions = check_recipient_access inline:{{gone@example.com = 550 5.1.1 no such user}}
`

const postfixMaster = `LISTEN inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
showq unix n - n - - showq
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
`

// newPostfix starts one that relays to addr.
func newPostfix(t *testing.T, addr string) *postfix {
	t.Helper()
	binary, err := exec.LookPath("postfix")
	switch {
	case err != nil:
		t.Skip("postfix is not installed (apt-get install --no-install-recommends postfix)")
	case os.Geteuid() != 0:
		t.Skip("postfix starts its processes as root only, and this is not root")
	}
	// Not t.TempDir: its folders are closed to others, and Postfix becomes one.
	dir, err := os.MkdirTemp("", "postfix")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	p := &postfix{t: t, conf: filepath.Join(dir, "etc"), relay: Relay{Addr: freeAddr(t), TLS: "starttls", User: "segue", Password: "secret"}}
	served, roots := certificate(t)
	p.roots = roots
	key, err := x509.MarshalPKCS8PrivateKey(served.Certificates[0].PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	words := strings.NewReplacer("DIR", dir, "[INBOX", "["+strings.Replace(addr, ":", "]:", 1), "AUTH", serveLogins(t), "LISTEN", p.relay.Addr)
	for name, text := range map[string]string{
		"etc/main.cf": words.Replace(postfixMain), "etc/master.cf": words.Replace(postfixMaster),
		"cert.pem": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: served.Certificates[0].Certificate[0]})),
		"key.pem":  string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})),
	} {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, open := range []string{dir, filepath.Join(dir, "etc/main.cf"), filepath.Join(dir, "etc/master.cf")} {
		if err := os.Chmod(open, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, folder := range []string{"queue", "data"} { // the rest Postfix makes
		if err := os.Mkdir(filepath.Join(dir, folder), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("chown", "postfix", filepath.Join(dir, "data")).CombinedOutput(); err != nil {
		t.Fatalf("chown: %v: %s", err, out)
	}
	var said bytes.Buffer
	run := exec.Command(binary, "-c", p.conf, "start-fg")
	run.Stdout, run.Stderr = &said, &said
	if err := run.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		run.Wait()
	}()
	t.Cleanup(func() {
		exec.Command(binary, "-c", p.conf, "stop").Run() // it may have ended by itself
		<-ended
		if t.Failed() {
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Logf("postfix: %s%s", &said, log)
		}
	})
	for deadline := time.After(time.Minute); ; {
		conn, err := net.Dial("tcp", p.relay.Addr)
		if err == nil {
			conn.Close()
			return p
		}
		select {
		case <-ended:
			t.Fatal("postfix ended before it listened")
		case <-deadline:
			t.Fatalf("postfix does not listen: %v", err)
		case <-time.After(10 * time.Millisecond): // another program starts
		}
	}
}

// freeAddr is one that nobody listens on, of those that the system gives to
// nobody by itself: it may be a while until Postfix does.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 20_000+rand.N(10_000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
	t.Fatal("got no free port from 20000 to 30000")
	return ""
}

// empty waits until all that Postfix took has left it.
func (p *postfix) empty() {
	p.t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		out, err := exec.Command("postqueue", "-c", p.conf, "-j").CombinedOutput()
		if err == nil && len(out) == 0 {
			return
		}
		if time.Now().After(deadline) {
			p.t.Fatalf("queue of postfix: %v: %s, want it empty", err, out)
		}
		time.Sleep(10 * time.Millisecond) // another program works
	}
}

// serveLogins says who may log in, by Dovecot's protocol: segue, with the password
// secret. It returns its address.
func serveLogins(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	all.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer conn.Close()
				fmt.Fprintf(conn, "VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t1\nCUID\t1\nCOOKIE\t%032d\nDONE\n", 0)
				lines := bufio.NewScanner(conn)
				for lines.Scan() {
					fields := strings.Split(lines.Text(), "\t")
					if fields[0] != "AUTH" {
						continue
					}
					answer, _ := strings.CutPrefix(fields[len(fields)-1], "resp=")
					told, _ := base64.StdEncoding.DecodeString(answer)
					verdict := "FAIL"
					if string(told) == "\x00segue\x00secret" {
						verdict = "OK"
					}
					fmt.Fprintf(conn, "%s\t%s\tuser=segue\n", verdict, fields[1])
				}
			})
		}
	})
	t.Cleanup(func() { l.Close() }) // Postfix, ended before, has closed the others
	return l.Addr().String()
}

func (p *postfix) use(c *Config) {
	c.SMTP.Addr, c.SMTP.TLS, c.SMTP.User, c.SMTP.Password, c.SMTP.RootCAs = p.relay.Addr, p.relay.TLS, p.relay.User, p.relay.Password, p.roots
}

// TestPostfix: what a real mail server took arrives once, signed, and came to it
// encrypted from who logged in; what it refuses has failed, with its words.
func TestPostfix(t *testing.T) {
	r := newRig(t, inbox.Config{})
	p := newPostfix(t, r.inbox.SMTPAddr())
	keys := signingKeys(t)
	r.change = func(c *Config) {
		p.use(c)
		c.DKIM, c.ReturnPath = keys, "bounces@shop.example"
	}
	const mails = 100
	for i := range mails {
		r.send(r.delivery(fmt.Sprint("d", i)))
	}
	r.send(r.delivery("refused", func(d *schemas.Delivery) { d.To = "gone@example.com" }))
	r.start()
	for _, o := range r.outcomes(mails + 1) {
		switch {
		case o.GetDeliveryId() == "refused":
			if o.GetKind() != schemas.Outcome_FAILED || !strings.HasPrefix(o.GetSmtpReply(), "550 ") || !strings.Contains(o.GetSmtpReply(), "no such user") {
				t.Errorf("got %v, want failed with Postfix's words", o)
			}
		case o.GetKind() != schemas.Outcome_SENT:
			t.Errorf("got %v, want sent", o)
		}
	}
	p.empty()
	for id, n := range mailsTo(r.inbox) {
		if n != 1 || id == "refused" {
			t.Errorf("%s: got %d mails, want 1, and none of what was refused", id, n)
		}
	}
	if n := r.inbox.Count(); n != mails {
		t.Errorf("mails: got %d, want %d", n, mails)
	}
	for i := range mails {
		m, _ := r.inbox.Mail(i + 1)
		header, _, _ := strings.Cut(string(m.Raw), "\r\n\r\n")
		if !strings.Contains(header, "using TLS") || !strings.Contains(header, "Authenticated sender: segue") {
			t.Fatalf("%s: got no word of TLS and login in\n%s", m.DeliveryID, header)
		}
		if _, err := r.keys.VerifyReturn(m.ReturnPath); err != nil {
			t.Errorf("%s: return path: got %s, want ours", m.DeliveryID, m.ReturnPath)
		}
		got, err := msgauth.VerifyWithOptions(bytes.NewReader(m.Raw), &msgauth.VerifyOptions{LookupTXT: func(string) ([]string, error) {
			record, err := keys[0].Record()
			return []string{record}, err
		}})
		if err != nil || len(got) != 1 || got[0].Err != nil {
			t.Fatalf("%s: signatures: got %+v, %v, want one that verifies", m.DeliveryID, got, err)
		}
	}
}

// TestPostfixCrash: the sender dies while mails go out, and another goes on.
func TestPostfixCrash(t *testing.T) {
	for _, step := range []string{"noted", "hand-over", "answered", "settle"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, inbox.Config{})
			p := newPostfix(t, r.inbox.SMTPAddr())
			r.change, r.settle = p.use, p.empty
			crashAt(t, r, step, 1)
		})
	}
}

// TestPostfixWrongPassword: nothing is handed over, and mails wait.
func TestPostfixWrongPassword(t *testing.T) {
	p := newPostfix(t, closedAddr(t))
	c := &courier{name: "localhost", relay: p.relay, smtp: SMTP{MailsPerConnection: 100, Timeout: 10 * time.Second, RootCAs: p.roots, Dial: new(net.Dialer).DialContext}}
	c.relay.Password = "wrong"
	if got, err := c.send(t.Context(), letter); got != unreachable || !strings.Contains(fmt.Sprint(err), "log in as segue: ") {
		t.Errorf("got %s, %v, want unreachable at the login", got, err)
	}
}
