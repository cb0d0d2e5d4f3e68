package jshooks

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/picobase/picobase/internal/hookfiles"
	"github.com/picobase/picobase/plugins/jshooks/engine"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

const (
	// maxVersions is how many versions are kept; the active one and the newest of
	// the folder are kept beside them.
	maxVersions = 50

	sourceUpload = "upload"
	sourceFolder = "folder"

	sourceVersion = "version" // of a problem
)

// Version is one state of the hooks.
type Version struct {
	ID        string     `json:"id"`
	Label     string     `json:"label"`
	Source    string     `json:"source"` // upload or folder
	Created   time.Time  `json:"created"`
	CreatedBy string     `json:"createdBy"`
	SHA256    string     `json:"sha256"`
	Files     int        `json:"files"`
	Size      int64      `json:"size"` // of all files, in bytes
	Active    bool       `json:"active"`
	Activated *time.Time `json:"activated"` // the last time; null if never

	number int64
}

// versionRow is a line of the versions' table, without the files.
type versionRow struct {
	ID        int64          `db:"id"`
	Created   types.DateTime `db:"created"`
	CreatedBy string         `db:"created_by"`
	Label     string         `db:"label"`
	Source    string         `db:"source"`
	SHA256    string         `db:"sha256"`
	Files     int            `db:"files"`
	Size      int64          `db:"size"`
	Active    bool           `db:"active"`
	Activated types.DateTime `db:"activated"`
}

const versionColumns = "id, created, created_by, label, source, sha256, files, size, active, activated"

func (r versionRow) version() Version {
	v := Version{
		ID: strconv.FormatInt(r.ID, 10), Label: r.Label, Source: r.Source,
		Created: r.Created.Time(), CreatedBy: r.CreatedBy, SHA256: r.SHA256, Files: r.Files, Size: r.Size,
		Active: r.Active, number: r.ID,
	}
	if !r.Activated.IsZero() {
		at := r.Activated.Time()
		v.Activated = &at
	}
	return v
}

// pack encodes a bundle: the same files always give the same sum.
func pack(files engine.Bundle) (content []byte, sum string, err error) {
	texts := make(map[string]string, len(files))
	for name, file := range files {
		texts[name] = string(file)
	}
	encoded, err := json.Marshal(texts) // sorted by name
	if err != nil {
		return nil, "", err
	}
	hash := sha256.Sum256(encoded)
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(encoded); err != nil {
		return nil, "", err
	}
	if err := w.Close(); err != nil {
		return nil, "", err
	}
	return packed.Bytes(), hex.EncodeToString(hash[:]), nil
}

// maxPacked is what the JSON of a bundle may take: every byte may be escaped.
const maxPacked = 6*hookfiles.MaxBytes + hookfiles.MaxFiles*(6*hookfiles.MaxPath+10)

func unpack(content []byte) (engine.Bundle, error) {
	r, err := gzip.NewReader(bytes.NewReader(content))
	if err != nil {
		return nil, err
	}
	encoded, err := io.ReadAll(io.LimitReader(r, maxPacked))
	if err != nil {
		return nil, err
	}
	var texts map[string]string
	if err := json.Unmarshal(encoded, &texts); err != nil {
		return nil, err
	}
	files := make(engine.Bundle, len(texts))
	for name, text := range texts {
		files[name] = []byte(text)
	}
	return files, nil
}

func sizeOf(files engine.Bundle) (size int64) {
	for _, file := range files {
		size += int64(len(file))
	}
	return size
}

func listVersions(app core.App) ([]Version, error) {
	var rows []versionRow
	if err := app.ConcurrentDB().NewQuery("SELECT " + versionColumns + " FROM _pico_hooks ORDER BY id DESC").All(&rows); err != nil {
		return nil, fmt.Errorf("list versions of hooks: %w", err)
	}
	versions := make([]Version, 0, len(rows))
	for _, row := range rows {
		versions = append(versions, row.version())
	}
	return versions, nil
}

// findVersion returns the one version that the condition selects, or
// errNotFound.
func findVersion(app core.App, condition string, params dbx.Params) (Version, error) {
	var row versionRow
	err := app.ConcurrentDB().NewQuery("SELECT " + versionColumns + " FROM _pico_hooks WHERE " + condition).Bind(params).One(&row)
	if errors.Is(err, sql.ErrNoRows) {
		return Version{}, errNotFound
	}
	if err != nil {
		return Version{}, fmt.Errorf("find version of hooks: %w", err)
	}
	return row.version(), nil
}

func getVersion(app core.App, id string) (Version, error) {
	number, err := strconv.ParseInt(id, 10, 64)
	if err != nil {
		return Version{}, errNotFound
	}
	return findVersion(app, "id = {:id}", dbx.Params{"id": number})
}

// The newest version of the folder is never pruned: it tells whether the folder
// has changed.
const (
	newestOfFolder   = "id IS " + maxOfFolder
	otherThanItsLast = "id IS NOT " + maxOfFolder
	maxOfFolder      = "(SELECT MAX(id) FROM _pico_hooks WHERE source = '" + sourceFolder + "')"
)

func readFiles(app core.App, number int64) (engine.Bundle, error) {
	var content []byte
	err := app.ConcurrentDB().NewQuery("SELECT content FROM _pico_hooks WHERE id = {:id}").Bind(dbx.Params{"id": number}).Row(&content)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, errNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("read version %d of hooks: %w", number, err)
	}
	files, err := unpack(content)
	if err != nil {
		return nil, &unreadableError{number, err}
	}
	return files, nil
}

// unreadableError says that what is stored is none of ours.
type unreadableError struct {
	number int64
	cause  error
}

func (e *unreadableError) Error() string {
	return fmt.Sprintf("version %d is damaged in the database (%v); activate another one", e.number, e.cause)
}

func (e *unreadableError) Unwrap() error { return e.cause }

// nextNumber returns the number that the next version gets, unless another
// process is quicker.
func nextNumber(app core.App) (number int64, err error) {
	err = app.NonconcurrentDB().NewQuery("SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = '_pico_hooks'), 0) + 1").Row(&number)
	if err != nil {
		return 0, fmt.Errorf("number a version of hooks: %w", err)
	}
	return number, nil
}

// errTaken says that another process took the number.
var errTaken = errors.New("the number of the version is taken")

func insertVersion(tx core.App, v Version, content []byte) error {
	_, err := tx.NonconcurrentDB().Insert("_pico_hooks", dbx.Params{
		"id": v.number, "created": stamp(v.Created), "created_by": v.CreatedBy, "label": v.Label, "source": v.Source,
		"sha256": v.SHA256, "files": v.Files, "size": v.Size, "content": content,
	}).Execute()
	if err != nil && strings.Contains(err.Error(), "UNIQUE constraint failed: _pico_hooks.id") {
		return errTaken
	}
	if err != nil {
		return fmt.Errorf("store version of hooks: %w", err)
	}
	return nil
}

// activate marks a version as the active one; 0 for none.
func activate(tx core.App, number int64, at time.Time) error {
	_, err := tx.NonconcurrentDB().NewQuery("UPDATE _pico_hooks SET active = 0 WHERE active = 1").Execute()
	if err != nil {
		return fmt.Errorf("deactivate hooks: %w", err)
	}
	if number == 0 {
		return nil
	}
	result, err := tx.NonconcurrentDB().NewQuery("UPDATE _pico_hooks SET active = 1, activated = {:at} WHERE id = {:id}").
		Bind(dbx.Params{"at": stamp(at), "id": number}).Execute()
	if err != nil {
		return fmt.Errorf("activate hooks: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(errNotFound, err)
	}
	return nil
}

func pruneVersions(tx core.App) error {
	_, err := tx.NonconcurrentDB().NewQuery("DELETE FROM _pico_hooks WHERE active = 0 AND " + otherThanItsLast +
		" AND id NOT IN (SELECT id FROM _pico_hooks ORDER BY id DESC LIMIT " + strconv.Itoa(maxVersions) + ")").Execute()
	if err != nil {
		return fmt.Errorf("delete old versions of hooks: %w", err)
	}
	return nil
}

// deleteVersion returns errActive for one that another process has activated
// meanwhile.
func deleteVersion(tx core.App, number int64) error {
	result, err := tx.NonconcurrentDB().NewQuery("DELETE FROM _pico_hooks WHERE id = {:id} AND active = 0").
		Bind(dbx.Params{"id": number}).Execute()
	if err != nil {
		return fmt.Errorf("delete version of hooks: %w", err)
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(errActive, err)
	}
	return nil
}

// stamp writes a time as PocketBase does.
func stamp(at time.Time) string { return at.UTC().Format(types.DefaultDateLayout) }
