package s3

import (
	"context"
	"net"
	"net/http"
	"time"
)

const (
	connectTimeout = 5 * time.Second
	headerTimeout  = 30 * time.Second
	idleTimeout    = 30 * time.Second
)

// newHTTPClient returns a client that no server can make hang. There is no
// limit on a whole request: a large object may take long, as long as it moves.
func newHTTPClient(connect, header, idle time.Duration) *http.Client {
	dialer := net.Dialer{Timeout: connect}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				conn, err := dialer.DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return &movingConn{Conn: conn, idle: idle}, nil
			},
			TLSHandshakeTimeout:   connect,
			ResponseHeaderTimeout: header,
			IdleConnTimeout:       idle,
			MaxIdleConnsPerHost:   8,
		},
		// S3 redirects to other regions, where the signature does not hold.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// movingConn fails when no byte moves in either direction for idle.
type movingConn struct {
	net.Conn
	idle time.Duration
}

// extend moves the deadline of both directions: while a body is sent, the
// transport already waits in Read for the answer.
func (c *movingConn) extend() error { return c.SetDeadline(time.Now().Add(c.idle)) }

func (c *movingConn) Read(p []byte) (int, error) {
	if err := c.extend(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Read(p)
	if n > 0 {
		_ = c.extend()
	}
	return n, err
}

func (c *movingConn) Write(p []byte) (int, error) {
	if err := c.extend(); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	if n > 0 {
		_ = c.extend()
	}
	return n, err
}
