package s3

import (
	"testing"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/objectstore/s3test"
	"github.com/picobase/picobase/internal/objectstore/storetest"
	"github.com/picobase/picobase/internal/secret"
)

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
	server := s3test.Start(t)
	storetest.Run(t, func(t *testing.T) objectstore.Store {
		cfg := configOf(server, server.Bucket(t))
		cfg.Prefix = "tenants/x"
		return open(t, cfg)
	})
}
