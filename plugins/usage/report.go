package usage

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
)

// answer sums the figures up; SQLite does the grouping.
func (q question) answer(app core.App) (*report, error) {
	statement, params := q.sql()
	rows, err := app.AuxDB().NewQuery(statement).Bind(params).Rows()
	if err != nil {
		return nil, fmt.Errorf("query usage: %w", err)
	}
	defer rows.Close()

	result := &report{From: q.from, To: q.to, Interval: q.interval, Items: []item{}}
	var total sums
	for rows.Next() {
		if len(result.Items) == maxItems {
			return nil, errTooManyItems
		}
		var row usageRow
		if err := rows.Scan(row.targets()...); err != nil {
			return nil, fmt.Errorf("read usage: %w", err)
		}
		total.add(&row.sums)
		result.Items = append(result.Items, q.item(&row))
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("read usage: %w", err)
	}
	result.Total = total.figures()
	return result, nil
}

// sql builds the statement from fixed words only; all values are parameters.
func (q question) sql() (string, dbx.Params) {
	params := dbx.Params{"from": q.from.Unix(), "to": q.to.Unix(), "limit": maxItems + 1}
	start := map[string]string{"hour": "hour", "day": "hour - hour % 86400", "total": "{:from}"}[q.interval]
	group := func(name, column, none string) string {
		if slices.Contains(q.groupBy, name) {
			return column
		}
		return none
	}
	columns := []string{
		start + " AS start",
		group("key", "key_id", "''") + " AS by_key",
		group("route", "route", "''") + " AS by_route",
		group("status", "status_class", "0") + " AS by_status",
		"SUM(requests)",
		"SUM(CASE WHEN status_class >= 4 THEN requests ELSE 0 END)",
		"SUM(bytes_in)",
		"SUM(bytes_out)",
	}
	for _, name := range latencyParams {
		columns = append(columns, "SUM("+name+")")
	}
	where := "hour >= {:from} AND hour < {:to}"
	if q.key != "" {
		where += " AND key_id = {:key}"
		params["key"] = requestFilter{key: q.key}.keyID()
	}
	if q.route != "" {
		where += " AND route = {:route}"
		params["route"] = q.route
	}
	const order = "start, by_key, by_route, by_status"
	return "SELECT " + strings.Join(columns, ", ") + " FROM _pico_usage WHERE " + where +
		" GROUP BY " + order + " ORDER BY " + order + " LIMIT {:limit}", params
}

func (q question) item(row *usageRow) item {
	result := item{Time: time.Unix(row.start, 0).UTC(), figures: row.sums.figures()}
	for _, name := range q.groupBy {
		switch name {
		case "key":
			result.Key = row.key
			if row.key == "" {
				result.Key = noKey
			}
		case "route":
			result.Route = row.route
		case "status":
			result.Status = className(row.status)
		}
	}
	return result
}

// usageRow is one row of the answer.
type usageRow struct {
	start  int64
	key    string
	route  string
	status uint8
	sums   sums
}

// targets lists where the columns go, in their order.
func (r *usageRow) targets() []any {
	targets := []any{
		&r.start, &r.key, &r.route, &r.status,
		&r.sums.requests, &r.sums.errors, &r.sums.bytesIn, &r.sums.bytesOut,
	}
	for i := range r.sums.latency {
		targets = append(targets, &r.sums.latency[i])
	}
	return targets
}

// sums are figures that can still be added up.
type sums struct {
	requests, errors, bytesIn, bytesOut int64
	latency                             histogram
}

func (s *sums) add(other *sums) {
	s.requests += other.requests
	s.errors += other.errors
	s.bytesIn += other.bytesIn
	s.bytesOut += other.bytesOut
	s.latency.add(&other.latency)
}

func (s *sums) figures() figures {
	return figures{
		Requests: s.requests,
		Errors:   s.errors,
		BytesIn:  s.bytesIn,
		BytesOut: s.bytesOut,
		Latency: latency{
			P50: s.latency.quantile(0.50),
			P95: s.latency.quantile(0.95),
			P99: s.latency.quantile(0.99),
		},
	}
}
