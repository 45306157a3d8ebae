package deploy

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// chromium is one page of a real browser. It reaches nothing: what the page asks
// for is noted, and answered from pictures or not at all.
//
// Source: chromedevtools.github.io/devtools-protocol, each message ended by a zero.
type chromium struct {
	t       *testing.T
	in      *os.File
	out     *bufio.Reader
	calls   int
	session string

	asked    []string
	pictures map[string][]byte // PNG by address
}

func newChromium(t *testing.T) *chromium {
	t.Helper()
	if _, err := exec.LookPath("chromium"); err != nil {
		t.Skip("no chromium here; Debian: apt-get install chromium")
	}
	theirIn, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-dev-shm-usage", "--hide-scrollbars", "--host-resolver-rules=MAP * ~NOTFOUND",
		"--user-data-dir="+t.TempDir(), "--remote-debugging-pipe")
	cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4, where it looks for them
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	err = cmd.Start()
	theirIn.Close()
	theirOut.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait() // it was killed
		in.Close()
		out.Close()
	})
	if err := out.SetReadDeadline(time.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	c := &chromium{t: t, in: in, out: bufio.NewReader(out)}
	var target struct{ TargetID string }
	c.call("Target.createTarget", map[string]any{"url": "about:blank"}, &target)
	var attached struct{ SessionID string }
	c.call("Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached)
	c.session = attached.SessionID
	c.call("Fetch.enable", map[string]any{}, nil)
	return c
}

// show loads a page, and returns when all its pictures have come or will not.
func (c *chromium) show(html string) {
	c.t.Helper()
	var page struct {
		FrameTree struct{ Frame struct{ ID string } }
	}
	c.call("Page.getFrameTree", map[string]any{}, &page)
	c.asked = nil
	c.call("Page.setDocumentContent", map[string]any{"frameId": page.FrameTree.Frame.ID, "html": html}, nil)
	c.eval(`Promise.all([...document.images].map(i => i.complete || new Promise(done => i.onload = i.onerror = done))).then(() => {})`, nil)
}

// look sets how wide the window is, in CSS pixels, and which colours its owner prefers.
func (c *chromium) look(width, height int, scheme string) {
	c.t.Helper()
	c.call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
	c.call("Emulation.setEmulatedMedia", map[string]any{"features": []map[string]string{{"name": "prefers-color-scheme", "value": scheme}}}, nil)
}

// eval is what a script in the page comes to.
func (c *chromium) eval(script string, value any) {
	c.t.Helper()
	var got struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails json.RawMessage
	}
	c.call("Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true}, &got)
	if got.ExceptionDetails != nil {
		c.t.Fatalf("script: %s", got.ExceptionDetails)
	}
	if value == nil {
		return
	}
	if err := json.Unmarshal(got.Result.Value, value); err != nil {
		c.t.Fatalf("script: %s: %v", got.Result.Value, err)
	}
}

func (c *chromium) png() []byte {
	c.t.Helper()
	var shot struct{ Data []byte }
	c.call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	return shot.Data
}

// call sends a command and hears the page out until it is answered.
func (c *chromium) call(method string, params, result any) {
	c.t.Helper()
	c.send(method, params)
	id := c.calls
	for {
		line, err := c.out.ReadBytes(0)
		if err != nil {
			c.t.Fatalf("%s: %v", method, err)
		}
		var told struct {
			ID     int
			Method string
			Params struct {
				RequestID string
				Request   struct{ URL string }
			}
			Result json.RawMessage
			Error  json.RawMessage
		}
		if err := json.Unmarshal(line[:len(line)-1], &told); err != nil {
			c.t.Fatalf("%s: %s: %v", method, line, err)
		}
		switch {
		case told.Method == "Fetch.requestPaused":
			c.answer(told.Params.RequestID, told.Params.Request.URL)
		case told.ID == id && told.Error != nil:
			c.t.Fatalf("%s: %s", method, told.Error)
		case told.ID == id && result != nil:
			if err := json.Unmarshal(told.Result, result); err != nil {
				c.t.Fatalf("%s: %v", method, err)
			}
			return
		case told.ID == id:
			return
		}
	}
}

func (c *chromium) answer(request, url string) {
	c.asked = append(c.asked, url)
	if picture, ok := c.pictures[url]; ok {
		c.send("Fetch.fulfillRequest", map[string]any{"requestId": request, "responseCode": 200,
			"responseHeaders": []map[string]string{{"name": "Content-Type", "value": "image/png"}}, "body": base64.StdEncoding.EncodeToString(picture)})
		return
	}
	c.send("Fetch.failRequest", map[string]any{"requestId": request, "errorReason": "BlockedByClient"})
}

func (c *chromium) send(method string, params any) {
	c.t.Helper()
	c.calls++
	m := map[string]any{"id": c.calls, "method": method, "params": params}
	if c.session != "" {
		m["sessionId"] = c.session
	}
	line, err := json.Marshal(m)
	if err != nil {
		c.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c.in, "%s\x00", line); err != nil {
		c.t.Fatalf("%s: %v", method, err)
	}
}
