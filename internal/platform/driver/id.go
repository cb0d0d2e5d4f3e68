package driver

import "fmt"

// maxID is how many characters an id may have.
const maxID = 32

// CheckID reports what is wrong with an id: it becomes part of paths, names and
// labels, so that every driver refuses others before it does anything.
func CheckID(id string) error {
	if id == "" || len(id) > maxID {
		return fmt.Errorf("tenant id %q: it has %d characters, use 1 to %d", id, len(id), maxID)
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') {
			return fmt.Errorf("tenant id %q: use only a-z and 0-9", id)
		}
	}
	return nil
}
