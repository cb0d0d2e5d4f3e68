// Command picobase is a backend in one binary: PocketBase with API keys, limits,
// usage, logs and audit around it, and the command line to work with it.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"syscall"
	"time"
	_ "time/tzdata" // schedules have time zones, also on machines without a list of them

	"github.com/picobase/picobase/internal/cli"
	"github.com/picobase/picobase/internal/exitfile"
	"github.com/picobase/picobase/internal/tenant"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// version is set by the build: -ldflags "-X main.version=1.2.3".
var version = "dev"

func main() {
	err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "picobase:", err)
	}
	code := cli.ExitCode(err)
	exitfile.Write(os.Getenv(exitfile.Env), code)
	os.Exit(code)
}

func run(args []string) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// A second signal ends the process at once.
	context.AfterFunc(ctx, stop)

	root, err := newRoot(args)
	if err != nil {
		return err
	}
	return root.ExecuteContext(ctx)
}

// newRoot returns the whole command line, to be run with args.
func newRoot(args []string) (*cobra.Command, error) {
	cfg := tenant.Config{Version: version}
	root := &cobra.Command{
		Use:           "picobase",
		Short:         "A backend in one binary: database, auth, files and realtime, with keys, limits, usage and audit",
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetFlagErrorFunc(flagError)
	root.SetArgs(args)
	folderFlags(root.PersistentFlags(), &cfg)

	connect := connector(&cfg)
	root.AddCommand(newServe(&cfg), newWipe(&cfg), newPlatform(), newRouter(), newUp())
	root.AddCommand(cli.NewKeys(connect), cli.NewSettings(connect), cli.NewUsage(connect), cli.NewLogs(connect), cli.NewBackups(connect), cli.NewWebhooks(connect), cli.NewHooks(connect), cli.NewTypegen(connect), cli.NewInit(), cli.NewDev(), cli.NewHealthcheck())
	root.AddCommand(cli.NewLogin(), cli.NewLogout(), cli.NewWhoami(), cli.NewProjects(), cli.NewDomains())
	root.AddCommand(cli.NewLink(), cli.NewStatus(connect), cli.NewDashboard(), cli.NewDoctor(connect, version))
	superuser, err := newSuperuser(args, cfg)
	if err != nil {
		return nil, err
	}
	migrate, err := newMigrate(args, cfg)
	if err != nil {
		return nil, err
	}
	root.AddCommand(superuser, migrate)
	return root, nil
}

// folderFlags adds the flags that PocketBase has for every command on a folder.
func folderFlags(flags *pflag.FlagSet, cfg *tenant.Config) {
	flags.StringVar(&cfg.DataDir, "dir", "pb_data", "the data folder")
	flags.StringVar(&cfg.EncryptionEnv, "encryptionEnv", "", "the variable with the 32 character key that encrypts PocketBase's settings")
	flags.BoolVar(&cfg.Dev, "dev", false, "print logs and SQL statements to the terminal")
	cfg.QueryTimeout = 30 * time.Second
	flags.Var((*seconds)(&cfg.QueryTimeout), "queryTimeout", "the time limit of SELECT queries in seconds")
}

// seconds is a flag that counts whole seconds, as PocketBase's does.
type seconds time.Duration

func (s *seconds) String() string { return strconv.Itoa(int(time.Duration(*s).Seconds())) }
func (s *seconds) Type() string   { return "int" }

func (s *seconds) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 {
		return fmt.Errorf("%q is not a number of seconds", text)
	}
	*s = seconds(time.Duration(n) * time.Second)
	return nil
}

func unknownCommand(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return cli.Usage("unknown command %q; see %s --help", args[0], cmd.CommandPath())
	}
	return nil
}

// flagError gives a wrong flag its exit code: 1 for what is run by hosts (serve
// and PocketBase's own commands), 2 for the client commands.
func flagError(cmd *cobra.Command, err error) error {
	for c := cmd; c != nil; c = c.Parent() {
		if c.Annotations[hostCommand] != "" {
			return fmt.Errorf("%w; see %s --help", err, cmd.CommandPath())
		}
	}
	return cli.Usage("%w; see %s --help", err, cmd.CommandPath())
}
