package web

import (
	"context"
	"io"
	"net/http"
)

// healthy says that the process runs and answers; nothing of probes.
func (s *Server) healthy(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, "sonde watch is healthy\n")
}

// ready says that probes run.
func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if err := s.backend.Ready(); err != nil {
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "sonde watch is ready\n")
}

// reload has the configuration read again and answers when the new one runs.
func (s *Server) reload(w http.ResponseWriter, r *http.Request) {
	if !s.opt.Reload {
		http.Error(w, "reloading over HTTP is not allowed here; send SIGHUP", http.StatusForbidden)
		return
	}
	// Once begun it is brought to its end: half of a configuration is none, whether or not the asker waits.
	if err := s.backend.Reload(context.WithoutCancel(r.Context())); err != nil {
		// The backend has told its log; here the asker is told.
		http.Error(w, "reload: "+err.Error()+"\nthe old configuration runs on", http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(w, "reloaded\n")
}
