package snapshots

import "testing"

// NewTestVault is for the tests that need PocketBase, in a package of their own
// so that nothing else here gets to.
func NewTestVault(t *testing.T) (*Vault, func(id string) []byte) {
	t.Helper()
	f := newFixture(t)
	return f.Vault, func(id string) []byte { return f.zips.objects[id].content }
}
