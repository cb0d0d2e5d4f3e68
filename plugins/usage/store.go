package usage

import (
	"fmt"
	"strings"
	"time"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
)

// upsert adds the counts of a cell to its row.
var upsert = makeUpsert()

// latencyParams names the parameters, and columns, of the latency buckets.
var latencyParams = makeLatencyParams()

func makeLatencyParams() (names [bucketCount]string) {
	for i := range names {
		names[i] = fmt.Sprintf("h%02d", i)
	}
	return names
}

func makeUpsert() string {
	sums := append([]string{"requests", "bytes_in", "bytes_out"}, latencyParams[:]...)
	columns := append([]string{"hour", "key_id", "route", "status_class"}, sums...)
	additions := make([]string, len(sums))
	for i, name := range sums {
		additions[i] = name + " = " + name + " + excluded." + name
	}
	return "INSERT INTO _pico_usage (" + strings.Join(columns, ", ") + ")" +
		" VALUES ({:" + strings.Join(columns, "}, {:") + "})" +
		" ON CONFLICT (hour, key_id, route, status_class) DO UPDATE SET " + strings.Join(additions, ", ")
}

// store adds the counts to the table, all or none.
func store(app core.App, counted cells) error {
	return app.AuxRunInTransaction(func(txApp core.App) error {
		statement := txApp.AuxDB().NewQuery(upsert).Prepare()
		defer statement.Close()
		for key, c := range counted {
			params := dbx.Params{
				"hour":         key.hour,
				"key_id":       key.keyID,
				"route":        key.group.String(),
				"status_class": key.class,
				"requests":     c.requests,
				"bytes_in":     c.bytesIn,
				"bytes_out":    c.bytesOut,
			}
			for i, name := range latencyParams {
				params[name] = c.latency[i]
			}
			if _, err := statement.Bind(params).Execute(); err != nil {
				return fmt.Errorf("add usage: %w", err)
			}
		}
		return nil
	})
}

// deleteBefore deletes the figures of the hours before cutoff.
func deleteBefore(app core.App, cutoff time.Time) error {
	_, err := app.AuxNonconcurrentDB().
		Delete("_pico_usage", dbx.NewExp("hour < {:cutoff}", dbx.Params{"cutoff": hourOf(cutoff)})).
		Execute()
	if err != nil {
		return fmt.Errorf("delete old usage: %w", err)
	}
	return nil
}

// hourOf returns the Unix time at which t's hour began.
func hourOf(t time.Time) int64 {
	const hour = int64(time.Hour / time.Second)
	return t.Unix() / hour * hour
}
