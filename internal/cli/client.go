package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
}

// NewClient returns a client for the server at base, with a secret API key.
// With a transport (nil for the network), requests go there instead.
func NewClient(base, key string, transport http.RoundTripper) (*Client, error) {
	parsed, err := url.Parse(base)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "http" && parsed.Scheme != "https") {
		return nil, Usage("%q is not the URL of a server: write it as https://api.example.com", base)
	}
	client := &http.Client{
		Transport: transport,
		// A redirect would send the key to wherever it points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Client{base: strings.TrimRight(base, "/"), key: key, local: transport != nil, http: client}, nil
}

// Call sends in (nil for no body) as JSON and decodes the answer into out (nil
// to drop it).
func (c *Client) Call(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	response, err := c.open(ctx, method, path, in)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if out == nil {
		_, err = io.Copy(io.Discard, response.Body)
		return err
	}
	if err := json.NewDecoder(response.Body).Decode(out); err != nil {
		return fmt.Errorf("%s did not answer as PicoBase does: %w", c.base, err)
	}
	return nil
}

// open sends a request and returns its response, whose body the caller closes.
// An answer that is no success is returned as an Error.
func (c *Client) open(ctx context.Context, method, path string, in any) (*http.Response, error) {
	var body io.Reader
	if in != nil {
		encoded, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, err
	}
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.key != "" {
		request.Header.Set("X-API-Key", c.key)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.unreachable(err)
	}
	if response.StatusCode >= http.StatusMultipleChoices {
		defer response.Body.Close()
		return nil, answerError(response)
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
			Code    string `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	content, _ := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if json.Unmarshal(content, &body) != nil || body.Error.Message == "" {
		return &Error{Code: ExitFailed, Err: fmt.Errorf("the server answered %d", response.StatusCode)}
	}
	code := ExitFailed
	switch response.StatusCode {
	case http.StatusUnauthorized, http.StatusForbidden:
		code = ExitNotAllowed
	case http.StatusNotFound:
		code = ExitNotFound
	}
	return &Error{Code: code, Err: fmt.Errorf("%s (%s)", body.Error.Message, body.Error.Code)}
}
