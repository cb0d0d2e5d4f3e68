package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// requestTimeout bounds one request, streams excepted.
const requestTimeout = 60 * time.Second

// Client calls the HTTP API of one tenant.
type Client struct {
	base  string
	key   string
	local bool // in this process, not over the network
	http  *http.Client

	// bearer returns the token for Authorization, which may end while the client is
	// in use. Nil for none.
	bearer func(context.Context) (string, error)

	poll    time.Duration // how often is asked whether something is done
	silence time.Duration // after which a download is given up
}

// NewClient returns a client for the server at base, with a secret API key.
// With a transport (nil for the network), requests go there instead. A base of
// unix:/path is a server at a socket of this machine.
func NewClient(base, key string, transport http.RoundTripper) (*Client, error) {
	if path, ok := strings.CutPrefix(base, "unix:"); ok && transport == nil {
		return newSocketClient(strings.TrimPrefix(path, "//"), key)
	}
	parsed, err := url.Parse(base)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		return nil, Usage("%q is not the URL of a server: write it as https://api.example.com", base)
	}
	local := transport != nil
	if !local {
		transport = networkTransport()
	}
	client := &http.Client{
		Transport: transport,
		// A redirect would send the key to wherever it points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Client{
		base: strings.TrimRight(base, "/"), key: key, local: local, http: client,
		poll: time.Second, silence: requestTimeout,
	}, nil
}

// networkTransport is Go's own, except that names below localhost are this machine, as
// they are for browsers and curl: Go asks the resolver, and few know them.
func networkTransport() http.RoundTripper {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	dial := (&net.Dialer{Timeout: 30 * time.Second, KeepAlive: 30 * time.Second}).DialContext
	transport.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		if host, port, err := net.SplitHostPort(address); err == nil && belowLocalhost(host) {
			address = net.JoinHostPort("localhost", port)
		}
		return dial(ctx, network, address)
	}
	transport.Proxy = func(request *http.Request) (*url.URL, error) {
		if belowLocalhost(request.URL.Hostname()) {
			return nil, nil
		}
		return http.ProxyFromEnvironment(request)
	}
	return transport
}

func belowLocalhost(host string) bool { return strings.HasSuffix(strings.ToLower(host), ".localhost") }

func newSocketClient(path, key string) (*Client, error) {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}
	client, err := NewClient("http://localhost", key, transport)
	if err == nil {
		client.local = false
	}
	return client, err
}

// Call sends in (nil for no body) as JSON and decodes the answer into out (nil
// to drop it).
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	return c.CallLong(ctx, method, path, in, out)
}

// CallLong is Call for what may take long: nothing but ctx bounds it.
func (c *Client) CallLong(ctx context.Context, method, path string, in, out any) error {
	response, err := c.open(ctx, method, path, in)
	if err != nil {
		return err
	}
	return c.decode(response, out)
}

// decode reads the answer into out (nil to drop it) and closes it.
func (c *Client) decode(response *http.Response, out any) error {
	defer response.Body.Close()
	if out == nil {
		_, err := io.Copy(io.Discard, response.Body)
		return err
	}
	if err := json.NewDecoder(response.Body).Decode(out); err != nil {
		return fmt.Errorf("%s did not answer as PicoBase does: %w", c.base, err)
	}
	return nil
}

// open sends in as JSON; see send.
func (c *Client) open(ctx context.Context, method, path string, in any) (*http.Response, error) {
	if in == nil {
		return c.send(ctx, method, path, call{})
	}
	encoded, err := json.Marshal(in)
	if err != nil {
		return nil, err
	}
	return c.send(ctx, method, path, call{
		header: http.Header{"Content-Type": {"application/json"}}, body: bytes.NewReader(encoded), size: int64(len(encoded)),
	})
}

// call is what a request carries.
type call struct {
	header http.Header
	body   io.Reader // nil for none
	size   int64     // of body
}

// send sends a request and returns its response, whose body the caller closes.
// An answer that is no success is returned as an Error. Nothing but ctx bounds it.
func (c *Client) send(ctx context.Context, method, path string, carried call) (*http.Response, error) {
	response, err := c.exchange(ctx, method, path, carried)
	if err != nil {
		return nil, err
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		defer response.Body.Close()
		return nil, answerError(response)
	}
	return response, nil
}

// exchange is send for callers that read an answer of any status.
func (c *Client) exchange(ctx context.Context, method, path string, carried call) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, carried.body)
	if err != nil {
		return nil, err
	}
	if carried.header != nil {
		request.Header = carried.header
	}
	if carried.body != nil {
		request.ContentLength = carried.size
	}
	if c.key != "" {
		request.Header.Set("X-API-Key", c.key)
	}
	if c.bearer != nil {
		token, err := c.bearer(ctx)
		if err != nil {
			return nil, err
		}
		request.Header.Set("Authorization", "Bearer "+token)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(err)
	}
	return response, nil
}

func (c *Client) unreachable(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	return &Error{
		Code: ExitUnreachable,
		Err:  fmt.Errorf("no answer from %s: %w", c.base, err),
		Hint: "Is the server running, and is this its address?",
	}
}

// answerError turns an error response into an Error with its exit code.
func answerError(response *http.Response) error {
	var body struct {
		Error struct {
			Code    string          `json:"code"`
			Message string          `json:"message"`
			Details json.RawMessage `json:"details"`
		} `json:"error"`
	}
	content, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if json.Unmarshal(content, &body) != nil || body.Error.Message == "" {
		return &Error{Code: ExitFailed, status: response.StatusCode, Err: fmt.Errorf("the server answered %d", response.StatusCode)}
	}
	code := ExitFailed
	switch response.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		code = ExitNotAllowed
	case http.StatusNotFound:
		code = ExitNotFound
	}
	return &Error{
		Code: code, status: response.StatusCode, name: body.Error.Code, details: body.Error.Details,
		Err: fmt.Errorf("%s (%s)", body.Error.Message, body.Error.Code),
	}
}
