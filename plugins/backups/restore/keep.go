package restore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	_ "modernc.org/sqlite" // the driver of PocketBase itself: one SQLite per process
)

// A restore brings back data. Some of what happened since must stay as it is:
//
//   - API keys: one that was revoked stays revoked, one that was made since works on;
//   - webhooks: a secret that was rotated stays so, and no event is sent again that
//     was delivered since. What the present has pending happened, and is still sent;
//     what only the restored state has pending was delivered and forgotten;
//   - secrets of hooks: they are keys to other people's services, where no time went back;
//   - the numbers of versions of hooks: "12" in a log or a chat goes on to mean one thing;
//   - the audit trail: restoring must not be a way to forget;
//   - sessions that were ended stay ended: of everybody whose tokens were made
//     invalid since (another password, a sign-out everywhere, a deletion) all
//     tokens are invalid in the restored state too. Everybody else stays signed in.

// carried is a table that is carried over.
type carried struct {
	table string

	// migrations are those that made the table as the present has it, and would fail
	// on a table that is there. Others run again: what they make may be missing.
	migrations []string
}

// asPresent are the tables that are taken whole from the present state.
var asPresent = []carried{
	{"_pico_keys", []string{"1800000001_keys.go"}},
	{"_pico_webhooks", nil},
	{"_pico_webhook_deliveries", nil},
	{"_pico_hook_secrets", nil},
}

// growing are the tables of which the present rows are added.
var growing = []carried{{"_pico_audit", nil}}

// counting are the tables whose rows come from the restored state, numbered on
// from the present.
var counting = []string{"_pico_hooks"}

// keep carries over from the present database into the new one. Doing it twice
// is the same as doing it once.
func (a *Area) keep(ctx context.Context) (err error) {
	present := filepath.Join(a.dataDir, "data.db")
	if _, err := os.Stat(present); errors.Is(err, fs.ErrNotExist) {
		present = a.Present()
		if _, err := os.Stat(present); errors.Is(err, fs.ErrNotExist) {
			return nil // there is no present to keep anything of
		}
	}
	db, err := sql.Open("sqlite", filepath.Join(a.New(), "data.db")+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(DELETE)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1) // what is attached belongs to one connection
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, "ATTACH DATABASE ? AS present", present); err != nil {
		return err
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	k := keeper{ctx, tx}
	err = k.run()
	if err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// keeper copies from the schema present to the schema main.
type keeper struct {
	ctx context.Context
	tx  *sql.Tx
}

func (k keeper) run() error {
	for i, c := range slices.Concat(asPresent, growing) {
		table := c.table
		ok, err := k.ensureTable(c)
		if err != nil {
			return fmt.Errorf("table %s: %w", table, err)
		}
		if !ok {
			continue
		}
		if i < len(asPresent) {
			if err := k.exec("DELETE FROM main." + quote(table)); err != nil {
				return fmt.Errorf("table %s: %w", table, err)
			}
		}
		if err := k.addRows(table); err != nil {
			return fmt.Errorf("table %s: %w", table, err)
		}
	}
	for _, table := range counting {
		if err := k.countOn(table); err != nil {
			return fmt.Errorf("numbers of %s: %w", table, err)
		}
	}
	return k.endSessions()
}

// countOn makes sure that the table gives no number again that the present gave.
func (k keeper) countOn(table string) error {
	ok, err := k.ensureTable(carried{table: table})
	if err != nil || !ok {
		return err
	}
	// The table has no unique key: what it holds is replaced by hand.
	const highest = "(SELECT MAX(seq) FROM (SELECT seq FROM main.sqlite_sequence WHERE name = ?1 UNION ALL SELECT seq FROM present.sqlite_sequence WHERE name = ?1))"
	if err := k.exec("INSERT INTO main.sqlite_sequence (name, seq) SELECT ?1, "+highest+" WHERE "+highest+" IS NOT NULL", table); err != nil {
		return err
	}
	return k.exec("DELETE FROM main.sqlite_sequence WHERE name = ?1 AND rowid < (SELECT MAX(rowid) FROM main.sqlite_sequence WHERE name = ?1)", table)
}

// ensureTable makes a table of the present in a state from before there was one,
// with all that belongs to it. It reports whether there is anything to copy.
func (k keeper) ensureTable(c carried) (bool, error) {
	table := c.table
	inPresent, err := k.hasTable("present", table)
	if err != nil || !inPresent {
		return false, err
	}
	inNew, err := k.hasTable("main", table)
	if err != nil || inNew {
		return inNew, err
	}
	statements, err := k.strings("SELECT sql FROM present.sqlite_master WHERE tbl_name = ? AND sql IS NOT NULL ORDER BY type = 'table' DESC", table)
	if err != nil {
		return false, err
	}
	for _, statement := range statements {
		if err := k.exec(statement); err != nil {
			return false, err
		}
	}
	// PocketBase must find its collection, and not make the table again.
	if err := k.exec("INSERT OR IGNORE INTO main._collections SELECT * FROM present._collections WHERE name = ?", table); err != nil {
		return false, err
	}
	for _, file := range c.migrations {
		if err := k.exec("INSERT OR IGNORE INTO main._migrations SELECT * FROM present._migrations WHERE file = ?", file); err != nil {
			return false, err
		}
	}
	return true, nil
}

func (k keeper) hasTable(schema, table string) (found bool, err error) {
	err = k.tx.QueryRowContext(k.ctx, "SELECT EXISTS (SELECT 1 FROM "+schema+".sqlite_master WHERE type = 'table' AND name = ?)", table).Scan(&found)
	return found, err
}

// addRows adds the rows of the present that the new state lacks, by their id.
func (k keeper) addRows(table string) error {
	columns, err := k.strings("SELECT name FROM pragma_table_info(?, 'present') WHERE name IN (SELECT name FROM pragma_table_info(?, 'main'))", table, table)
	if err != nil {
		return err
	}
	for i, column := range columns {
		columns[i] = quote(column)
	}
	list := strings.Join(columns, ", ")
	return k.exec("INSERT INTO main." + quote(table) + " (" + list + ") SELECT " + list + " FROM present." + quote(table) +
		" WHERE id NOT IN (SELECT id FROM main." + quote(table) + ")")
}

// endSessions gives a new token key to every account of the new state that has
// not the same one at present: tokens are signed with it. Where a collection's
// own secret differs, all of its tokens were ended, so all accounts get one.
func (k keeper) endSessions() error {
	collections, err := k.strings("SELECT name FROM main._collections WHERE type = 'auth'")
	if err != nil {
		return err
	}
	for _, name := range collections {
		known, err := k.hasTable("present", name)
		if err != nil {
			return err
		}
		unchanged := "FALSE"
		if known {
			unchanged = "EXISTS (SELECT 1 FROM present." + quote(name) + " p WHERE p.id = a.id AND p.tokenKey = a.tokenKey)" +
				" AND EXISTS (SELECT 1 FROM main._collections m JOIN present._collections p ON p.id = m.id" +
				" WHERE m.name = " + text(name) + " AND m.options -> 'authToken' -> 'secret' = p.options -> 'authToken' -> 'secret')"
		}
		err = k.exec("UPDATE main." + quote(name) + " AS a SET tokenKey = lower(hex(randomblob(25))) WHERE NOT (" + unchanged + ")")
		if err != nil {
			return fmt.Errorf("end sessions of %s: %w", name, err)
		}
	}
	return nil
}

func (k keeper) exec(statement string, args ...any) error {
	_, err := k.tx.ExecContext(k.ctx, statement, args...)
	return err
}

func (k keeper) strings(query string, args ...any) (found []string, err error) {
	rows, err := k.tx.QueryContext(k.ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var value string
		if err := rows.Scan(&value); err != nil {
			return nil, err
		}
		found = append(found, value)
	}
	return found, rows.Err()
}

func quote(name string) string { return `"` + strings.ReplaceAll(name, `"`, `""`) + `"` }

func text(value string) string { return "'" + strings.ReplaceAll(value, "'", "''") + "'" }
