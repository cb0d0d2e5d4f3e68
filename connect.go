package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/mattn/go-isatty"
	"github.com/picobase/picobase/internal/cli"
	"github.com/picobase/picobase/internal/tenant"
	"github.com/pocketbase/pocketbase/cmd"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// localURL is the address of the tenant in this process; nothing resolves it.
const localURL = "http://local.picobase"

// connector returns how client commands reach a tenant: over the network, or
// in this process with the folder opened.
func connector(cfg *tenant.Config) cli.Connect {
	return func(_ context.Context, target cli.Target) (*cli.Client, io.Closer, error) {
		if target.URL != "" {
			client, err := target.Client()
			return client, nopCloser{}, err
		}
		folder := *cfg
		var err error
		if folder.Storage, err = readStorage(); err != nil {
			return nil, nil, err
		}
		var scratch string
		switch {
		case target.Create || exists(filepath.Join(target.Dir, "data.db")):
		case target.Recover && (folder.Storage.S3 != nil || exists(target.Dir)):
			// The project is gone from this machine: a folder made for the moment
			// answers, about the backups of the one that is lost.
			if scratch, err = os.MkdirTemp("", "picobase-recover-"); err != nil {
				return nil, nil, err
			}
			folder.DataDir, folder.BackupsDir = scratch, target.Dir
		default:
			return nil, nil, &cli.Error{
				Code: cli.ExitNotFound,
				Err:  fmt.Errorf("there is no project in the folder %s", target.Dir),
				Hint: "Name one with --dir, --project or --url, or run picobase link.",
			}
		}
		t, err := openFolder(folder)
		if err != nil {
			return nil, nil, err
		}
		handler, err := t.Handler()
		if err != nil {
			return nil, nil, err
		}
		client, err := cli.NewClient(localURL, "", tenant.Local{Handler: handler, User: userName()})
		return client, openedFolder{t, scratch}, err
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// openedFolder is the tenant behind a command on a folder.
type openedFolder struct {
	*tenant.Tenant
	scratch string // to be removed
}

// Close closes the folder, and puts in place what the command has restored.
func (f openedFolder) Close() error {
	err := f.Tenant.Close()
	if err == nil {
		err = f.FinishRestore(context.Background())
	}
	if f.scratch != "" {
		err = errors.Join(err, os.RemoveAll(f.scratch))
	}
	return err
}

func openFolder(cfg tenant.Config) (*tenant.Tenant, error) {
	cfg.CommandLineUser = userName()
	t, err := tenant.New(cfg)
	if err != nil {
		return nil, err
	}
	if err := t.Bootstrap(); err != nil {
		return nil, fmt.Errorf("open %s: %w", cfg.DataDir, err)
	}
	return t, nil
}

// newSuperuser returns PocketBase's own command.
func newSuperuser(args []string, cfg tenant.Config) (*cobra.Command, error) {
	return hosted(args, cfg, func(t *tenant.Tenant) (*cobra.Command, error) {
		command := cmd.NewSuperuserCommand(t.App)
		command.Args = unknownCommand
		command.RunE = func(c *cobra.Command, _ []string) error { return c.Help() }
		return command, nil
	})
}

// newMigrate returns PocketBase's own command. It loads the migrations when it is
// made, so it is only made to be run: one that is broken breaks no other command.
func newMigrate(args []string, cfg tenant.Config) (*cobra.Command, error) {
	if !slices.Contains(args, "migrate") {
		return &cobra.Command{Use: "migrate", Short: "Run, revert and create migrations"}, nil
	}
	cfg.Migrations.Dir = defaultMigrationsDir
	return hosted(args, cfg, func(t *tenant.Tenant) (*cobra.Command, error) {
		command, err := t.MigrateCommand()
		if err == nil {
			command.Flags().String("migrationsDir", defaultMigrationsDir, "folder with the migrations") // read before
			answerPrompts(command)
		}
		return command, err
	})
}

// answerPrompts adds --yes to PocketBase's command, which asks on the terminal and
// would wait for ever where there is none.
func answerPrompts(command *cobra.Command) {
	yes := command.Flags().Bool("yes", false, "do not ask")
	run := command.RunE
	command.RunE = func(c *cobra.Command, args []string) error {
		asks := len(args) > 0 && args[0] != "up" && args[0] != "history-sync"
		switch {
		case asks && *yes:
			answer, writer, err := os.Pipe()
			if err != nil {
				return err
			}
			defer func() { _ = answer.Close() }()
			_, err = writer.WriteString("y\n")
			if err := errors.Join(err, writer.Close()); err != nil {
				return err
			}
			os.Stdin = answer // where PocketBase reads it
		case asks && !isatty.IsTerminal(os.Stdin.Fd()):
			return fmt.Errorf("migrate %s asks before it goes on: add --yes", args[0])
		}
		return run(c, args)
	}
}

// hosted makes a command that wants its app when it is made, so the folder's flags
// are read from args before cobra reads them.
func hosted(args []string, cfg tenant.Config, build func(*tenant.Tenant) (*cobra.Command, error)) (*cobra.Command, error) {
	early := pflag.NewFlagSet("early", pflag.ContinueOnError)
	early.ParseErrorsAllowlist.UnknownFlags = true
	early.Usage = func() {}
	folderFlags(early, &cfg)
	early.StringVar(&cfg.Migrations.Dir, "migrationsDir", cfg.Migrations.Dir, "")
	_ = early.Parse(args) // cobra reports what is wrong

	cfg.CommandLineUser = userName()
	t, err := tenant.New(cfg)
	if err != nil {
		return nil, err
	}
	command, err := build(t)
	if err != nil {
		return nil, err
	}
	command.Annotations = map[string]string{hostCommand: "yes"}
	command.PersistentPreRunE = func(*cobra.Command, []string) error {
		if err := t.Bootstrap(); err != nil {
			return fmt.Errorf("open %s: %w", cfg.DataDir, err)
		}
		return nil
	}
	command.PersistentPostRunE = func(*cobra.Command, []string) error { return t.Close() }
	return command, nil
}

func userName() string {
	if current, err := user.Current(); err == nil {
		return current.Username
	}
	return "uid " + strconv.Itoa(os.Getuid())
}

type nopCloser struct{}

func (nopCloser) Close() error { return nil }
