package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/dustin/go-humanize"
	"github.com/picobase/picobase/internal/apikey"
	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/secret"
	"github.com/picobase/picobase/internal/tenant"
	"github.com/spf13/cobra"
)

// hostCommand annotates the commands that operators run, not developers.
const hostCommand = "picobase.host"

// gcPercent spends a little of the memory that the small page caches save on
// collecting garbage less often, by measurement (docs/benchmarks.md).
const gcPercent = 150

// memoryShare is how much of the container's memory Go may use before its
// collector works harder. SQLite's page caches are outside of Go's count.
const memoryShare = 0.7

// firstKeysEnv holds the hashes of the keys that a new folder is to have.
const firstKeysEnv = "PICOBASE_FIRST_KEYS"

// privateHostsEnv says what webhooks and hooks may reach beside the public internet,
// whatever the settings list.
const privateHostsEnv = "PICOBASE_PRIVATE_HOSTS"

// defaultMigrationsDir is PocketBase's, so that projects can move here as they are.
const defaultMigrationsDir = "pb_migrations"

type serveOptions struct {
	http, https, apiKeys, logFormat, replication string
	domains, origins                             []string
	migrations                                   tenant.Migrations // of servers alone: a broken one must not break other commands
}

func newServe(cfg *tenant.Config) *cobra.Command {
	var o serveOptions
	cmd := &cobra.Command{
		Use:         "serve [domain(s)]",
		Short:       "Serve one project (default at 127.0.0.1:8090, or at 0.0.0.0:$PORT)",
		Args:        cobra.ArbitraryArgs,
		Annotations: map[string]string{hostCommand: "yes"},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.domains = args
			return serve(cmd, *cfg, o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.http, "http", "", "address to listen on, or unix:/path/of/a.socket, or fd:3 for an inherited listener (default 127.0.0.1:8090; with domains 0.0.0.0:80)")
	flags.StringVar(&o.https, "https", "", "address to listen on with TLS (with domains 0.0.0.0:443)")
	flags.StringVar(&o.apiKeys, "api-keys", "on", "off lets requests without an API key pass")
	flags.StringSliceVar(&o.origins, "origins", nil, "allowed CORS origins, in place of the settings")
	flags.StringVar(&o.logFormat, "log-format", "text", "text or json")
	flags.StringVar(&o.replication, "replication", "on", "off makes snapshots only")
	flags.BoolVar(&cfg.TakeOver, "take-over", false, "take the replica from a server that is gone for good, without waiting for its lease to end")
	flags.StringVar(&cfg.HooksDir, "hooksDir", "jsvm_hooks", "folder with JavaScript hooks, loaded at the start; none when it is not there")
	flags.BoolVar(&cfg.HooksWatch, "hooks-watch", false, "load the folder of hooks again whenever it changes")
	flags.StringVar(&o.migrations.Dir, "migrationsDir", defaultMigrationsDir, "folder with migrations in JavaScript, run at the start; none when it is not there")
	flags.BoolVar(&o.migrations.Automatic, "automigrate", false, "write a migration for each change of a collection")
	flags.BoolVar(&o.migrations.Watch, "migrations-watch", false, "start again when the folder has a new migration")
	flags.DurationVar(&cfg.DrainTimeout, "drain-timeout", 0, "how long a stop waits for requests in flight (default 20s)")
	return cmd
}

func serve(cmd *cobra.Command, cfg tenant.Config, o serveOptions) error {
	serveConfig, err := o.complete(&cfg)
	if err != nil {
		return err
	}
	logger, err := newLogger(o.logFormat, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if _, err := memlimit.Set(memlimit.WithRatio(memoryShare)); err != nil {
		logger.Debug("no memory limit found, none set", "reason", err)
	}
	cfg.Logger = logger
	t, err := tenant.New(cfg)
	if err != nil {
		return err
	}
	serveConfig.Restoring = restoreProgress(logger)
	if err := t.Prepare(cmd.Context(), serveConfig); err != nil {
		return err
	}
	if err := t.Bootstrap(); err != nil {
		return fmt.Errorf("open %s: %w", cfg.DataDir, err)
	}
	serveConfig.Started = func(s tenant.Started) { announce(cmd.OutOrStdout(), logger, o.logFormat, s) }
	if err := t.Serve(cmd.Context(), serveConfig); err != nil {
		return err
	}
	logger.Info("stopped")
	return nil
}

// complete reads the environment and fills what no flag named.
func (o serveOptions) complete(cfg *tenant.Config) (tenant.ServeConfig, error) {
	switch o.apiKeys {
	case "on":
	case "off":
		cfg.APIKeysOff = true
	default:
		return tenant.ServeConfig{}, fmt.Errorf("--api-keys: %q is neither on nor off", o.apiKeys)
	}
	switch o.replication {
	case "on":
	case "off":
		cfg.NoReplication = true
	default:
		return tenant.ServeConfig{}, fmt.Errorf("--replication: %q is neither on nor off", o.replication)
	}
	cfg.Origins, cfg.Migrations = o.origins, o.migrations
	cfg.ProjectID = os.Getenv("PICOBASE_PROJECT_ID")
	key, err := secret.FromEnv(os.LookupEnv, "PICOBASE_PLATFORM_PUBLIC_KEY")
	if err != nil {
		return tenant.ServeConfig{}, err
	}
	cfg.PlatformPublicKey = key.Reveal()
	switch webhooks := os.Getenv("PICOBASE_WEBHOOKS"); webhooks {
	case "", "on":
	case "paused":
		cfg.WebhooksPaused = true
	default:
		return tenant.ServeConfig{}, fmt.Errorf("PICOBASE_WEBHOOKS: %q is neither on nor paused", webhooks)
	}
	if cfg.Storage, err = readStorage(); err != nil {
		return tenant.ServeConfig{}, err
	}
	if cfg.PrivateHosts, cfg.NoPrivateHosts, err = privateHosts(os.Getenv(privateHostsEnv)); err != nil {
		return tenant.ServeConfig{}, err
	}

	cfg.Routers = os.Getenv("PICOBASE_ROUTERS")
	if keys := os.Getenv(firstKeysEnv); keys != "" {
		if cfg.FirstKeys, err = apikey.ParseStored(keys); err != nil {
			return tenant.ServeConfig{}, fmt.Errorf("%s: %w", firstKeysEnv, err)
		}
	}

	s := tenant.ServeConfig{HTTP: o.http, HTTPS: o.https, Domains: o.domains, SuperuserEmail: os.Getenv("PICOBASE_SUPERUSER_EMAIL")}
	if s.SuperuserPassword, err = secret.FromEnv(os.LookupEnv, "PICOBASE_SUPERUSER_PASSWORD"); err != nil {
		return s, err
	}
	if (s.SuperuserEmail == "") != s.SuperuserPassword.IsZero() {
		return s, fmt.Errorf("PICOBASE_SUPERUSER_EMAIL and PICOBASE_SUPERUSER_PASSWORD go together: set both or neither")
	}
	port := os.Getenv("PORT")
	switch {
	case len(o.domains) > 0:
		s.HTTP, s.HTTPS = orDefault(s.HTTP, "0.0.0.0:80"), orDefault(s.HTTPS, "0.0.0.0:443")
	case s.HTTP == "" && s.HTTPS == "" && port != "":
		if number, err := strconv.ParseUint(port, 10, 16); err != nil || number == 0 {
			return s, fmt.Errorf("PORT: %q is not a port number", port)
		}
		s.HTTP = net.JoinHostPort("0.0.0.0", port)
	case s.HTTPS == "":
		s.HTTP = orDefault(s.HTTP, "127.0.0.1:8090")
	}
	return s, nil
}

// privateHosts reads the variable of that name: off, or hosts separated by commas.
func privateHosts(text string) (hosts []string, off bool, err error) {
	if text == "" || text == "off" {
		return nil, text == "off", nil
	}
	hosts = strings.Split(text, ",")
	for i, host := range hosts {
		hosts[i] = strings.TrimSpace(host)
	}
	check := config.Default()
	check.Webhooks.AllowedPrivateHosts = hosts
	if err := check.Validate(); err != nil {
		return nil, false, fmt.Errorf("%s: %q is neither off nor a list of host names, addresses and networks", privateHostsEnv, text)
	}
	return hosts, false, nil
}

func orDefault(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func newLogger(format string, w io.Writer) (*slog.Logger, error) {
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(w, nil)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(w, nil)), nil
	}
	return nil, fmt.Errorf("--log-format: %q is neither text nor json", format)
}

// restoreProgress tells the operator how far a restore is, every two seconds.
func restoreProgress(logger *slog.Logger) func(done, total int64) {
	var last time.Time
	return func(done, total int64) {
		if time.Since(last) < 2*time.Second && done < total {
			return
		}
		last = time.Now()
		logger.Info("restoring from the replica", "done", humanize.IBytes(uint64(done)), "of", humanize.IBytes(uint64(total))) //nolint:gosec // sizes
	}
}

// announce tells what a person needs to go on: where the server is and, at the
// first start, the keys.
func announce(w io.Writer, logger *slog.Logger, format string, s tenant.Started) {
	if format == "json" {
		for _, key := range s.FirstKeys {
			logger.Info("first API key, shown this once", "kind", key.Kind, "id", key.ID, "key", key.Key)
		}
		if s.InstallerURL != "" {
			logger.Info("no superuser yet: make one here within 30 minutes", "url", s.InstallerURL)
		}
		// Last, for whoever waits for it and has read all by then.
		logger.Info("started", "url", s.URL, "version", version)
		return
	}
	fmt.Fprintf(w, "\nPicoBase %s is running.\n\n", version)
	curl, base := "curl", s.URL
	if socket, ok := strings.CutPrefix(s.URL, "unix://"); ok {
		curl, base = "curl --unix-socket "+socket, "http://localhost"
		fmt.Fprintf(w, "  Socket     %s\n", socket)
	} else {
		fmt.Fprintf(w, "  API        %s/api/\n", s.URL)
		fmt.Fprintf(w, "  Dashboard  %s/_/\n", s.URL)
	}
	if s.InstallerURL != "" {
		fmt.Fprintf(w, "\nThere is no superuser yet. Make the first one here within 30 minutes:\n\n  %s\n", s.InstallerURL)
	}
	if len(s.FirstKeys) == 0 {
		fmt.Fprintf(w, "\nKeys are only shown when they are made. For another one: picobase keys create --kind publishable\n\n")
		return
	}
	fmt.Fprintf(w, "\nThese API keys were made for this new folder. Keep them: they are never shown again.\n\n")
	for _, key := range s.FirstKeys {
		fmt.Fprintf(w, "  %-12s %s\n", key.Kind, key.Key)
	}
	fmt.Fprintf(w, "\nTry it:\n\n  %s -H 'X-API-Key: %s' %s/api/health\n\n", curl, s.FirstKeys[0].Key, base)
}
