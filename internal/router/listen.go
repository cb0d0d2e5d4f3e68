package router

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	maxHeader         = 64 << 10
	readHeaderTimeout = 10 * time.Second

	// clientIdle is longer than what proxies in front keep their connections for, so
	// that they do not use one that is being closed.
	clientIdle = 2 * time.Minute

	maxStreamsHTTP2 = 250
)

// ServeConfig says where a router listens. Serve closes the listeners.
type ServeConfig struct {
	// HTTP is required, unless there is HTTPS.
	HTTP net.Listener

	// HTTPS is for TLS, with TLSConfig.
	HTTPS     net.Listener
	TLSConfig *tls.Config

	// Plain answers what comes by HTTP. Default the router itself.
	Plain http.Handler

	// Admin is for /metrics, /healthz and /readyz. Default none.
	Admin net.Listener

	// Ready says whether the router has a table. Default always.
	Ready func() bool

	// DrainTimeout is how long a stop waits for requests. Default 20 s.
	DrainTimeout time.Duration
}

// Serve answers until ctx ends, then lets what is in flight finish. It returns nil
// after that, and an error if it could not listen on. It may be called once.
func (r *Router) Serve(ctx context.Context, cfg ServeConfig) error {
	if cfg.Plain == nil {
		cfg.Plain = r
	}
	if cfg.DrainTimeout == 0 {
		cfg.DrainTimeout = 20 * time.Second
	}
	gate := &gate{router: r, clients: map[netip.Addr]int{}}
	failed := make(chan error, 3)
	var servers []*http.Server
	start := func(l net.Listener, handler http.Handler, conf *tls.Config) {
		server := r.newServer(handler)
		servers = append(servers, server)
		limited := net.Listener(&limitedListener{l, gate})
		if conf != nil {
			limited = tls.NewListener(limited, withHTTP2(conf))
		}
		go func() { failed <- server.Serve(limited) }()
	}
	if cfg.HTTP != nil {
		start(cfg.HTTP, cfg.Plain, nil)
	}
	if cfg.HTTPS != nil {
		start(cfg.HTTPS, r, cfg.TLSConfig)
	}
	if len(servers) == 0 {
		return errors.New("router: there is nothing to listen on")
	}
	if cfg.Admin != nil {
		admin := r.newServer(r.admin(ctx, cfg.Ready))
		defer func() { _ = admin.Close() }()
		go func() { failed <- admin.Serve(cfg.Admin) }()
	}
	if r.cfg.Reporter != nil {
		reporter := r.reporter()
		reporter.Start()
		defer r.lastReport(reporter.Stop)
	}

	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		err = fmt.Errorf("listen: %w", err)
	}
	r.drain(servers, cfg.DrainTimeout)
	return err
}

// drain stops to accept and waits for what is in flight. Streams end at once:
// their clients come back by themselves, to another router or the next one here.
func (r *Router) drain(servers []*http.Server, timeout time.Duration) {
	r.endStreams()
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var stopping sync.WaitGroup
	for _, server := range servers {
		stopping.Go(func() {
			if err := server.Shutdown(ctx); err != nil {
				r.logger.Warn("requests were cut off, they took longer than the drain timeout", "timeout", timeout)
				_ = server.Close()
			}
		})
	}
	stopping.Wait()
}

// lastReport tells what the next interval would have.
func (r *Router) lastReport(stop func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	_ = stop(ctx)
	if err := r.report(ctx); err != nil {
		r.logger.Warn("the platform was not told who was used", "error", err)
	}
}

func (r *Router) newServer(handler http.Handler) *http.Server {
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       clientIdle,
		MaxHeaderBytes:    maxHeader,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreamsHTTP2,
			SendPingTimeout:      time.Minute,
			WriteByteTimeout:     patience,
		},
		ErrorLog: slog.NewLogLogger(quiet{r.logger.Handler()}, slog.LevelDebug),
	}
}

func withHTTP2(conf *tls.Config) *tls.Config {
	conf = conf.Clone()
	conf.NextProtos = append([]string{"h2", "http/1.1"}, conf.NextProtos...)
	return conf
}

func (r *Router) admin(ctx context.Context, ready func() bool) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(r.metrics.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("ok\n")) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		switch {
		case ctx.Err() != nil:
			http.Error(w, "stopping", http.StatusServiceUnavailable)
		case ready != nil && !ready():
			http.Error(w, "no table yet", http.StatusServiceUnavailable)
		default:
			_, _ = w.Write([]byte("ok\n"))
		}
	})
	return mux
}

// gate counts connections, over all listeners.
type gate struct {
	router  *Router
	mu      sync.Mutex
	all     int
	clients map[netip.Addr]int
}

// enter reports whether one more connection of the client may be kept.
func (g *gate) enter(client netip.Addr) bool {
	limits := &g.router.cfg.Limits
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.all >= limits.Connections || client.IsValid() && g.clients[client] >= limits.ConnectionsPerClient {
		return false
	}
	g.all++
	if client.IsValid() {
		g.clients[client]++
	}
	return true
}

func (g *gate) leave(client netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.all--
	if !client.IsValid() {
		return
	}
	if g.clients[client]--; g.clients[client] == 0 {
		delete(g.clients, client)
	}
}

// client is what counts as one: an IPv4 address, or an IPv6 network of one host.
// It is not valid for proxies, which stand for many, and for sockets.
func (g *gate) client(remote net.Addr) netip.Addr {
	tcp, ok := remote.(*net.TCPAddr)
	if !ok {
		return netip.Addr{}
	}
	addr := tcp.AddrPort().Addr().Unmap().WithZone("")
	if contains(g.router.cfg.TrustedProxies, addr) {
		return netip.Addr{}
	}
	if addr.Is6() {
		network, _ := addr.Prefix(64) // never longer than the address
		return network.Addr()
	}
	return addr
}

// limitedListener closes connections that are too many at once.
type limitedListener struct {
	net.Listener
	gate *gate
}

// Accept implements [net.Listener].
func (l *limitedListener) Accept() (net.Conn, error) {
	for {
		conn, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		client := l.gate.client(conn.RemoteAddr())
		if l.gate.enter(client) {
			l.gate.router.metrics.conns.Add(1)
			return &limitedConn{Conn: conn, gate: l.gate, client: client}, nil
		}
		l.gate.router.metrics.turned.Inc()
		_ = conn.Close()
	}
}

type limitedConn struct {
	net.Conn
	gate   *gate
	client netip.Addr
	once   sync.Once
}

// CloseWrite lets net/http tell a client why, before it closes with bytes unread.
func (c *limitedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements [net.Conn].
func (c *limitedConn) Close() error {
	c.once.Do(func() {
		c.gate.router.metrics.conns.Add(-1)
		c.gate.leave(c.client)
	})
	return c.Conn.Close()
}

// RedirectToHTTPS answers requests by HTTP for the names in the table with where
// they are by HTTPS: on the standard port, unless the request came with a port and
// so past a mapping of ports, where it is the one given.
func (r *Router) RedirectToHTTPS(port string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		host, ok := NormalHost(req.Host)
		if !ok || req.Method == http.MethodConnect || !r.Serves(host) {
			r.ServeHTTP(w, req) // which says what is wrong
			return
		}
		port := port
		if strings.HasSuffix(req.Host, "]") || !strings.Contains(req.Host, ":") {
			port = ""
		}
		target := url.URL{Scheme: "https", Host: host}
		switch {
		case port != "" && port != "443":
			target.Host = net.JoinHostPort(host, port)
		case strings.Contains(host, ":"):
			target.Host = "[" + host + "]"
		}
		location := target.String() + "/" + strings.TrimPrefix(req.URL.RequestURI(), "/")
		http.Redirect(w, req, location, http.StatusPermanentRedirect) //nolint:gosec // to a name in the table only
	})
}

// Serves reports whether a project has the name.
func (r *Router) Serves(host string) bool {
	p := r.cfg.Resolver.resolve(host)
	return p != nil && p.place.Load().state != gone.state
}
