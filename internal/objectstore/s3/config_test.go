package s3

import (
	"net/http"
	"strings"
	"testing"

	"github.com/picobase/picobase/internal/secret"
)

func TestConfig(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*Config)
		field  string // of the error
	}{
		"complete":               {func(*Config) {}, ""},
		"https":                  {func(c *Config) { c.Endpoint = "https://x.r2.cloudflarestorage.com/" }, ""},
		"aws":                    {func(c *Config) { c.Endpoint, c.Region = "", "eu-central-1" }, ""},
		"aws without region":     {func(c *Config) { c.Endpoint = "" }, "Region"},
		"no bucket":              {func(c *Config) { c.Bucket = "" }, "Bucket"},
		"bucket with folder":     {func(c *Config) { c.Bucket = "a/b" }, "Bucket"},
		"no key":                 {func(c *Config) { c.AccessKeyID = secret.String{} }, "AccessKeyID"},
		"no secret":              {func(c *Config) { c.SecretAccessKey = secret.String{} }, "SecretAccessKey"},
		"no scheme":              {func(c *Config) { c.Endpoint = "localhost:9000" }, "Endpoint"},
		"other scheme":           {func(c *Config) { c.Endpoint = "s3://bucket" }, "Endpoint"},
		"no host":                {func(c *Config) { c.Endpoint = "http://" }, "Endpoint"},
		"malformed":              {func(c *Config) { c.Endpoint = "http://u:hunter2@[" }, "Endpoint"},
		"credentials in the URL": {func(c *Config) { c.Endpoint = "http://u:hunter2@localhost" }, "Endpoint"},
		"query in the URL":       {func(c *Config) { c.Endpoint = "http://localhost?key=hunter2" }, "Endpoint"},
		"small parts":            {func(c *Config) { c.PartSize = 5<<20 - 1 }, "PartSize"},
		"negative concurrency":   {func(c *Config) { c.Concurrency = -1 }, "Concurrency"},
	} {
		cfg := Config{
			Endpoint: "http://127.0.0.1:9000", Bucket: "bucket",
			AccessKeyID: secret.New("id"), SecretAccessKey: secret.New("hunter2"),
		}
		c.change(&cfg)
		_, err := New(cfg)
		if c.field == "" {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), c.field+": ") {
			t.Errorf("%s: %v does not begin with %s", name, err, c.field)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: shows a secret: %v", name, err)
		}
	}
}

func TestDefaultRegion(t *testing.T) {
	t.Parallel()
	for endpoint, want := range map[string]string{
		"":                                     "",
		"https://acc.r2.cloudflarestorage.com": "auto",
		"https://acc.eu.r2.cloudflarestorage.com": "auto",
		"http://127.0.0.1:9000":                   "us-east-1",
		"https://r2.cloudflarestorage.com.evil.x": "us-east-1",
	} {
		if got := defaultRegion(endpoint); got != want {
			t.Errorf("%q: %q", endpoint, got)
		}
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestAddressing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ endpoint, region, prefix, want string }{
		{"", "eu-central-1", "", "https://bucket.s3.eu-central-1.amazonaws.com/a/b"},
		{"", "eu-central-1", "/x/y/", "https://bucket.s3.eu-central-1.amazonaws.com/x/y/a/b"},
		{"https://acc.r2.cloudflarestorage.com", "", "x", "https://acc.r2.cloudflarestorage.com/bucket/x/a/b"},
		{"http://127.0.0.1:9000/", "us-east-1", "", "http://127.0.0.1:9000/bucket/a/b"},
	} {
		var got string
		store := open(t, Config{
			Endpoint: c.endpoint, Region: c.region, Bucket: "bucket", Prefix: c.prefix,
			AccessKeyID: secret.New("id"), SecretAccessKey: secret.New("secret"),
			HTTPClient: &http.Client{Transport: transport(func(r *http.Request) (*http.Response, error) {
				got = r.URL.Scheme + "://" + r.URL.Host + r.URL.Path
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
			})},
		})
		if _, err := store.Stat(t.Context(), "a/b"); err != nil {
			t.Fatal(err)
		}
		if got != c.want {
			t.Errorf("%+v: requested %s", c, got)
		}
	}
}

// What belongs to other programs on the machine must not change where backups go.
func TestEnvironmentIsIgnored(t *testing.T) {
	for _, name := range []string{"AWS_CA_BUNDLE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
		t.Setenv(name, "/does/not/exist")
	}
	for _, name := range []string{"AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "HTTP_PROXY", "HTTPS_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:1")
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "other")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "other")
	t.Setenv("AWS_REGION", "elsewhere")
	t.Setenv("AWS_PROFILE", "missing")
	t.Setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "WHEN_SUPPORTED")
	server := startServer(t)
	store := open(t, configOf(server, server.Bucket(t)))
	if err := store.Probe(t.Context()); err != nil {
		t.Error(err)
	}
}
