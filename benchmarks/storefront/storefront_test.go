package storefront

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// register is a collector that only writes down what it is told.
type register struct {
	*httptest.Server
	calls []told
	hits  []string
}

type told struct {
	Type        string
	MessageID   string
	UserID      string
	AnonymousID string
	Timestamp   time.Time
	Event       string
	Properties  struct {
		OrderID  string `json:"order_id"`
		CartID   string `json:"cart_id"`
		Total    string
		Items    string
		Products []struct{ URL string }
	}
}

func newRegister(t *testing.T) *register {
	r := &register{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.URL.Path != "/v1/batch" {
			r.hits = append(r.hits, req.Method+" "+req.URL.Path)
			if strings.HasPrefix(req.URL.Path, "/c/") {
				http.Redirect(w, req, ShopURL, http.StatusFound)
			}
			return
		}
		if key, _, _ := req.BasicAuth(); key != "test-key" {
			t.Errorf("write key: got %q, want test-key", key)
		}
		var body struct{ Batch []json.RawMessage }
		if err := json.NewDecoder(req.Body).Decode(&body); err != nil {
			t.Errorf("decode batch: %v", err)
		}
		for _, item := range body.Batch {
			if len(item) > 32<<10 {
				t.Errorf("an item has %d bytes, want at most 32 KB: %.80s…", len(item), item)
			}
			var c told
			if err := json.Unmarshal(item, &c); err != nil {
				t.Errorf("decode item: %v", err)
			}
			r.calls = append(r.calls, c)
		}
	}))
	t.Cleanup(r.Close)
	return r
}

// play runs a whole file. mails, if any, sees each call and may answer with a
// mail to the shopper.
func play(t *testing.T, lines io.Reader, seed uint64, mails func(told) bool) (*register, Ledger) {
	t.Helper()
	r := newRegister(t)
	s, err := New(Config{Lines: lines, Seed: seed, Collector: r.URL, WriteKey: "test-key"})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	seen := 0
	for {
		now, ok := s.Next()
		if !ok {
			return r, s.Ledger()
		}
		if err := s.Post(context.Background(), s.LastBefore(now.Add(time.Hour))); err != nil {
			t.Fatal(err)
		}
		for ; seen < len(r.calls); seen++ {
			if c := r.calls[seen]; mails != nil && mails(c) {
				s.Deliver(Mail{
					At: c.Timestamp.Add(time.Hour), To: s.shoppers[c.UserID].email,
					Open: r.URL + "/o/" + c.MessageID, Click: r.URL + "/c/" + c.MessageID, Unsubscribe: r.URL + "/u/" + c.MessageID,
				})
			}
		}
	}
}

// linesOf returns the numbers of the file's lines that a call accounts for.
func linesOf(t *testing.T, c told) (numbers []int) {
	t.Helper()
	add := func(s string) {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatalf("%s: line number: got %q", c.MessageID, s)
		}
		numbers = append(numbers, n)
	}
	for _, p := range c.Properties.Products {
		if _, line, ok := strings.Cut(p.URL, "#"); ok {
			add(line)
		}
	}
	for item := range strings.FieldsSeq(c.Properties.Items) {
		line, _, _ := strings.Cut(item, ":")
		add(line)
	}
	if line, ok := strings.CutPrefix(c.MessageID, "refund-line-"); ok {
		add(line)
	}
	return numbers
}

const orders = header + `
536365,85123A,WHITE HANGING HEART T-LIGHT HOLDER,6,2010-12-01 08:26:00,2.55,17850,United Kingdom
536365,71053,WHITE METAL LANTERN,6,2010-12-01 08:26:00,3.39,17850,United Kingdom
536365,71053,WHITE METAL LANTERN,6,2010-12-01 08:26:00,3.39,17850,United Kingdom
536370,22728,ALARM CLOCK BAKELIKE PINK,24,2010-12-01 08:45:00,3.75,12583,France
536414,22139,,56,2010-12-01 11:52:00,0.0,,United Kingdom
C536379,71053,WHITE METAL LANTERN,-1,2010-12-01 12:41:00,3.39,17850,United Kingdom
536589,21777,,-10,2010-12-01 16:50:00,0.0,,United Kingdom
A563185,B,Adjust bad debt,1,2011-08-12 14:50:00,11062.06,,United Kingdom
A563186,B,Adjust bad debt,1,2011-08-12 14:51:00,-11062.06,,United Kingdom
C563187,71053,WHITE METAL LANTERN,-1,2011-08-12 14:52:00,3.39,17850,United Kingdom
C563187,85123A,WHITE HANGING HEART T-LIGHT HOLDER,-2,2011-08-12 14:53:00,2.55,17850,United Kingdom
`

func TestOrdersAtTheirRealMoments(t *testing.T) {
	r, ledger := play(t, strings.NewReader(orders), 1, nil)
	got := map[string]told{}
	for _, c := range r.calls {
		got[c.MessageID] = c
	}
	order := got["order-536365"]
	if want := time.Date(2010, 12, 1, 8, 26, 0, 0, time.UTC); !order.Timestamp.Equal(want) || order.UserID != "17850" {
		t.Errorf("order-536365: got %s by %q, want %s by 17850", order.Timestamp, order.UserID, want)
	}
	if order.Properties.Total != "55.98" || order.Properties.CartID != "cart-536365" || len(order.Properties.Products) != 3 {
		t.Errorf("order-536365: got %+v, want 55.98 for three lines of cart-536365", order.Properties)
	}
	if guest := got["order-536414"]; guest.UserID != "" || guest.AnonymousID != "guest-536414" {
		t.Errorf("order-536414: got user %q, visitor %q, want an anonymous visit", guest.UserID, guest.AnonymousID)
	}
	if refund := got["refund-line-6"]; refund.Properties.OrderID != "536365" || refund.Properties.Total != "3.39" {
		t.Errorf("refund-line-6: got %+v, want 3.39 of order 536365", refund.Properties)
	}
	for _, id := range []string{"adjust-536589-0", "adjust-A563186-0"} {
		if got[id].Event != EventAdjusted {
			t.Errorf("%s: got %q, want %q", id, got[id].Event, EventAdjusted)
		}
	}
	if ledger.Lines != 11 || ledger.Orders != 4 || ledger.Refunds != 3 || ledger.Adjustments != 2 {
		t.Errorf("ledger: got %+v, want 11 lines, 4 orders, 3 refunds, 2 adjustments", ledger)
	}
	// Summer time: 14:50 in London is 13:50 in UTC.
	if at := got["order-A563185"].Timestamp; at.Hour() != 13 {
		t.Errorf("order-A563185: got %s, want 13:50 UTC", at)
	}
}

func TestWholeCutIsAccountedFor(t *testing.T) {
	r, ledger := play(t, Cut(), 1, nil)
	seen := map[int]string{}
	ids := map[string]bool{}
	var digest Digest
	for _, c := range r.calls {
		if ids[c.MessageID] {
			t.Errorf("%s was said twice", c.MessageID)
		}
		ids[c.MessageID] = true
		digest.Add(c.MessageID)
		for _, n := range linesOf(t, c) {
			if first, ok := seen[n]; ok {
				t.Errorf("line %d is in %s and %s", n, first, c.MessageID)
			}
			seen[n] = c.MessageID
		}
	}
	lines := countLines(t)
	for n := 1; n <= lines; n++ {
		if seen[n] == "" {
			t.Errorf("line %d is in no event", n)
		}
	}
	if len(seen) != lines || ledger.Lines != lines {
		t.Errorf("lines: got %d in events and %d in the ledger, want %d", len(seen), ledger.Lines, lines)
	}
	if ledger.Posted != len(r.calls) || ledger.PostedIDs != digest {
		t.Errorf("ledger: got %d calls, digest %x; want %d, %x", ledger.Posted, ledger.PostedIDs, len(r.calls), digest)
	}
	t.Logf("%+v", ledger)
}

func countLines(t *testing.T) (n int) {
	t.Helper()
	lines, err := NewLines(Cut())
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := lines.Next(); err == io.EOF {
			return n
		} else if err != nil {
			t.Fatal(err)
		}
		n++
	}
}

// A shopper's own calls are in order of time, so that a cart is filled before
// it is bought.
func TestCallsInOrder(t *testing.T) {
	r, _ := play(t, Cut(), 1, nil)
	last := map[string]told{}
	for _, c := range r.calls {
		if prev, ok := last[c.UserID]; ok && c.Timestamp.Before(prev.Timestamp) {
			t.Fatalf("%s at %s came after %s at %s", c.MessageID, c.Timestamp, prev.MessageID, prev.Timestamp)
		}
		last[c.UserID] = c
	}
}

func TestSeedDecides(t *testing.T) {
	say := func(seed uint64) string {
		r, _ := play(t, strings.NewReader(orders), seed, nil)
		var b strings.Builder
		for _, c := range r.calls {
			fmt.Fprintln(&b, c)
		}
		return b.String()
	}
	first, again := say(7), say(7)
	if first != again {
		t.Error("the same seed gave two different years")
	}
	if first == say(8) {
		t.Error("two seeds gave the same year")
	}
}

// Shoppers read the mails about the carts they left: some open, click, buy.
func TestMailIsRead(t *testing.T) {
	r, l := play(t, Cut(), 3, func(c told) bool {
		return c.Event == "Product Added" && strings.HasPrefix(c.Properties.CartID, "cart-left-")
	})
	if l.Opens == 0 || l.Clicks == 0 || l.Unsubscriptions == 0 || l.Recovered == 0 || l.Opens < l.Clicks || l.Clicks < l.Recovered {
		t.Errorf("ledger: got %+v, want opens ≥ clicks ≥ recovered > 0, and somebody unsubscribed", l)
	}
	if len(r.hits) != l.Opens+l.Clicks+l.Unsubscriptions {
		t.Errorf("links followed: got %d, want %d", len(r.hits), l.Opens+l.Clicks+l.Unsubscriptions)
	}
	t.Logf("%+v", l)
}

func TestLinesThatAreNone(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"other header", "a,b\n1,2\n", `header: got "a,b"`},
		{"no quantity", header + "\n1,2,3,x,2010-12-01 08:26:00,1,1,France\n", `line 1: column Quantity: got "x"`},
		{"no time", header + "\n1,2,3,4,yesterday,1,1,France\n", `line 1: column InvoiceDate: got "yesterday"`},
		{"no price", header + "\n1,2,3,4,2010-12-01 08:26:00,1.0.0,1,France\n", `line 1: column UnitPrice: got "1.0.0"`},
		{"short", header + "\n1,2,3\n", "line 1: "},
		{"empty", header + "\n", "got no invoice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := New(Config{Lines: strings.NewReader(c.file)})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestMicros(t *testing.T) {
	for text, want := range map[string]int64{
		"2.55": 2550000, "0": 0, "3": 3000000, "0.001": 1000, "-11062.06": -11062060000, "13541.33": 13541330000,
	} {
		if got, err := parseMicros(text); got != want || err != nil {
			t.Errorf("parseMicros(%q) = %d, %v, want %d", text, got, err, want)
		}
	}
	for _, text := range []string{"", ".", ".5", "1e3", "+1", "--1", "1.-5", "1.2345678", "£3"} {
		if got, err := parseMicros(text); err == nil {
			t.Errorf("parseMicros(%q) = %d, want an error", text, got)
		}
	}
	for micros, want := range map[int64]string{2550000: "2.55", 0: "0.00", 1000: "0.001", -11062060000: "-11062.06"} {
		if got := decimal(micros); got != want {
			t.Errorf("decimal(%d) = %q, want %q", micros, got, want)
		}
	}
}

// The cut is what CutFrom makes of the full file, which lies beside a checkout
// or where SEGUE_ONLINE_RETAIL says. With SEGUE_WRITE_CUT set, the cut is written
// anew.
func TestCutRegenerates(t *testing.T) {
	path := cmp.Or(os.Getenv("SEGUE_ONLINE_RETAIL"), "../../../shared/data/online_retail/online_retail.csv.gz")
	full, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Skipf("UCI Online Retail is not there: %v", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	var want bytes.Buffer
	if err := CutFrom(&want, full); err != nil {
		t.Fatal(err)
	}
	if os.Getenv("SEGUE_WRITE_CUT") != "" {
		writeCut(t, want.Bytes())
		return
	}
	unzipped, err := gzip.NewReader(Cut())
	if err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(unzipped)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Errorf("the embedded cut has %d bytes and is not the %d that CutFrom makes of %s", len(got), want.Len(), path)
	}
}

func writeCut(t *testing.T, text []byte) {
	t.Helper()
	file, err := os.Create("online_retail_cut.csv.gz")
	if err != nil {
		t.Fatal(err)
	}
	zipped, err := gzip.NewWriterLevel(file, gzip.BestCompression)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := zipped.Write(text); err != nil {
		t.Fatal(err)
	}
	if err := zipped.Close(); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
}

func FuzzLine(f *testing.F) {
	for line := range strings.Lines(orders) {
		f.Add(line)
	}
	f.Add("1,2,\"a\nb\",-3,2010-12-01 08:26:00,.5,,\n")
	f.Fuzz(func(t *testing.T, text string) {
		lines, err := NewLines(strings.NewReader(header + "\n" + text))
		if err != nil {
			return
		}
		in := NewInvoices(lines)
		var got []int
		for range 100 {
			i, err := in.Next()
			if err != nil {
				break
			}
			for _, l := range i.Lines {
				got = append(got, l.Number)
			}
		}
		slices.Sort(got)
		for i, n := range got {
			if n != i+1 {
				t.Fatalf("lines of the invoices: got %v, want each once", got)
			}
		}
	})
}
