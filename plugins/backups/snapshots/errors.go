package snapshots

import (
	"context"
	"errors"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// failure is an error whose first part may be shown to the users of the API;
// what is behind it may hold paths and addresses, and is for the log.
type failure struct {
	public string
	err    error
}

func fail(public string, err error) error { return &failure{public, err} }

func (f *failure) Error() string { return f.public + ": " + f.err.Error() }

func (f *failure) Unwrap() error { return f.err }

// reason returns the part of err that may be shown.
func reason(err error) string {
	var own *failure
	switch {
	case errors.Is(err, context.Canceled):
		return "it was interrupted"
	case errors.Is(err, context.DeadlineExceeded):
		return "it took too long"
	case errors.Is(err, ErrInvalid), errors.Is(err, ErrNoSpace):
		return err.Error()
	case errors.Is(err, syscall.ENOSPC), sqliteCode(err) == sqlite3.SQLITE_FULL:
		return "the disk is full"
	case errors.As(err, &own):
		return "could not " + own.public
	}
	return "it did not work; the server's log has the details"
}

// sqliteCode returns SQLite's primary error code, 0 for other errors.
func sqliteCode(err error) int {
	var own *sqlite.Error
	if errors.As(err, &own) {
		return own.Code() & 0xff
	}
	return 0
}

// isDamage reports whether SQLite said that the file is at fault. A plain
// SQLITE_ERROR counts: the statements are always the same.
func isDamage(err error) bool {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return true
	}
	return false
}
