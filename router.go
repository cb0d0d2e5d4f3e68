package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/KimMachineGun/automemlimit/memlimit"
	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/objectstore/dir"
	"github.com/picobase/picobase/internal/objectstore/s3"
	"github.com/picobase/picobase/internal/objectstore/sealed"
	"github.com/picobase/picobase/internal/router"
	"github.com/picobase/picobase/internal/router/certs"
	"github.com/picobase/picobase/internal/router/source"
	"github.com/picobase/picobase/internal/secret"
	"github.com/spf13/cobra"
)

// routerGCPercent lets the collector of a router, whose heap is small, run less often.
const routerGCPercent = 400

type routerOptions struct {
	http, https, admin, logFormat, tls   string
	platform, routes, upstream, base     string
	acmeCA, acmeEmail, acmeRoot, certDir string
	trusted                              []string
	accessLog                            bool
	wakeTimeout, drainTimeout            time.Duration
	limits                               router.Limits
}

func newRouter() *cobra.Command {
	var o routerOptions
	cmd := &cobra.Command{
		Use:         "router",
		Short:       "Bring requests to the project of their host name, and wake it if it sleeps",
		Args:        cobra.NoArgs,
		Annotations: map[string]string{hostCommand: "yes"},
		RunE:        func(cmd *cobra.Command, _ []string) error { return runRouter(cmd, o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.http, "http", "", "address to listen on (default 127.0.0.1:8080, or 0.0.0.0:$PORT; with --tls auto 0.0.0.0:80)")
	flags.StringVar(&o.platform, "platform", "", "URL of the platform that feeds the table, with PICOBASE_ROUTER_TOKEN")
	flags.StringVar(&o.routes, "routes", "", "file with the table, in place of a platform; read again when it changes")
	flags.StringVar(&o.upstream, "upstream", "", "where NAME.BASE-DOMAIN is, in place of a table: 'http://{project}.internal:8090'")
	flags.StringVar(&o.base, "base-domain", "", "domain that projects are below; required with --upstream")
	flags.DurationVar(&o.wakeTimeout, "wake-timeout", 10*time.Second, "how long a request is held for a project that wakes or restarts")
	flags.DurationVar(&o.drainTimeout, "drain-timeout", 20*time.Second, "how long a stop waits for requests in flight")
	flags.StringSliceVar(&o.trusted, "trusted-proxies", nil, "networks of proxies in front whose X-Forwarded-For and -Proto are believed")
	flags.StringVar(&o.admin, "admin", "127.0.0.1:9180", "address of /metrics, /healthz and /readyz; empty for none")
	flags.BoolVar(&o.accessLog, "access-log", false, "write a JSON line for every request to standard output")
	flags.StringVar(&o.logFormat, "log-format", "text", "text or json")
	flags.StringVar(&o.tls, "tls", "off", "auto gets certificates by ACME for the names in the table")
	flags.StringVar(&o.https, "https", "", "address to listen on with TLS (with --tls auto 0.0.0.0:443)")
	flags.StringVar(&o.acmeCA, "acme-ca", "", "directory URL of the ACME server (default Let's Encrypt)")
	flags.StringVar(&o.acmeEmail, "acme-email", "", "address that the ACME server may write to")
	flags.StringVar(&o.acmeRoot, "acme-ca-root", "", "PEM file with the root certificate of a private ACME server")
	flags.StringVar(&o.certDir, "cert-dir", "", "folder for certificates, where no bucket (PICOBASE_S3_*) is set")
	flags.IntVar(&o.limits.Requests, "max-requests", 500, "open requests of one project, without streams")
	flags.IntVar(&o.limits.TotalRequests, "max-total-requests", 4000, "the same of all projects; beyond 3/4 of them a project may have 1/16")
	flags.IntVar(&o.limits.Streams, "max-streams", 10000, "open SSE and WebSocket streams of one project")
	flags.IntVar(&o.limits.Held, "max-held", 2000, "requests that wait for one project")
	flags.IntVar(&o.limits.TotalHeld, "max-total-held", 10000, "the same of all projects")
	flags.IntVar(&o.limits.Connections, "max-connections", 20000, "connections of clients")
	flags.IntVar(&o.limits.ConnectionsPerClient, "max-connections-per-client", 2000, "the same of one address, but for trusted proxies")
	return cmd
}

func runRouter(cmd *cobra.Command, o routerOptions) error {
	logger, err := newLogger(o.logFormat, cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(routerGCPercent)
	}
	if _, err := memlimit.Set(memlimit.WithRatio(memoryShare)); err != nil {
		logger.Debug("no memory limit found, none set", "reason", err)
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	built, err := o.build(cmd, logger)
	if err != nil {
		return err
	}
	serve := router.ServeConfig{DrainTimeout: o.drainTimeout, Ready: built.ready}
	closeListeners, err := o.listen(ctx, &serve)
	if err != nil {
		return err
	}
	defer closeListeners()
	if o.tls == "auto" {
		closeCerts, err := o.certificates(ctx, built.router, &serve, logger)
		if err != nil {
			return err
		}
		defer closeCerts()
	}
	if built.source != nil {
		go built.source.Run(ctx, built.table)
	}
	logger.Info("routing", "http", address(serve.HTTP), "https", address(serve.HTTPS), "admin", address(serve.Admin))
	if err := built.router.Serve(ctx, serve); err != nil {
		return err
	}
	logger.Info("stopped")
	return nil
}

// builtRouter is a router with what feeds it.
type builtRouter struct {
	router *router.Router
	source source.Source // nil where there is no table
	table  *router.Table
	ready  func() bool
}

func (o *routerOptions) build(cmd *cobra.Command, logger *slog.Logger) (built builtRouter, err error) {
	cfg := router.Config{WakeTimeout: o.wakeTimeout, Limits: o.limits, Logger: logger}
	if cfg.TrustedProxies, err = networks(o.trusted); err != nil {
		return built, err
	}
	if o.accessLog {
		cfg.AccessLog = slog.New(slog.NewJSONHandler(cmd.OutOrStdout(), nil))
	}
	given := 0
	for _, flag := range []string{o.platform, o.routes, o.upstream} {
		if flag != "" {
			given++
		}
	}
	if given != 1 {
		return built, errors.New("the router needs to know where projects are: give one of --platform, --routes and --upstream")
	}
	built.table = router.NewTable(logger)
	built.ready = built.table.Loaded
	cfg.Resolver = built.table
	var platform *source.Platform
	switch {
	case o.platform != "":
		platform, err = o.connectPlatform(logger, func(connected bool) { built.router.FeedConnected(connected) })
		built.source, cfg.Waker, cfg.Reporter = platform, platform, platform
	case o.routes != "":
		built.source, err = source.NewFile(o.routes, router.CheckRoute, logger)
	default:
		built.ready = nil
		if o.base == "" {
			return built, errors.New("--upstream needs --base-domain: projects are at NAME.BASE-DOMAIN")
		}
		cfg.Resolver, err = router.NewPattern(o.upstream, o.base)
		if err != nil {
			err = fmt.Errorf("--upstream: %w", err)
		}
	}
	if err != nil {
		return built, err
	}
	built.router, err = router.New(cfg)
	return built, err
}

func (o *routerOptions) connectPlatform(logger *slog.Logger, connected func(bool)) (*source.Platform, error) {
	const name = "PICOBASE_ROUTER_TOKEN"
	token, err := secret.FromEnv(os.LookupEnv, name)
	if err != nil {
		return nil, err
	}
	if token.IsZero() {
		return nil, fmt.Errorf("--platform needs %s, the same as the platform's", name)
	}
	platform, err := source.NewPlatform(source.PlatformConfig{URL: o.platform, Token: token, Connected: connected, Logger: logger})
	if err != nil {
		return nil, fmt.Errorf("--platform: %w", err)
	}
	return platform, nil
}

// networks reads addresses and networks.
func networks(texts []string) (all []netip.Prefix, err error) {
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if addr, addrErr := netip.ParseAddr(text); addrErr == nil {
			network, err = addr.Prefix(addr.BitLen())
		}
		if err != nil {
			return nil, fmt.Errorf("--trusted-proxies: %q is neither an address nor a network such as 10.0.0.0/8", text)
		}
		all = append(all, network.Masked())
	}
	return all, nil
}

// listen opens what the flags name, or what fits the way it runs.
func (o *routerOptions) listen(ctx context.Context, serve *router.ServeConfig) (closeAll func(), err error) {
	var opened []net.Listener
	closeAll = func() {
		for _, l := range opened {
			_ = l.Close()
		}
	}
	defer func() {
		if err != nil {
			closeAll()
		}
	}()
	plain, port := "127.0.0.1:8080", os.Getenv("PORT")
	switch {
	case o.tls == "auto":
		plain, o.https = "0.0.0.0:80", orDefault(o.https, "0.0.0.0:443")
	case o.tls != "off":
		return closeAll, fmt.Errorf("--tls: %q is neither off nor auto", o.tls)
	case o.https != "":
		return closeAll, errors.New("--https needs --tls auto")
	case port != "":
		plain = net.JoinHostPort("0.0.0.0", port)
	}
	var listenConfig net.ListenConfig
	for _, one := range []struct {
		address string
		to      *net.Listener
	}{{orDefault(o.http, plain), &serve.HTTP}, {o.https, &serve.HTTPS}, {o.admin, &serve.Admin}} {
		if one.address == "" {
			continue
		}
		listener, err := listenConfig.Listen(ctx, "tcp", one.address)
		if err != nil {
			return closeAll, err
		}
		opened = append(opened, listener)
		*one.to = listener
	}
	return closeAll, nil
}

func address(l net.Listener) string {
	if l == nil {
		return "off"
	}
	return l.Addr().String()
}

// certificates adds TLS to what is served.
func (o *routerOptions) certificates(ctx context.Context, r *router.Router, serve *router.ServeConfig, logger *slog.Logger) (closeCerts func(), err error) {
	store, err := o.certStore(ctx)
	if err != nil {
		return nil, err
	}
	base, isHost := router.NormalHost(o.base)
	cfg := certs.Config{
		Store: store, CA: o.acmeCA, Email: o.acmeEmail, Logger: logger,
		HTTPPort: portOf(serve.HTTP), TLSPort: portOf(serve.HTTPS),
		Allowed: func(name string) bool { return isHost && name == base || r.Serves(name) },
	}
	if o.acmeRoot != "" {
		pem, err := os.ReadFile(o.acmeRoot)
		if err != nil {
			return nil, fmt.Errorf("--acme-ca-root: %w", err)
		}
		cfg.Roots = x509.NewCertPool()
		if !cfg.Roots.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--acme-ca-root: there is no certificate in %s", o.acmeRoot)
		}
	}
	manager, err := certs.New(cfg)
	if err != nil {
		return nil, err
	}
	serve.TLSConfig = manager.TLSConfig()
	serve.Plain = manager.Challenges(r.RedirectToHTTPS(strconv.Itoa(cfg.TLSPort)))
	return manager.Close, nil
}

// certStore is where routers keep their certificates: the bucket, below certs/, or
// a folder. Their keys are encrypted if there is a key for that.
func (o *routerOptions) certStore(ctx context.Context) (objectstore.Store, error) {
	storage, err := readStorage()
	if err != nil {
		return nil, err
	}
	var store objectstore.Store
	switch {
	case storage.S3 != nil && o.certDir != "":
		return nil, errors.New("certificates are kept in one place: leave --cert-dir out, or unset PICOBASE_S3_*")
	case storage.S3 != nil:
		bucket, err := s3.New(*storage.S3)
		if err != nil {
			return nil, err
		}
		store = objectstore.Prefix(bucket, "certs/")
	case o.certDir != "":
		store = dir.New(o.certDir)
	default:
		return nil, errors.New("--tls auto needs a place for certificates: --cert-dir, or a bucket (PICOBASE_S3_*) that routers share")
	}
	return sealed.Open(ctx, store, storage.EncryptionKey)
}

func portOf(l net.Listener) int {
	if tcp, ok := l.Addr().(*net.TCPAddr); ok {
		return tcp.Port
	}
	return 0
}
