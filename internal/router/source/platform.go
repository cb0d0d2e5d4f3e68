package source

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/routes"
	"github.com/picobase/picobase/internal/secret"
)

const (
	firstWait = 250 * time.Millisecond
	maxWait   = 15 * time.Second

	// maxLine is how long a message may be: a project with some thousand names.
	maxLine = 1 << 20

	answerTimeout = 10 * time.Second
)

// PlatformConfig says where the platform is.
type PlatformConfig struct {
	// URL of the platform, without a path. Required.
	URL string

	// Token is what the platform and its routers share. Required.
	Token secret.String

	// Connected is told when the stream is there, with the whole table, and when not.
	// Default nobody.
	Connected func(bool)

	// Logger is required.
	Logger *slog.Logger

	silence time.Duration // after which the stream counts as dead
}

// Platform is a platform that is reached by HTTP. It is a router's source, its
// waker and its reporter.
type Platform struct {
	cfg    PlatformConfig
	client *http.Client
}

// NewPlatform returns the platform. It does not connect.
func NewPlatform(cfg PlatformConfig) (*Platform, error) {
	parsed, err := url.Parse(cfg.URL)
	switch {
	case err != nil || (parsed.Scheme != "http" && parsed.Scheme != "https") || parsed.Host == "" || strings.Trim(parsed.Path, "/") != "":
		return nil, fmt.Errorf("the platform's URL must be like https://platform.example.com, got %q", cfg.URL)
	case cfg.Token.IsZero():
		return nil, errors.New("the token that the platform and its routers share is missing")
	}
	cfg.URL = parsed.Scheme + "://" + parsed.Host
	if cfg.Connected == nil {
		cfg.Connected = func(bool) {}
	}
	if cfg.silence == 0 {
		cfg.silence = 3 * routes.PingInterval
	}
	dialer := net.Dialer{Timeout: 5 * time.Second}
	// A redirect would send the token to somewhere else.
	client := &http.Client{
		Transport:     &http.Transport{DialContext: dialer.DialContext, TLSHandshakeTimeout: 5 * time.Second, MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return &Platform{cfg: cfg, client: client}, nil
}

var _ Source = (*Platform)(nil)

// Run implements [Source].
func (p *Platform) Run(ctx context.Context, table Table) {
	wait := firstWait
	for ctx.Err() == nil {
		whole, err := p.follow(ctx, table)
		p.cfg.Connected(false)
		if ctx.Err() != nil {
			return
		}
		if whole {
			wait = firstWait
		}
		// Half of it by chance, so that routers do not come back all at once.
		pause := wait/2 + rand.N(wait/2)
		p.cfg.Logger.Warn("the platform's routes cannot be followed; the table stays as it is", "platform", p.cfg.URL, "error", err, "again in", pause.Round(time.Millisecond))
		wait = min(wait*2, maxWait)
		sleep(ctx, pause)
	}
}

// follow reads the stream until it breaks. Whole is whether a whole table came.
func (p *Platform) follow(ctx context.Context, table Table) (whole bool, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watchdog := time.AfterFunc(p.cfg.silence, func() { cancel(errors.New("nothing came for too long")) })
	defer watchdog.Stop()

	res, err := p.call(ctx, http.MethodGet, routes.Path, nil)
	if err != nil {
		return false, because(ctx, err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return false, refused(res)
	}
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(make([]byte, 0, 64<<10), maxLine)
	for lines.Scan() {
		watchdog.Reset(p.cfg.silence)
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var message routes.Message
		if err := json.Unmarshal(lines.Bytes(), &message); err != nil {
			return whole, fmt.Errorf("a line of the stream is no message: %w", err)
		}
		table.Apply(message)
		if message.Op == routes.End && !whole {
			whole = true
			p.cfg.Connected(true)
			p.cfg.Logger.Info("following the platform's routes", "platform", p.cfg.URL)
		}
	}
	if err := lines.Err(); err != nil {
		return whole, because(ctx, err)
	}
	return whole, errors.New("the platform ended the stream")
}

func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// Wake asks the platform to wake the project, and waits. A platform that cannot be
// reached is asked again as long as ctx allows.
func (p *Platform) Wake(ctx context.Context, project string) (routes.Route, error) {
	path := strings.Replace(routes.WakePath, "{project}", url.PathEscape(project), 1)
	wait := firstWait
	for {
		res, err := p.call(ctx, http.MethodPost, path, nil)
		if err == nil {
			return readRoute(res)
		}
		if ctx.Err() != nil {
			return routes.Route{}, err
		}
		p.cfg.Logger.Warn("the platform cannot be asked to wake a project", "project", project, "error", err)
		sleep(ctx, wait/2+rand.N(wait/2))
		wait = min(wait*2, 2*time.Second)
	}
}

func readRoute(res *http.Response) (route routes.Route, err error) {
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return route, wakeError(res)
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, maxLine)).Decode(&route); err != nil {
		return route, fmt.Errorf("the platform's answer is no route: %w", err)
	}
	return route, nil
}

// wakeError makes the platform's refusal one that a project's client can be shown:
// what it says about the project, and nothing of what it says about the router.
func wakeError(res *http.Response) error {
	var body apierr.Body
	err := json.NewDecoder(io.LimitReader(res.Body, 64<<10)).Decode(&body)
	if err != nil || body.Error.Code == "" || res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden || res.StatusCode == http.StatusInternalServerError {
		return fmt.Errorf("the platform answered %s %s", res.Status, body.Error.Code)
	}
	status := http.StatusServiceUnavailable
	if res.StatusCode == http.StatusNotFound {
		status = http.StatusNotFound
	}
	seconds, _ := strconv.Atoi(res.Header.Get("Retry-After"))
	answer := apierr.New(status, body.Error.Code, body.Error.Message)
	if status == http.StatusServiceUnavailable {
		answer = answer.WithRetryAfter(time.Duration(max(seconds, 1)) * time.Second)
	}
	return answer
}

// Report tells the platform who was used.
func (p *Platform) Report(ctx context.Context, activity routes.Activity) error {
	body, err := json.Marshal(activity)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	res, err := p.call(ctx, http.MethodPost, routes.ActivityPath, body)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return refused(res)
	}
	return nil
}

func (p *Platform) call(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		content = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, p.cfg.URL+path, content)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+p.cfg.Token.Reveal())
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return p.client.Do(req)
}

func refused(res *http.Response) error {
	if res.StatusCode == http.StatusUnauthorized || res.StatusCode == http.StatusForbidden {
		return fmt.Errorf("the platform answered %s: is the token (PICOBASE_ROUTER_TOKEN) the same on both sides?", res.Status)
	}
	return fmt.Errorf("the platform answered %s", res.Status)
}

func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
