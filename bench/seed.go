package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
)

const (
	seededRows = 1000

	// Reads and writes use two collections of one shape: were new rows to land
	// among the seeded ones, each create round would make the next list slower,
	// and most for the server that creates fastest.
	readCollection  = "bench_reads"
	writeCollection = "bench_writes"

	// What is created here PicoBase tells a subscriber.
	toldCollection = "bench_told"
)

// createCollections creates all collections, open to everyone.
func (s *server) createCollections(ctx context.Context) error {
	for _, name := range []string{readCollection, writeCollection, toldCollection} {
		if err := s.api(ctx, http.MethodPost, "/api/collections", collection(name), nil); err != nil {
			return err
		}
	}
	return nil
}

// seed creates all collections and fills the one for reads.
func (s *server) seed(ctx context.Context) error {
	if err := s.createCollections(ctx); err != nil {
		return err
	}
	for i := range seededRows {
		r := row(i)
		r["id"] = rowID(i)
		if err := s.api(ctx, http.MethodPost, recordsPath(readCollection), r, nil); err != nil {
			return err
		}
	}
	return nil
}

func collection(name string) map[string]any {
	return map[string]any{
		"name": name, "type": "base",
		"listRule": "", "viewRule": "", "createRule": "",
		"fields": []map[string]any{
			{"name": "title", "type": "text"},
			{"name": "body", "type": "text"},
			{"name": "views", "type": "number"},
			{"name": "published", "type": "bool"},
			{"name": "created", "type": "autodate", "onCreate": true},
			{"name": "updated", "type": "autodate", "onCreate": true, "onUpdate": true},
		},
	}
}

// row is about 400 bytes as JSON.
func row(i int) map[string]any {
	return map[string]any{
		"title":     fmt.Sprintf("Post number %d", i),
		"body":      strings.Repeat("lorem ipsum dolor sit amet ", 12),
		"views":     i,
		"published": i%2 == 0,
	}
}

func rowID(i int) string { return fmt.Sprintf("row%012d", i) }

func recordsPath(collection string) string { return "/api/collections/" + collection + "/records" }
