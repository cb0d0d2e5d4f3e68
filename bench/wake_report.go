package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"strconv"
	"text/template"
)

//go:embed wake.md.tmpl
var wakePageText string

var wakePage = template.Must(template.New("wake").Parse(wakePageText))

const (
	wakePageName = "benchmarks-fleet.md"

	floorWake, aimWake     = 300, 100 // milliseconds, p95
	floorSleeping          = 5 << 10  // bytes
	floorBucket, aimBucket = 4000, 2000
)

func wakeRows(r wakeResults) [][]string {
	rows := [][]string{{"first byte after", "times", "p50 ms", "p95 ms", "p99 ms"}}
	for _, one := range []struct {
		what string
		took []float64
	}{
		{"a wake, data on disk", r.disk},
		{"a wake, from an empty disk by S3", r.bucket},
		{"a start of stock PocketBase, data on disk", r.stock},
	} {
		row := []string{one.what, strconv.Itoa(len(one.took))}
		for _, percent := range []int{50, 95, 99} {
			row = append(row, fmt.Sprintf("%.0f", percentile(one.took, percent)))
		}
		rows = append(rows, row)
	}
	return rows
}

func wakeVerdicts(r wakeResults) []verdict {
	disk, bucket := percentile(r.disk, 95), percentile(r.bucket, 95)
	sleeping, _ := strconv.Atoi(r.perSleeping) // digits, by its pattern
	at := func(kind, what, got string, met bool, most string) verdict {
		return verdict{what: kind + ": " + what, got: got, wanted: "at most " + most, met: met}
	}
	ms := func(v float64) string { return fmt.Sprintf("%.0f ms", v) }
	return []verdict{
		at("floor", "wake from disk, p95", ms(disk), disk <= floorWake, ms(floorWake)),
		at("aim", "wake from disk, p95", ms(disk), disk <= aimWake, ms(aimWake)),
		at("floor", "wake from an empty disk, p95", ms(bucket), bucket <= floorBucket, ms(floorBucket)),
		at("aim", "wake from an empty disk, p95", ms(bucket), bucket <= aimBucket, ms(aimBucket)),
		at("floor", "memory of a sleeping project", r.perSleeping+" bytes", sleeping <= floorSleeping, fmt.Sprintf("%d bytes", floorSleeping)),
	}
}

// wakeMarkdown renders docs/benchmarks-fleet.md.
func wakeMarkdown(f facts, r wakeResults) []byte {
	var out bytes.Buffer
	err := wakePage.Execute(&out, map[string]any{
		"Date": f.date.Format("2006-01-02"), "PocketBase": f.pocketBase, "Go": f.goVersion, "Platform": f.platform, "Cores": f.cores,
		"Size": r.size.String(), "Summary": summary(wakeVerdicts(r)), "Floors": markdownTable(verdictRows(wakeVerdicts(r))),
		"Results": markdownTable(wakeRows(r)), "Lookup": r.lookup, "PerName": r.perName, "PerSleeping": r.perSleeping,
		"LoadBefore": r.loadBefore, "LoadAfter": r.after,
	})
	if err != nil {
		panic(err) // the template and its values are both in this folder
	}
	return out.Bytes()
}
