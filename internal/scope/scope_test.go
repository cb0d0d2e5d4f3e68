package scope

import (
	"slices"
	"testing"
)

func parsed(t *testing.T, names ...string) Set {
	t.Helper()
	set, err := Parse(names)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestAllows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		grants      []string
		want        string
		collections []string
		allowed     bool
	}{
		{[]string{"*"}, Backups, nil, true},
		{[]string{"*"}, RecordsWrite, []string{"posts"}, true},
		{[]string{"records:*"}, RecordsRead, []string{"posts"}, true},
		{[]string{"records:*"}, RecordsRead, nil, true},
		{[]string{"records:*"}, SchemaRead, nil, false},
		{[]string{"records:read"}, RecordsWrite, []string{"posts"}, false},
		{[]string{"records:read:posts"}, RecordsRead, []string{"posts"}, true},
		{[]string{"records:read:posts"}, RecordsRead, []string{"pbc_1", "posts"}, true},
		{[]string{"records:read:posts"}, RecordsRead, []string{"users"}, false},
		{[]string{"records:read:posts"}, RecordsRead, nil, false},
		{[]string{"records:*:posts"}, RecordsWrite, []string{"posts"}, true},
		{[]string{"records:*:posts"}, RecordsWrite, []string{"users"}, false},
		{[]string{"schema:*"}, SchemaWrite, nil, true},
		{[]string{"schema:read"}, SchemaWrite, nil, false},
		{[]string{"logs"}, Usage, nil, false},
		{nil, RecordsRead, nil, false},
	} {
		if got := parsed(t, c.grants...).Allows(c.want, c.collections...); got != c.allowed {
			t.Errorf("%v allows %s on %v = %t", c.grants, c.want, c.collections, got)
		}
	}
}

func TestContains(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		own, other []string
		contains   bool
	}{
		{[]string{"*"}, []string{"*"}, true},
		{[]string{"*"}, []string{"keys", "records:read:posts"}, true},
		{[]string{"records:*", "keys"}, []string{"records:write:posts"}, true},
		{[]string{"records:read", "records:write"}, []string{"records:*"}, true},
		{[]string{"records:read"}, []string{"records:*"}, false},
		{[]string{"records:read:posts"}, []string{"records:read"}, false},
		{[]string{"records:read:posts"}, []string{"records:read:posts"}, true},
		{[]string{"records:read:posts", "records:write:posts"}, []string{"records:*:posts"}, true},
		{slices.DeleteFunc(slices.Clone(known), func(s string) bool { return s == "*" }), []string{"*"}, false},
		{[]string{"keys"}, nil, true},
	} {
		if got := parsed(t, c.own...).Contains(parsed(t, c.other...)); got != c.contains {
			t.Errorf("%v contains %v = %t", c.own, c.other, got)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"", "record:read", "records", "records:delete", "records:read:", "records:read:*", "records:read:a b", "logs:posts", "schema:read:posts", "**", " logs"} {
		if _, err := Parse([]string{name}); err == nil {
			t.Errorf("accepted %q", name)
		}
	}
}
