package s3

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/objectstore/s3test"
	"github.com/picobase/picobase/internal/secret"
)

var someTime = time.Date(2024, 2, 29, 23, 59, 58, 123456789, time.FixedZone("", 3600))

// everything returns what each method says.
func everything(ctx context.Context, store objectstore.Store) map[string]error {
	_, put := store.Put(ctx, "k", strings.NewReader("x"), objectstore.PutOptions{})
	_, parts := store.Put(ctx, "k", bytes.NewReader(make([]byte, 9<<20)), objectstore.PutOptions{IfAbsent: true})
	_, get := objectstore.ReadAll(ctx, store, "k")
	_, stat := store.Stat(ctx, "k")
	var list error
	for _, err := range store.List(ctx, "k", "") {
		list = err
	}
	return map[string]error{"put": put, "parts": parts, "get": get, "stat": stat, "list": list, "delete": store.Delete(ctx, "k")}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	const key, password = "AKIA-SECRET-ID", "hunter2-secret"
	server := startServer(t)
	bucket := server.Bucket(t)
	echo := "<Error><Code>SignatureDoesNotMatch</Code><Message>" + key + " " + password + "</Message></Error>"
	for name, c := range map[string]struct {
		change func(*Config)
		want   string // in Probe's error
	}{
		"no bucket":   {func(c *Config) { c.Bucket = "missing-bucket" }, `bucket "missing-bucket" does not exist`},
		"unknown key": {func(c *Config) { c.AccessKeyID = secret.New(key) }, "access key"},
		"unknown key on AWS": {func(c *Config) {
			watch(c, func(*http.Request) *http.Response {
				return answerWith(http.StatusForbidden, "<Error><Code>InvalidAccessKeyId</Code></Error>")
			})
		}, "AccessKeyID"},
		"wrong secret": {func(c *Config) { c.SecretAccessKey = secret.New(password) }, "SecretAccessKey"},
		"wrong region": {func(c *Config) { c.Region = "eu-central-1" }, "region"},
		"refused":      {func(c *Config) { c.Endpoint = "http://127.0.0.1:1" }, "http://127.0.0.1:1 cannot be reached: dial tcp"},
		"unknown host": {func(c *Config) { c.Endpoint = "http://host.invalid" }, "http://host.invalid cannot be reached: dial tcp"},
		"not S3": {func(c *Config) {
			watch(c, func(*http.Request) *http.Response { return answerWith(http.StatusNotImplemented, "<html>hello</html>") })
		}, "501"},
		"echoes": {func(c *Config) {
			c.AccessKeyID, c.SecretAccessKey = secret.New(key), secret.New(password)
			watch(c, func(*http.Request) *http.Response { return answerWith(http.StatusForbidden, echo) })
		}, "******"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cfg := configOf(server, bucket)
			c.change(&cfg)
			store := open(t, cfg)
			probe := store.Probe(t.Context())
			t.Log(probe)
			if probe == nil || !strings.Contains(probe.Error(), c.want) {
				t.Errorf("probe: %v", probe)
			}
			all := everything(t.Context(), store)
			all["probe"] = probe
			for op, err := range all {
				if err == nil || errors.Is(err, objectstore.ErrNotFound) || errors.Is(err, objectstore.ErrChanged) {
					t.Errorf("%s: %v", op, err)
				}
				for ; err != nil; err = errors.Unwrap(err) {
					text := fmt.Sprintf("%v %+v %#v", err, err, err)
					for _, private := range []string{key, password, server.SecretKey, "Signature=", "X-Amz-Signature"} {
						if strings.Contains(text, private) {
							t.Errorf("%s shows %s: %s", op, private, text)
						}
					}
				}
			}
		})
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	proxy := s3test.StartProxy(t, server.Endpoint)
	cfg := configOf(server, server.Bucket(t))
	cfg.Endpoint = proxy.Endpoint
	content := bytes.Repeat([]byte("x"), 9<<20)
	if _, err := open(t, cfg).Put(t.Context(), "kept", bytes.NewReader(content), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	const idle = 300 * time.Millisecond
	cfg.HTTPClient = newHTTPClient(idle, idle, idle)
	store := open(t, cfg)
	for _, fault := range []s3test.Fault{s3test.Fail, s3test.Hang, s3test.Refuse} {
		proxy.Fault(fault)
		for op, err := range everything(t.Context(), store) {
			if err == nil || errors.Is(err, objectstore.ErrNotFound) || errors.Is(err, objectstore.ErrChanged) {
				t.Errorf("%s: %s: %v", fault, op, err)
			}
		}
		t.Log(store.Probe(t.Context()))
		proxy.Fault(s3test.NoFault)
		// The same store recovers; a busy machine may need more than one try.
		got, err := objectstore.ReadAll(t.Context(), store, "kept")
		for deadline := time.Now().Add(20 * time.Second); err != nil && time.Now().Before(deadline); {
			got, err = objectstore.ReadAll(t.Context(), store, "kept")
		}
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("after %s: %d bytes, %v", fault, len(got), err)
		}
	}
}

// A server that stops in the middle must not hang who has no deadline.
func TestStalls(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	proxy := s3test.StartProxy(t, server.Endpoint)
	cfg := configOf(server, server.Bucket(t))
	cfg.Endpoint = proxy.Endpoint
	if _, err := open(t, cfg).Put(t.Context(), "k", bytes.NewReader(make([]byte, 64<<20)), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}

	cfg.HTTPClient = newHTTPClient(time.Second, time.Second, time.Second)
	store := open(t, cfg)
	body, err := store.Get(t.Context(), "k", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err := io.CopyN(io.Discard, body, 1<<20); err != nil {
		t.Fatal(err)
	}
	proxy.Fault(s3test.Hang)
	if _, err := io.Copy(io.Discard, body); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("stalled download: %v", err)
	}
	proxy.Fault(s3test.NoFault)

	stalling := io.MultiReader(bytes.NewReader(make([]byte, 20<<20)), calling(func() { proxy.Fault(s3test.Hang) }), bytes.NewReader(make([]byte, 20<<20)))
	if _, err := store.Put(t.Context(), "k2", stalling, objectstore.PutOptions{}); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("stalled upload: %v", err)
	}
}

// A slow reader is no stalled server.
func TestSlowReader(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	cfg := configOf(server, server.Bucket(t))
	if _, err := open(t, cfg).Put(t.Context(), "k", bytes.NewReader(make([]byte, 32<<20)), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	const idle = 300 * time.Millisecond
	cfg.HTTPClient = newHTTPClient(connectTimeout, headerTimeout, idle)
	body, err := open(t, cfg).Get(t.Context(), "k", 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	defer body.Close()
	if _, err := io.CopyN(io.Discard, body, 1<<20); err != nil {
		t.Fatal(err)
	}
	<-time.After(2 * idle) // the pause is what is tested
	if n, err := io.Copy(io.Discard, body); err != nil || n != 31<<20 {
		t.Errorf("%d bytes, %v", n, err)
	}
}

func TestRestart(t *testing.T) {
	t.Parallel()
	server := startServer(t)
	store := open(t, configOf(server, server.Bucket(t)))
	if _, err := store.Put(t.Context(), "k", strings.NewReader("x"), objectstore.PutOptions{}); err != nil {
		t.Fatal(err)
	}
	server.Stop()
	if err := store.Probe(t.Context()); err == nil {
		t.Error("probe reaches a stopped server")
	}
	server.Restart()
	if got, err := objectstore.ReadAll(t.Context(), store, "k"); err != nil || string(got) != "x" {
		t.Errorf("%q, %v", got, err)
	}
}
