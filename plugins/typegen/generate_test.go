package typegen

import (
	"bytes"
	"flag"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/pocketbase/pocketbase/core"
)

var rewrite = flag.Bool("update", false, "write testdata/schema.ts again")

// every has a field of each type, in each form that changes its types.
func every() []*core.Collection {
	users := core.NewAuthCollection("users")
	users.Id = "users"
	users.Fields.Add(&core.TextField{Name: "name"}, &core.FileField{Name: "avatar", MaxSelect: 1})

	posts := core.NewBaseCollection("posts")
	posts.Id = "posts"
	posts.Fields.Add(
		&core.TextField{Name: "title", Required: true},
		&core.TextField{Name: "slug", Required: true, AutogeneratePattern: "[a-z]{8}"},
		&core.TextField{Name: "secret", Hidden: true},
		&core.PasswordField{Name: "pin"},
		&core.NumberField{Name: "views"}, &core.NumberField{Name: "price", Required: true},
		&core.BoolField{Name: "draft"},
		&core.EmailField{Name: "contact"}, &core.URLField{Name: "link", Required: true}, &core.EditorField{Name: "body"},
		&core.DateField{Name: "at"}, &core.AutodateField{Name: "created", OnCreate: true},
		&core.SelectField{Name: "status", Values: []string{"draft", "it's \"quoted\" \\ <b>&"}, Required: true, MaxSelect: 1},
		&core.SelectField{Name: "mood", Values: []string{"good", "bad"}, MaxSelect: 1},
		&core.SelectField{Name: "tags", Values: []string{"a", "b"}, MaxSelect: 2},
		&core.JSONField{Name: "meta"}, &core.GeoPointField{Name: "where"},
		&core.FileField{Name: "cover", MaxSelect: 1}, &core.FileField{Name: "files", MaxSelect: 9},
		&core.RelationField{Name: "author", CollectionId: "users", MaxSelect: 1, Required: true},
		&core.RelationField{Name: "related", CollectionId: "posts", MaxSelect: 5},
		&core.RelationField{Name: "shadow", CollectionId: "users", MaxSelect: 1, Hidden: true},
		&core.RelationField{Name: "system", CollectionId: "_superusers", MaxSelect: 1},
	)
	profile := core.NewBaseCollection("profile")
	profile.Id = "profile"
	profile.Fields.Add(&core.RelationField{Name: "user", CollectionId: "users", MaxSelect: 1})
	profile.AddIndex("profile_user", true, "user", "")

	stats := core.NewViewCollection("stats")
	stats.Id = "stats"
	stats.Fields.Add(&core.TextField{Name: "id", System: true}, &core.JSONField{Name: "total"}, &core.RelationField{Name: "author", CollectionId: "users", MaxSelect: 1})

	hidden := core.NewBaseCollection("_pico_keys")
	hidden.System = true
	superusers := core.NewAuthCollection("_superusers")
	superusers.System = true
	return []*core.Collection{users, posts, profile, stats, hidden, superusers}
}

func TestWrite(t *testing.T) {
	t.Parallel()
	const golden = "testdata/schema.ts"
	collections := every()
	var first bytes.Buffer
	Write(&first, collections)
	if *rewrite {
		if err := os.WriteFile(golden, first.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if first.String() != string(want) {
		t.Errorf("other types than in %s; if they are right: go test ./plugins/typegen -update\n%s", golden, first.String())
	}
	for _, secret := range []string{"secret", "pin", "tokenKey", "shadow", "_pico", "_superusers"} {
		if strings.Contains(first.String(), secret) {
			t.Errorf("%s is in the types", secret)
		}
	}
	for range 5 {
		rand.Shuffle(len(collections), func(i, j int) { collections[i], collections[j] = collections[j], collections[i] })
		var again bytes.Buffer
		Write(&again, collections)
		if again.String() != first.String() {
			t.Fatal("the order of the collections shows")
		}
	}
}
