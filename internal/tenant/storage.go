package tenant

import (
	"errors"
	"path/filepath"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/objectstore/dir"
	"github.com/picobase/picobase/internal/objectstore/s3"
	"github.com/picobase/picobase/internal/objectstore/sealed"
	"github.com/picobase/picobase/internal/secret"
	"github.com/picobase/picobase/plugins/backups"
	"github.com/picobase/picobase/plugins/backups/replica"
	"github.com/picobase/picobase/plugins/backups/restore"
	"github.com/pocketbase/pocketbase/core"
)

// Storage says where backups are kept.
type Storage struct {
	// S3 is the bucket. Nil keeps backups in the data folder, which protects
	// from mistakes and not from the loss of the disk.
	S3 *s3.Config

	// BranchFrom is the project that a new one begins as a copy of: a prefix in the
	// same bucket, or without one a data folder. BranchAt is the moment (default
	// the latest). They mean nothing once the folder or its replica has data.
	BranchFrom string
	BranchAt   time.Time

	// EncryptionKey is an age identity. Zero for no encryption.
	EncryptionKey secret.String
}

// stores lays out what backups need in the bucket, or in the data folder.
func (s Storage) stores(dataDir string) (backups.Stores, error) {
	if s.S3 != nil {
		bucket, err := s3.New(*s.S3)
		if err != nil {
			return backups.Stores{}, err
		}
		root := sealed.OpenLater(bucket, s.EncryptionKey)
		return backups.Stores{
			Replica: objectstore.Prefix(root, "replica/"),
			Layout:  replica.LayoutS3,
			Archive: objectstore.Prefix(root, "backups/"),
			Catalog: objectstore.Prefix(root, "catalog/"),
			State:   objectstore.Prefix(root, "state/"),
			Files:   objectstore.Prefix(root, "files/"),
		}, nil
	}
	root := sealed.OpenLater(dir.New(filepath.Join(dataDir, restore.Folder, "store")), s.EncryptionKey)
	stores := backups.Stores{
		Replica: objectstore.Prefix(root, "replica/"),
		Layout:  replica.LayoutFile,
		Catalog: objectstore.Prefix(root, "catalog/"),
		State:   objectstore.Prefix(root, "state/"),
		Archive: objectstore.Prefix(root, "backups/"),
	}
	if s.EncryptionKey.IsZero() {
		// Where stock PocketBase has its backups, and finds these.
		stores.Archive = dir.New(filepath.Join(dataDir, "backups"))
	}
	return stores, nil
}

// branch returns where to read the project that this one begins as, if any. It has
// the same encryption key.
func (s Storage) branch() (*backups.Branch, error) {
	if s.BranchFrom == "" {
		return nil, nil
	}
	b := &backups.Branch{Name: s.BranchFrom, At: s.BranchAt}
	if s.S3 != nil {
		source := *s.S3
		source.Prefix = s.BranchFrom
		if strings.Trim(source.Prefix, "/") == strings.Trim(s.S3.Prefix, "/") {
			return nil, errors.New("PICOBASE_BRANCH_FROM and PICOBASE_S3_PREFIX are the same: a branch needs a prefix of its own")
		}
		bucket, err := s3.New(source)
		if err != nil {
			return nil, err
		}
		root := sealed.OpenLater(objectstore.ReadOnly(bucket), s.EncryptionKey)
		b.Replica, b.Layout = objectstore.Prefix(root, "replica/"), replica.LayoutS3
		b.Files = objectstore.Prefix(root, "files/")
		return b, nil
	}
	root := sealed.OpenLater(objectstore.ReadOnly(dir.New(filepath.Join(s.BranchFrom, restore.Folder, "store"))), s.EncryptionKey)
	b.Replica, b.Layout = objectstore.Prefix(root, "replica/"), replica.LayoutFile
	b.Files = objectstore.ReadOnly(dir.New(filepath.Join(s.BranchFrom, core.LocalStorageDirName)))
	return b, nil
}
