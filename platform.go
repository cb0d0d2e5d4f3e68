package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/platform"
	"github.com/picobase/picobase/internal/router"
	"github.com/picobase/picobase/internal/routes"
	"github.com/picobase/picobase/internal/secret"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// fleetOptions are the flags of platform serve and up.
type fleetOptions struct {
	dir, http, baseDomain, publicURL, internalURL string
	driver, signUp, logFormat                     string
	noRouter, takeOver                            bool
	idleAfter, grace                              time.Duration
	starts                                        int
	alertPrivateHosts                             []string
	quotas                                        platform.Quotas

	// router is what the embedded router takes of the router command.
	router routerOptions

	drivers driverOptions
	limits  limitFlags

	// dnsServer is asked for the records of domains, in the place of the system's.
	dnsServer string

	// allowPrivateHosts lets projects reach the network that they run in.
	allowPrivateHosts bool

	// stopTenants ends the tenants with the platform.
	stopTenants bool
}

func newPlatform() *cobra.Command {
	cmd := &cobra.Command{
		Use:         "platform",
		Short:       "The control plane of many projects",
		Annotations: map[string]string{hostCommand: "yes"},
		Args:        unknownCommand,
		RunE:        func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newPlatformServe())
	return cmd
}

func newPlatformServe() *cobra.Command {
	var o fleetOptions
	cmd := &cobra.Command{
		Use:         "serve",
		Short:       "Serve the platform, its router, and the projects that it runs",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{hostCommand: "yes"},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if o.baseDomain == "" {
				return errors.New("--base-domain is missing: the domain that projects are served below, such as example.com")
			}
			return runFleet(cmd, o, nil)
		},
	}
	flags := cmd.Flags()
	o.common(flags)
	flags.StringVar(&o.http, "http", "", "address to listen on (default 127.0.0.1:8080, or 0.0.0.0:$PORT; with --tls auto 0.0.0.0:80)")
	flags.StringVar(&o.baseDomain, "base-domain", "", "domain that projects are served below, as NAME.DOMAIN (required)")
	flags.StringVar(&o.publicURL, "public-url", "", "where people reach the platform (default https://BASE-DOMAIN, for localhost http with the port)")
	flags.StringVar(&o.internalURL, "internal-url", "", "where routers elsewhere reach this platform, to bring the base domain there")
	flags.BoolVar(&o.noRouter, "no-router", false, "listen for the platform alone; routers run elsewhere and need PICOBASE_ROUTER_TOKEN")
	flags.StringVar(&o.driver, "driver", "process", "what runs the projects: process, docker or railway")
	dockerFlags(flags, &o.drivers.docker)
	o.limits.add(flags)
	flags.StringVar(&o.dnsServer, "dns-server", "", "address of the DNS server that says whether a custom domain is verified, such as 1.1.1.1:53 (default the system's)")
	flags.StringVar(&o.signUp, "sign-up", "closed", "open lets strangers make accounts")
	flags.DurationVar(&o.grace, "delete-grace", 7*24*time.Hour, "how long a deleted project can be had back")
	flags.BoolVar(&o.stopTenants, "stop-projects", false, "stop the projects together with the platform, as in a container; without it they go on")
	flags.BoolVar(&o.takeOver, "take-over", false, "take the registry from a platform that is gone for good, without waiting for its lease to end")
	flags.StringSliceVar(&o.router.trusted, "trusted-proxies", nil, "networks of proxies in front, or with --no-router of the routers, whose X-Forwarded-For and -Proto are believed")
	flags.StringVar(&o.router.tls, "tls", "off", "auto gets certificates by ACME for the base domain and the names in the table")
	flags.StringVar(&o.router.https, "https", "", "address to listen on with TLS (with --tls auto 0.0.0.0:443)")
	flags.StringVar(&o.router.acmeCA, "acme-ca", "", "directory URL of the ACME server (default Let's Encrypt)")
	flags.StringVar(&o.router.acmeEmail, "acme-email", "", "address that the ACME server may write to")
	flags.StringVar(&o.router.acmeRoot, "acme-ca-root", "", "PEM file with the root certificate of a private ACME server")
	flags.StringVar(&o.router.admin, "admin", "", "address of the router's /metrics, /healthz and /readyz (default none)")
	flags.StringSliceVar(&o.alertPrivateHosts, "alert-private-hosts", nil, "hosts in private networks that alerts may be sent to")
	flags.BoolVar(&o.allowPrivateHosts, "allow-private-hosts", false, "let webhooks and hooks of projects reach what their settings list in private networks")
	flags.IntVar(&o.quotas.Projects, "quota-projects", 0, "projects of an organization (default no limit)")
	flags.IntVar(&o.quotas.Running, "quota-running", 0, "projects of an organization that run at once (default no limit)")
	flags.Int64Var(&o.quotas.Storage, "quota-storage", 0, "bytes of all databases of an organization (default no limit)")
	flags.Int64Var(&o.quotas.Requests, "quota-requests", 0, "requests of an organization in a month (default no limit)")
	return cmd
}

// common adds the flags that up has too.
func (o *fleetOptions) common(flags *pflag.FlagSet) {
	flags.StringVar(&o.dir, "dir", "picobase_data", "folder of the platform and its projects")
	flags.DurationVar(&o.idleAfter, "idle-after", 15*time.Minute, "how long nobody has used a project before it is put to sleep; 0 for never")
	flags.DurationVar(&o.router.wakeTimeout, "wake-timeout", 0, "how long a request waits for its project to start (default 10s; docker 30s, railway 90s)")
	flags.IntVar(&o.starts, "starts", 8, "how many projects start at once")
	flags.StringVar(&o.logFormat, "log-format", "text", "text or json")
}

// localAddress is where a platform listens when nobody says otherwise.
const localAddress = "127.0.0.1:8080"

// config reads the environment and fills in what no flag named.
func (o *fleetOptions) config(logger *slog.Logger) (cfg platform.Config, err error) {
	cfg = platform.Config{
		DataDir: filepath.Join(o.dir, "platform"), BaseDomain: o.baseDomain, PublicURL: o.publicURL,
		IdleAfter: o.idleAfter, Grace: o.grace, Starts: o.starts, Quotas: o.quotas, TakeOver: o.takeOver,
		Version: version, Logger: logger,
	}
	switch o.signUp {
	case "open", "closed":
		cfg.OpenSignUp = o.signUp == "open"
	default:
		return cfg, fmt.Errorf("--sign-up: %q is neither open nor closed", o.signUp)
	}
	if cfg.PublicURL == "" {
		if cfg.PublicURL, err = publicURL(o.baseDomain, orDefault(o.http, localAddress)); err != nil {
			return cfg, err
		}
	}
	if cfg.Storage, err = readStorage(); err != nil {
		return cfg, err
	}
	if cfg.TenantMemory, cfg.TenantCPU, cfg.TenantRegion, err = o.limits.limits(); err != nil {
		return cfg, err
	}
	if cfg.Resolver, err = o.resolver(); err != nil {
		return cfg, err
	}
	if !o.allowPrivateHosts {
		cfg.TenantEnv = map[string]secret.String{privateHostsEnv: secret.New("off")}
	}
	cfg.Webhook.URL = os.Getenv("PICOBASE_ALERT_WEBHOOK_URL")
	cfg.Webhook.AllowedPrivateHosts = o.alertPrivateHosts
	for name, value := range map[string]*secret.String{
		"PICOBASE_ROUTER_TOKEN":         &cfg.RouterToken,
		"PICOBASE_PLATFORM_PRIVATE_KEY": &cfg.SigningKey,
		"PICOBASE_ALERT_WEBHOOK_SECRET": &cfg.Webhook.Secret,
	} {
		if *value, err = secret.FromEnv(os.LookupEnv, name); err != nil {
			return cfg, err
		}
	}
	if (cfg.Webhook.URL == "") != cfg.Webhook.Secret.IsZero() {
		return cfg, errors.New("PICOBASE_ALERT_WEBHOOK_URL and PICOBASE_ALERT_WEBHOOK_SECRET go together: set both or neither")
	}
	if o.noRouter && cfg.RouterToken.IsZero() {
		return cfg, errors.New("PICOBASE_ROUTER_TOKEN is missing: with --no-router, routers elsewhere need it")
	}
	return cfg, nil
}

// resolver asks the DNS server that a flag names, or the system's.
func (o *fleetOptions) resolver() (platform.Resolver, error) {
	if o.dnsServer == "" {
		return net.DefaultResolver, nil
	}
	if _, _, err := net.SplitHostPort(o.dnsServer); err != nil {
		return nil, fmt.Errorf("--dns-server: %q is no address such as 1.1.1.1:53", o.dnsServer)
	}
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, o.dnsServer)
	}}, nil
}

// publicURL is where people reach what listens at addr.
func publicURL(domain, addr string) (string, error) {
	if domain != "localhost" && !strings.HasSuffix(domain, ".localhost") {
		return "https://" + domain, nil
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return "", fmt.Errorf("--http: %w", err)
	}
	if port == "80" {
		return "http://" + domain, nil
	}
	return "http://" + net.JoinHostPort(domain, port), nil
}

// runFleet serves until the command's context ends. Started is called when all
// answers.
func runFleet(cmd *cobra.Command, o fleetOptions, started func(*platform.Platform) error) (err error) {
	logger, err := newLogger(o.logFormat, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	cfg, err := o.config(logger)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(o.dir, 0o711); err != nil { //nolint:gosec // tenants with users of their own pass through
		return err
	}
	o.drivers.dir, o.drivers.logger = o.dir, logger
	d, err := openDriver(cmd.Context(), o.driver, o.drivers)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.Close()) }()
	cfg.Driver, cfg.DriverIsLocal, cfg.Routers = d.Driver, d.local, d.routers
	cfg.Folder, cfg.ListInterval = d.folder, d.interval
	if o.router.wakeTimeout == 0 {
		o.router.wakeTimeout = d.wake
	}
	p, err := platform.New(cfg)
	if err != nil {
		return err
	}
	if err := p.Prepare(cmd.Context()); err != nil {
		return err
	}
	if err := p.Bootstrap(); err != nil {
		return err
	}
	announce := func() error {
		if err := firstPeople(p); err != nil {
			return err
		}
		if started != nil {
			return started(p)
		}
		logger.Info("the platform serves", "url", cfg.PublicURL, "version", version)
		return nil
	}
	if o.noRouter {
		err = serveAlone(cmd.Context(), o, p, announce)
	} else {
		err = serveWithRouter(cmd.Context(), o, p, logger, announce)
	}
	if o.stopTenants {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(cmd.Context()), time.Minute)
		defer cancel()
		err = errors.Join(err, p.StopTenants(ctx))
	}
	return err
}

// serveAlone serves the platform for people and for routers elsewhere.
func serveAlone(ctx context.Context, o fleetOptions, p *platform.Platform, started func() error) error {
	routers, err := networks(o.router.trusted)
	if err != nil {
		return errors.Join(err, p.Close())
	}
	var serve router.ServeConfig
	alone := routerOptions{http: o.http, tls: "off"}
	if _, err := alone.listen(ctx, &serve); err != nil {
		return errors.Join(err, p.Close())
	}
	return p.Serve(ctx, platform.ServeConfig{Listener: serve.HTTP, InternalURL: o.internalURL, Routers: routers, Started: started})
}

// firstPeople makes the operator's account and the first user that the environment
// names, in a registry that has none.
func firstPeople(p *platform.Platform) error {
	email := os.Getenv("PICOBASE_SUPERUSER_EMAIL")
	password, err := secret.FromEnv(os.LookupEnv, "PICOBASE_SUPERUSER_PASSWORD")
	if err != nil || email == "" && password.IsZero() {
		return err
	}
	if email == "" || password.IsZero() {
		return errors.New("PICOBASE_SUPERUSER_EMAIL and PICOBASE_SUPERUSER_PASSWORD go together: set both or neither")
	}
	if err := p.FirstSuperuser(email, password.Reveal()); err != nil {
		return fmt.Errorf("first superuser: %w", err)
	}
	if _, _, _, err := p.FirstUser(email, password.Reveal()); err != nil {
		return fmt.Errorf("first user: %w", err)
	}
	return nil
}

// serveWithRouter serves the platform on a socket of its own, behind a router in
// this process that listens for all.
func serveWithRouter(ctx context.Context, o fleetOptions, p *platform.Platform, logger *slog.Logger, started func() error) error {
	proxies, err := networks(o.router.trusted)
	if err != nil {
		return errors.Join(err, p.Close())
	}
	table := router.NewTable(logger)
	front, err := router.New(router.Config{
		Resolver: table, Waker: p, Reporter: reporter{p}, WakeTimeout: o.router.wakeTimeout, TrustedProxies: proxies, Logger: logger,
	})
	if err != nil {
		return errors.Join(err, p.Close())
	}
	serve := router.ServeConfig{Ready: table.Loaded}
	o.router.http, o.router.base = o.http, o.baseDomain
	closeListeners, err := o.router.listen(ctx, &serve)
	if err != nil {
		return errors.Join(err, p.Close())
	}
	defer closeListeners()
	if o.router.tls == "auto" {
		if os.Getenv(s3Prefix+"BUCKET") == "" {
			o.router.certDir = filepath.Join(o.dir, "certs")
		}
		closeCerts, err := o.router.certificates(ctx, front, &serve, logger)
		if err != nil {
			return errors.Join(err, p.Close())
		}
		defer closeCerts()
	}
	own, socket, err := listenOwn(ctx, o.dir)
	if err != nil {
		return errors.Join(err, p.Close())
	}

	// The router drains first, while the platform can still wake.
	behind, stopBehind := context.WithCancel(context.WithoutCancel(ctx))
	defer stopBehind()
	ctx, stopFront := context.WithCancel(ctx)
	defer stopFront()
	frontDone := make(chan error, 1)
	frontDone <- nil // until it runs
	err = p.Serve(behind, platform.ServeConfig{
		Listener: own, BehindRouter: true, InternalURL: "unix://" + socket,
		Started: func() error {
			go func() {
				_ = p.Follow(behind, func(m routes.Message) error { // ends with behind, and only so
					table.Apply(m)
					return nil
				})
			}()
			<-frontDone //nolint:errcheck // the nil from above
			go func() {
				defer stopBehind()
				frontDone <- front.Serve(ctx, serve)
			}()
			return started()
		},
	})
	stopFront()
	return errors.Join(err, <-frontDone)
}

// maxSocketPath is how long a socket's path may be on every system that we run on.
const maxSocketPath = 100

// listenOwn listens on a socket that only this user reaches.
func listenOwn(ctx context.Context, dir string) (net.Listener, string, error) {
	path, err := filepath.Abs(filepath.Join(dir, "platform", "platform.sock"))
	if err != nil {
		return nil, "", err
	}
	if len(path) > maxSocketPath {
		short, err := os.MkdirTemp("", "picobase-")
		if err != nil {
			return nil, "", err
		}
		path = filepath.Join(short, "platform.sock")
	}
	// One that was left by a platform that was killed: the folder's lock is ours.
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, "", err
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "unix", path)
	if err != nil {
		return nil, "", err
	}
	return listener, path, os.Chmod(path, 0o600)
}

// reporter tells the platform in this process what the router has seen used.
type reporter struct{ p *platform.Platform }

// Report implements [router.Reporter].
func (r reporter) Report(_ context.Context, activity routes.Activity) error {
	r.p.Used(activity)
	return nil
}
