package jshooks

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/security"
	"github.com/pocketbase/pocketbase/tools/types"
)

const (
	maxSecrets     = 100
	maxSecretValue = 16 << 10

	// encrypted begins a stored value that needs PocketBase's encryption key, plain
	// one that does not and would be taken for another one.
	encrypted = "enc:"
	plain     = "plain:"

	// minMasked is how long a secret must be to be masked in logs: a shorter one
	// would take ordinary words along.
	minMasked = 6
)

var secretName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)

// secrets is what $secrets.get reads: every secret, in memory.
type secrets struct {
	values atomic.Pointer[map[string]string]
	mask   atomic.Pointer[strings.Replacer]
}

func (s *secrets) set(values map[string]string) {
	// The longest first: one may begin with another.
	names := slices.SortedFunc(maps.Keys(values), func(a, b string) int { return len(values[b]) - len(values[a]) })
	var pairs []string
	for _, name := range names {
		value := values[name]
		if len(value) < minMasked {
			continue
		}
		// As it is, and as it is in the address that an error of $http.send names.
		for _, form := range []string{value, url.QueryEscape(value), url.PathEscape(value)} {
			pairs = append(pairs, form, "[secret "+name+"]")
		}
	}
	s.values.Store(&values)
	s.mask.Store(strings.NewReplacer(pairs...))
}

// masked takes the secrets out of what is logged.
func (s *secrets) masked(text string) string {
	if mask := s.mask.Load(); mask != nil {
		return mask.Replace(text)
	}
	return text
}

func (s *secrets) get(name string) (string, bool) {
	values := s.values.Load()
	if values == nil {
		return "", false
	}
	value, ok := (*values)[name]
	return value, ok
}

// secretsVersion changes whenever a secret does, whichever process changed it.
func secretsVersion(app core.App) (version string, err error) {
	// Of every secret, not the newest: a clock may have been set back.
	err = app.ConcurrentDB().NewQuery("SELECT COUNT(*) || COALESCE(GROUP_CONCAT(id || ' ' || updated), '') FROM _pico_hook_secrets").Row(&version)
	if err != nil {
		return "", fmt.Errorf("read version of secrets: %w", err)
	}
	return version, nil
}

// loadSecrets reads the secrets into memory. One that cannot be decrypted is left
// out: hooks that need it say so, the others go on.
func (p *Plugin) loadSecrets() error {
	var rows []struct {
		ID    string `db:"id"`
		Value string `db:"value"`
	}
	if err := p.app.ConcurrentDB().NewQuery("SELECT id, value FROM _pico_hook_secrets").All(&rows); err != nil {
		return fmt.Errorf("read secrets: %w", err)
	}
	values := make(map[string]string, len(rows))
	for _, row := range rows {
		value, err := p.decrypt(row.Value)
		if err != nil {
			p.logger().Error("jshooks: secret left out", "name", row.ID, "error", err)
			continue
		}
		values[row.ID] = value
	}
	p.secrets.set(values)
	return nil
}

// encrypt does as PocketBase does with its settings: with a key in the
// environment it encrypts, without one it does not.
func (p *Plugin) encrypt(value string) (string, error) {
	key := os.Getenv(p.app.EncryptionEnv())
	if key == "" {
		if strings.HasPrefix(value, encrypted) || strings.HasPrefix(value, plain) {
			value = plain + value
		}
		return value, nil
	}
	sealed, err := security.Encrypt([]byte(value), key)
	if err != nil {
		return "", fmt.Errorf("encrypt secret: %w", err)
	}
	return encrypted + sealed, nil
}

func (p *Plugin) decrypt(stored string) (string, error) {
	sealed, found := strings.CutPrefix(stored, encrypted)
	if !found {
		return strings.TrimPrefix(stored, plain), nil
	}
	value, err := security.Decrypt(sealed, os.Getenv(p.app.EncryptionEnv()))
	if err != nil {
		return "", fmt.Errorf("decrypt secret with the key in %q: %w", p.app.EncryptionEnv(), err)
	}
	return string(value), nil
}

// secretView is a secret as the API shows it: without its value.
type secretView struct {
	Name      string    `json:"name"`
	Created   time.Time `json:"created"`
	Updated   time.Time `json:"updated"`
	UpdatedBy string    `json:"updatedBy"`
}

func (p *Plugin) listSecrets(e *core.RequestEvent) error {
	var rows []struct {
		ID        string         `db:"id"`
		Created   types.DateTime `db:"created"`
		Updated   types.DateTime `db:"updated"`
		UpdatedBy string         `db:"updated_by"`
	}
	err := p.app.ConcurrentDB().NewQuery("SELECT id, created, updated, updated_by FROM _pico_hook_secrets ORDER BY id").All(&rows)
	if err != nil {
		return failure(fmt.Errorf("list secrets: %w", err))
	}
	items := make([]secretView, 0, len(rows))
	for _, row := range rows {
		items = append(items, secretView{row.ID, row.Created.Time(), row.Updated.Time(), row.UpdatedBy})
	}
	return e.JSON(http.StatusOK, map[string]any{"items": items})
}

func (p *Plugin) setSecret(e *core.RequestEvent) error {
	var in struct {
		Value string `json:"value"`
	}
	if err := httpapi.Decode(e, &in); err != nil {
		return err
	}
	name := e.Request.PathValue("name")
	switch {
	case !secretName.MatchString(name):
		return httpapi.Error(apierr.Invalid("name", "must be letters, digits and _ only, at most 64, and not begin with a digit."))
	case in.Value == "":
		return httpapi.Error(apierr.Invalid("value", "must not be empty; delete the secret instead."))
	case len(in.Value) > maxSecretValue:
		return httpapi.Error(apierr.Invalid("value", "must have at most 16384 bytes."))
	}
	value, err := p.encrypt(in.Value)
	if err != nil {
		return failure(err)
	}
	caller := httpapi.CallerOf(e)
	params := dbx.Params{"id": name, "value": value, "now": stamp(time.Now()), "by": string(caller.Kind) + ":" + caller.Name}
	return p.changeSecret(e, name, "hook_secret.set", func(tx core.App) error {
		_, err := tx.NonconcurrentDB().NewQuery("INSERT INTO _pico_hook_secrets (id, value, created, updated, updated_by)" +
			" VALUES ({:id}, {:value}, {:now}, {:now}, {:by})" +
			" ON CONFLICT (id) DO UPDATE SET value = excluded.value, updated = excluded.updated, updated_by = excluded.updated_by").
			Bind(params).Execute()
		if err != nil {
			return fmt.Errorf("store secret: %w", err)
		}
		var count int
		if err := tx.NonconcurrentDB().NewQuery("SELECT COUNT(*) FROM _pico_hook_secrets").Row(&count); err != nil {
			return err
		}
		if count > maxSecrets {
			return errTooManySecrets
		}
		return nil
	})
}

func (p *Plugin) deleteSecret(e *core.RequestEvent) error {
	name := e.Request.PathValue("name")
	return p.changeSecret(e, name, "hook_secret.deleted", func(tx core.App) error {
		result, err := tx.NonconcurrentDB().NewQuery("DELETE FROM _pico_hook_secrets WHERE id = {:id}").Bind(dbx.Params{"id": name}).Execute()
		if err != nil {
			return fmt.Errorf("delete secret: %w", err)
		}
		if n, err := result.RowsAffected(); err != nil || n == 0 {
			return errSecretNotFound
		}
		return nil
	})
}

// changeSecret stores a change and puts it in force. The audit trail is told
// which secret, never its value.
func (p *Plugin) changeSecret(e *core.RequestEvent, name, action string, change func(tx core.App) error) error {
	p.changing.Lock()
	defer p.changing.Unlock()
	err := p.transact(e, func(tx core.App) error {
		if err := change(tx); err != nil {
			return err
		}
		return p.cfg.Record(tx, e, Act{Action: action, Type: "hook_secret", ID: name, Name: name})
	})
	if err == nil {
		// Within a millisecond the version does not tell two changes apart.
		p.applied.secrets = ""
		err = p.apply(e.Request.Context())
	}
	if err != nil {
		return failure(err)
	}
	return e.NoContent(http.StatusNoContent)
}
