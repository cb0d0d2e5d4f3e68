// Package s3 keeps objects in a bucket of S3, R2, MinIO or their like.
//
// It reads no environment, no file and no metadata service: what it needs is in
// Config. It makes no buckets. What it does not trust a server with: to delete
// what it says it deleted, and to answer at all.
//
//	store, err := s3.New(s3.Config{Endpoint: "https://…", Bucket: "backups", AccessKeyID: id, SecretAccessKey: key})
//	_, err = store.Put(ctx, "a/b", body, objectstore.PutOptions{})
package s3

import (
	"context"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/ratelimit"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/secret"
)

const (
	defaultPartSize    = 8 << 20
	minPartSize        = 5 << 20 // S3's own
	defaultConcurrency = 2       // more makes R2 refuse

	attempts   = 3
	maxBackoff = 2 * time.Second

	// timeKey is where Litestream keeps the time that an object is of, too.
	timeKey = "litestream-timestamp"
)

// Config says which bucket, and how to reach it.
type Config struct {
	// Endpoint is the server's URL; the bucket goes into the path. Default AWS,
	// with the bucket in the host name.
	Endpoint string

	// Region is signed into requests. Default "auto" for R2 and "us-east-1" for
	// other endpoints; AWS needs the real one.
	Region string

	// Bucket must exist. Required.
	Bucket string

	// Prefix is the folder in the bucket that the keys are in. Default the whole bucket.
	Prefix string

	// AccessKeyID and SecretAccessKey sign the requests. Required.
	AccessKeyID, SecretAccessKey secret.String

	// HTTPClient does the requests. The default gives up on a server that does
	// not accept for 5 s, does not answer for 30 s, or moves no byte for 30 s.
	// It uses no proxy.
	HTTPClient *http.Client

	// PartSize is the size of all parts but the last of a larger upload, and
	// what each takes in memory. Default 8 MiB, minimum 5 MiB.
	PartSize int64

	// Concurrency is how many parts of one upload are sent at once. Default 2.
	Concurrency int
}

// defaultRegion is what servers without regions go by; AWS has no default.
func defaultRegion(endpoint string) string {
	parsed, err := url.Parse(endpoint)
	switch {
	case endpoint == "":
		return ""
	case err == nil && strings.HasSuffix(parsed.Hostname(), ".r2.cloudflarestorage.com"):
		return "auto"
	}
	return "us-east-1"
}

func (c *Config) complete() error {
	if c.Region == "" {
		c.Region = defaultRegion(c.Endpoint)
	}
	if c.PartSize == 0 {
		c.PartSize = defaultPartSize
	}
	if c.Concurrency == 0 {
		c.Concurrency = defaultConcurrency
	}
	if c.HTTPClient == nil {
		c.HTTPClient = newHTTPClient(connectTimeout, headerTimeout, idleTimeout)
	}
	if c.Prefix = strings.Trim(c.Prefix, "/"); c.Prefix != "" {
		c.Prefix += "/"
	}
	switch {
	case c.Bucket == "":
		return wrong("Bucket", "required")
	case strings.Contains(c.Bucket, "/"):
		return wrong("Bucket", "%q is not a bucket's name; a folder goes into Prefix", c.Bucket)
	case c.AccessKeyID.IsZero():
		return wrong("AccessKeyID", "required")
	case c.SecretAccessKey.IsZero():
		return wrong("SecretAccessKey", "required")
	case c.Endpoint == "" && c.Region == "":
		return wrong("Region", "required without Endpoint, for example us-east-1")
	case c.PartSize < minPartSize:
		return wrong("PartSize", "%d is below the minimum of %d", c.PartSize, minPartSize)
	case c.Concurrency < 1:
		return wrong("Concurrency", "%d is below 1", c.Concurrency)
	}
	return c.checkEndpoint()
}

// wrong returns the error of a field, which begins with its name.
func wrong(field, format string, args ...any) error {
	return fmt.Errorf("%s: %s", field, fmt.Sprintf(format, args...))
}

func (c *Config) checkEndpoint() error {
	if c.Endpoint == "" {
		return nil
	}
	u, err := url.Parse(c.Endpoint)
	switch {
	// Neither prints the URL: it may hold a password.
	case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
		return wrong("Endpoint", "not an http:// or https:// URL")
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return wrong("Endpoint", "must be a plain URL; credentials go into AccessKeyID and SecretAccessKey")
	}
	return nil
}

// Store is a folder of a bucket.
type Store struct {
	cfg    Config
	client *s3.Client
}

var _ objectstore.Store = (*Store)(nil)

// New returns the store that cfg describes. It makes no request; see Probe.
// Errors begin with the name of the field that is wrong.
func New(cfg Config) (*Store, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	options := s3.Options{
		Region:       cfg.Region,
		Credentials:  credentials.NewStaticCredentialsProvider(cfg.AccessKeyID.Reveal(), cfg.SecretAccessKey.Reveal(), ""),
		HTTPClient:   cfg.HTTPClient,
		UsePathStyle: cfg.Endpoint != "",
		// R2 and others fail on the checksums that the SDK adds by default.
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		Retryer: retry.NewStandard(func(o *retry.StandardOptions) {
			o.MaxAttempts = attempts
			o.MaxBackoff = maxBackoff
			// The attempts are bounded as it is; the quota would make calls fail
			// at once after an outage.
			o.RateLimiter = ratelimit.None
		}),
	}
	if cfg.Endpoint != "" {
		options.BaseEndpoint = aws.String(cfg.Endpoint)
	}
	return &Store{cfg: cfg, client: s3.New(options)}, nil
}

func (s *Store) bucket() *string { return aws.String(s.cfg.Bucket) }

func (s *Store) key(key string) *string { return aws.String(s.cfg.Prefix + key) }

// Probe lists one object, which needs the endpoint, the credentials and the bucket.
func (s *Store) Probe(ctx context.Context) error {
	_, err := s.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
		Bucket: s.bucket(), Prefix: aws.String(s.cfg.Prefix), MaxKeys: aws.Int32(1),
	})
	if err != nil {
		return s.fail(ctx, "probe", "", err)
	}
	return nil
}

// Get opens a range of the object.
func (s *Store) Get(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	input := &s3.GetObjectInput{Bucket: s.bucket(), Key: s.key(key)}
	switch {
	case offset < 0:
		return nil, fmt.Errorf("s3: get %q: offset %d is below 0", key, offset)
	case length == 0: // which no range can say
		if _, err := s.Stat(ctx, key); err != nil {
			return nil, err
		}
		return http.NoBody, nil
	case length > 0:
		input.Range = aws.String(fmt.Sprintf("bytes=%d-%d", offset, offset+length-1))
	case offset > 0:
		input.Range = aws.String(fmt.Sprintf("bytes=%d-", offset))
	}
	output, err := s.client.GetObject(ctx, input)
	if status(err) == http.StatusRequestedRangeNotSatisfiable {
		return http.NoBody, nil
	}
	if err != nil {
		return nil, s.fail(ctx, "get", key, err)
	}
	// A server that knows no ranges would pass off the beginning as the range.
	if input.Range != nil && output.ContentRange == nil && (offset > 0 || aws.ToInt64(output.ContentLength) > length) {
		_ = output.Body.Close()
		return nil, fmt.Errorf("s3: get %q: the server ignored the range", key)
	}
	return &reader{ReadCloser: output.Body, wrap: func(err error) error { return s.fail(ctx, "get", key, err) }}, nil
}

// reader gives errors in the middle of a body the shape of all others.
type reader struct {
	io.ReadCloser
	wrap func(error) error
}

func (r *reader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	if err != nil && err != io.EOF { //nolint:errorlint // readers return io.EOF itself
		err = r.wrap(err)
	}
	return n, err
}

// Stat describes the object.
func (s *Store) Stat(ctx context.Context, key string) (objectstore.Info, error) {
	output, err := s.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: s.bucket(), Key: s.key(key)})
	if status(err) == http.StatusNotFound {
		// The answer has no body that would say what was not found.
		if _, bucketErr := s.client.HeadBucket(ctx, &s3.HeadBucketInput{Bucket: s.bucket()}); status(bucketErr) == http.StatusNotFound {
			return objectstore.Info{}, &failure{op: "s3: stat " + quote(key), text: s.noBucket()}
		}
	}
	if err != nil {
		return objectstore.Info{}, s.fail(ctx, "stat", key, err)
	}
	info := objectstore.Info{
		Key:      key,
		Size:     aws.ToInt64(output.ContentLength),
		Modified: aws.ToTime(output.LastModified),
		ETag:     aws.ToString(output.ETag),
	}
	if at, err := time.Parse(time.RFC3339Nano, output.Metadata[timeKey]); err == nil {
		info.Modified = at
	}
	return info, nil
}

// List yields objects page by page.
func (s *Store) List(ctx context.Context, prefix, after string) iter.Seq2[objectstore.Info, error] {
	return func(yield func(objectstore.Info, error) bool) {
		input := &s3.ListObjectsV2Input{Bucket: s.bucket(), Prefix: s.key(prefix)}
		if after != "" {
			input.StartAfter = s.key(after)
		}
		pages := s3.NewListObjectsV2Paginator(s.client, input)
		for pages.HasMorePages() {
			page, err := pages.NextPage(ctx)
			if err != nil {
				yield(objectstore.Info{}, s.fail(ctx, "list", prefix, err))
				return
			}
			for _, object := range page.Contents {
				info := objectstore.Info{
					Key:      strings.TrimPrefix(aws.ToString(object.Key), s.cfg.Prefix),
					Size:     aws.ToInt64(object.Size),
					Modified: aws.ToTime(object.LastModified),
					ETag:     aws.ToString(object.ETag),
				}
				if !yield(info, nil) {
					return
				}
			}
		}
	}
}
