// Command segue runs the stations of the path, and looks at what flows between
// them.
//
//	events → collector, customer, sender → events        segue run
//	every topic                                          segue topics, tail, profile
//	playbook.yaml                                        segue playbook, replay
//	deliveries → SMTP                                    segue mail
//
// This is wiring: what a command line and a configuration say becomes the
// Config of a station; nothing about a customer is decided here.
//
// Not obvious: a usage error exits with 2, any other with 1. The first Ctrl-C
// asks to stop and waits for the stations, the second kills.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // from then on a signal has its usual effect
	os.Exit(execute(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// execute runs one command line and returns the exit code.
func execute(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) int {
	root := newRoot()
	root.SetArgs(args)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(errs, err)
	if errors.As(err, new(usageError)) {
		return 2
	}
	return 1
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "segue",
		Short: "Turn a storefront's event stream into live segments and one-to-one e-mail",
		Long: `Segue turns a storefront's event stream into live segments and one-to-one
e-mail, while the customer is still there. Kafka in, Kafka out.

Every setting can stand in segue.yaml, in the environment (SEGUE_KAFKA_BROKERS
is kafka.brokers) or, for the most used, in a flag; "segue config" shows which
holds.`,
		Example: `  segue run all --embedded ./data     try it, with nothing but this binary
  segue topics create --brokers kafka-1:9092,kafka-2:9092
  segue tail events --key ada`,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          cobra.ArbitraryArgs,
		RunE:          runGroup,
	}
	root.CompletionOptions.HiddenDefaultCmd = true
	root.SetUsageFunc(printUsage)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w%s; see %q", err, meantFlag(cmd, err), cmd.CommandPath()+" --help")}
	})
	addConfigFlags(root.PersistentFlags())
	root.AddCommand(
		newRunCommand(),
		newDemoCommand(),
		newTopicsCommand(),
		newPlaybookCommand(),
		newModelsCommand(),
		newFitCommand(),
		newReplayCommand(),
		newEvaluateCommand(),
		newMailCommand(),
		newTailCommand(),
		newProfileCommand(),
		newPauseCommand(),
		newResumeCommand(),
		newStatusCommand(),
		newForgetCommand(),
		newImportCommand(),
		newDeadLettersCommand(),
		newStateCommand(),
		newConfigCommand(),
		newVersionCommand(),
	)
	return root
}

func newVersionCommand() *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print what this binary was built from",
		Example: "  segue version",
		Args:    takes(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			version, revision := "(devel)", ""
			if build, ok := debug.ReadBuildInfo(); ok {
				version = build.Main.Version
				for _, s := range build.Settings {
					if s.Key == "vcs.revision" {
						revision = " " + s.Value
					}
				}
			}
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "segue %s%s %s %s/%s\n",
				version, revision, runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return err
		},
	}
}

// usageError is a command line that cannot be meant.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// takes are the arguments that a command wants, by name.
func takes(names ...string) cobra.PositionalArgs {
	return usage(func(cmd *cobra.Command, given []string) error {
		if len(given) == len(names) {
			return nil
		}
		if len(names) == 0 {
			return fmt.Errorf("%s: unknown command %q, want none", cmd.CommandPath(), given[0])
		}
		got := "nothing"
		if len(given) > 0 {
			got = strconv.Quote(strings.Join(given, " "))
		}
		return fmt.Errorf("%s: got %s, want %s", cmd.CommandPath(), got, strings.Join(names, " "))
	})
}

// usage makes what args finds wrong a usageError.
func usage(args cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, given []string) error {
		if err := args(cmd, given); err != nil {
			return usageError{fmt.Errorf("%w; see %q", err, cmd.CommandPath()+" --help")}
		}
		return nil
	}
}

// runGroup is what a command that only has subcommands does.
func runGroup(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return cmd.Help()
	}
	var names []string
	for _, c := range cmd.Commands() {
		names = append(names, c.Name())
	}
	return usageError{fmt.Errorf("%s: unknown command %q%s", cmd.CommandPath(), args[0], didYouMean(args[0], names))}
}

// meantFlag suggests what an unknown flag was meant to be.
func meantFlag(cmd *cobra.Command, err error) string {
	unknown, ok := errors.AsType[*pflag.NotExistError](err)
	if !ok {
		return ""
	}
	var names []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, "--"+f.Name) })
	return didYouMean("--"+unknown.GetSpecifiedName(), names)
}
