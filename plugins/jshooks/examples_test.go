package jshooks

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/hookfiles"
	"github.com/pocketbase/pocketbase/core"
)

const examplesDir = "../../jsvm_hooks/examples"

// Every example that is shipped does what its comment says.
func TestExamples(t *testing.T) {
	t.Parallel()
	told := make(chan string, 1)
	mailer := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		told <- r.Method + " " + r.Header.Get("Authorization") + " " + string(body)
	}))
	defer mailer.Close()
	f := newFixture(t, options{dir: examplesDir, network: http.DefaultTransport})
	if list := f.list(); len(list.Problems) > 0 || list.Running == nil || len(list.Running.Hooks) != 5 {
		t.Fatalf("the examples are not in force: %+v", list)
	}
	save := func(model core.Model) {
		t.Helper()
		if err := f.app.Save(model); err != nil {
			t.Fatal(err)
		}
	}
	open := ""
	products := core.NewBaseCollection("products")
	products.Fields.Add(&core.NumberField{Name: "stock"})
	save(products)
	orders := core.NewBaseCollection("orders")
	orders.CreateRule = &open
	orders.Fields.Add(&core.RelationField{Name: "product", CollectionId: products.Id, MaxSelect: 1}, &core.NumberField{Name: "amount"})
	save(orders)
	carts := core.NewBaseCollection("carts")
	carts.Fields.Add(&core.AutodateField{Name: "updated", OnCreate: true, OnUpdate: true})
	save(carts)

	t.Run("slug", func(t *testing.T) {
		for body, want := range map[string]string{
			`{"title":"Crème brûlée, twice!"}`:      "creme-brulee-twice",
			`{"title":"Something","slug":"my-own"}`: "my-own",
		} {
			answer := f.send(http.MethodPost, "/api/collections/posts/records", "application/json", []byte(body))
			var post struct{ Slug string }
			if answer.into(t, &post); post.Slug != want {
				t.Errorf("%s: slug %q, want %q", body, post.Slug, want)
			}
		}
	})
	t.Run("stock", func(t *testing.T) {
		product := core.NewRecord(products)
		product.Set("stock", 3)
		save(product)
		for amount, want := range map[int]int{3: http.StatusOK, 4: http.StatusBadRequest} {
			answer := f.call(http.MethodPost, "/api/collections/orders/records", map[string]any{"product": product.Id, "amount": amount})
			if answer.status != want || want != http.StatusOK && !strings.Contains(answer.text, "There are only 3 left.") {
				t.Errorf("%d: %+v, want %d", amount, answer, want)
			}
		}
	})
	var user *core.Record
	t.Run("welcome", func(t *testing.T) {
		sign := func(email string) *core.Record {
			t.Helper()
			answer := f.call(http.MethodPost, "/api/collections/users/records", map[string]any{
				"email": email, "name": "Ann", "password": "correct horse", "passwordConfirm": "correct horse",
			})
			record, err := f.app.FindAuthRecordByEmail("users", email)
			if answer.status != http.StatusOK || err != nil {
				t.Fatalf("%+v, %v", answer, err)
			}
			return record
		}
		sign("early@example.com") // without the secrets the sign-up stands
		if list := f.readLog("level=error"); !strings.Contains(list.messages(), "no answer from the mailing service") {
			t.Errorf("log %+v", list)
		}
		for name, value := range map[string]string{"MAIL_URL": mailer.URL, "MAIL_TOKEN": "t0ken"} {
			f.call(http.MethodPut, "/api/v1/hooks/secrets/"+name, map[string]string{"value": value})
		}
		user = sign("ann@example.com")
		select {
		case got := <-told:
			if got != `POST Bearer t0ken {"to":"ann@example.com","name":"Ann"}` {
				t.Errorf("the mailing service was told %q", got)
			}
		default:
			t.Errorf("the mailing service was told nothing; log %+v", f.readLog("level=error"))
		}
	})
	t.Run("hello", func(t *testing.T) {
		if answer := f.send(http.MethodGet, "/hello/ann", "", nil); answer.status != http.StatusUnauthorized {
			t.Errorf("without signing in: %+v", answer)
		}
		token, err := user.NewAuthToken()
		if err != nil {
			t.Fatal(err)
		}
		for path, want := range map[string]string{
			"/hello/Ann%20Lee":            "Hello Ann Lee, said ann@example.com",
			"/hello/Ann%20Lee?shout=true": "HELLO ANN LEE, SAID ANN@EXAMPLE.COM",
		} {
			answer := f.send(http.MethodGet, path, "", nil, "Authorization", token)
			var said struct{ Greeting, Slug string }
			if err := json.Unmarshal([]byte(answer.text), &said); err != nil || said.Greeting != want || said.Slug != "ann-lee" {
				t.Errorf("%s: %+v", path, answer)
			}
		}
	})
	t.Run("tidy", func(t *testing.T) {
		old, fresh := core.NewRecord(carts), core.NewRecord(carts)
		save(old)
		save(fresh)
		age := time.Now().AddDate(0, 0, -31)
		if _, err := f.app.NonconcurrentDB().NewQuery("UPDATE carts SET updated = {:age} WHERE id = {:id}").
			Bind(map[string]any{"age": stamp(age), "id": old.Id}).Execute(); err != nil {
			t.Fatal(err)
		}
		ran := false
		for _, job := range f.app.Cron().Jobs() {
			if strings.HasSuffix(job.Id(), "tidy_carts") {
				job.Run()
				ran = true
			}
		}
		if _, err := f.app.FindRecordById("carts", old.Id); !ran || err == nil {
			t.Errorf("the old cart is still there; ran: %v, log %+v", ran, f.readLog(""))
		}
		if _, err := f.app.FindRecordById("carts", fresh.Id); err != nil {
			t.Error("the fresh cart is gone")
		}
	})
}

// The default folder loads nothing: its examples are a folder below.
func TestDefaultFolderIsEmpty(t *testing.T) {
	t.Parallel()
	files, err := hookfiles.Read("../../jsvm_hooks")
	if err != nil || hookfiles.HasEntry(files) {
		t.Errorf("jsvm_hooks would be loaded: %v", err)
	}
}
