package restore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// A copy of a project that goes on beside it must not be mistaken for it:
//
//   - API keys do not open it, it gets its own;
//   - tokens that were issued by the original are not valid in it: every auth
//     collection gets new secrets. Accounts and passwords stay;
//   - codes that were sent by mail are not valid either;
//   - webhooks do not fire: endpoints are disabled, and what was to be sent is the
//     original's to send.

// detachments are the statements by the table that they need. Statements that name
// further tables come with those.
var detachments = []struct{ table, statement string }{
	{"_pico_keys", `DELETE FROM _pico_keys`},
	{"_mfas", `DELETE FROM _mfas`},
	{"_otps", `DELETE FROM _otps`},
	{"_pico_webhook_deliveries", `DELETE FROM _pico_webhook_deliveries`},
	{"_pico_webhooks", `UPDATE _pico_webhooks SET disabled = strftime('%Y-%m-%d %H:%M:%fZ'), disabledReason = 'branch' WHERE disabled = ''`},
	{"_collections", `UPDATE _collections SET options = json_set(options,
		'$.authToken.secret', lower(hex(randomblob(25))),
		'$.passwordResetToken.secret', lower(hex(randomblob(25))),
		'$.emailChangeToken.secret', lower(hex(randomblob(25))),
		'$.verificationToken.secret', lower(hex(randomblob(25))),
		'$.fileToken.secret', lower(hex(randomblob(25))))
		WHERE type = 'auth'`},
}

// Detach makes a copy of a project's database one of another project. Nobody may
// have it open.
func Detach(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)&_pragma=journal_mode(DELETE)&_pragma=secure_delete(ON)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	k := keeper{ctx, tx}
	for _, d := range detachments {
		there, err := k.hasTable("main", d.table)
		if err == nil && there {
			err = k.exec(d.statement)
		}
		if err != nil {
			return errors.Join(fmt.Errorf("detach %s: %w", d.table, err), tx.Rollback())
		}
	}
	return tx.Commit()
}
