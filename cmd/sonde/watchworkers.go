package main

import (
	"log/slog"

	"sonde/internal/workers"
	"sonde/watch"
)

// watchRole is the role of a worker process that watches.
const watchRole = "watch"

// watchWork watches a share of the targets.
func watchWork(w *workers.Worker, stderr *console) error {
	trimHeap()
	return watch.Work(w, slog.New(daemonLog(stderr)))
}
