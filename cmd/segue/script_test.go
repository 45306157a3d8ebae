package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/twmb/franz-go/pkg/kfake"

	"segue/processors/sender/inbox"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"segue": main})
}

// TestScripts runs testdata/script: what a person types, and what it answers.
// BROKERS is a fresh cluster.
func TestScripts(t *testing.T) {
	runScripts(t, "testdata/script", func(env *testscript.Env) error {
		broker, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			return err
		}
		env.Defer(broker.Close)
		env.Setenv("BROKERS", strings.Join(broker.ListenAddrs(), ","))
		return nil
	})
}

// TestKafkaScripts runs testdata/kafka on a real cluster, where all that a
// script makes has PREFIX before its name.
func TestKafkaScripts(t *testing.T) {
	brokers := os.Getenv("SEGUE_TEST_BROKERS")
	if brokers == "" {
		t.Skip("SEGUE_TEST_BROKERS is not set; deploy/kafka/run sets it")
	}
	runScripts(t, "testdata/kafka", func(env *testscript.Env) error {
		env.Setenv("BROKERS", brokers)
		env.Setenv("PREFIX", fmt.Sprintf("script-%d-", time.Now().UnixNano()))
		return nil
	})
}

// runScripts gives scripts, beside what prepare sets, addresses to listen on as
// FREE1 to FREE3, a mail server's as SMTP, and INBOX where its mails can be read.
func runScripts(t *testing.T, dir string, prepare func(*testscript.Env) error) {
	commands := administration()
	commands["await"], commands["until"], commands["post"], commands["zone"] = await, until, post, serveZone
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		Cmds:                commands,
		Setup: func(env *testscript.Env) error {
			if err := prepare(env); err != nil {
				return err
			}
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
