package router

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/routes"
)

// exchange is one request on its way. Exchanges are used again: a reverse proxy's
// functions are bound to it once.
type exchange struct {
	router *Router
	proxy  httputil.ReverseProxy

	in      *http.Request
	out     writer
	began   time.Time
	id      string
	client  string
	scheme  string
	project *project
	traffic *traffic
	outcome outcome

	body    body
	slot    bool // held
	stream  bool // counted
	release func() bool
	held    bool // it has waited for its project
	allowed bool // its origin, by the project
}

func newExchange(r *Router) *exchange {
	x := &exchange{router: r}
	x.proxy = httputil.ReverseProxy{
		Rewrite:        x.rewrite,
		Transport:      roundTripper(x.roundTrip),
		ModifyResponse: x.inspect,
		ErrorHandler:   func(_ http.ResponseWriter, _ *http.Request, err error) { x.fail(err) },
		BufferPool:     copyBuffers,
		ErrorLog:       slog.NewLogLogger(quiet{r.logger.Handler()}, slog.LevelDebug),
	}
	return x
}

func (x *exchange) begin(w http.ResponseWriter, in *http.Request) {
	*x = exchange{router: x.router, proxy: x.proxy, in: in, began: time.Now(), id: requestID(in)}
	x.out.begin(w, x.router.patience)
	x.client, x.scheme = x.router.origin(in)
}

func (x *exchange) end() {
	r := x.router
	x.giveSlot()
	if x.stream {
		x.traffic.streams.Add(-1)
		r.metrics.streams.Add(-1)
		x.release()
	}
	if x.body.source != nil {
		x.body.source.close()
	}
	if x.body.kept > 0 {
		r.buffered.Add(-x.body.kept)
	}
	now := time.Now()
	if x.traffic != nil {
		r.finish(x.traffic, now)
	}
	if x.outcome == "" {
		x.outcome = clientGone
	}
	r.metrics.requests[x.outcome].Inc()
	if r.cfg.AccessLog != nil {
		x.log(now.Sub(x.began))
	}
	x.in, x.out.ResponseWriter = nil, nil
	x.body = body{}
}

func (x *exchange) log(took time.Duration) {
	project := ""
	if x.project != nil {
		project = x.project.id
	}
	// No query: it may hold a token.
	x.router.cfg.AccessLog.LogAttrs(context.Background(), slog.LevelInfo, "request",
		slog.String("requestId", x.id), slog.String("project", project), slog.String("host", x.in.Host),
		slog.String("method", x.in.Method), slog.String("path", x.in.URL.Path), slog.Int("status", x.out.status),
		slog.Int64("bytes", x.out.written), slog.Float64("durationMs", float64(took.Microseconds())/1000),
		slog.String("client", x.client), slog.String("outcome", string(x.outcome)))
}

// serve answers the request.
func (x *exchange) serve() {
	r := x.router
	if len(x.in.TransferEncoding) > 0 && x.in.ProtoMajor == 1 {
		// It may have had a Content-Length too, which net/http drops. A proxy in front
		// that went by that one would take what follows for something else than we do.
		x.out.Header()["Connection"] = []string{"close"}
	}
	if x.in.Method == http.MethodConnect {
		x.fail(errMethod)
		return
	}
	x.project = r.find(x.in)
	if x.project == nil {
		x.fail(errNotFound)
		return
	}
	x.traffic = x.project.use(&r.cfg.Limits)
	r.begin(x.traffic, x.began)

	switch at := x.project.place.Load(); at.state {
	case routes.Running:
	case routes.Asleep:
		if x.in.Method == http.MethodOptions && r.cfg.Waker != nil {
			x.preflight()
			return
		}
	default:
		x.fail(at.refusal())
		return
	}
	if err := x.keepBody(); err != nil {
		x.fail(err)
		return
	}
	x.proxy.ServeHTTP(&x.out, x.in)
}

// preflight answers at once. The request that it asks for comes in a moment, so
// the project may as well wake.
func (x *exchange) preflight() {
	x.traffic.preflight.Store(x.began.UnixNano())
	_, _ = x.router.wake(x.project, x.traffic)
	x.outcome = preflighted
	x.out.Header().Set(headerRequestID, x.id)
	answerPreflight(&x.out, x.in)
}

// rewrite makes the request that the project gets. ReverseProxy has dropped the
// hop-by-hop headers before, so nothing that is set here can be named in Connection.
func (x *exchange) rewrite(p *httputil.ProxyRequest) {
	header := p.Out.Header
	for _, name := range claims {
		delete(header, name)
	}
	delete(header, http.CanonicalHeaderKey(routes.HeaderProject))
	delete(header, http.CanonicalHeaderKey(routes.HeaderForwarded))
	if x.client != "" {
		header["X-Forwarded-For"] = []string{x.client}
	}
	header["X-Forwarded-Host"] = []string{p.In.Host}
	header["X-Forwarded-Proto"] = []string{x.scheme}
	header[headerRequestID] = []string{x.id}
	// Upgrade to anything else, h2c above all, would hide requests from us.
	if upgrade := header["Upgrade"]; upgrade != nil && (len(upgrade) != 1 || !strings.EqualFold(upgrade[0], "websocket")) {
		delete(header, "Upgrade")
		delete(header, "Connection")
	}
	if x.body.content != nil {
		delete(header, "Expect") // it is here already
	}
	p.Out.Host = p.In.Host
	p.Out.URL.RawQuery = p.In.URL.RawQuery // the project's to judge
	x.body.attach(p.Out)
}

// inspect looks at the project's answer before the client sees it.
func (x *exchange) inspect(res *http.Response) error {
	if res.StatusCode == http.StatusSwitchingProtocols || strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		if err := x.becomeStream(res); err != nil {
			return err
		}
	}
	x.proxy.FlushInterval = 0
	if res.ContentLength < 0 && !x.stream {
		// ReverseProxy would flush after every read of an answer without a length, which
		// most answers of PocketBase are. What is small is then in one piece, and what
		// pauses is not kept longer than this. Only the flushing goes by this length.
		x.proxy.FlushInterval, res.ContentLength = flushAfter, 0
	}
	if _, ok := res.Header[headerRequestID]; !ok {
		res.Header[headerRequestID] = []string{x.id}
	}
	x.outcome = forwarded
	return nil
}

// becomeStream turns the slot of a request into the place of a stream, which may
// stay open for days.
func (x *exchange) becomeStream(res *http.Response) error {
	r := x.router
	if x.traffic.streams.Add(1) > int64(r.cfg.Limits.Streams) {
		x.traffic.streams.Add(-1)
		return errBusy
	}
	r.metrics.streams.Add(1)
	x.stream = true
	x.giveSlot()
	x.release = context.AfterFunc(r.streams, func() { _ = res.Body.Close() })
	return nil
}

func (x *exchange) giveSlot() {
	if x.slot {
		x.router.give(x.traffic)
		x.slot = false
	}
}

// fail answers with an error, if anybody is there to read it.
func (x *exchange) fail(err error) {
	broken := x.body.broken()
	// A client that is too slow is still there, though net/http has given it up.
	if x.in.Context().Err() != nil && !isTimeout(broken) {
		x.outcome = clientGone
		return
	}
	answer, ok := isRefusal(err)
	switch {
	case !ok && broken != nil:
		answer = bodyError(broken)
		x.outcome = badRequest
	case !ok:
		x.router.logger.Warn("a project did not answer", "project", x.project.id, "requestId", x.id, "error", err)
		answer = errUpstream
		x.outcome = upstreamFailed
	case answer == apierr.ErrInternal:
		x.outcome = internalError
	default:
		x.outcome = outcomeOf(answer)
		x.out.Header()[http.CanonicalHeaderKey(routes.HeaderForwarded)] = []string{"false"}
	}
	header := x.out.Header()
	header[headerRequestID] = []string{x.id}
	header["Cache-Control"] = []string{"no-store"}
	if answer != errOrigin && allowOrigin(header, x.in) {
		header.Set("Access-Control-Expose-Headers", corsExposed)
	}
	_ = apierr.Write(&x.out, x.in, answer) // a client that is gone reads nothing
}

// flushAfter is how long the beginning of an answer may wait for more of it.
const flushAfter = 2 * time.Millisecond

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }

// keepLimit is up to which size a body is read before the request is forwarded, so
// that it can be sent twice. All that is kept together is bounded by keepTotal.
const (
	keepLimit = 64 << 10
	keepTotal = 64 << 20
)

// keepBody reads a small body. What is larger, or has no length, streams.
func (x *exchange) keepBody() error {
	if x.in.Body == nil || x.in.Body == http.NoBody || x.in.ContentLength == 0 {
		return nil
	}
	x.body.source = x.router.newSlowReader(x.in, &x.out)
	size := x.in.ContentLength
	if size < 0 || size > keepLimit {
		return nil
	}
	if x.router.buffered.Add(size) > keepTotal {
		x.router.buffered.Add(-size)
		return nil
	}
	x.body.kept = size
	x.body.content = make([]byte, size)
	if _, err := io.ReadFull(x.body.source, x.body.content); err != nil {
		return bodyError(err)
	}
	// The end of the body lets net/http watch for the client's.
	var rest [1]byte
	_, _ = x.body.source.Read(rest[:])
	return nil
}

func bodyError(err error) *apierr.Error {
	if isTimeout(err) {
		return errSlowBody.WithCause(err)
	}
	return errBodyBroken.WithCause(err)
}

// body is what the client sends: kept, or streaming.
type body struct {
	source  *slowReader
	content []byte
	kept    int64 // bytes, 0 for a body that streams
}

func (b *body) broken() error {
	if b.source == nil {
		return nil
	}
	return b.source.failure()
}

// replayable reports whether the request can be sent once more.
func (b *body) replayable() bool {
	return b.source == nil || b.content != nil || !b.source.started.Load()
}

// attach gives the body to an outgoing request.
func (b *body) attach(out *http.Request) {
	keyed := len(out.Header["Idempotency-Key"])+len(out.Header["X-Idempotency-Key"]) > 0
	switch {
	case b.content != nil:
		content := b.content
		out.Body = io.NopCloser(bytes.NewReader(content))
		out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	case b.source != nil:
		// The transport closes it when it cannot connect, and then we try again.
		out.Body = io.NopCloser(b.source)
	case keyed:
		out.Body = io.NopCloser(strings.NewReader(""))
	default:
		out.Body = nil
	}
	// With such a header the transport takes a write for one that may be sent twice
	// when it cannot know whether it was handled. The project does not know the header.
	if keyed {
		out.GetBody = nil
	}
}

var (
	errDraining = errors.New("the project is on its way to sleep")
	copyBuffers = &bufferPool{}
)

type bufferPool struct{ pool sync.Pool }

const copyBuffer = 32 << 10

func (b *bufferPool) Get() []byte {
	if buffer, ok := b.pool.Get().(*[copyBuffer]byte); ok {
		return buffer[:]
	}
	return make([]byte, copyBuffer)
}

func (b *bufferPool) Put(buffer []byte) { b.pool.Put((*[copyBuffer]byte)(buffer)) }

// quiet lowers what ReverseProxy logs to debug: clients that go away are no news.
type quiet struct{ slog.Handler }

// Enabled implements [slog.Handler].
func (q quiet) Enabled(ctx context.Context, _ slog.Level) bool {
	return q.Handler.Enabled(ctx, slog.LevelDebug)
}
