package benchmarks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"
)

// Ada's and Bob's carts are left. Ada's reminder comes back from her mail server,
// Bob calls his spam and a provider tells it twice: neither gets the second one.
func TestMailsThatComeBack(t *testing.T) {
	onMonday(t, func(t *testing.T, s *street) {
		for _, name := range []string{"ada", "bob"} {
			shopper := shopper{t, s.browser, name}
			shopper.call("identify", fmt.Sprintf(`"traits":{"email":"%s@shop.example","firstName":"X","timezone":"Europe/London"}`, name))
			shopper.track("Subscribed", `{}`)
		}
		time.Sleep(time.Hour)
		for _, name := range []string{"ada", "bob"} {
			shopper{t, s.browser, name}.track("Product Added", `{"cart_id":"c1","product_id":"mug","name":"Blue mug","price":12.50,"currency":"GBP","quantity":1}`)
			time.Sleep(time.Minute)
		}
		time.Sleep(61 * time.Minute)
		s.mails.want(t, "Mon 11:00 ada@shop.example", "Mon 11:01 bob@shop.example")

		for range 2 { // a provider that heard no answer tells it again
			complain(t, s.browser, s.mails.from("bob@shop.example"))
		}
		conn, err := s.network.DialContext(t.Context(), "tcp", back)
		if err != nil {
			t.Fatal(err)
		}
		answering := smtp.NewClient(conn)
		path := s.mails.from("ada@shop.example")
		if err := answering.SendMail("", []string{path}, strings.NewReader(giveBack)); err != nil {
			t.Fatal(err)
		}
		if err := answering.Quit(); err != nil {
			t.Fatal(err)
		}

		time.Sleep(5 * 24 * time.Hour)
		s.mails.want(t, "Mon 11:00 ada@shop.example", "Mon 11:01 bob@shop.example")
		got := outcomes(t, s.kafka)
		for what, want := range map[string]int{"SENT": 2, "BOUNCED": 1, "COMPLAINED": 2, "SKIPPED": 4} {
			if n := strings.Count(" "+got+" ", " "+what); n != want {
				t.Errorf("outcomes in events: got %s, want %d %s", got, want, what)
			}
		}
	})
}

const signingKey = "the webhook signing key"

// complain is Mailgun, which was told that a mail is called spam.
func complain(t *testing.T, browser *http.Client, path string) {
	t.Helper()
	timestamp, token := fmt.Sprint(time.Now().Unix()), "e0b5477167110d68991efc6b9f89f0a1"
	mac := hmac.New(sha256.New, []byte(signingKey))
	mac.Write([]byte(timestamp + token))
	body := fmt.Sprintf(`{"signature":{"timestamp":%q,"token":%q,"signature":%q},"event-data":{"event":"complained","user-variables":{"segue-return":%q}}}`,
		timestamp, token, hex.EncodeToString(mac.Sum(nil)), path)
	answer, err := browser.Post("http://"+front+"/v1/returns/mailgun", "application/json", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if said, _ := io.ReadAll(answer.Body); answer.StatusCode != http.StatusOK {
		t.Fatalf("complaint: %s %s", answer.Status, said)
	}
}

const giveBack = "Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n--b\r\nContent-Type: message/delivery-status\r\n\r\n" +
	"Reporting-MTA: dns; mx.example\r\n\r\nFinal-Recipient: rfc822; ada@shop.example\r\nAction: failed\r\nStatus: 5.1.1\r\n" +
	"Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\r\n--b--\r\n"
