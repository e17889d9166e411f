// Command flyball governs the replica counts of GPU inference fleets. One subcommand, one file.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	_ "time/tzdata" // schedules name time zones, and an image may have none

	"github.com/spf13/cobra"

	"github.com/flyball/flyball/internal/cli"
)

func main() { os.Exit(execute(os.Args[1:])) }

// execute runs the command line and gives the exit code: 0, or 1 with the error on stderr.
func execute(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := newRoot(os.Args[0])
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "flyball:", err)
		return 1
	}
	return 0
}

// newRoot is flyball, or under the name of kubectl's plugin that plugin.
func newRoot(program string) *cobra.Command {
	root := &cobra.Command{
		Use:   "flyball",
		Short: "The governor for GPU inference fleets: it measures, remembers, decides, and says why.",
	}
	if cli.IsPlugin(program) {
		root = cli.Plugin()
	} else {
		root.AddCommand(newRun(), newDemo(), newLint(), newDecide())
		root.AddCommand(cli.Commands()...)
	}
	root.AddCommand(newVersion())
	root.SilenceUsage, root.SilenceErrors = true, true
	return root
}
