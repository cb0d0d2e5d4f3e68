package tenant

import (
	"strings"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/objectstore/s3"
	"github.com/picobase/picobase/plugins/backups"
	"github.com/pocketbase/pocketbase/core"
)

// What the platform, which is a PocketBase app too, shares with tenants.

// NewApp returns an app with the databases set up as a tenant's.
func NewApp(cfg Config) core.App { return newApp(cfg) }

// Folders in the bucket of a fleet, below its prefix.
const (
	registryFolder = "platform"
	projectsFolder = "projects/"
)

// Fleet lays out what a platform needs in the bucket of its fleet: the stores of
// its own backups, and what projects keep there, each in a folder by its id (nil
// without a bucket).
func (s Storage) Fleet(dataDir string) (own backups.Stores, projects objectstore.Store, err error) {
	if s.S3 == nil {
		own, err = s.stores(dataDir)
		return own, nil, err
	}
	if own, err = s.in(registryFolder).stores(dataDir); err != nil {
		return own, nil, err
	}
	bucket, err := s3.New(*s.S3)
	if err != nil {
		return own, nil, err
	}
	return own, objectstore.Prefix(bucket, projectsFolder), nil
}

// Project returns the bucket's settings for one project of the fleet.
func (s Storage) Project(id string) s3.Config { return *s.in(projectsFolder + id).S3 }

func (s Storage) in(folder string) Storage {
	cfg := *s.S3
	cfg.Prefix = strings.Trim(strings.Trim(cfg.Prefix, "/")+"/"+folder, "/")
	return Storage{S3: &cfg, EncryptionKey: s.EncryptionKey}
}
