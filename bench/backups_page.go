package main

import (
	"bytes"
	_ "embed"
	"text/template"
)

//go:embed backups.md.tmpl
var backupsPageText string

var backupsPage = template.Must(template.New("backups").Parse(backupsPageText))

const backupsPageName = "benchmarks-backups.md"

// backupsMarkdown renders docs/benchmarks-backups.md.
func backupsMarkdown(f facts, opts options, res backupResults) []byte {
	var out bytes.Buffer
	err := backupsPage.Execute(&out, map[string]any{
		"Date":        f.date.Format("2006-01-02"),
		"PocketBase":  f.pocketBase,
		"Go":          f.goVersion,
		"Platform":    f.platform,
		"Cores":       f.cores,
		"Rounds":      opts.rounds,
		"Duration":    opts.duration,
		"Connections": opts.connections,
		"Size":        &opts.backups.size,
		"Small":       &opts.backups.small,
		"Runs":        opts.backups.runs,
		"Rate":        opts.backups.rate,
		"Calm":        calm,
		"Disk":        diskShare,
		"Summary":     summary(backupVerdicts(res)),
		"Floors":      markdownTable(verdictRows(backupVerdicts(res))),
		"Stalls":      markdownTable(stallRows(res.stalls)),
		"OnOff":       markdownTable(onOffRows(res.onOff)),
		"Delays":      markdownTable(delayRows(res.delays)),
		"Starts":      markdownTable(startRows(res.starts)),
	})
	if err != nil {
		panic(err) // the template and its values are both in this folder
	}
	return out.Bytes()
}
