package main

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"

	"sonde/bench"
	"sonde/bench/compare"
	"sonde/internal/workers"
	"sonde/serve"
)

// workerWord is the command by which sonde starts itself as a worker process, `sonde worker ROLE`. It is for no person, so
// help, manual and completion don't know it: stdin and stdout are a worker's pipes to its parent (internal/workers). What
// starts workers gives workerArgs of a role to workers.Options.Args.
const workerWord = "worker"

// workerRoles are what a worker may be, by the word behind workerWord. A role does its assignment until that is done or the
// worker's context is, ends with Worker.Finish and returns; an error is told on stderr, and the worker exits with 1.
func (p *program) workerRoles() map[string]func(*workers.Worker) error {
	return map[string]func(*workers.Worker) error{
		serveRole:         serve.Work,
		bench.Role:        func(w *workers.Worker) error { return bench.Work(w, slog.New(consoleLog{console: p.stderr})) },
		scanRole:          func(w *workers.Worker) error { return scanWork(w, p.stderr) },
		watchRole:         func(w *workers.Worker) error { return watchWork(w, p.stderr) },
		compare.RunRole:   compare.Work,
		compare.FleetRole: compare.Serve,
	}
}

// workerArgs are the arguments that make this program a worker of that role, which writes the profiles that its parent does,
// each to a file of its own.
func (p *program) workerArgs(role string) []string {
	args := []string{workerWord, role}
	for _, f := range p.profiles.files() {
		if f.name != "" {
			args = append(args, f.flag+"="+f.name)
		}
	}
	return args
}

func newWorkerCommand(p *program) *command {
	return &command{
		name: workerWord, summary: "do a share of another sonde process's work", usage: "ROLE", hidden: true,
		run: func(_ context.Context, args []string) error {
			roles := p.workerRoles()
			if len(args) != 1 || roles[args[0]] == nil {
				return &usageError{text: fmt.Sprintf("sonde %s wants a role: %s", workerWord, orList(slices.Sorted(maps.Keys(roles)))),
					hint: "sonde starts its workers by itself"}
			}
			w, err := workers.Serve(p.stdin, p.stdout)
			if err != nil {
				return fmt.Errorf("begin as a worker: %w", err)
			}
			return roles[args[0]](w)
		},
	}
}
