package s3

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/objectstore/s3test"
	"github.com/picobase/picobase/internal/objectstore/storetest"
	"github.com/picobase/picobase/internal/secret"
)

func startServer(t *testing.T) *s3test.Server { return s3test.Start(t) }

func configOf(server *s3test.Server, bucket string) Config {
	return Config{
		Endpoint:        server.Endpoint,
		Bucket:          bucket,
		AccessKeyID:     secret.New(server.AccessKey),
		SecretAccessKey: secret.New(server.SecretKey),
	}
}

func open(t *testing.T, cfg Config) *Store {
	t.Helper()
	store, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return store
}

func TestConformance(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	storetest.Run(t, func(t *testing.T) objectstore.Store {
		cfg := configOf(server, server.Bucket(t))
		cfg.Prefix = "tenants/x"
		return open(t, cfg)
	})
}

// watched records requests and may answer them itself.
type watched struct {
	http.RoundTripper
	answer func(*http.Request) *http.Response // nil passes on

	mu   sync.Mutex
	seen []*http.Request
}

func (w *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.seen = append(w.seen, r)
	w.mu.Unlock()
	if w.answer != nil {
		if response := w.answer(r); response != nil {
			response.Request = r
			return response, nil
		}
	}
	return w.RoundTripper.RoundTrip(r)
}

func watch(cfg *Config, answer func(*http.Request) *http.Response) *watched {
	w := &watched{RoundTripper: newHTTPClient(connectTimeout, headerTimeout, idleTimeout).Transport, answer: answer}
	cfg.HTTPClient = &http.Client{Transport: w}
	return w
}

func answerWith(status int, body string) *http.Response {
	return &http.Response{
		StatusCode: status, ContentLength: int64(len(body)), Body: io.NopCloser(strings.NewReader(body)),
		Header: http.Header{"Content-Type": {"application/xml"}},
	}
}

func isDeleteObjects(r *http.Request) bool {
	return r.Method == http.MethodPost && r.URL.Query().Has("delete")
}

func TestUploads(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	cfg := configOf(server, server.Bucket(t))
	w := watch(&cfg, nil)
	store := open(t, cfg)
	for _, c := range []struct {
		size  int
		parts []int64 // their sizes, nil for one PutObject
	}{
		{0, nil},
		{defaultPartSize, nil},
		{defaultPartSize + 1, []int64{defaultPartSize, 1}},
		{3 * defaultPartSize, []int64{defaultPartSize, defaultPartSize, defaultPartSize}},
	} {
		w.seen = nil
		if _, err := store.Put(t.Context(), "object", bytes.NewReader(make([]byte, c.size)), objectstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
		var parts []int64
		for _, r := range w.seen {
			if r.URL.Query().Has("partNumber") {
				parts = append(parts, r.ContentLength)
			}
			for name := range r.Header {
				if strings.Contains(strings.ToLower(name), "checksum") || strings.EqualFold(name, "X-Amz-Trailer") {
					t.Errorf("%s %s has %s", r.Method, r.URL.RawQuery, name)
				}
			}
		}
		slices.SortFunc(parts, func(a, b int64) int { return int(b - a) })
		if !slices.Equal(parts, c.parts) {
			t.Errorf("%d bytes went in parts of %d", c.size, parts)
		}
		if want := 1; c.parts == nil && len(w.seen) != want {
			t.Errorf("%d bytes took %d requests", c.size, len(w.seen))
		}
	}
}

func TestFailedUploadLeavesNoParts(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	content := make([]byte, 30<<20)
	errBody := errors.New("the body broke")
	whole := func(func()) io.Reader { return bytes.NewReader(content) }
	for name, c := range map[string]struct {
		body   func(cancel func()) io.Reader
		opts   objectstore.PutOptions
		broken string // this part
		want   error
	}{
		"body": {body: func(func()) io.Reader { return io.MultiReader(bytes.NewReader(content), failing{errBody}) }, want: errBody},
		"context": {body: func(cancel func()) io.Reader {
			return io.MultiReader(bytes.NewReader(content), calling(cancel), bytes.NewReader(content))
		}, want: context.Canceled},
		"condition": {body: whole, opts: objectstore.PutOptions{IfMatch: `"x"`}, want: objectstore.ErrChanged},
		"server":    {body: whole, broken: "3"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := configOf(server, server.Bucket(t))
			w := watch(&cfg, func(r *http.Request) *http.Response {
				if c.broken != "" && r.URL.Query().Get("partNumber") == c.broken {
					return answerWith(http.StatusForbidden, "<Error><Code>AccessDenied</Code></Error>")
				}
				return nil
			})
			store := open(t, cfg)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			_, err := store.Put(ctx, "object", c.body(cancel), c.opts)
			if err == nil || c.want != nil && !errors.Is(err, c.want) {
				t.Errorf("put: %v", err)
			}
			aborts := func(r *http.Request) bool { return r.Method == http.MethodDelete && r.URL.Query().Has("uploadId") }
			if !slices.ContainsFunc(w.seen, aborts) {
				t.Error("the upload was not aborted")
			}
			uploads, err := store.client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: store.bucket()})
			// This server may store a part late whose request was cut.
			if (err != nil || len(uploads.Uploads) > 0) && name != "context" {
				t.Errorf("left are %d uploads, %v", len(uploads.Uploads), err)
			}
			if _, err := store.Stat(t.Context(), "object"); !errors.Is(err, objectstore.ErrNotFound) {
				t.Errorf("stat: %v", err)
			}
		})
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

type calling func()

func (f calling) Read([]byte) (int, error) {
	f()
	return 0, io.EOF
}

func TestLitestreamTime(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	cfg := configOf(server, server.Bucket(t))
	w := watch(&cfg, nil)
	at := someTime
	if _, err := open(t, cfg).Put(t.Context(), "object", strings.NewReader("x"), objectstore.PutOptions{Time: at}); err != nil {
		t.Fatal(err)
	}
	if got := w.seen[0].Header.Get("x-amz-meta-litestream-timestamp"); got != "2024-02-29T22:59:58.123456789Z" {
		t.Errorf("time is %q", got)
	}
}

func TestDeleteTrustsNobody(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	lie := func(r *http.Request) *http.Response {
		if isDeleteObjects(r) {
			return answerWith(http.StatusOK, "<DeleteResult></DeleteResult>")
		}
		return nil
	}
	for name, c := range map[string]struct {
		answer func(*http.Request) *http.Response
		want   string // in the error
	}{
		"honest":         {nil, ""},
		"many is a lie":  {lie, ""},
		"refuses a key":  {func(r *http.Request) *http.Response { return refuse(r, "AccessDenied") }, ""},
		"says not found": {func(r *http.Request) *http.Response { return refuse(r, "NoSuchKey") }, ""},
		"all is a lie": {func(r *http.Request) *http.Response {
			if r.Method == http.MethodDelete {
				return answerWith(http.StatusNoContent, "")
			}
			return lie(r)
		}, "stay"},
		"refuses all": {func(r *http.Request) *http.Response {
			if r.Method == http.MethodDelete {
				return answerWith(http.StatusForbidden, "<Error><Code>AccessDenied</Code><Message>no</Message></Error>")
			}
			return refuse(r, "AccessDenied")
		}, "were refused"},
	} {
		cfg := configOf(server, server.Bucket(t))
		watch(&cfg, c.answer)
		store := open(t, cfg)
		for _, key := range []string{"a/1", "a/2", "keep", "z"} {
			if _, err := store.Put(t.Context(), key, strings.NewReader("x"), objectstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		err := store.Delete(t.Context(), "z", "a/1", "a/2", "missing")
		if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
			t.Errorf("%s: %v", name, err)
		}
		var left []string
		for info, err := range store.List(t.Context(), "", "") {
			if err != nil {
				t.Fatal(err)
			}
			left = append(left, info.Key)
		}
		if c.want == "" && !slices.Equal(left, []string{"keep"}) {
			t.Errorf("%s: left are %q", name, left)
		}
	}
}

func refuse(r *http.Request, code string) *http.Response {
	if !isDeleteObjects(r) {
		return nil
	}
	return answerWith(http.StatusOK, "<DeleteResult><Error><Key>a/1</Key><Code>"+code+"</Code><Message>no</Message></Error></DeleteResult>")
}

// Deleting neighbours among many objects must not list them all, or one by one.
func TestDeleteVerifiesCheaply(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	cfg := configOf(server, server.Bucket(t))
	w := watch(&cfg, nil)
	store := open(t, cfg)
	keys := make([]string, 60)
	for i := range keys {
		keys[i] = "level/" + strings.Repeat("0", 10) + string(rune('A'+i))
		if _, err := store.Put(t.Context(), keys[i], strings.NewReader("x"), objectstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	w.seen = nil
	if err := store.Delete(t.Context(), keys[:50]...); err != nil {
		t.Fatal(err)
	}
	if len(w.seen) != 2 {
		t.Errorf("took %d requests", len(w.seen))
	}
	if w.seen[0].Header.Get("Content-MD5") == "" {
		t.Error("no Content-MD5")
	}
}
