package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/objectstore/s3"
	"github.com/picobase/picobase/internal/objectstore/sealed"
	"github.com/picobase/picobase/internal/secret"
	"github.com/picobase/picobase/internal/tenant"
)

const s3Prefix = "PICOBASE_S3_"

// readStorage reads from the environment where backups are kept. Without any
// of the bucket's variables it is the data folder; some without the others are
// an error, since backups would silently go nowhere.
func readStorage() (tenant.Storage, error) {
	var storage tenant.Storage
	var err error
	if storage.EncryptionKey, err = encryptionKey(); err != nil {
		return storage, err
	}
	if err := readBranch(&storage); err != nil {
		return storage, err
	}
	cfg := s3.Config{
		Endpoint: os.Getenv(s3Prefix + "ENDPOINT"), Region: os.Getenv(s3Prefix + "REGION"),
		Bucket: os.Getenv(s3Prefix + "BUCKET"), Prefix: os.Getenv(s3Prefix + "PREFIX"),
	}
	if cfg.AccessKeyID, err = secret.FromEnv(os.LookupEnv, s3Prefix+"ACCESS_KEY_ID"); err != nil {
		return storage, err
	}
	if cfg.SecretAccessKey, err = secret.FromEnv(os.LookupEnv, s3Prefix+"SECRET_ACCESS_KEY"); err != nil {
		return storage, err
	}
	given := cfg.Endpoint + cfg.Region + cfg.Bucket + cfg.Prefix
	if given == "" && cfg.AccessKeyID.IsZero() && cfg.SecretAccessKey.IsZero() {
		return storage, nil
	}
	var missing []string
	for name, absent := range map[string]bool{
		"BUCKET": cfg.Bucket == "", "ACCESS_KEY_ID": cfg.AccessKeyID.IsZero(), "SECRET_ACCESS_KEY": cfg.SecretAccessKey.IsZero(),
	} {
		if absent {
			missing = append(missing, s3Prefix+name)
		}
	}
	if len(missing) > 0 {
		return storage, fmt.Errorf("the bucket for backups is not complete: set %s too, or none of %s*", strings.Join(missing, " and "), s3Prefix)
	}
	if _, err := s3.New(cfg); err != nil {
		return storage, fmt.Errorf("the bucket for backups (%s*): %w", s3Prefix, err)
	}
	storage.S3 = &cfg
	return storage, nil
}

func encryptionKey() (secret.String, error) {
	const name = "PICOBASE_ENCRYPTION_KEY"
	key, err := secret.FromEnv(os.LookupEnv, name)
	if err != nil || key.IsZero() {
		return key, err
	}
	identity, err := sealed.ParseKey(key.Reveal())
	if err != nil {
		return key, fmt.Errorf("%s %w", name, err)
	}
	return secret.New(identity), nil
}

// readBranch reads which project a new one begins as a copy of.
func readBranch(storage *tenant.Storage) error {
	const from, at = "PICOBASE_BRANCH_FROM", "PICOBASE_BRANCH_AT"
	storage.BranchFrom = os.Getenv(from)
	moment := os.Getenv(at)
	if moment == "" {
		return nil
	}
	if storage.BranchFrom == "" {
		return fmt.Errorf("%s is set and %s is not: set both, or neither", at, from)
	}
	var err error
	if storage.BranchAt, err = time.Parse(time.RFC3339, moment); err != nil {
		return fmt.Errorf("%s: %q is not a time as 2027-01-31T12:00:00Z", at, moment)
	}
	return nil
}
