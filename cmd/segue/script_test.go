package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kfake"

	"segue/processors/sender/inbox"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"segue": main})
}

// TestScripts runs testdata/script: what a person types, and what it answers.
// BROKERS is a fresh cluster, FREE1 to FREE3 are addresses to listen on, SMTP
// is a mail server's and INBOX where its mails can be read.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			broker, err := kfake.NewCluster(kfake.NumBrokers(1))
			if err != nil {
				return err
			}
			env.Defer(broker.Close)
			env.Setenv("BROKERS", strings.Join(broker.ListenAddrs(), ","))
			mails, err := inbox.New(inbox.Config{SMTPListen: "127.0.0.1:0", HTTPListen: "127.0.0.1:0"})
			if err != nil {
				return err
			}
			ctx, stop := context.WithCancel(context.Background())
			done := make(chan error)
			go func() { done <- mails.Run(ctx) }()
			env.Defer(func() { stop(); <-done })
			env.Setenv("SMTP", mails.SMTPAddr())
			env.Setenv("INBOX", mails.URL())
			root, err := os.Getwd()
			if err != nil {
				return err
			}
			env.Setenv("DEPLOY", root+"/../../deploy")
			for i, address := range free(3) {
				env.Setenv(fmt.Sprintf("FREE%d", i+1), address)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"await": await, "post": post},
	})
}

// free are addresses on loopback that nobody listens on.
func free(n int) (addresses []string) {
	for range n {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		defer l.Close()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses
}
