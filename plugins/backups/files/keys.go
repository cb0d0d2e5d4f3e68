package files

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/pocketbase/pocketbase/core"
)

// attrsExt ends the name of the sidecar that PocketBase's local driver writes
// beside every file, with its content type and original name. The driver
// refuses it for files.
const attrsExt = ".attrs"

// tempPrefix begins the names of downloads under way.
const tempPrefix = ".picofiles-"

// fileKey is the key of a record's file: its path below pb_data/storage.
type fileKey struct{ collection, record, name string }

func (k fileKey) String() string { return k.collection + "/" + k.record + "/" + k.name }

// parseKey splits a key. It refuses what is no record's file, such as
// thumbnails, and names that PocketBase's driver would write differently.
func parseKey(key string) (k fileKey, ok bool) {
	parts := strings.Split(key, "/")
	if len(parts) != 3 {
		return k, false
	}
	for _, part := range parts {
		// The driver escapes the slash after "..".
		if part == "" || part == "." || strings.HasSuffix(part, "..") || strings.ContainsFunc(part, isControl) {
			return k, false
		}
	}
	return fileKey{parts[0], parts[1], parts[2]}, true
}

func isControl(r rune) bool { return r < ' ' }

func (p *Plugin) storageDir() string {
	return filepath.Join(p.app.DataDir(), core.LocalStorageDirName)
}

// path returns where PocketBase has the file of a valid key.
func (p *Plugin) path(key string) string {
	return filepath.Join(p.storageDir(), filepath.FromSlash(key))
}

func (p *Plugin) isLocal(key string) bool {
	_, err := os.Stat(p.path(key))
	return err == nil
}
