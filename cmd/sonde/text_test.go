package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestWrap(t *testing.T) {
	tests := []struct {
		name, text string
		want       []string
	}{
		{"short", "a b", []string{"a b"}},
		{"at the width", "12345 7890", []string{"12345 7890"}},
		{"above it", "12345 78901", []string{"12345", "78901"}},
		{"a long word", "a 12345678901234 b", []string{"a", "12345678901234", "b"}},
		{"a piece in backquotes", "see `a b c` d", []string{"see", "`a b c` d"}},
		{"letters, not bytes", "ééééé ééée", []string{"ééééé ééée"}},
		{"nothing", "", []string{""}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, wrap(tt.text, 10)); diff != "" {
				t.Errorf("lines differ (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWrappedColumns(t *testing.T) {
	got := wrappedColumns([][]string{{"A", "LONGER", "TEXT"}, {"one", "x", "this is wrapped into two lines"}}, 33)
	want := strings.Join([]string{
		"A    LONGER  TEXT",
		"one  x       this is wrapped into",
		"             two lines",
		"",
	}, "\n")
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("table differs (-want +got):\n%s", diff)
	}
}
