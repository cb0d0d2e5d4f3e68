package process

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/secret"
)

// storedSpec is what spec.json holds: all that a start needs, so secrets too. The
// file is for the platform's user alone.
type storedSpec struct {
	Name   string            `json:"name"`
	Env    map[string]string `json:"env"`
	Memory int64             `json:"memory,omitempty"`
	CPU    float64           `json:"cpu,omitempty"`

	// UID is the tenant's user and group, 0 for the platform's own.
	UID int `json:"uid,omitempty"`
}

func checkSpec(spec driver.Spec) error {
	if err := driver.CheckID(spec.ID); err != nil {
		return err
	}
	if spec.Memory < 0 || spec.CPU < 0 {
		return fmt.Errorf("tenant %s: limits are not negative", spec.ID)
	}
	for name, value := range spec.Env {
		if name == "" || strings.ContainsAny(name, "=\x00") {
			return fmt.Errorf("tenant %s: %q cannot be the name of a variable", spec.ID, name)
		}
		if strings.Contains(value.Reveal(), "\x00") {
			return fmt.Errorf("tenant %s: the variable %s holds a zero byte", spec.ID, name)
		}
	}
	return nil
}

func (t *tenant) specFile() string { return filepath.Join(t.dir(), "spec.json") }

func (t *tenant) readSpec() (spec storedSpec, err error) {
	content, err := os.ReadFile(t.specFile())
	if err != nil {
		return spec, err
	}
	if err := json.Unmarshal(content, &spec); err != nil {
		return spec, fmt.Errorf("spec.json: %w", err)
	}
	return spec, nil
}

// writeSpec makes the tenant's folder, or changes what is in it.
func (t *tenant) writeSpec(spec driver.Spec) error {
	stored := storedSpec{Name: spec.Name, Env: map[string]string{}, Memory: spec.Memory, CPU: spec.CPU}
	for name, value := range spec.Env {
		stored.Env[name] = value.Reveal()
	}
	old, err := t.readSpec()
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	stored.UID = old.UID
	if stored.UID == 0 && t.d.uids {
		if stored.UID, err = t.d.freeUID(t.id); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(t.dir(), 0o711); err != nil { //nolint:gosec // the tenant passes through, and cannot list it
		return err
	}
	// As it should be also if it was there, or the umask is strict.
	if err := os.Chmod(t.dir(), 0o711); err != nil { //nolint:gosec // as above
		return err
	}
	content, err := json.Marshal(stored)
	if err != nil {
		return err
	}
	if err := writeFile(t.specFile(), content, true); err != nil {
		return err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.made = true
	return nil
}

// freeUID takes the first user id that no tenant has.
func (d *Driver) freeUID(id string) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.uidsOf == nil {
		d.uidsOf = map[int]string{}
		for other, t := range d.tenants {
			spec, err := t.readSpec()
			if errors.Is(err, fs.ErrNotExist) {
				continue // one that is being made
			} else if err != nil {
				return 0, err
			}
			if spec.UID != 0 {
				d.uidsOf[spec.UID] = other
			}
		}
	}
	for uid := d.cfg.UIDBase; ; uid++ {
		if _, used := d.uidsOf[uid]; !used {
			d.uidsOf[uid] = id
			return uid, nil
		}
	}
}

// ownFolders makes the folders that the tenant itself writes to, and gives all
// that is in them to its user.
func (t *tenant) ownFolders(spec storedSpec) error {
	for _, dir := range []string{t.dataDir(), t.runDir()} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		uid := spec.UID
		if uid == 0 {
			uid = os.Getuid()
		}
		info, err := os.Lstat(dir)
		if err != nil {
			return err
		}
		if owner(info) == uid {
			continue
		}
		if err := give(dir, uid); err != nil {
			return err
		}
	}
	return nil
}

// give makes the user the owner of the folder and all that is in it, and of
// nothing that links in it lead to.
func give(dir string, uid int) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer func() { _ = root.Close() }()
	return fs.WalkDir(root.FS(), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return root.Lchown(path, uid, uid)
	})
}

// environ returns the tenant's environment, sorted: what the spec says, where its
// exit code goes, and nothing of the platform's own.
func (t *tenant) environ(spec storedSpec, more ...string) []string {
	env := make([]string, 0, len(spec.Env)+len(more))
	for _, name := range slices.Sorted(maps.Keys(spec.Env)) {
		env = append(env, name+"="+spec.Env[name])
	}
	for _, pair := range more {
		name, _, _ := strings.Cut(pair, "=")
		if _, given := spec.Env[name]; !given {
			env = append(env, pair)
		}
	}
	return env
}

// masked takes the tenant's longer variables out of a text.
func (s storedSpec) masked(text string) string {
	return secret.Mask(text, func(yield func(secret.String) bool) {
		for _, value := range s.Env {
			if !yield(secret.New(value)) {
				return
			}
		}
	})
}

// writeFile replaces the file as a whole, or not at all, for this user alone; if it
// is durable, also when the machine fails the moment after.
func writeFile(path string, content []byte, durable bool) error {
	file, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	_, err = file.Write(content)
	if durable {
		err = errors.Join(err, file.Sync())
	}
	err = errors.Join(err, file.Close())
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		_ = os.Remove(file.Name())
	}
	return err
}

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:4])
}
