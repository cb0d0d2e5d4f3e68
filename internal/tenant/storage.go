package tenant

import (
	"path/filepath"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/objectstore/dir"
	"github.com/picobase/picobase/internal/objectstore/s3"
	"github.com/picobase/picobase/internal/objectstore/sealed"
	"github.com/picobase/picobase/internal/secret"
	"github.com/picobase/picobase/plugins/backups"
	"github.com/picobase/picobase/plugins/backups/replica"
	"github.com/picobase/picobase/plugins/backups/restore"
)

// Storage says where backups are kept.
type Storage struct {
	// S3 is the bucket. Nil keeps backups in the data folder, which protects
	// from mistakes and not from the loss of the disk.
	S3 *s3.Config

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
