package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"strings"
	"text/template"
)

//go:embed page.md.tmpl
var pageText string

var page = template.Must(template.New("page").Parse(pageText))

const pageName = "benchmarks.md"

// markdown renders docs/benchmarks.md.
func markdown(f facts, opts options, res results, check keyCheck) []byte {
	var out bytes.Buffer
	err := page.Execute(&out, map[string]any{
		"Date":        f.date.Format("2006-01-02"),
		"PocketBase":  f.pocketBase,
		"Go":          f.goVersion,
		"Platform":    f.platform,
		"Cores":       f.cores,
		"Rounds":      opts.rounds,
		"Duration":    opts.duration,
		"Connections": opts.connections,
		"Threads":     opts.threads,
		"Rows":        seededRows,
		"Summary":     summary(verdicts(res)),
		"KeyCheck":    check,
		"Results":     markdownTable(resultRows(res)),
		"Floors":      markdownTable(verdictRows(verdicts(res))),
	})
	if err != nil {
		panic(err) // the template and its values are both in this folder
	}
	return out.Bytes()
}

func markdownTable(rows [][]string) string {
	var b strings.Builder
	for i, row := range rows {
		fmt.Fprintf(&b, "| %s |\n", strings.Join(row, " | "))
		if i == 0 {
			fmt.Fprintf(&b, "|%s\n", strings.Repeat(" --- |", len(row)))
		}
	}
	return strings.TrimSuffix(b.String(), "\n")
}
