package webhooks

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/event"
	"github.com/pocketbase/pocketbase/core"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

func TestDelivery(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ int) { _, _ = w.Write([]byte("thanks")) })
	id, secret := s.endpoint(r.URL)
	s.start()
	sent := s.publish("u1")
	eventually(t, "the delivery", func() bool { return s.row(sent).Status == statusDelivered })
	got := r.all()[0]
	webhook, err := standardwebhooks.NewWebhook(secret)
	if err == nil {
		err = webhook.Verify([]byte(got.body), got.header)
	}
	if err != nil || got.id() != sent || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%v, %v", got.header, err)
	}
	if !strings.HasPrefix(got.body, `{"type":"user.created","timestamp":"`) || !strings.Contains(got.body, `"data":{"collection":"users","record":{"id":"u1"}}`) {
		t.Errorf("%s", got.body)
	}
	status, detail := s.call(http.MethodGet, "/deliveries/"+s.row(sent).ID, nil)
	if status != 200 || detail["response"] != "thanks" || detail["webhook"] != id || detail["last"].(map[string]any)["status"] != 200.0 {
		t.Errorf("%d %v", status, detail)
	}
	if s.metric("picobase_webhook_deliveries_total", "delivered") != 1 || s.metric("picobase_webhook_queue_length", "") != 0 {
		t.Error("the metrics do not show it")
	}
}

// The whole schedule, with a receiver that never gets well.
func TestSchedule(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *Config) { cfg.Jitter = func() float64 { return 0.5 } })
	r := newReceiver(t, with(http.StatusInternalServerError))
	id, _ := s.endpoint(r.URL)
	s.start()
	sent := s.publish("u1")
	want := []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
	for i, wait := range want {
		eventually(t, fmt.Sprintf("attempt %d", i+1), func() bool { return s.row(sent).Attempts == i+1 })
		wait += wait / 20 // half of the jitter
		if due := time.UnixMilli(s.row(sent).Due).Sub(time.UnixMilli(s.clock.Now().UnixMilli())); due != wait {
			t.Fatalf("after attempt %d: due in %v, want %v", i+1, due, wait)
		}
		at, reason, err := s.plugin.NextDue()
		if err != nil || at.UnixMilli() != s.row(sent).Due || !strings.Contains(reason, id) {
			t.Fatalf("next due %v, %q, %v", at, reason, err)
		}
		s.pass(wait - time.Millisecond)
		if row, err := s.plugin.nextDue(id, s.clock.Now(), nil); row != nil || err != nil {
			t.Fatalf("attempt %d comes early, or %v", i+2, err)
		}
		s.pass(2 * time.Millisecond)
	}
	eventually(t, "the end", func() bool { return s.row(sent).Status == statusFailed })
	eventually(t, "the alert", func() bool { return s.metric("picobase_webhooks_disabled", "") == 1 })
	if r.count() != 10 || s.row(sent).Attempts != 10 {
		t.Errorf("%d attempts", r.count())
	}
	ids := map[string]bool{}
	for _, got := range r.all() {
		ids[got.id()] = true
	}
	if len(ids) != 1 {
		t.Errorf("the webhook-id changes: %v", ids)
	}
	_, webhook := s.call(http.MethodGet, "/"+id, nil)
	if webhook["enabled"] != false || webhook["disabledReason"] != reasonFailing {
		t.Errorf("%v", webhook)
	}
	if f := s.plugin.Check(context.Background()); !f.Degraded || f.Values["disabled"] != 1 {
		t.Errorf("%+v", f)
	}
	if at, _, _ := s.plugin.NextDue(); !at.IsZero() {
		t.Errorf("a disabled endpoint is due at %v", at)
	}

	// Revived and sent again, it is the same event.
	r.then(nil)
	if status, answer := s.call(http.MethodPatch, "/"+id, map[string]any{"enabled": true}); status != 200 || answer["enabled"] != true {
		t.Fatalf("%d %v", status, answer)
	}
	if status, answer := s.call(http.MethodPost, "/deliveries/retry", map[string]any{"webhook": id}); status != 200 || answer["retried"] != 1.0 {
		t.Fatalf("%d %v", status, answer)
	}
	eventually(t, "the replay", func() bool { return s.row(sent).Status == statusDelivered })
	if got := r.all(); got[len(got)-1].id() != sent {
		t.Error("the replay has another webhook-id")
	}
}

// One event that a receiver cannot take does not cost it all others.
func TestGivenUpButNotDisabled(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReceiver(t, nil)
	r.then(func(w http.ResponseWriter, _ *http.Request, _ int) {
		if got := r.all(); strings.Contains(got[len(got)-1].body, "poison") {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	id, _ := s.endpoint(r.URL)
	s.start()
	poison := s.publish("poison")
	for i := range schedule {
		eventually(t, "the attempt", func() bool { return s.row(poison).Attempts == i+1 })
		if i == 4 {
			good := s.publish("good")
			eventually(t, "the good one", func() bool { return s.row(good).Status == statusDelivered })
		}
		s.pass(25 * time.Hour)
	}
	eventually(t, "the end", func() bool { return s.row(poison).Status == statusFailed })
	if _, webhook := s.call(http.MethodGet, "/"+id, nil); webhook["enabled"] != true {
		t.Errorf("%v", webhook)
	}
}

// Receivers in all conditions: what the log says of them, and when they are tried again.
func TestReceivers(t *testing.T) {
	t.Parallel()
	hang := func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() }
	drip := func(w http.ResponseWriter, r *http.Request, _ int) {
		for r.Context().Err() == nil {
			_, _ = w.Write([]byte("."))
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-time.After(20 * time.Millisecond):
			}
		}
	}
	for name, c := range map[string]struct {
		answer  func(w http.ResponseWriter, r *http.Request, n int)
		status  string
		problem string
		wait    time.Duration
		enabled bool
	}{
		"hangs": {hang, statusPending, "no answer in time", 5 * time.Second, true},
		"drips": {drip, statusDelivered, "", 0, true},
		"redirects": {func(w http.ResponseWriter, r *http.Request, _ int) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, statusPending, "answered 307; redirects", 5 * time.Second, true},
		"500": {with(500), statusPending, "answered 500", 5 * time.Second, true},
		"404": {with(404), statusPending, "answered 404", 5 * time.Second, true},
		"410": {with(410), statusFailed, "answered 410", 0, false},
		"429 and a minute": {func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(429)
		}, statusPending, "answered 429", time.Minute, true},
		"503 and a year": {func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Retry-After", "31536000")
			w.WriteHeader(503)
		}, statusPending, "answered 503", 24 * time.Hour, true},
		"429 and a second": {func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(429)
		}, statusPending, "answered 429", 5 * time.Second, true},
		"429 and nonsense": {func(w http.ResponseWriter, _ *http.Request, _ int) {
			w.Header().Set("Retry-After", "soon")
			w.WriteHeader(429)
		}, statusPending, "answered 429", 5 * time.Second, true},
		"closes": {func(w http.ResponseWriter, _ *http.Request, _ int) { panic(http.ErrAbortHandler) }, statusPending, "EOF", 5 * time.Second, true},
		"answers hugely": {func(w http.ResponseWriter, _ *http.Request, _ int) {
			_, _ = w.Write([]byte(strings.Repeat("x", 50<<20)))
		}, statusDelivered, "", 0, true},
		"has huge headers":    {func(w http.ResponseWriter, _ *http.Request, _ int) { w.Header().Set("X", strings.Repeat("x", 1<<20)) }, statusPending, "headers exceeded", 5 * time.Second, true},
		"answers with binary": {func(w http.ResponseWriter, _ *http.Request, _ int) { _, _ = w.Write([]byte{0, 0xff, 0x1b, 'x'}) }, statusDelivered, "", 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, func(cfg *Config) {
				if cfg.Timeout = patience; name == "hangs" || name == "drips" {
					cfg.Timeout = 500 * time.Millisecond
				}
			})
			r := newReceiver(t, c.answer)
			id, _ := s.endpoint(r.URL)
			s.start()
			sent := s.publish("u1")
			eventually(t, "the attempt", func() bool { return s.row(sent).Attempts == 1 })
			row := s.row(sent)
			last := row.view().Last
			if row.Status != c.status || last == nil || !strings.Contains(last.Error, c.problem) || (last.Error == "") != (c.problem == "") {
				t.Errorf("%s, %+v", row.Status, last)
			}
			if wait := time.UnixMilli(row.Due).Sub(time.UnixMilli(s.clock.Now().UnixMilli())); wait != c.wait {
				t.Errorf("due in %v, want %v", wait, c.wait)
			}
			if len(row.Response) > maxResponse || strings.ContainsAny(row.Response, "\x00\x1b") {
				t.Errorf("%d bytes of answer kept", len(row.Response))
			}
			if r.count() != 1 {
				t.Errorf("%d requests", r.count())
			}
			eventually(t, "the endpoint's state", func() bool {
				_, webhook := s.call(http.MethodGet, "/"+id, nil)
				return webhook["enabled"] == c.enabled && (c.enabled || webhook["disabledReason"] == reasonGone)
			})
		})
	}
}

// Retry-After is about the endpoint: its other events wait too.
func TestRetryAfterHoldsTheEndpoint(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
		w.Header().Set("Retry-After", "60")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	s.endpoint(r.URL)
	s.start()
	first := s.publish("u1")
	eventually(t, "the first attempt", func() bool { return s.row(first).Attempts == 1 })
	r.then(nil)
	second := s.publish("u2")
	at, _, err := s.plugin.NextDue()
	if want := s.clock.Now().Add(time.Minute); err != nil || at.UnixMilli() != want.UnixMilli() {
		t.Errorf("next due %v, %v, want %v", at, err, want)
	}
	s.pass(59 * time.Second)
	if r.count() != 1 {
		t.Error("it is asked again too soon")
	}
	s.pass(2 * time.Second)
	for _, sent := range []string{first, second} {
		eventually(t, "the delivery", func() bool { return s.row(sent).Status == statusDelivered })
	}
}

// A person who sends again, or mends the webhook, knows better than Retry-After.
func TestRetryAfterYieldsToPeople(t *testing.T) {
	t.Parallel()
	for name, mend := range map[string]func(s *site, id, url string, row delivery){
		"retry": func(s *site, _, _ string, row delivery) { s.call(http.MethodPost, "/deliveries/"+row.ID+"/retry", nil) },
		"retry, again failed": func(s *site, id, _ string, row delivery) {
			row.Status, row.Finished = statusFailed, 1
			if _, err := s.plugin.store(&row, row.Attempts); err != nil {
				s.t.Fatal(err)
			}
			s.call(http.MethodPost, "/deliveries/retry", map[string]any{"webhook": id})
		},
		"another URL": func(s *site, id, url string, row delivery) {
			s.call(http.MethodPatch, "/"+id, map[string]any{"url": url + "/new"})
			s.clock.add(6 * time.Minute)
			row.Due = 0
			if _, err := s.plugin.store(&row, row.Attempts); err != nil {
				s.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, _ int) {
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(http.StatusServiceUnavailable)
			})
			id, _ := s.endpoint(r.URL)
			s.start()
			sent := s.publish("u1")
			eventually(t, "the hold", func() bool { return !s.plugin.dispatch.until(id).IsZero() })
			r.then(nil)
			mend(s, id, r.URL, s.row(sent))
			eventually(t, "the delivery", func() bool { return s.row(sent).Status == statusDelivered })
		})
	}
}

// What waits for an earlier event is not due before that.
func TestNextDueKnowsTheOrder(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReceiver(t, with(http.StatusInternalServerError))
	s.endpoint(r.URL)
	s.start()
	first := s.publish("ann")
	eventually(t, "the failure", func() bool { return s.row(first).Attempts == 1 })
	s.publish("ann")
	if at, _, err := s.plugin.NextDue(); err != nil || at.UnixMilli() != s.row(first).Due {
		t.Errorf("next due %v, %v, want %v", at, err, time.UnixMilli(s.row(first).Due))
	}
}

// What is done to a delivery while an attempt is under way is not undone by it.
func TestChangedDuringAnAttempt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	answer := make(chan int)
	r := newReceiver(t, func(w http.ResponseWriter, r *http.Request, _ int) {
		select {
		case status := <-answer:
			w.WriteHeader(status)
		case <-r.Context().Done():
		}
	})
	id, _ := s.endpoint(r.URL)
	s.start()
	sent := s.publish("u1")
	for i := range schedule[1:] { // up to the last retry
		answer <- http.StatusInternalServerError
		eventually(t, "the attempt", func() bool { return s.row(sent).Attempts == i+1 })
		s.pass(25 * time.Hour)
	}
	eventually(t, "the last attempt", func() bool { return r.count() == len(schedule) })
	s.call(http.MethodPost, "/deliveries/"+s.row(sent).ID+"/retry", nil)
	answer <- http.StatusInternalServerError
	eventually(t, "one more", func() bool { return r.count() == len(schedule)+1 })
	// The URL is another one before the old one says that it is gone.
	s.call(http.MethodPatch, "/"+id, map[string]any{"url": r.URL + "/moved"})
	answer <- http.StatusGone
	eventually(t, "the end", func() bool { return s.row(sent).Status == statusFailed })
	if _, webhook := s.call(http.MethodGet, "/"+id, nil); webhook["enabled"] != true {
		t.Errorf("%v", webhook)
	}
	// A webhook that is deleted meanwhile leaves nothing behind.
	s.publish("u2")
	eventually(t, "the next", func() bool { return r.count() == len(schedule)+2 })
	s.call(http.MethodDelete, "/"+id, nil)
	answer <- http.StatusGone
	eventually(t, "the lane's end", func() bool {
		s.pass(0)
		s.plugin.dispatch.mu.Lock()
		defer s.plugin.dispatch.mu.Unlock()
		return len(s.plugin.dispatch.lanes) == 0
	})
	if _, err := s.plugin.prune(); err != nil || s.counted(statusPending)+s.counted(statusFailed) > 0 {
		t.Errorf("left behind, or %v", err)
	}
}

// A clock that was years ahead does not hold up deliveries for years.
func TestClockWasAhead(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReceiver(t, nil)
	s.endpoint(r.URL)
	s.clock.add(3 * 365 * 24 * time.Hour)
	sent := s.publish("u1")
	s.clock.add(-3 * 365 * 24 * time.Hour)
	s.start()
	eventually(t, "the delivery", func() bool { return s.row(sent).Status == statusDelivered })
}

func TestParseRetryAfter(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)
	for text, want := range map[string]time.Duration{
		"":                                 0,
		"0":                                0,
		"90":                               90 * time.Second,
		"-90":                              0,
		"1.5":                              0,
		"99999999999":                      maxRetryAfter,
		"99999999999999999999999999":       maxRetryAfter,
		"-99999999999999999999999999":      0,
		"Sat, 02 Jan 2027 03:05:05 GMT":    time.Minute,
		"Sat, 02 Jan 2027 03:00:00 GMT":    0,
		"Sat, 02 Jan 2038 03:00:00 GMT":    maxRetryAfter,
		"Saturday, 02-Jan-27 03:05:05 GMT": time.Minute,
	} {
		if got := parseRetryAfter(text, now); got != want {
			t.Errorf("%q: %v, want %v", text, got, want)
		}
	}
}

// Events go in the clear to listed hosts only.
func TestPlainHTTP(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.endpoint("http://93.184.216.34:9/")
	s.start()
	sent := s.publish("u1")
	eventually(t, "the refusal", func() bool { return s.row(sent).Attempts == 1 })
	if last := lastOf(s.row(sent)); !strings.Contains(last.Error, "use https") {
		t.Errorf("%+v", last)
	}
}

func TestText(t *testing.T) {
	t.Parallel()
	for content, want := range map[string]string{
		"a\tb\r\nc":    "a\tb\r\nc",
		"\x00\x1b[2J":  "\uFFFD\uFFFD[2J",
		"\u009b2J\x7f": "\uFFFD2J\uFFFD", // the same in one character
		"\xff\xfe é":   "\uFFFD é",
	} {
		if got := text([]byte(content)); got != want {
			t.Errorf("%q: %q", content, got)
		}
	}
}

// Events of one user arrive in their order, also around a failure; those of
// others do not wait.
func TestOrder(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReceiver(t, func(w http.ResponseWriter, _ *http.Request, n int) {
		if n == 1 {
			w.WriteHeader(http.StatusInternalServerError)
		}
	})
	s.endpoint(r.URL)
	s.start()
	first := s.publish("ann")
	eventually(t, "the failure", func() bool { return s.row(first).Attempts == 1 })
	var ann, bob []string
	for range 20 {
		ann, bob = append(ann, s.publish("ann")), append(bob, s.publish("bob"))
	}
	eventually(t, "bob's", func() bool { return s.counted(statusDelivered) == 20 })
	order := func(of []string) (found []string) {
		for _, got := range r.all() {
			if slices.Contains(of, got.id()) {
				found = append(found, got.id())
			}
		}
		return found
	}
	if !slices.Equal(order(bob), bob) {
		t.Error("bob's are out of order")
	}
	if len(order(ann)) > 0 {
		t.Error("ann's overtook the one that failed")
	}
	s.pass(6 * time.Second)
	eventually(t, "ann's", func() bool { return s.counted(statusPending) == 0 })
	if ann = append([]string{first}, ann...); !slices.Equal(order(ann), append([]string{first}, ann...)) {
		t.Error("ann's are out of order")
	}
}

// One that cannot be taken does not hold up the user's others for days.
func TestOrderIsGivenUpAfterThreeAttempts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReceiver(t, nil)
	r.then(func(w http.ResponseWriter, _ *http.Request, _ int) {
		if got := r.all(); strings.Contains(got[len(got)-1].body, "poison") {
			w.WriteHeader(http.StatusBadRequest)
		}
	})
	s.endpoint(r.URL)
	s.start()
	poison := s.publish("ann", map[string]any{"note": "poison"})
	good := s.publish("ann")
	for i := range settledAttempts {
		eventually(t, "the attempt", func() bool { return s.row(poison).Attempts == i+1 })
		if i+1 < settledAttempts && s.row(good).Attempts > 0 {
			t.Fatal("it was overtaken too soon")
		}
		s.pass(10 * time.Minute)
	}
	eventually(t, "the good one", func() bool { return s.row(good).Status == statusDelivered })
}

// A slow endpoint has its own lane.
func TestSlowEndpointDelaysNoOther(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *Config) { cfg.Timeout = patience })
	var under, most atomic.Int32
	slow := newReceiver(t, func(_ http.ResponseWriter, r *http.Request, _ int) {
		n := under.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		<-r.Context().Done()
		under.Add(-1)
	})
	fast := newReceiver(t, nil)
	for range 3 {
		s.endpoint(slow.URL)
	}
	s.endpoint(fast.URL)
	s.start()
	started := time.Now()
	for i := range 50 {
		s.publish(fmt.Sprint("u", i))
	}
	eventually(t, "the fast ones", func() bool { return fast.count() == 50 })
	if took := time.Since(started); took > patience/2 {
		t.Errorf("it took %v", took)
	}
	if n := most.Load(); n > 3*laneWidth {
		t.Errorf("%d attempts at once", n)
	}
}

// What waits is on disk: memory does not grow with the queue.
func TestManyQueued(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReceiver(t, nil)
	s.endpoint(r.URL)
	const many = 10_000
	e := event.New(event.UserCreated, "users", "u", map[string]any{"record": map[string]any{"bio": strings.Repeat("x", 15_000)}}, s.clock.Now())
	err := s.app.RunInTransaction(func(tx core.App) error {
		for i := range many {
			e.ID, e.Subject = event.NewID(), fmt.Sprint("users/", i)
			if err := s.plugin.Publish(tx, e); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	before := runtime.NumGoroutine()
	s.start()
	eventually(t, "the first of many", func() bool { return s.counted(statusDelivered) > 200 })
	s.plugin.dispatch.mu.Lock()
	for _, l := range s.plugin.dispatch.lanes {
		if l.workers > laneWidth || len(l.flying) > laneWidth {
			t.Errorf("%d workers, %d in flight", l.workers, len(l.flying))
		}
	}
	s.plugin.dispatch.mu.Unlock()
	if s.metric("picobase_webhook_queue_length", "") == 0 {
		t.Error("the queue is not in the metrics")
	}
	s.stop()
	// Other tests run beside this one, so only a number per delivery would show.
	if n := runtime.NumGoroutine() - before; n > many/10 {
		t.Errorf("%d goroutines more", n)
	}
}

// What is rolled back is not sent, and what another process wrote is.
func TestOutbox(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReceiver(t, nil)
	s.endpoint(r.URL)
	s.start()
	e := event.New(event.UserCreated, "users", "rolled-back", nil, s.clock.Now())
	_ = s.app.RunInTransaction(func(tx core.App) error {
		return errors.Join(s.plugin.Publish(tx, e), errors.New("rolled back"))
	})
	sent := s.publish("committed")
	eventually(t, "the delivery", func() bool { return s.row(sent).Status == statusDelivered })
	if r.count() != 1 || s.counted(statusPending) > 0 {
		t.Errorf("%d deliveries", r.count())
	}
	// As another process does it: no hook, no wake.
	_, err := s.app.NonconcurrentDB().NewQuery("INSERT INTO " + table + " SELECT 'dlv_x', endpoint, 'msg_x', type, 'x', body, 'pending', created, due, 0, 0, '[]', '' FROM " + table).Execute()
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the foreign one", func() bool { return r.count() == 2 })
}

// Stop breaks off an attempt, and the next Start makes it again. Both can be
// called any number of times.
func TestStartAndStop(t *testing.T) {
	t.Parallel()
	s := newSite(t, func(cfg *Config) { cfg.Timeout = patience })
	s.stop()
	r := newReceiver(t, func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() })
	s.endpoint(r.URL)
	s.start()
	s.start()
	sent := s.publish("u1")
	eventually(t, "the attempt", func() bool { return r.count() == 1 })
	s.stop()
	s.stop()
	if row := s.row(sent); row.Attempts != 0 || row.Status != statusPending {
		t.Errorf("the broken-off attempt counts: %+v", row)
	}
	s.plugin.dispatch.mu.Lock()
	for _, l := range s.plugin.dispatch.lanes {
		if l.workers != 0 || len(l.flying) != 0 {
			t.Errorf("left behind: %+v", l)
		}
	}
	s.plugin.dispatch.mu.Unlock()
	r.then(nil)
	s.start()
	eventually(t, "the delivery", func() bool { return s.row(sent).Status == statusDelivered })
}

// A stop leaves no goroutine behind, whatever was under way. It runs alone, to
// count none of other tests.
func TestNoGoroutineIsLeft(t *testing.T) {
	s := newSite(t, func(cfg *Config) { cfg.Timeout = patience })
	r := newReceiver(t, func(_ http.ResponseWriter, r *http.Request, _ int) { <-r.Context().Done() })
	s.endpoint(r.URL)
	for i := range 20 {
		s.publish(fmt.Sprint("u", i))
	}
	round := func(n int) {
		s.start()
		eventually(t, "all attempts", func() bool { return r.count() == n*laneWidth })
		s.stop()
		r.CloseClientConnections()
	}
	round(1)
	before := runtime.NumGoroutine()
	for n := range 10 {
		round(n + 2)
	}
	eventually(t, "the end of all goroutines", func() bool { return runtime.NumGoroutine() <= before+2 })
}

// Where an endpoint leads is judged when it is called.
func TestGuard(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	r := newReceiver(t, nil)
	s.endpoint(r.URL)
	s.start()
	s.allow()
	sent := s.publish("u1")
	eventually(t, "the refusal", func() bool { return s.row(sent).Attempts == 1 })
	if last := lastOf(s.row(sent)); r.count() != 0 || !strings.Contains(last.Error, "allowedPrivateHosts") {
		t.Errorf("%+v, reached %d times", last, r.count())
	}
	s.allow("127.0.0.0/8")
	s.pass(6 * time.Second)
	eventually(t, "the delivery", func() bool { return s.row(sent).Status == statusDelivered })
}
