package platform

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/platform/schema"
)

// What a tenant says of itself fills no registry, and breaks no sum.
func TestATenantThatLiesOfItsUsage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	token, organization := f.user("anna@example.com")
	id := f.call("POST", "/projects", token, map[string]string{"name": "shop"}).want(http.StatusCreated).str("id")
	f.call("POST", "/projects/"+id+"/start", token, nil).want(http.StatusOK)
	view, _ := f.fleet.View(id)

	const today = `{"time":%q,"requests":9223372036854775807,"errors":-5,"bytesIn":9223372036854775807},`
	item := fmt.Sprintf(today, time.Now().UTC().Format(time.RFC3339))
	old := `{"time":"2001-01-01T00:00:00Z","requests":1},{},`
	f.engine.usage = `{"items":[` + strings.TrimSuffix(item+strings.Repeat(old+item, 1000), ",") + `]}`
	f.engine.metrics = strings.Repeat("picobase_db_size_bytes{db=\"data\"} +Inf\n", 100) +
		"picobase_db_size_bytes{db=\"b\"} NaN\npicobase_db_size_bytes{db=\"c\"} -1e300\n"
	if err := (tenants{f.Platform}).Collect(context.Background(), id, view.URL); err != nil {
		t.Fatal(err)
	}
	rows, err := f.usageRows()
	if err != nil || rows != 1 {
		t.Errorf("%d rows are kept of one day, %v", rows, err)
	}
	used, err := f.usedBy(f.App, organization)
	if err != nil || used.Requests != maxFigure || used.Storage != maxFigure {
		t.Errorf("used %+v, %v", used, err)
	}
}

func (f *fixture) usageRows() (rows int, err error) {
	err = f.App.DB().Select("COUNT(*)").From(schema.UsageTable).Row(&rows)
	return rows, err
}
