package driver

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	unixScheme = "unix://"

	// unixBase stands for the host of requests through a socket, which needs none.
	unixBase = "http://tenant"

	dialTimeout = 5 * time.Second
)

// Client returns an HTTP client whose requests reach the tenant at address, a
// Status.URL (http://host:port or unix:///path), and the base to put before
// their paths. Close its idle connections when it is no longer needed. It follows
// no redirects and uses no proxy.
//
//	client, base, err := driver.Client(status.URL)
//	request, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/api/v1/due", nil)
func Client(address string) (client *http.Client, base string, err error) {
	dialer := &net.Dialer{Timeout: dialTimeout}
	transport := &http.Transport{DialContext: dialer.DialContext, ResponseHeaderTimeout: time.Minute, IdleConnTimeout: time.Minute}
	base = strings.TrimSuffix(address, "/")
	if path, ok := strings.CutPrefix(address, unixScheme); ok {
		if !strings.HasPrefix(path, "/") {
			return nil, "", fmt.Errorf("tenant address %q: the path of the socket is not absolute", address)
		}
		transport.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, "unix", path)
		}
		base = unixBase
	} else if u, err := url.Parse(address); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
		return nil, "", fmt.Errorf("tenant address %q: it is neither http://host:port nor unix:///path", address)
	}
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, base, nil
}
