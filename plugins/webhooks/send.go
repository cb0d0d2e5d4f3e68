package webhooks

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/picobase/picobase/internal/guard"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// maxResponse is how much of an answer is read and kept.
const maxResponse = 4 << 10

// result is how one attempt ended.
type result struct {
	at         time.Time
	took       time.Duration
	status     int // 0 without an answer
	body       string
	retryAfter time.Duration
	err        error // without an answer
	unlisted   bool  // no list of hosts changes the error
}

func (r result) ok() bool { return r.status >= 200 && r.status < 300 }

// problem says in a few words what went wrong, nothing when all is well.
func (r result) problem() string {
	switch {
	case r.ok():
		return ""
	case r.unlisted && errors.Is(r.err, guard.ErrRefused):
		return r.err.Error() + "; this server allows no others"
	case r.unlisted && errors.Is(r.err, guard.ErrNotListed):
		return r.err.Error() + "; use https"
	case errors.Is(r.err, guard.ErrRefused):
		return r.err.Error() + "; list it in the setting webhooks.allowedPrivateHosts if that is meant"
	case errors.Is(r.err, guard.ErrNotListed):
		return r.err.Error() + "; use https, or list it in the setting webhooks.allowedPrivateHosts if events may go there in the clear"
	case errors.Is(r.err, context.DeadlineExceeded):
		return "no answer in time"
	case r.err != nil:
		return r.err.Error()
	case r.status >= 300 && r.status < 400:
		return fmt.Sprintf("answered %d; redirects are not followed", r.status)
	}
	return fmt.Sprintf("answered %d", r.status)
}

// send makes one attempt to deliver.
func (p *Plugin) send(ctx context.Context, ep *endpoint, d *delivery) result {
	return p.post(ctx, ep, d.Event, []byte(d.Body), p.cfg.Timeout)
}

// post sends a signed body to the endpoint.
func (p *Plugin) post(ctx context.Context, ep *endpoint, id string, body []byte, timeout time.Duration) (r result) {
	started := time.Now()
	r.at, r.unlisted = p.cfg.Now(), p.cfg.NoPrivateHosts
	defer func() { r.took = time.Since(started) }()
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := p.newRequest(ctx, ep, id, body, r.at)
	if err != nil {
		r.err = err
		return r
	}
	transport := p.transport
	if request.URL.Scheme == "http" {
		transport = p.plain // events hold people's data
	}
	client := http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	response, err := client.Do(request)
	if err != nil {
		var wrapped *url.Error // has the URL, which the log knows already
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		r.err = err
		return r
	}
	defer response.Body.Close()
	r.status = response.StatusCode
	r.retryAfter = parseRetryAfter(response.Header.Get("Retry-After"), r.at)
	// The status decides; of a body that does not end, its beginning is enough.
	content, _ := io.ReadAll(io.LimitReader(response.Body, maxResponse))
	r.body = text(content)
	return r
}

func (p *Plugin) newRequest(ctx context.Context, ep *endpoint, id string, body []byte, now time.Time) (*http.Request, error) {
	signature, err := ep.sign(id, now, body)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, ep.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "PicoBase/"+p.cfg.Version)
	request.Header.Set(standardwebhooks.HeaderWebhookID, id)
	request.Header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	request.Header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return request, nil
}

// text makes what somebody answered fit for a database and a terminal.
func text(content []byte) string {
	for len(content) > 0 && len(content) == maxResponse { // a character may be cut in two
		if r, size := utf8.DecodeLastRune(content); r != utf8.RuneError || size > 1 {
			break
		}
		content = content[:len(content)-1]
	}
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) && !strings.ContainsRune("\t\r\n", r) {
			return utf8.RuneError
		}
		return r
	}, strings.ToValidUTF8(string(content), "\uFFFD"))
}
